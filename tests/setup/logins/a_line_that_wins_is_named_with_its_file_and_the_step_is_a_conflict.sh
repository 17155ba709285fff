# shellcheck shell=bash
snapshot >"$T/log/before"
conflict() { # file, line, whom
    printf '# site\n%s\n' "$2" >"$1"
    ends 1 $LIMITED --dry-run --json >"$T/log/plan"
    for run in first second; do
        ends 1 $LIMITED --json >"$T/log/report"
        same "$(nofile .state "$T/log/report")" conflict
        nofile .reason "$T/log/report" | has -F "$1:2 gives $3"
        nofile .hint "$T/log/report" | has -F "$1:2"
        # The same judgement everywhere.
        ends 1 $V6KIT status --json >"$T/log/status"
        same "$(nofile .state "$T/log/status")" drifted
        nofile .found "$T/log/status" | has -F "$1:2 gives $3"
        nofile .hint "$T/log/status" | has -F "$1:2"
        ends 1 $V6KIT doctor >"$T/log/doctor" 2>&1
        has 'nofile drifted' "$T/log/doctor"
        ends 1 unshare --user -- $V6KIT doctor >"$T/log/doctor" 2>&1
        has 'nofile drifted' "$T/log/doctor"
        if [ $run = first ]; then
            same "$(nofile .reason "$T/log/plan")" "$(nofile .reason "$T/log/report")"
        fi
    done
    # Everybody else gets what was asked for.
    grep -q '^\* soft nofile 15000$' /etc/security/limits.d/90-v6kit.conf
    rm "$1"
    $LIMITED --json >"$T/log/report"
    same "$(nofile .state "$T/log/report")" unchanged
    $V6KIT teardown
}
conflict /etc/security/limits.d/95-later.conf '* hard NOFILE 8192' 'everybody 8192'
conflict /etc/security/limits.d/10-users.conf '@backup soft nofile 2048' 'group backup 2048'
conflict /etc/security/limits.d/10-users.conf 'daemon - nofile 300' 'daemon 300'
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
