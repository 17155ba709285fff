# shellcheck shell=bash
snapshot | grep -v boot_id >"$T/log/before"
$SETUP
cat /proc/sys/kernel/random/uuid >"$T/log/boot"
mount --bind "$T/log/boot" /proc/sys/kernel/random/boot_id
$V6KIT status --json >"$T/log/status"
same "$(jq -c '[.in_order, .remarks]' "$T/log/status")" '[true,[]]'
$V6KIT doctor --json | jq -e '.findings[] | select(.id == "setup").state == "ok"'
same "$($SETUP --json | jq .changed)" 0
# What one adds is the other's as well.
$SETUP --for proxy
umount /proc/sys/kernel/random/boot_id
$V6KIT status
mount --bind "$T/log/boot" /proc/sys/kernel/random/boot_id
$V6KIT teardown --json >"$T/log/report"
same "$(jq -c '[.steps[].state] | unique' "$T/log/report")" '["restored"]'
umount /proc/sys/kernel/random/boot_id
snapshot | grep -v boot_id >"$T/log/after"
diff "$T/log/before" "$T/log/after"
