# shellcheck shell=bash
make_topology
host ip -6 route add local $PREFIX dev lo
cat >$T/filter.nft <<'END'
table inet filter {
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname "br-lan" oifname "wan" accept
    }
}
END
nft -f $T/filter.nft
before=$(nft -s list ruleset)
render() { $V6KIT router render --host fe80::9 --prefix $PREFIX --lan br-lan --wan wan "$@"; }
render --as nftables --udp-port 7000 --ping drop >$T/rules.nft
render --as iproute2 >$T/route.sh
nft -c -f $T/rules.nft
nft -f $T/rules.nft
sh -eu $T/route.sh
serve outside :: 7000
is $(exchanges tcp 500) 500 'TCP exchanges'
is $(exchanges udp 50) 50 'UDP exchanges'
is $(entries) 0 entries
serve host :: 7001
code=0
outside curl -gsS --max-time 2 'http://[2001:db8:1:202:abcd::7]:7001/' 2>/dev/null || code=$?
is $code 28 'code of curl from outside, dropped'
# As the rules' own remark says.
nft delete rule inet filter forward handle $(nft -a list chain inet filter forward | sed -n 's/.*jump v6kit_inbound # handle //p')
nft delete chain inet filter v6kit_inbound
nft delete table inet v6kit
is "$(nft -s list ruleset)" "$before" 'after removal'
