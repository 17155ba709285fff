# shellcheck shell=bash
mkdir "$T/log/bin"
ln -s "$(command -v sleep)" "$T/log/bin/hangs"
printf '#!/bin/sh\n%s infinity\n' "$T/log/bin/hangs" >"$T/log/bin/nft"
chmod 755 "$T/log/bin/nft"
$SETUP --json >"$T/log/first"
$V6KIT teardown >/dev/null
says() { has -F '`nft` did not end within 15 s and was killed' "$1" || fail "$1: $(cat "$1")"; }
# Each at the same time: one deadline each, and not one after the other.
with_it() { # name, command...
    local name=$1; shift
    code=0
    PATH="$T/log/bin:$PATH" timeout 100 "$@" >"$T/log/$name" 2>&1 || code=$?
    echo $code >"$T/log/$name.code"
}
with_it plan $SETUP --dry-run &
with_it doctor $V6KIT doctor &
with_it status $V6KIT status &
with_it verify $V6KIT verify --prefix $P --endpoint "http://[$PEER]/" --count 1 --timeout 1s &
wait $(jobs -rp | grep -v "^$PEER_NS_PID$")
for name in plan doctor status verify; do
    test "$(cat "$T/log/$name.code")" -lt 124 || fail "$name: $(cat "$T/log/$name.code")"
done
same "$(cat "$T/log/plan.code")" 0
says "$T/log/plan"
says "$T/log/doctor"
# Setup does the rest, says what it left out, and leaves no child behind.
with_it setup $SETUP --json
says "$T/log/setup"
same "$(cat "$T/log/setup.code")" 0
same "$(jq -r '.steps[] | select(.id == "inbound").state' "$T/log/setup")" skipped
same "$(jq -r '.steps[] | select(.id == "route").state' "$T/log/setup")" changed
if pgrep -x hangs; then fail 'it still runs'; fi
with_it status $V6KIT status
has 'inbound was left out' "$T/log/status"
$V6KIT teardown
