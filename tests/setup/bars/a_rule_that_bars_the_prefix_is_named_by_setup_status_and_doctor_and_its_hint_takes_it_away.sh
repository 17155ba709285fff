# shellcheck shell=bash
state_of() { jq -r '.steps[] | select(.id == "route").state' "$1"; }
$SETUP
$V6KIT status
# Another rule of the same number stays.
ip -6 rule add pref 900 from $OWN/128 unreachable
for bar in "from $P prohibit" "from $P blackhole" "from ${P%/64}/65 unreachable" "from $P iif lo prohibit" \
    "from $P lookup 51820"; do
    ip -6 route replace unreachable default table 51820
    ip -6 rule add pref 900 $bar
    ip -6 rule >"$T/log/rules"
    ends 1 $V6KIT status --json >"$T/log/status"
    jq -e '.steps[] | select(.id == "route") | .state == "drifted" and (.found | contains("do not leave"))' "$T/log/status" >/dev/null \
        || fail "$bar: $(cat "$T/log/status")"
    ends 1 $V6KIT doctor >"$T/log/doctor" 2>&1
    has 'route drifted' "$T/log/doctor"
    # A plain user sees it too.
    ends 1 unshare --user -- $V6KIT doctor >"$T/log/doctor" 2>&1
    has 'route drifted' "$T/log/doctor"
    ends 1 $SETUP --dry-run --json >"$T/log/plan"
    ends 1 $SETUP --json >"$T/log/report"
    same "$(state_of "$T/log/plan") $(state_of "$T/log/report")" 'conflict conflict'
    hint=$(jq -r '.steps[] | select(.id == "route").hint' "$T/log/report")
    same "$(jq -r '.steps[] | select(.id == "route").hint' "$T/log/status")" "$hint"
    has -F "hint: route: $hint" <($V6KIT status 2>&1 || true)
    # It runs as printed, and takes no more than that.
    sudo() { "$@"; }
    export -f sudo
    bash -c "$(sed -n 's/[^`]*`\([^`]*\)`.*/\1/p' <<<"$hint")" || fail "$hint"
    same "$(ip -6 rule | grep -c "from $OWN ")" 1
    same "$(ip -6 rule | wc -l)" "$(($(wc -l <"$T/log/rules") - 1))"
    $V6KIT status
    same "$($SETUP --json | jq .changed)" 0
done
# One that leads out by another way is none, nor one that is passed over.
ip -6 route replace default via $PEER dev up0 table 51820
ip -6 rule add pref 901 from $P lookup 51820
ip -6 route add prohibit default table 51821
ip -6 rule add pref 899 from $P lookup 51821 suppress_prefixlength 0
$V6KIT status
$V6KIT teardown
