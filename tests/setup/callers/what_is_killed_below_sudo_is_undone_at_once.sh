# shellcheck shell=bash disable=SC2034,SC2086,SC2154
for victim in sudo sleep; do
    alice "sudo $LINE -- sleep infinity" 2>"$T/err" &
    eventually quietly pgrep -u 2001 -x sleep
    pkill -KILL -x $victim || true
    wait $! || true
    # What sudo's end leaves running is ended here, as its terminal would.
    pkill -KILL -x sleep || true
    gone "kill -9 of $victim"
done
