# shellcheck shell=bash
$SETUP
ip link set up0 down
ip link set up0 name wan7
ip link set wan7 up
ip addr replace $OWN/64 dev wan7 nodad
ip -6 route replace default via $PEER dev wan7
ends 1 $V6KIT status --json >"$T/log/status"
jq -e '.remarks | any(startswith("up0 is called wan7 now: `sudo "))' "$T/log/status"
ends 1 $V6KIT doctor --json >"$T/log/doctor"
jq -e '.findings[] | select(.id == "setup") | .state == "failed" and (.hint | contains("--dev wan7"))' "$T/log/doctor"
# Without a device setup takes the one that it was.
$V6KIT setup --prefix $P
$V6KIT status
same "$(jq -r '.setups[0].device' "$V6KIT_STATE_DIR/summary.json")" wan7
$V6KIT doctor --json | jq -e '.findings[] | select(.id == "setup").detail | contains("on wan7")'
# A device that is gone is not called anything.
ip link del wan7
ends 1 $V6KIT status | has 'there is no device wan7 any more'
$V6KIT teardown
