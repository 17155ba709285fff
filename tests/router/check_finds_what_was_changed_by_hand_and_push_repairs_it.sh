# shellcheck shell=bash
start_router
fails_with 1 check
says "$(cat $T/out)" 'wrong: v6kit-router is not installed'
push >/dev/null
check >/dev/null

there "ip -6 route del $PREFIX"
fails_with 1 check
says "$(cat $T/out)" "wrong: route: add $PREFIX via fe80::9 dev br-lan"
push >/dev/null && check >/dev/null

there 'nft flush set inet fw4 v6kit_prefix'
fails_with 1 check
says "$(cat $T/out)" 'wrong: firewall: set v6kit_prefix'
push >/dev/null && check >/dev/null

there 'echo >>/usr/share/nftables.d/chain-pre/forward/v6kit-router.nft'
fails_with 1 check --json
says "$(json '.findings[]' <$T/out)" '/usr/share/nftables.d/chain-pre/forward/v6kit-router.nft is not ours'
push >/dev/null && check >/dev/null

there '/etc/init.d/v6kit-router disable'
fails_with 1 check
says "$(cat $T/out)" 'wrong: the service does not start at boot'
push >/dev/null && check >/dev/null

fails_with 1 check --prefix 2001:db8:1:202:beef::/80 --host fe80::8
says "$(cat $T/out)" "has $PREFIX, not 2001:db8:1:202:beef::/80"
says "$(cat $T/out)" 'is routed to fe80::9, not to fe80::8'

there 'logger -t kernel nf_conntrack: nf_conntrack: table full, dropping packet'
says "$(check)" 'look: the log says `nf_conntrack: table full` 1 times'
