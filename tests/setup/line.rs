//! `v6kit setup … -- CMD`: set up for as long as the command runs, and undone however it ends.

use super::on_host;
use crate::harness::in_lab;

/// `gone` waits until nothing is set up any more, and compares the host with what it was.
const LINE: &str = r#"
LINE="$SETUP --no-verify"
snapshot >"$T/log/before"
undone() { timeout 30 bash -c 'while [ -e "$V6KIT_STATE_DIR" ]; do sleep 0.02; done'; }
gone() {
    undone || fail "still set up after $*: $(cat "$V6KIT_STATE_DIR/journal.jsonl")"
    snapshot >"$T/log/after"
    diff "$T/log/before" "$T/log/after" || fail "residue after $*"
}
# The watcher of the only line.
watcher() { pgrep -x v6kit; }
no_watcher() { while watcher >/dev/null; do sleep 0.02; done; }
"#;

#[track_caller]
fn on_host_with_lines(script: &str) {
    on_host(&format!("{LINE}\n{script}"));
}

#[test]
fn a_command_runs_with_the_prefix_set_up_in_this_process_and_nothing_is_left_of_it() {
    on_host_with_lines(
        r#"
        ends 7 $LINE --nofile 1024 -- sh -c 'echo $PPID $(ulimit -Sn); $V6KIT status >&2; ls /etc/security/limits.d >&3; exit 7' \
            >"$T/log/out" 3>"$T/log/limits"
        same "$(cat "$T/log/out")" "$$ 1024"
        fails has v6kit <"$T/log/limits"
        gone 'exit 7'
        ends 127 $LINE -- no-such-program 2>"$T/log/err"
        has '^why: no-such-program: ' <"$T/log/err"
        gone 'a program that is not there'
        ends 126 $LINE -- "$T/log/out"
        gone 'a program that cannot be run'
        ends 137 $LINE -- sh -c 'kill -9 $$'
        gone 'kill -9'
        # What was ignored stays ignored.
        (trap '' HUP; ends 3 $LINE -- sh -c 'kill -HUP $$; exit 3')
        gone 'an ignored signal'
        # The first word is this program, wherever it lies.
        same "$(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin $LINE --state-dir "$V6KIT_STATE_DIR" -- v6kit --version)" \
            "$($V6KIT --version)"
        gone v6kit"#,
    );
}

#[test]
fn what_fails_before_the_command_runs_ends_with_125_and_says_so_on_standard_error_alone() {
    on_host_with_lines(
        r#"
        for wrong in "--perfix $P" "--prefix $P --dev nope0" "--prefix $P --dev up0 --json --as no-such-user" \
            "--prefix $P --dev up0 --persist" '--prefix x'; do
            ends 125 $V6KIT setup $wrong -- touch "$T/log/ran" >"$T/log/out" 2>"$T/log/err"
            same "$(cat "$T/log/out")" '' "$wrong"
            has '^error: ' <"$T/log/err"
            test ! -e "$T/log/ran" || fail "ran after $wrong"
        done
        ends 2 $V6KIT setup --prefix $P --as root 2>"$T/log/err"
        has 'for a command, and none is given' <"$T/log/err"
        gone 'nothing'"#,
    );
}

#[test]
fn a_watcher_that_is_killed_while_it_sets_up_leaves_nothing() {
    on_host_with_lines(
        r#"
        for n in 1 2 4 7 9; do
            strace -f -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:delay_enter=700000:when=$n -- \
                $LINE -- touch "$T/log/ran" 2>"$T/log/err" &
            until [ "$(cat "$V6KIT_STATE_DIR/journal.jsonl" 2>/dev/null | wc -l)" -ge $n ]; do sleep 0.01; done
            kill -9 $(pgrep -P $(pgrep -x v6kit -o))
            code=0
            wait $! || code=$?
            same $code 125 "$n: $(cat "$T/log/err")"
            has 'what it had begun is undone' <"$T/log/err"
            gone "write $n"
            test ! -e "$T/log/ran" || fail 'it ran'
        done"#,
    );
}

#[test]
fn a_line_that_is_killed_while_it_sets_up_is_undone_at_once() {
    on_host_with_lines(
        r#"
        for n in 1 3 6 9; do
            strace -f -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:delay_enter=700000:when=$n -- \
                $LINE -- touch "$T/log/ran" 2>/dev/null &
            until [ "$(cat "$V6KIT_STATE_DIR/journal.jsonl" 2>/dev/null | wc -l)" -ge $n ]; do sleep 0.01; done
            kill -9 $(pgrep -f -- '--no-verify -- touch' | while read -r pid; do
                readlink /proc/$pid/exe | has strace || echo $pid
            done)
            wait $! || true
            gone "kill after $n lines"
            test ! -e "$T/log/ran" || fail "it ran"
        done"#,
    );
}

