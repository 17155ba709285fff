# shellcheck shell=bash
usable_prefix
ulimit -n 4096
start --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
target=${V6KIT_LAB_TARGET#http://[} target=${target%%]*}
lost() { router awk '$1 == "Ip6OutNoRoutes" { print $2 }' /proc/net/snmp6; }
before=$(lost)
cp "$TESTS/ndp/load/senders.py" "$T/senders.py"
python3 "$T/senders.py" "$P" "$target"
echo "without a neighbour: $(($(lost) - before))"
echo "entries: $(router ip -6 neighbour show nud all | grep -c REACHABLE)"
stop
