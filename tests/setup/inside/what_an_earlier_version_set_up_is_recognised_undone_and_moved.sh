# shellcheck shell=bash
# In order as long as nothing is hidden by it, and told.
$V6KIT status >"$T/log/out"
has 'note: .*local table, as earlier versions had it' "$T/log/out"
ip -6 route add 2001:db8:1::10/128 dev up0
ends 1 $V6KIT status >"$T/log/out"
has 'route .*drifted .*it hides the route 2001:db8:1::10 dev up0' "$T/log/out"
cp -a "$V6KIT_STATE_DIR" "$T/log/earlier"
$SETUP >"$T/log/out"
ip -6 route show table all | has "local $P dev lo proto 86 metric 1 "
ip -6 route show table local | fails has "local $P dev lo"
same "$(fetch 2001:db8:1::5:6)" 2001:db8:1::5:6
$V6KIT status
$V6KIT teardown
# Undone as it was left.
rm -rf "$V6KIT_STATE_DIR"
cp -a "$T/log/earlier" "$V6KIT_STATE_DIR"
ip -6 route add local $P dev lo proto 86
$V6KIT teardown --json | jq -e '.steps[0].state == "restored"'
ip -6 route del 2001:db8:1::10
ip -6 route show table all | fails has "local $P dev lo"
