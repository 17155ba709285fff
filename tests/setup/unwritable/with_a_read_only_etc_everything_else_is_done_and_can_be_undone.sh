# shellcheck shell=bash
snapshot >"$T/log/before"
for place in /etc/security/limits.d /etc; do
    read_only $place
    $LIMITED --dry-run --json >"$T/log/plan"
    $LIMITED --json >"$T/log/report"
    agreed() { jq '[.changed, (.steps[] | {id, state, before, reason, hint})]' "$1"; }
    diff <(agreed "$T/log/plan") <(agreed "$T/log/report")
    same "$(nofile .state "$T/log/report")" skipped
    nofile .reason "$T/log/report" | has 'cannot be written: Read-only file system'
    if grep LimitsFile "$V6KIT_STATE_DIR/journal.jsonl" || grep limits_file "$V6KIT_STATE_DIR/journal.jsonl"; then fail 'journaled'; fi
    $V6KIT status
    $V6KIT teardown --json >"$T/log/report"
    same "$(jq -r '[.steps[].state] | unique | join(" ")' "$T/log/report")" restored
    test ! -e "$V6KIT_STATE_DIR"
    umount $place
done
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
