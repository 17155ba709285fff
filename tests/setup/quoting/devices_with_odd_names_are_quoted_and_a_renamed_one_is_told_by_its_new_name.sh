# shellcheck shell=bash
odd="u;'\$x"
ip link add "$odd" type veth peer name far9
ip link set "$odd" up
ip link set far9 up
$V6KIT setup --prefix $P2 --dev "$odd" >/dev/null
sysctl -qw "net/ipv6/conf/$odd/disable_ipv6=1"
ends 1 $V6KIT setup --prefix $P2 --dev "$odd" 2>"$T/log/said"
runs
$V6KIT setup --prefix $P2 --dev "$odd" >/dev/null
# Gone from the firewall: what to run is printed with the device.
nft delete table inet v6kit
ends 1 $V6KIT doctor >"$T/log/said" 2>&1
runs
$V6KIT doctor >/dev/null
# Renamed.
ip link set "$odd" down
ip link set "$odd" name "new&name"
ip link set "new&name" up
ends 1 $V6KIT doctor >"$T/log/said" 2>&1
has -F "new&name" <<<"$(hinted)"
runs
$V6KIT doctor >/dev/null
# The others print the name that it has now, too.
ip link set "new&name" down
ip link set "new&name" name third0
ip link set third0 up
ip -6 route del local $P2 dev lo table main
code=0
timeout 10 $V6KIT crawl 'http://[::1]:9/' -o "$T/log/items" --keep-free 1M 2>"$T/log/said" || code=$?
has -F -- '--dev third0' "$T/log/said" || fail "$(cat "$T/log/said")"
runs
$V6KIT teardown
