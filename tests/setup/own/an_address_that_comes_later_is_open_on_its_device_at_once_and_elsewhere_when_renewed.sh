# shellcheck shell=bash
snapshot >"$T/log/before"
$SETUP
fails reaches 2001:db8:1::a
# On the device that packets arrive on.
ip addr add 2001:db8:1::a/128 dev up0 nodad
eventually reaches 2001:db8:1::a
$V6KIT status
ip addr del 2001:db8:1::a/128 dev up0
fails reaches 2001:db8:1::a
# Elsewhere: named until the next setup or check.
ip addr add 2001:db8:1::b/128 dev br0 nodad
ip addr add 2001:db8:1::c/128 dev lo nodad
fails reaches 2001:db8:1::b
ends 1 $V6KIT status >"$T/log/out"
has 'inbound .*drifted .*shut: 2001:db8:1::b, an address of this host on br0' "$T/log/out"
has 'shut: 2001:db8:1::c, an address of this host on lo' "$T/log/out"
$SETUP --json | jq -e '.steps[] | select(.id == "inbound") | .state == "changed" and (.reason | contains("2001:db8:1::b"))'
reaches 2001:db8:1::b
reaches 2001:db8:1::c
fails reaches 2001:db8:1::a
$V6KIT status
# One that is gone is open to nobody's use, and named.
ip addr del 2001:db8:1::b/128 dev br0
ends 1 $V6KIT status | has 'open: 2001:db8:1::b, which is no address of this host any more'
printf 'prefix = "%s"\ndev = "up0"\n' $P >"$T/log/host.toml"
$V6KIT status --config "$T/log/host.toml" >"$T/log/out" 2>&1
has '2001:db8:1::b is no address of this host any more' "$T/log/out"
fails reaches 2001:db8:1::b
ip addr del 2001:db8:1::c/128 dev lo
$V6KIT teardown
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
