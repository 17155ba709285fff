# shellcheck shell=bash
unit=v6kit-ndp.service
# The router, for which the prefix is on-link.
unshare --net sleep infinity >/dev/null 2>&1 &
router=$!
trap 'kill $router' EXIT
moved() { ip link set down0 netns $router 2>/dev/null; }
other() { [ "$(readlink /proc/$router/ns/net)" != "$(readlink /proc/self/ns/net)" ]; }
eventually other
moved
at_router() { nsenter --target $router --net -- "$@"; }
at_router ip link set lo up
at_router ip link set down0 up
at_router ip -6 addr add 2001:db8:1::1/64 dev down0 nodad
ready() { ip -6 addr show dev up0 scope link | has 'inet6 fe80' && ! ip -6 addr show dev up0 | has tentative; }
eventually ready
systemctl start $unit
# What the unit lends it, it does not lend on.
same "$(may $unit)" "0000000000002000 0000000000002000 0000000000002000 0000000000000000 1 "
[ "$(uid $unit)" -ge 61184 ] || fail "no dynamic user: $(uid $unit)"
same "$(systemctl show -P StatusText $unit)" "answering for $P on up0"
solicited() {
    at_router ping -6 -c 1 -W 1 2001:db8:1::abcd >/dev/null 2>&1 || true
    at_router ip -6 neigh show 2001:db8:1::abcd | has lladdr
}
eventually solicited
kill -9 "$(main $unit)"
back() { [ "$(state $unit) $(systemctl show -P NRestarts $unit)" = 'active 1' ]; }
eventually back
systemctl stop $unit
same "$(result $unit)" success
