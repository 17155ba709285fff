# shellcheck shell=bash
snapshot | grep -v boot_id >"$T/log/before"
$SETUP
reboot 1
# Somebody else's value of this boot must not be taken for ours.
sysctl -qw net.ipv4.tcp_tw_reuse=1
ends 1 $V6KIT status --json >"$T/log/status"
same "$(jq -r '.steps[] | select(.id == "route").state' "$T/log/status")" missing
jq -e '.remarks[0] | contains("booted since")' "$T/log/status"
$V6KIT teardown --json >"$T/log/report"
same "$(jq -r '[.steps[] | select(.state == "restored").id] | join(" ")' "$T/log/report")" nofile
same "$(jq -r '[.steps[].state] | unique | join(" ")' "$T/log/report")" 'already_gone restored'
same "$(sysctl -n net.ipv4.tcp_tw_reuse)" 1
sysctl -qw net.ipv4.tcp_tw_reuse=2
snapshot | grep -v boot_id >"$T/log/after"
diff "$T/log/before" "$T/log/after"
