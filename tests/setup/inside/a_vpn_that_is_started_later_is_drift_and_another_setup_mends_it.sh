# shellcheck shell=bash
snapshot >"$T/log/before"
$SETUP
fetch 2001:db8:1::5:6
# All but its own packets go by a table of its own.
ip -6 route add default dev lo table 99
ip -6 route add $PEER dev up0 table 99
ip -6 rule add pref 100 not fwmark 0x63 lookup 99
fails fetch 2001:db8:1::5:6
ends 1 $V6KIT status --json >"$T/log/status"
same "$(jq -r '[.steps[] | select(.state != "in_order").id] | join(" ")' "$T/log/status")" route
jq -e '.steps[] | select(.id == "route").found | contains("`100: not from all fwmark 0x63 lookup 99`")' "$T/log/status"
$V6KIT doctor --json >"$T/log/doctor" || true
jq -e '.findings[] | select(.id == "setup") | .state == "failed"' "$T/log/doctor"
$SETUP >"$T/log/out"
has 'note: the policy rule `100: .*local table' "$T/log/out"
fetch 2001:db8:1::5:6
$V6KIT status
# The VPN goes, and nothing needs the local table any more.
ip -6 rule del pref 100
ip -6 route flush table 99
$V6KIT status | has 'note: the route of .* lies in the local table'
$SETUP
ip -6 route show table all | has "local $P dev lo proto 86 metric 1 "
ip -6 route show table local | fails has "local $P dev lo"
fetch 2001:db8:1::5:6
$V6KIT teardown
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
