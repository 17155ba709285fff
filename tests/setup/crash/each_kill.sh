# shellcheck shell=bash
# Where the recovery ends early, what it said is told.
exec {STDERR}>&2
trap 'echo "after $CALL $n, line $LINENO: $BASH_COMMAND: $(cat "$T/log/report")" >&$STDERR' ERR
snapshot >"$T/log/before"
n=1
while :; do
    eval "$PREPARE"
    if ! eval "killed $CALL $n $VICTIM"; then break; fi
    {
        eval "$RECOVERY"
    } >"$T/log/report" 2>&1
    clean "$CALL $n"
    n=$((n + 1))
done
test $((n - 1)) -ge "$LEAST" || fail "only $((n - 1)) kills at $CALL"
$V6KIT teardown >/dev/null
clean the end