#[test]
fn whatever_is_killed_while_the_command_runs_it_is_undone_at_once_or_by_the_next_call() {
    on_host_with_lines(
        r#"
        for signal in KILL HUP TERM INT; do
            rm -f "$T/log/runs"
            $LINE -- python3 -c 'import signal, sys, time; signal.signal(2, signal.SIG_DFL); open(sys.argv[1], "w"); time.sleep(1000)' \
                "$T/log/runs" 2>/dev/null &
            line=$!
            until [ -e "$T/log/runs" ]; do sleep 0.02; done
            # What ends the watcher gently does not end it.
            kill -HUP $(watcher)
            kill -TERM $(watcher)
            kill -$signal $line
            gone "SIG$signal"
        done
        for next in "$V6KIT teardown" "$V6KIT setup --prefix $P2 --dev up0" "$V6KIT setup --prefix $P2 --dev up0 --no-verify -- true"; do
            $LINE -- sleep 1000 2>/dev/null &
            line=$!
            until has sleep <"/proc/$line/comm"; do sleep 0.02; done
            kill -9 $(watcher)
            kill -9 $line
            wait $line || true
            $V6KIT status >"$T/log/status"
            has 'ended without undoing it' <"$T/log/status"
            $next >"$T/log/next" 2>&1
            fails has $P <<<"$(ip -6 route show table all proto 86)"
            $V6KIT teardown >/dev/null
            gone "$next"
        done"#,
    );
}

#[test]
fn of_two_commands_the_last_undoes_and_teardown_names_those_that_run_and_refuses() {
    on_host_with_lines(
        r#"
        mkfifo "$T/log/a" "$T/log/b"
        $LINE -- cat "$T/log/a" 2>/dev/null &
        first=$!
        until has cat <"/proc/$first/comm"; do sleep 0.02; done
        exec 8>"$T/log/a"
        $LINE --conntrack notrack -- cat "$T/log/b" 2>"$T/log/second" 8>&- &
        second=$!
        exec 9>"$T/log/b"
        has 'is set up for another command' <"$T/log/second"
        # What differs is named and left.
        has '^warning: notrack ' <"$T/log/second"
        ends 1 $V6KIT teardown 2>"$T/log/err"
        has "in use by cat (pid $first)" <"$T/log/err"
        has "cat (pid $second)" <"$T/log/err"
        exec 8>&-
        wait $first
        until [ "$(watcher | wc -l)" = 1 ]; do sleep 0.02; done
        $V6KIT status | has "cat (pid $second)"
        # A setup without a command makes it lasting.
        $SETUP >/dev/null
        exec 9>&-
        wait $second
        no_watcher
        $V6KIT status | has 'Everything is in order'
        $V6KIT teardown
        gone 'two'"#,
    );
}

#[test]
fn what_a_command_leaves_running_keeps_the_setup_and_is_named() {
    on_host_with_lines(
        r#"
        mkfifo "$T/log/fifo"
        # A daemon: of another session and parent, without the descriptors that it was given.
        $LINE -- sh -c 'setsid cat "$T/log/fifo" >/dev/null 2>&1 & exit 4' 2>"$T/log/err" && fail 'no 4' || same $? 4
        until has 'still runs: .* stays set up' <"$T/log/err"; do sleep 0.02; done
        until has '^cat' <"/proc/$(pgrep -x cat | head -1)/comm"; do sleep 0.02; done
        ends 1 $V6KIT teardown 2>"$T/log/err"
        has 'in use by cat (pid' <"$T/log/err"
        : >"$T/log/fifo"
        gone 'a daemon'"#,
    );
}

#[test]
fn a_setup_that_lasts_is_used_and_left_and_what_drifted_is_named_first() {
    on_host_with_lines(
        r#"
        $SETUP >/dev/null
        snapshot >"$T/log/set-up"
        $LINE -- true 2>"$T/log/err"
        has 'is set up already: it is used and left' <"$T/log/err"
        fails has '^warning' <"$T/log/err"
        no_watcher
        diff "$T/log/set-up" <(snapshot | cat) || fail 'changed'
        sysctl -qw net.ipv6.ip_nonlocal_bind=0
        # The one that is set up is the one that is meant.
        $V6KIT setup --no-verify -- sysctl net.ipv6.ip_nonlocal_bind 2>"$T/log/err" >"$T/log/out"
        has 'ip_nonlocal_bind is 0 -> 1, and is left so' <"$T/log/err"
        has '= 0' <"$T/log/out"
        no_watcher
        sysctl -qw net.ipv6.ip_nonlocal_bind=1
        $V6KIT teardown >/dev/null
        gone 'a lasting setup'"#,
    );
}

