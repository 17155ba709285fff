# shellcheck shell=bash
make_topology
host ip -6 route add local $PREFIX dev lo
for name in mine theirs; do
    nft -f - <<END
table ip6 $name {
    chain FWD-$name {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname "br-lan" oifname "wan" accept
    }
}
END
done
render() { $V6KIT router render --host 2001:db8:1:202::9 --prefix $PREFIX --lan br-lan --wan wan "$@"; }
sh -eu <(render --as iproute2)
says "$(ip -6 route show $PREFIX)" 'via 2001:db8:1:202::9 dev br-lan'
serve outside :: 7000
# One of two is not enough.
render --as nftables --chain 'ip6 mine FWD-mine' | nft -f -
is $(exchanges tcp 10 2) 0 'exchanges with a jump in one of them'
nft delete table inet v6kit
nft flush chain ip6 mine FWD-mine
nft delete chain ip6 mine v6kit_inbound
nft add rule ip6 mine FWD-mine iifname br-lan oifname wan accept
render --as nftables --chain 'ip6 mine FWD-mine' --chain 'ip6 theirs FWD-theirs' | nft -f -
is $(exchanges tcp 200) 200 'exchanges with a jump in both'
is $(entries) 0 entries
code=0
render --as nftables --chain 'ip6 filter FORWARD' 2>$T/err || code=$?
is $code 2 'exit code for a chain of iptables'
