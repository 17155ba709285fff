# shellcheck shell=bash
snapshot >"$T/log/before"
$LIMITED >/dev/null
read_only /etc
for run in first second; do
    ends 1 $V6KIT teardown --json >"$T/log/report"
    same "$(jq -r '[.steps[] | select(.state == "failed").id] | join(" ")' "$T/log/report")" nofile
    jq -e '.steps[] | select(.id == "nofile").reason | contains("Read-only file system")' "$T/log/report" >/dev/null
    if [ $run = first ]; then
        jq -e '.steps[] | select(.id == "route").state == "restored"' "$T/log/report" >/dev/null
    fi
done
same "$(ip -6 route show table all proto 86)" ''
umount /etc
$V6KIT teardown
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
