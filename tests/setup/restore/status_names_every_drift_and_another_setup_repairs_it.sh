# shellcheck shell=bash
$SETUP
$V6KIT status --json | jq -e '.in_order'
state() { jq -r --arg id "$1" '.steps[] | select(.id == $id).state' "$T/log/status"; }
ip -6 route del local $P dev lo table main
nft flush ruleset
sysctl -qw net.ipv4.tcp_tw_reuse=2
rm /etc/security/limits.d/90-v6kit.conf
ends 1 $V6KIT status --json >"$T/log/status"
same "$(jq .in_order "$T/log/status")" false
ends 1 $V6KIT status >"$T/log/text"
grep '^hint: .*(more: `v6kit explain drifted`)$' "$T/log/text"
same "$(state route)" missing
same "$(state inbound)" missing
same "$(state nofile)" missing
same "$(state net.ipv4.tcp_tw_reuse)" drifted
same "$(state net.ipv6.ip_nonlocal_bind)" in_order
same "$($SETUP --json | jq .changed)" 4
$V6KIT status
nft add rule inet v6kit inbound tcp dport 9 accept
ends 1 $V6KIT status --json >"$T/log/status"
same "$(state inbound)" drifted
same "$($SETUP --json | jq .changed)" 1
$V6KIT status
