# shellcheck shell=bash
$SETUP
barred() {
    ends 1 $V6KIT status --json >"$T/log/status"
    jq -e '.steps[] | select(.id == "route") | .state == "drifted" and (.found | contains("do not leave"))' "$T/log/status" >/dev/null \
        || fail "$1: $(cat "$T/log/status")"
    ends 1 $SETUP --json >"$T/log/report"
    hint=$(jq -r '.steps[] | select(.id == "route").hint' "$T/log/report")
    sudo() { "$@"; }
    export -f sudo
    bash -c "$(sed -n 's/[^`]*`\([^`]*\)`.*/\1/p' <<<"$hint")" || fail "$hint"
    $V6KIT status >/dev/null || fail "$1: $hint"
}
for bar in "unreachable default from $P metric 10" "prohibit default from ${P%/64}/65" "blackhole default from ${P%::/64}::/48"; do
    ip -6 route add $bar
    barred "$bar"
done
# A default route for the network of the host's own address, and no other.
default=$(ip -6 route show default | head -n 1)
ip -6 route del default
ip -6 route add ${default/default/default from 2001:db8:ffff::/64}
barred 'a default route for others'
same "$(ip -6 route show default | grep -c "from $P ")" 1
$V6KIT teardown
