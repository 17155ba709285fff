# shellcheck shell=bash
mkdir -p "$ROOT/proc" "$ROOT/var/lib"
mount -t proc proc "$ROOT/proc"
ip link add up0 type veth peer name down0
ip link set up0 up
ip link set down0 up
routes() { ip -6 route show table all | grep 'local 2001:db8:6::' || true; }
settings() { sysctl net.ipv4.ip_local_port_range net.ipv6.ip_nonlocal_bind; }
before=$(settings)
alone setup --prefix 2001:db8:6::/64 --dev up0
test -n "$(routes)"
test "$(settings)" != "$before"
alone status
target
alone verify --endpoint 'http://[::1]:8080' --count 8 >"$T/verified"
crawls_100_items
jq --slurp --exit-status 'all(.from | startswith("2001:db8:6:"))' "$T/records" >/dev/null
alone teardown
test -z "$(routes)"
test "$(settings)" = "$before"
test ! -e "$ROOT/var/lib/v6kit/journal.jsonl"
