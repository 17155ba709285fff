# shellcheck shell=bash
await() { eventually quietly "$@"; }
node() { unshare --net sleep infinity & eval "$1=$!"; }
in_node() { nsenter --net="/proc/$1/ns/net" "${@:2}"; }
node SWITCH; node ROUTER
await sh -c "[ \$(readlink /proc/$ROUTER/ns/net) != \$(readlink /proc/self/ns/net) ]"
await sh -c "[ \$(readlink /proc/$SWITCH/ns/net) != \$(readlink /proc/self/ns/net) ]"
in_node "$SWITCH" ip link add br0 type bridge mcast_snooping 1
ip link add eth0 type veth peer name host netns "$SWITCH"
in_node "$ROUTER" ip link add lan type veth peer name router netns "$SWITCH"
in_node "$SWITCH" ip link set host master br0
in_node "$SWITCH" ip link set router master br0
for link in br0 host router; do in_node "$SWITCH" ip link set "$link" up; done
ip link set eth0 up
in_node "$ROUTER" ip link set lo up
in_node "$ROUTER" ip link set lan up
in_node "$ROUTER" ip -6 address add 2001:db8:1::1/64 dev lan nodad
in_node "$ROUTER" ip -6 route add 2001:db8:6::/64 dev lan
ip -6 route add local 2001:db8:6::/64 dev lo
ip -6 address add 2001:db8:1::2/64 dev eth0 nodad
has_address() { nsenter --net="/proc/$1/ns/net" ip -6 address show dev "$2" -tentative scope link | grep -q inet6; }
await has_address $$ eth0
await has_address "$SWITCH" br0
await has_address "$ROUTER" lan
# Snooping takes effect once there is a querier and its first response time is over.
in_node "$SWITCH" ip link set br0 type bridge mcast_query_interval 100 \
    mcast_startup_query_interval 100 mcast_query_response_interval 10
in_node "$SWITCH" ip link set br0 type bridge mcast_querier 1
asks() { in_node "$ROUTER" ping -c 1 -W 1 "$1"; }

"$V6KIT" ndp --json --all --snooping silent --prefix 2001:db8:6::/64 --dev eth0 >"$T/silent" &
SILENT=$!
await grep -q ready "$T/silent"
n=0
unheard() { ! asks "2001:db8:6::$((n += 1))"; }
await unheard
echo "unheard when silent"
kill "$SILENT"; wait "$SILENT"

"$V6KIT" ndp --json --all --prefix 2001:db8:6::/64 --dev eth0 >"$T/told" &
TOLD=$!
await grep -q ready "$T/told"
await asks 2001:db8:6::7:1
in_node "$SWITCH" bridge -d mdb show | grep -c 'router ports.*host' 
kill "$TOLD"; wait "$TOLD"
tail -n 1 "$T/told"
