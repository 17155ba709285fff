//! Crawls that are interrupted or killed, and go on.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{assert_each_once, records, scratch, with_echo};
use crate::harness::{V6KIT, eventually};

/// A server on loopback that accepts connections and reads, and never answers.
fn mute_server() -> (TcpListener, String) {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

fn start(arguments: &[&str]) -> Child {
    Command::new(V6KIT)
        .arg("crawl")
        .args(arguments)
        .args(["--state-dir", "/nonexistent"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn interrupt(child: &Child) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
}

#[test]
fn a_second_interrupt_stops_at_once() {
    let scratch = scratch();
    let (listener, url) = mute_server();
    let mut child = start(&[
        &format!("{url}/{{1..10}}"),
        "-o",
        scratch.path().join("job").to_str().unwrap(),
    ]);
    let mut connection = listener.accept().unwrap().0;
    assert_ne!(
        connection.read(&mut [0; 16]).unwrap(),
        0,
        "a request is under way"
    );
    interrupt(&child);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("again to stop at once") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
    }
    // Within a second it is still the same wish: said until it is heard.
    let mut status = None;
    let heard = || {
        status = child.try_wait().unwrap();
        if status.is_none() {
            interrupt(&child);
        }
        status.is_some()
    };
    eventually(|| "the crawl does not stop".to_owned(), heard);
    assert_eq!(status.and_then(|status| status.code()), Some(130));
    stderr.read_to_string(&mut said).unwrap();
    assert!(said.contains("hint: to go on:") && said.contains("-o"), "{said}");
}

/// Reads requests from `listener` and answers each with 204; `before` is called when the first has come.
fn answer_after(listener: &TcpListener, before: impl FnOnce()) {
    let mut connection = BufReader::new(listener.accept().unwrap().0);
    let mut before = Some(before);
    let mut line = String::new();
    while connection.read_line(&mut line).unwrap_or(0) > 0 {
        if line == "\r\n" {
            if let Some(before) = before.take() {
                before();
            }
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            std::io::Write::write_all(connection.get_mut(), answer).unwrap();
        }
        line.clear();
    }
}

#[test]
fn a_wish_to_stop_that_is_told_twice_and_a_closed_terminal_save_what_is_under_way() {
    for signals in [
        &[Signal::SIGTERM, Signal::SIGTERM][..],
        &[Signal::SIGINT, Signal::SIGTERM],
        &[Signal::SIGHUP],
    ] {
        let scratch = scratch();
        let (listener, url) = mute_server();
        let job = scratch.path().join("job");
        let job = job.to_str().unwrap();
        let mut child = start(&[
            &format!("{url}/{{1..10}}"),
            "-c",
            "1",
            "--robots",
            "ignore",
            "-o",
            job,
        ]);
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        answer_after(&listener, || {
            for &signal in signals {
                kill(pid, signal).unwrap();
            }
            let mut said = String::new();
            while !said.contains("again to stop at once") {
                assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{signals:?}: {said}");
            }
        });
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signals:?}");
        let cat = Command::new(V6KIT).args(["crawl", "cat", job]).output().unwrap();
        let kept = String::from_utf8(cat.stdout).unwrap();
        assert_eq!(kept.lines().count(), 1, "{signals:?}: {kept}");
    }
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    for (name, signal) in [("HUP", Signal::SIGHUP), ("INT", Signal::SIGINT)] {
        let scratch = scratch();
        let (listener, url) = mute_server();
        let script = format!(
            "trap '' {name}; exec \"$0\" crawl '{url}/{{1..5}}' -c 1 -r max -q -o \"$1\" --state-dir /nonexistent"
        );
        let mut child = Command::new("bash")
            .args(["-c", &script, V6KIT])
            .arg(scratch.path().join("job"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        answer_after(&listener, || kill(pid, signal).unwrap());
        assert_eq!(
            child.wait().unwrap().code(),
            Some(0),
            "{name}: all five are fetched"
        );
    }
}

#[test]
fn an_interrupted_crawl_goes_on_where_it_stopped() {
    let scratch = scratch();
    let run = with_echo(
        scratch.path(),
        "",
        r#"
        crawl() { exec "$V6KIT" crawl "$url/items/{1..20000}" -o "$T/job" -r "$1" --json --stats-interval 100ms; }
        for round in 1 2 3; do
            # Interrupted once something was fetched, which its progress tells.
            exec {progress}< <(crawl 4000/s 2>&1 >"$T/$round.json")
            pid=$!
            while read -r line <&"$progress"; do
                if [[ $line == *"ok "* ]]; then kill -TERM "$pid"; break; fi
            done
            cat <&"$progress" >"$T/$round.err"
            status=0; wait "$pid" || status=$?
            echo "$status"
        done
        (crawl max) >"$T/last.json"
        "#,
    )
    .expect(0);
    assert_eq!(run.stdout, "130\n130\n130\n", "{run}");
    let told = std::fs::read_to_string(scratch.path().join("1.err")).unwrap();
    assert!(told.contains("to go on:") && told.contains("crawl"), "{told}");
    let last: Value =
        serde_json::from_str(&std::fs::read_to_string(scratch.path().join("last.json")).unwrap()).unwrap();
    assert!(last["resumed"].as_u64().unwrap() > 0, "{last}");
    assert_each_once(&records(&scratch.path().join("job")), 20_000);
}

#[test]
fn a_killed_crawl_goes_on_without_loss_or_repetition() {
    let scratch = scratch();
    with_echo(
        scratch.path(),
        "",
        r#"
        crawl() { exec "$V6KIT" crawl "$url/items/{1..60000}" -o "$T/job" -r max -c 20 --json; }
        crawl >/dev/null 2>&1 &
        # Killed when the first frames are on the disk.
        until ls "$T"/job/*.zst >/dev/null 2>&1; do kill -0 $!; done
        kill -KILL $!
        wait $! || true
        printf 'torn' >> "$(ls "$T"/job/*.zst | head -1)"
        (crawl) >"$T/last.json"
        "#,
    )
    .expect(0);
    assert_each_once(&records(&scratch.path().join("job")), 60_000);
}
