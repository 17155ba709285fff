# shellcheck shell=bash
snapshot >"$T/log/before"
$SETUP
sysctl -qw net.ipv4.tcp_max_tw_buckets=777777
echo '* soft nofile 3' >/etc/security/limits.d/90-v6kit.conf
nft add rule inet v6kit inbound tcp dport 9 accept
ip -6 route del local $P dev lo table main
$V6KIT teardown --json >"$T/log/report"
same "$(jq -r '[.steps[] | select(.state == "changed_by_other").id] | sort | join(" ")' "$T/log/report")" \
    'inbound net.ipv4.tcp_max_tw_buckets nofile'
same "$(jq -r '.steps[] | select(.state == "already_gone").id' "$T/log/report")" route
jq -e '.steps[] | select(.id == "net.ipv4.tcp_max_tw_buckets").reason | contains("131072")' "$T/log/report"
same "$(sysctl -n net.ipv4.tcp_max_tw_buckets)" 777777
grep -q 'soft nofile 3' /etc/security/limits.d/90-v6kit.conf
nft list table inet v6kit | has 'tcp dport 9'
same "$(sysctl -n net.ipv4.tcp_tw_reuse)" 2
# What is left alone is put back by the commands that are named.
jq -r '.steps[].hint // empty' "$T/log/report" | grep -oE '`[^`]+`' | tr -d '`' >"$T/log/commands"
same "$(wc -l <"$T/log/commands")" 3
sed -i 's/^sudo //' "$T/log/commands"
bash -e "$T/log/commands"
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
test ! -e "$V6KIT_STATE_DIR"
