//! Nothing of a lab stays, however it ends, and signals reach the command.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{V6KIT, WAIT, in_namespace, v6kit};

/// Prints everything that a lab could leave behind, in a PID namespace where nobody else is.
const LOOK: &str = include_str!("ends/look.sh");

#[test]
fn nothing_is_left_after_the_end() {
    in_namespace(&format!(
        r#"{LOOK}
        "$V6KIT" lab run --topology stateful -- bash -c 'sleep infinity & (sleep infinity &) ; true'
        wait_until_gone"#
    ))
    .expect(0);
}

#[test]
fn nothing_is_left_after_the_launcher_is_killed() {
    in_namespace(&format!(
        r#"{LOOK}
        start
        if gone; then exit 9; fi
        kill -KILL $!
        wait_until_gone"#
    ))
    .expect(0);
}

#[test]
fn nothing_is_left_after_the_command_is_killed() {
    in_namespace(&format!(
        r#"{LOOK}
        start
        if gone; then exit 9; fi
        # The launcher's child is PID 1 of the lab, whose child is the command.
        first=$(cat /proc/$!/task/$!/children)
        command=$(cat /proc/${{first% }}/task/${{first% }}/children)
        kill -KILL $command
        status=0
        wait $! || status=$?
        [ $status = 137 ]
        wait_until_gone"#
    ))
    .expect(0);
}

#[test]
fn orphans_of_the_command_are_reaped() {
    v6kit(&[
        "lab",
        "run",
        "--",
        "bash",
        "-c",
        &format!(
            r#"{WAIT}
            pids=$(mktemp)
            for _ in 1 2 3 4 5; do (sh -c 'echo $$ >> '"$pids" &); done
            running() {{ for pid in $(cat "$pids"); do [ ! -e "/proc/$pid" ] || return 0; done; return 1; }}
            reaped() {{ [ "$(wc -l < "$pids")" = 5 ] && ! running; }}
            eventually reaped && rm "$pids""#
        ),
    ])
    .expect(0);
}

/// Starts a lab with a script that prints a line when it is ready.
fn started(script: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(V6KIT)
        .args(["lab", "run", "--", "bash", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the lab starts");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    (child, output)
}

#[test]
fn signals_are_passed_on_to_the_command() {
    for (signal, name) in [
        (Signal::SIGINT, "INT"),
        (Signal::SIGTERM, "TERM"),
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGUSR1, "USR1"),
    ] {
        let script = format!(
            "trap 'echo got {name}; exit 42' {name}; echo ready; while :; do read -rt 60 < <(:) || :; done"
        );
        let (mut child, mut output) = started(&script);
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, format!("got {name}\n"));
        assert_eq!(child.wait().unwrap().code(), Some(42));
    }
}

#[test]
fn a_signal_that_the_command_does_not_catch_ends_it() {
    let (mut child, _) = started("echo ready; exec sleep infinity");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn control_c_reaches_the_command_once() {
    // `script` gives it a terminal. USR1 comes after whatever Control-C has caused, by signal number.
    let inside = r#"interrupts=0
        trap 'interrupts=$((interrupts + 1)); echo interrupted' INT
        trap 'echo $interrupts in all; exit 0' USR1
        echo ready
        # In the background it does not hear Control-C, and the wait for it ends with each signal.
        sleep infinity &
        while :; do wait; done"#;
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("inside"), inside).unwrap();
    let launcher = scratch.path().join("launcher");
    let line = format!(
        "echo $$ > {}; exec {V6KIT} lab run -- bash {}",
        launcher.display(),
        scratch.path().join("inside").display()
    );
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let mut screen = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(screen.any(|line| line.contains("ready")));
    keyboard.write_all(b"\x03").unwrap();
    assert!(screen.any(|line| line.contains("interrupted")));
    let launcher: i32 = std::fs::read_to_string(launcher).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(launcher), Signal::SIGUSR1).unwrap();
    assert!(screen.any(|line| line.contains("1 in all")));
    child.wait().unwrap();
}
