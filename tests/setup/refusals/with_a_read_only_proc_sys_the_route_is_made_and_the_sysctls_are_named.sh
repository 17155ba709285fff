# shellcheck shell=bash
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
snapshot >"$T/log/before"
$SETUP --dry-run --json >"$T/log/plan"
$SETUP --json >"$T/log/report"
agreed() { jq '[.changed, (.steps[] | {id, state, before, reason, hint})]' "$1"; }
diff <(agreed "$T/log/plan") <(agreed "$T/log/report")
bind() { jq -r '.steps[] | select(.id == "net.ipv6.ip_nonlocal_bind") | '"$1" "$T/log/report"; }
same "$(bind .state)" skipped
bind .reason | has "read-only here.* own sockets do without"
bind .hint | has -F -- "--sysctl 'net.ipv6.ip_nonlocal_bind=1'"
# Sockets of ours need no more.
$V6KIT verify --endpoint "http://[$PEER]/" --count 3
$V6KIT status
$V6KIT teardown
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
