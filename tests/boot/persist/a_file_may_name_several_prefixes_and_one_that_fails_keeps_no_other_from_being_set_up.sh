# shellcheck shell=bash
ip link add up0 type veth peer name down0
ip link set up0 up
cat >"$T/host.toml" <<'TOML'
dev = "up0"
[[setup]]
prefix = "2001:db8:1::/64"
dev = "none0"
[[setup]]
prefix = "2001:db8:2::/64"
[[setup]]
prefix = "2001:db8:3::/64"
inbound = "allow"
TOML
code=0; "$V6KIT" setup --config "$T/host.toml" --json >"$T/out" 2>"$T/err" || code=$?
test $code = 2
jq -e '(.setups | map(.prefix) == ["2001:db8:2::/64", "2001:db8:3::/64"]) and (.errors | length == 1)' "$T/out" >/dev/null
"$V6KIT" setup --config "$T/host.toml" --dev up0 >"$T/out"
test "$("$V6KIT" status --json | jq '.prefixes | length')" = 3
"$V6KIT" status --config "$T/host.toml" -q
"$V6KIT" teardown -q
"$V6KIT" setup --config "$T/host.toml" --prefix 2001:db8:3::/64 --dry-run --json | jq -e '.setups | length == 1' >/dev/null
