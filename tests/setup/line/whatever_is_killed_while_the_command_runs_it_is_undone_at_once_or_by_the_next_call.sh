# shellcheck shell=bash disable=SC2034,SC2086,SC2154
for signal in KILL HUP TERM INT; do
    rm -f "$T/log/runs"
    $LINE -- python3 -c 'import signal, sys; signal.signal(2, signal.SIG_DFL); open(sys.argv[1], "w"); signal.pause()' \
        "$T/log/runs" 2>/dev/null &
    line=$!
    eventually test -e "$T/log/runs"
    # What ends the watcher gently does not end it.
    kill -HUP $(watcher)
    kill -TERM $(watcher)
    kill -$signal $line
    gone "SIG$signal"
done
for next in "$V6KIT teardown" "$V6KIT setup --prefix $P2 --dev up0" "$V6KIT setup --prefix $P2 --dev up0 --no-verify -- true"; do
    $LINE -- sleep infinity 2>/dev/null &
    line=$!
    eventually is_running $line sleep
    kill -9 $(watcher)
    kill -9 $line
    wait $line || true
    $V6KIT status >"$T/log/status"
    has 'ended without undoing it' <"$T/log/status"
    $next >"$T/log/next" 2>&1
    fails has $P <<<"$(ip -6 route show table all proto 86)"
    $V6KIT teardown >/dev/null
    gone "$next"
done
