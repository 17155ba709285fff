# shellcheck shell=bash
usable_prefix
start_verbose --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
fetch_from "${P}1" >/dev/null
gateway=$(ip -6 route show default | sed 's/ proto.*//')

# The local route is on lo and stays; the default route has to be put back.
ip link set "$DEV" down
await logged '"event":"link_down"'
ip link set "$DEV" up
await logged '"event":"link_up"'
ip -6 address show dev "$DEV" | grep -q 2001:db8:1::2 || ip -6 address add 2001:db8:1::2/64 dev "$DEV" nodad
ip -6 route replace $gateway
router ip -6 neighbour flush dev lan
fetch_from "${P}2" >/dev/null

# Open connections are told the new address: the router's entry changes without being asked.
ip link set "$DEV" address 02:00:00:00:07:07
await logged '"event":"link_address_changed"'
known() { router ip -6 neighbour show "${P}2" | grep -q 02:00:00:00:07:07; }
await known
fetch_from "${P}3" >/dev/null

# Renamed away and back is the same as gone and back.
ip link set "$DEV" down
ip link set "$DEV" name away
await logged '"event":"device_gone"'
ip link set away name "$DEV"
await logged '"event":"device_back"'
ip link set "$DEV" up
await sh -c "ip -6 address show dev $DEV | grep -q 2001:db8:1::2 || ip -6 address add 2001:db8:1::2/64 dev $DEV nodad"
ip -6 route replace $gateway
router ip -6 neighbour flush dev lan
fetch_from "${P}4" >/dev/null
stop
