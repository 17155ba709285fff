# shellcheck shell=bash
snapshot >"$T/log/before"
said() { local code=$1 text=$2; shift 2; ends "$code" "$@" >"$T/log/said" 2>&1; has -F -- "$text" "$T/log/said" || fail "$(cat "$T/log/said")"; }
said 2 'nothing is' $SETUP --for everything
said 2 'add --for everything' $SETUP --from vm0
said 2 'of IPv4' $SETUP --for everything --from 10.0.0.0/8
said 2 'the network is fd00:a::/64' $SETUP --for everything --from fd00:a::5/64
said 1 'addresses of 2001:db8:1::/64 already' $SETUP --for everything --from 2001:db8:1:0:5::/80
said 1 'what comes in there does not leave there' $SETUP --for everything --from up0
ip link add br0 type bridge
ip link set vm0 master br0
said 1 'hint: --from br0' $EVERYTHING
ip link set vm0 nomaster
ip link del br0
until ip -6 addr show dev vm0 | has fd00:a::1; do ip addr add fd00:a::1/64 dev vm0 nodad; ip addr add 2001:db8:a::1/64 dev vm0 nodad; done
nft add table ip6 v6kit_2001_db8_1___64
said 1 'that no setup known here has made' $EVERYTHING
nft delete table ip6 v6kit_2001_db8_1___64
# Without nft nothing can be translated, and nothing else is done.
mkdir "$T/log/sbin"
for program in ip ss sysctl; do cp "$(command -v $program)" "$T/log/sbin/"; done
without_nft() {
    unshare --mount -- bash -c 'mount --bind "$0" /usr/sbin; test -L /sbin || mount --bind "$0" /sbin; PATH=$0:/usr/bin:/bin exec "$@"' "$T/log/sbin" "$@"
}
said 1 'nft is not installed' without_nft $EVERYTHING
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
