//! How a run begins and ends, whoever dies first.

use super::lab;

#[test]
fn the_exit_status_input_and_signals_are_the_programs_own() {
    lab(r#"
        status() { local was=0; "$@" 2>"$T/err" || was=$?; echo "$was"; }
        is "$(status from -- sh -c 'exit 7')" 7
        is "$(status from -- nosuch)" 127
        grep -q 'hint: check its name' "$T/err"
        is "$(status from -- /etc/passwd)" 126
        is "$(status from -- sh -c 'kill -KILL $$')" 137
        is "$(status "$V6KIT" exec --prefix nonsense -- true)" 125
        is "$(status "$V6KIT" exec -- true)" 125
        grep -q 'no prefix is set up' "$T/err"
        is "$(status from --session a --per 3 -- true)" 125
        is "$(echo typed | from -- cat)" typed
        printf 'echo "script of $1"\n' > "$T/plain"; chmod +x "$T/plain"
        is "$(from -- "$T/plain" mine)" "script of mine"
        is "$(ulimit -Sn 64; from -- sh -c 'ulimit -Sn')" "$(ulimit -Hn)"
        # A signal to it is one to the program, and one to the group of both is one.
        for whom in '$front' '-$front'; do
            rm -f "$T/said"
            setsid "$V6KIT" exec -q --prefix "$V6KIT_LAB_PREFIX" -- sh -c \
                'n=0; trap "n=\$((n+1)); echo \$n >> $T/said" USR1; trap "exit 5" TERM; echo $$ > $T/pid
                 while :; do read -t 1 _ < /dev/zero || :; done' & front=$!
            eventually test -s "$T/pid"
            eval "kill -USR1 -- $whom"
            eventually test -s "$T/said"
            eval "kill -TERM -- $whom"
            is "$(status wait "$front")" 5
            is "$(cat "$T/said")" 1
            rm "$T/pid"
        done
    "#)
    .expect(0);
}

#[test]
fn keys_of_a_terminal_reach_the_program_and_a_stopped_one_stops_its_front() {
    lab(r#"
        python3 "$TESTS/exec/terminal.py" "$V6KIT" "$V6KIT_LAB_PREFIX"
        python3 "$TESTS/exec/stopped.py" "$V6KIT" "$V6KIT_LAB_PREFIX"
    "#)
    .expect(0);
}

#[test]
fn what_a_program_leaves_running_is_served_on_after_its_status_was_returned() {
    lab(r#"
        mkfifo "$T/go"
        from -- sh -c 'setsid sh -c "read _ < $T/go; curl -sS -g $V6KIT_LAB_TARGET > $T/seen; echo done > $T/end" \
            >/dev/null 2>&1 & exit 3' && exit 1 || is $? 3
        echo > "$T/go"
        eventually test -s "$T/end"
        rotates 1 "$(cat "$T/seen")"
        # Nothing stays behind it.
        gone() { ! pgrep -f "exec --prefix $V6KIT_LAB_PREFIX" >/dev/null; }
        eventually gone
    "#)
    .expect(0);
}

#[test]
fn when_the_supervisor_is_killed_nothing_leaves_from_elsewhere_and_all_that_it_served_ends() {
    lab(r#"
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
    "#)
    .expect(0);
}

#[test]
fn a_supervisor_killed_while_it_holds_a_connection_or_serves_a_daemon_ends_both() {
    lab(r#"
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
    "#)
    .expect(0);
}
