# shellcheck shell=bash
ended() { ! kill -0 "$1" 2>/dev/null; }
# The second connection waits for a minute.
from --connect-rate 1/1m --log "$T/log" -- sh -c 'echo $PPID > $T/id; for i in 1 2; do curl -sS -g "$V6KIT_LAB_TARGET"; done
    python3 -c "
import os, socket
socket.create_connection((\"2001:db8:80::80\", 80))"' >"$T/seen" 2>"$T/err" & front=$!
held() { [ "$(wc -l < "$T/log")" = 3 ]; }
eventually held
kill -KILL "$(cat "$T/id")"
was=0; wait "$front" || was=$?
is "$was" 125
grep -q 'the supervisor ended before the program' "$T/err"
rotates 2 "$(cat "$T/seen")"
# A keeper, after the program has ended.
from -- sh -c 'setsid sh -c "echo \$\$ > $T/daemon; exec tail -f /dev/null" >/dev/null 2>&1 & echo $PPID > $T/id'
eventually test -s "$T/daemon"
kill -KILL "$(cat "$T/id")"
eventually ended "$(cat "$T/daemon")"
