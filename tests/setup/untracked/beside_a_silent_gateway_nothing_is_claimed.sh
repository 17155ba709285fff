# shellcheck shell=bash
in_peer nft -f - <<'NFT'
table inet quiet {
chain a { type filter hook input priority 0; tcp dport { 9, 53, 80 } drop; }
}
NFT
$SETUP --conntrack notrack --json >"$T/log/report"
same "$(state)" changed
reason | has 'not tried, as no default gateway answers'
$V6KIT teardown
nft -f - <<'NFT'
table inet guard {
chain a { type filter hook input priority 0; policy drop; ct state established accept; meta l4proto ipv6-icmp accept; }
}
NFT
ends 1 $SETUP --conntrack notrack --json >"$T/log/report"
same "$(state)" conflict
reason | has 'likely dropped by inet guard a, and no default gateway answers'
$V6KIT teardown
