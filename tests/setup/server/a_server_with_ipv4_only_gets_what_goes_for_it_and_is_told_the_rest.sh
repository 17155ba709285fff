# shellcheck shell=bash
ip -6 addr flush dev up0 scope global
ip addr add 192.0.2.2/24 dev up0
ip route add default via 192.0.2.1
plain_server "$NOTHING"
# Link-local addresses alone are none, and a device that is named changes nothing about it.
$V6KIT setup --for server --dev up0 --json | jq -e '.remarks | any(contains("nothing is done for IPv6"))'
$V6KIT teardown
# Nobody else takes it for a prefix.
$V6KIT setup --for server >/dev/null
ends 2 $V6KIT verify 2>"$T/log/said"
has 'nothing is set up' "$T/log/said"
$V6KIT teardown
