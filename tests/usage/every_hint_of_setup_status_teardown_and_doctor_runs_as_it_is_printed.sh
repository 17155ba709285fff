# shellcheck shell=bash
plain() { unshare --user -- "$@"; }
hints() { "$@" >"$T/out" 2>&1 || true; follow "$T/out"; }
hints v6kit status
hints v6kit verify
# What a plain user is told, typed as it is printed, sets up.
hints plain v6kit setup --prefix $P --dev up0 --for proxy
v6kit status >/dev/null
hints plain v6kit status
hints plain v6kit teardown
if v6kit status >/dev/null; then fail 'still set up'; fi
hints v6kit setup --prefix $P
hints v6kit setup --prefix $P
# Drift of each kind.
v6kit setup --prefix $P >/dev/null
ip -6 route flush proto 86 table all
nft flush ruleset
hints v6kit doctor
v6kit status >/dev/null || fail 'the hint of doctor did not repair it'
nft flush ruleset
# Its last line undoes.
hints v6kit status
v6kit setup --prefix $P >/dev/null
sysctl -qw net.ipv4.tcp_tw_reuse=0
nft insert rule inet v6kit inbound tcp dport 7 accept
hints v6kit teardown
test "$(sysctl -n net.ipv4.tcp_tw_reuse)" = 2 || fail 'the hint of teardown did not put it back'
if nft list table inet v6kit 2>/dev/null; then fail 'the table is still there'; fi
# Devices.
ip link set lo down
hints v6kit setup --prefix $P
sysctl -qw net.ipv6.conf.up0.disable_ipv6=1
hints v6kit setup --prefix $P --dev up0
sysctl -qw net.ipv6.conf.all.disable_ipv6=1
hints v6kit doctor
sysctl -qw net.ipv6.conf.all.disable_ipv6=1
hints v6kit setup --prefix $P --dev up0
test "$(cat /proc/sys/net/ipv6/conf/up0/disable_ipv6)" = 0 || fail 'still off'
# Things in the way.
ip -6 route add blackhole $P table local
hints v6kit setup --prefix $P --dev up0
nft add table inet v6kit
hints v6kit setup --prefix $P --dev up0
echo '* soft nofile 9' >/etc/security/limits.d/90-v6kit.conf
hints v6kit setup --prefix $P --dev up0
test ! -e /etc/security/limits.d/90-v6kit.conf || grep -q v6kit /etc/security/limits.d/90-v6kit.conf
v6kit setup --prefix $P --dev up0 >/dev/null
v6kit teardown >/dev/null
test $followed -ge 20 || fail "only $followed commands"
