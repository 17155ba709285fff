# shellcheck shell=bash
# Its parent is the supervisor, whose parent is the watcher; a daemon of it has a session of its own.
cat > "$T/program" <<'SH'
setsid sh -c 'echo $$ > $T/daemon; exec tail -f /dev/null' >/dev/null 2>&1 &
echo "$PPID $$" > $T/ids.new; mv $T/ids.new $T/ids
while :; do curl -sS -g -m 5 "$V6KIT_LAB_TARGET" >> $T/seen 2>/dev/null; done
SH
ended() { ! kill -0 "$1" 2>/dev/null; }
for victim in supervisor watcher front group; do
    rm -f "$T/ids" "$T/daemon" "$T/seen"
    setsid "$V6KIT" exec -q --prefix "$V6KIT_LAB_PREFIX" -- sh "$T/program" 2>"$T/err" & front=$!
    eventually test -s "$T/daemon"; eventually test -s "$T/ids"; eventually test -s "$T/seen"
    read -r supervisor program < "$T/ids"
    case $victim in
        supervisor) kill -KILL "$supervisor" ;;
        watcher) kill -KILL "$(ps -o ppid= -p "$supervisor" | tr -d ' ')" ;;
        front) kill -KILL "$front" ;;
        group) kill -KILL -- "-$front" ;;
    esac
    was=0; wait "$front" || was=$?
    case $victim in supervisor | watcher) is "$was" 125 ;; *) is "$was" 137 ;; esac
    eventually ended "$program"
    # With only the front gone its daemon is served on, as after a program that was killed.
    if [ "$victim" = front ]; then kill -KILL "$(cat "$T/daemon")"; fi
    eventually ended "$(cat "$T/daemon")"
    eventually ended "$supervisor"
    is "$(grep -vc "^$net:" "$T/seen" || true)" 0
done
