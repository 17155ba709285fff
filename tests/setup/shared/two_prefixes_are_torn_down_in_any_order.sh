# shellcheck shell=bash
snapshot >"$T/log/before"
$SETUP
$V6KIT setup --prefix $P2 --dev up0 --for server --json >"$T/log/second"
same "$(jq -c '[.steps[] | select(.state == "changed").id]' "$T/log/second")" \
    '["inbound","route","net.core.somaxconn","net.ipv4.tcp_max_syn_backlog"]'
same "$(jq -r '[.setups[].prefix] | join(" ")' "$V6KIT_STATE_DIR/summary.json")" "$P2 $P"
$V6KIT status
$V6KIT teardown --prefix ${FIRST} --json >"$T/log/report"
# What both need stays as the other needs it, and is told.
jq -e '[.kept[].id] | contains(["net.ipv6.ip_nonlocal_bind", "net.ipv4.tcp_tw_reuse", "nofile"])' "$T/log/report"
jq -e '[.steps[].state] | unique == ["restored"]' "$T/log/report"
same "$(sysctl -n net.ipv6.ip_nonlocal_bind)" 1
same "$(ip -6 route show table all | grep -c 'proto 86')" 1
$V6KIT status
same "$(jq -r '[.setups[].prefix] | join(" ")' "$V6KIT_STATE_DIR/summary.json")" "${SECOND}"
ends 2 $V6KIT teardown --prefix ${FIRST}
$V6KIT teardown --prefix ${SECOND} --json >"$T/log/report"
jq -e '.kept == null' "$T/log/report"
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