#[test]
fn without_a_prefix_what_is_routed_here_is_taken_and_what_is_on_link_is_asked_about() {
    on_host_with_lines(
        r#"
        ends 125 $V6KIT setup --no-verify -- true </dev/null 2>"$T/log/err"
        has "where all of 2001:db8:ffff::/64 is yours: .* setup --prefix 2001:db8:ffff::/64 --dev up0 -- true" <"$T/log/err"
        ip -6 route add unreachable $P2 dev lo
        snapshot >"$T/log/before"
        $V6KIT setup --no-verify -- sh -c 'ip -6 route show table all proto 86' >"$T/log/out" 2>"$T/log/err"
        has "$P2" <"$T/log/out"
        gone 'what is routed'
        ip -6 route add unreachable $P dev lo
        ends 125 $V6KIT setup --no-verify -- true >"$T/log/out" 2>"$T/log/err"
        same "$(cat "$T/log/out")" ''
        has "$P " <"$T/log/err"
        has "$P2 " <"$T/log/err"
        ends 2 $V6KIT setup >"$T/log/out" 2>"$T/log/err"
        has "^up0 .*$P2 .*routed to this host" <"$T/log/out"
        (ends 2 $V6KIT setup --json 2>/dev/null) | jq -e '[.prefixes[].looks] == ["routed", "routed", "on-link"]'"#,
    );
}

#[test]
fn a_terminal_is_the_commands_own() {
    on_host_with_lines(
        r#"
        cat >"$T/log/terminal.py" <<'P'
import os, pty, re, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "dumb"
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
seen = b""
def until(pattern):
    global seen
    while not re.search(pattern, seen):
        seen += os.read(fd, 65536)
    seen = seen[re.search(pattern, seen).end():]
def type(keys):
    os.write(fd, keys)
line = sys.argv[1].encode()
type(b"PS1=ready$; set +o errtrace\n"); until(rb"\nready\$")
type(line + b" -- cat\n"); until(rb"set up \(")
type(b"hello\n"); until(rb"hello\r\nhello\r\n")
type(b"\x1a"); until(rb"Stopped"); until(rb"ready\$")
type(b"fg\n"); until(rb"cat")
type(b"again\n"); until(rb"again\r\nagain\r\n")
type(b"\x03"); until(rb"ready\$")
type(b"echo code=$?\n"); until(rb"code=130")
# Asked for, as it is on-link; what is typed afterwards is the command's.
type(sys.argv[2].encode() + b" setup --no-verify -- head -1\n"); until(rb"yours\? \[y/N\] ")
type(b"y\nmine\n"); until(rb"mine\r\n"); until(rb"mine\r\n"); until(rb"ready\$")
type(sys.argv[2].encode() + b" setup --no-verify -- head -1\n"); until(rb"yours\? \[y/N\] ")
type(b"n\n"); until(rb"error: no prefix is given"); until(rb"ready\$")
type(b"exit 0\n")
os.waitpid(pid, 0)
P
        timeout 60 python3 "$T/log/terminal.py" "$LINE" "$V6KIT"
        gone 'a terminal'"#,
    );
}

#[test]
fn a_command_waits_for_proof_of_the_opposite_only() {
    let run = in_lab(
        "rewritten",
        r#"
        LINE="$V6KIT setup --prefix $V6KIT_LAB_PREFIX --dev $V6KIT_LAB_DEV"
        $LINE -- echo ran && exit 1 || test $? = 125
        # A server that refuses every caller, and one that is not there, prove nothing.
        V6KIT_ENDPOINT=http://[2001:db8:80::80]:9/ $LINE -- echo beside
        $LINE --no-verify -- echo unverified"#,
    )
    .expect(0);
    assert_eq!(run.stdout, "beside\nunverified\n", "{run}");
    for line in [
        "why: rewritten: ",
        "--no-verify goes on all the same",
        "warning: not verified",
    ] {
        assert!(run.stderr.contains(line), "{line}: {run}");
    }
    let run = in_lab(
        "routed",
        "$V6KIT setup --prefix $V6KIT_LAB_PREFIX --dev $V6KIT_LAB_DEV -- echo ran",
    )
    .expect(0);
    assert!(run.stderr.contains("verified: 4 of 4 connections"), "{run}");
}

#[test]
fn where_the_prefix_is_on_link_its_addresses_are_answered_for_as_long_as_the_command_runs() {
    let run = in_lab(
        "on-link",
        r#"
        $V6KIT setup --prefix $V6KIT_LAB_PREFIX --dev $V6KIT_LAB_DEV -- \
            v6kit crawl --robots ignore "$V6KIT_LAB_TARGET/items/{1..40}" -r max --keep-free 1M \
            -o "$T/job" --json | jq .ok
        while [ -e "$V6KIT_STATE_DIR" ]; do sleep 0.02; done"#,
    )
    .expect(0);
    assert_eq!(run.stdout, "40\n", "{run}");
    assert!(
        run.stderr
            .contains("neighbour solicitations for it are answered on"),
        "{run}"
    );
}
