# shellcheck shell=bash
set_up
patience=2s
nft -f - <<'RULES'
table inet guard {
    set strangers { type ipv6_addr; elements = { 2001:db8:ffff::1 }; }
    chain other_device { type filter hook output priority 0; oifname "wg0" drop; }
    chain other_protocol { type filter hook output priority 1; udp dport 443 drop; icmpv6 type echo-request drop; }
    chain other_source { type filter hook output priority 2; ip6 saddr 2001:db8:7::/64 drop; ip6 daddr @strangers counter drop; }
    chain other_port { type filter hook output priority 3; tcp dport { 25, 465, 587 } reject; }
    chain answers { type filter hook input priority 0; tcp sport 8080 counter drop; }
    chain called { ip6 nexthdr tcp counter drop; }
    chain calls { type filter hook output priority 4; ip6 saddr 2001:db8:6::/64 tcp dport vmap { 22 : accept, 80 : jump called }; }
}
RULES
say
nft flush chain inet guard calls
nft add rule inet guard other_source ip6 saddr "$V6KIT_LAB_PREFIX" tcp dport 80 drop
nft flush chain inet guard answers
say
