# shellcheck shell=bash
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs -o mode=755 tmpfs /opt
cp "$V6KIT" /opt/v6kit
unset V6KIT_STATE_DIR
ip link add up0 type veth peer name down0
ip link set up0 up
ip addr add 192.0.2.2/24 dev up0
ends() { code=0; want=$1; shift; "$@" >"$T/out" 2>"$T/err" || code=$?; [ $code = $want ] || { cat "$T/out" "$T/err"; exit 1; }; }
# 1: there is no systemd here.
ends 1 /opt/v6kit setup --for server --nofile 70000 --persist
grep -q '^error: it is set up now, and nothing will do so at the next boot' "$T/err"
test "$(tail -n 3 /etc/v6kit/host.toml)" = "$(printf '[[setup]]\nnofile = 70000\nfor = "server"')"
ends 0 /opt/v6kit setup --config /etc/v6kit/host.toml --json
jq -e '.setups | length == 1 and .[0].prefix == "::/128"' "$T/out" >/dev/null
ends 0 /opt/v6kit status --config /etc/v6kit/host.toml
ends 0 /opt/v6kit teardown
ip addr add 2001:db8:1::5/64 dev up0 nodad
ip -6 route add default via fe80::1 dev up0
ends 0 /opt/v6kit setup --config /etc/v6kit/host.toml --json
jq -e '.setups | length == 1 and .[0].prefix == "2001:db8:1::5/128"' "$T/out" >/dev/null
ends 0 /opt/v6kit teardown --persist
test ! -e /etc/v6kit
# Where there is an address, the wish is the same: that of the next boot may be another one.
ends 1 /opt/v6kit setup --for server --nofile 70000 --persist
test "$(tail -n 3 /etc/v6kit/host.toml)" = "$(printf '[[setup]]\nnofile = 70000\nfor = "server"')"
ends 0 /opt/v6kit setup --config /etc/v6kit/host.toml --json
jq -e '.setups | length == 1 and .[0].prefix == "2001:db8:1::5/128"' "$T/out" >/dev/null
# Whoever undoes it without --persist is told that nobody here knows what the next boot does.
ends 0 /opt/v6kit teardown
grep -q 'host.toml is there, and no unit of systemd reads it' "$T/err"
ends 0 /opt/v6kit teardown --persist
test ! -e /etc/v6kit
