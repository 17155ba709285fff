# shellcheck shell=bash
snapshot | grep -v boot_id >"$T/log/before"
$SETUP
$V6KIT setup --prefix $P2 --dev up0
reboot 1
$SETUP --json >"$T/log/report"
jq -e '[.steps[] | select(.state == "changed").id] | contains(["inbound", "route", "net.ipv4.tcp_tw_reuse"])' "$T/log/report"
$V6KIT status --prefix $P
ends 1 $V6KIT status --prefix $P2
$V6KIT setup --prefix $P2 --dev up0
$V6KIT status
reboot 2
$SETUP
$V6KIT teardown --prefix $P
# The other one is of an earlier boot: nothing holds the shared sysctls any more.
same "$(sysctl -n net.ipv6.ip_nonlocal_bind)" 0
$V6KIT teardown
snapshot | grep -v boot_id >"$T/log/after"
diff "$T/log/before" "$T/log/after"
