//! What is logged, in which form, and that a standard error which nobody reads holds up nothing.

use std::process::Command;

use regex::Regex;

use crate::harness::{Run, V6KIT, run};

#[track_caller]
fn sh(script: &str) -> Run {
    let scratch = tempfile::tempdir().expect("a directory");
    run(Command::new("bash")
        .args(["-c", &format!("set -euo pipefail\n{script}")])
        .env("V6KIT", V6KIT)
        .env("V6KIT_STATE_DIR", scratch.path().join("state"))
        .env("T", scratch.path()))
}

/// A server on loopback as `$url`, and a pipe `$T/full` that is full and that nobody reads.
const FULL: &str = r#"
    coproc ECHO { exec "$V6KIT" echo --listen '[::1]:0' --json; }
    trap 'kill "$ECHO_PID"' EXIT
    read -r line <&"${ECHO[0]}"
    url=http://$(jq -r '.listening[0]' <<<"$line")
    mkfifo "$T/full"
    exec 9<>"$T/full"
    dd if=/dev/zero of="$T/full" bs=4096 oflag=nonblock status=none 2>/dev/null || true
"#;

#[test]
fn a_crawl_ends_although_nobody_reads_what_it_says() {
    let run = sh(&format!(
        r#"{FULL}
        timeout 100 "$V6KIT" crawl "$url/items/{{1..2000}}" -o "$T/items" -r max --keep-free 0 \
            --stats-interval 1ms -vv --json 2>&9
        "#
    ))
    .expect(0);
    assert_eq!(run.json()["ok"], 2000, "{run}");
}

#[test]
fn one_interrupt_ends_a_crawl_whose_words_nobody_reads() {
    sh(&format!(
        r#"{FULL}
        "$V6KIT" crawl "$url/items/{{1..1000000}}" -o "$T/items" -r 100/s --stats-interval 1ms --commit-every 50ms \
            --keep-free 0 -vv 2>&9 >/dev/null & pid=$!
        until "$V6KIT" crawl status "$T/items" --json 2>/dev/null | jq -e '.done > 0' >/dev/null; do :; done
        kill -TERM $pid
        wait $pid || [ $? = 130 ]
        "#
    ))
    .expect(0);
}

#[test]
fn a_line_of_the_log_has_a_time_and_its_crate_and_only_chosen_crates_speak() {
    let told = |log: &str| {
        sh(&format!(
            r#"
            export V6KIT_LOG={log}
            coproc ECHO {{ exec "$V6KIT" echo --listen '[::1]:0' --tls self-signed --json 2>"$T/log"; }}
            pid=$ECHO_PID
            read -r line <&"${{ECHO[0]}}"
            # Not a TLS handshake.
            ! curl -s -m 20 "http://$(jq -r '.listening[0]' <<<"$line")/"
            kill -TERM $pid
            wait $pid || true
            cat "$T/log"
            "#
        ))
        .expect(0)
        .stdout
    };
    let line = Regex::new(
        r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z DEBUG v6kit_echo::serve: .*no TLS handshake",
    )
    .expect("a pattern");
    for log in ["debug", "echo=debug", "off,echo=debug"] {
        let told = told(log);
        assert!(line.is_match(&told), "{log}: {told}");
    }
    assert_eq!(told("crawl=debug"), "");
}

#[test]
fn a_filter_that_is_not_understood_is_refused() {
    let run = run(Command::new(V6KIT)
        .arg("explain")
        .env("V6KIT_LOG", "crawl=debug,warning"))
    .expect(2);
    assert!(run.stdout.is_empty(), "{run}");
    assert!(run.stderr.contains("error: V6KIT_LOG is not understood"), "{run}");
    assert!(run.stderr.contains("did you mean `warn`?"), "{run}");
}

#[test]
fn the_journal_learns_how_much_a_line_matters_and_a_file_does_not() {
    let run = sh(r#"
        export JOURNAL_STREAM=$(stat -c %d:%i /dev/null)
        "$V6KIT" verify --prefix 10.0.0.0/8 2>"$T/file" || [ $? = 2 ]
        JOURNAL_STREAM=$(stat -c %d:%i "$T/file")
        "$V6KIT" verify --prefix 10.0.0.0/8 2>>"$T/file" || [ $? = 2 ]
        cat "$T/file"
        "#)
    .expect(0);
    let starts: Vec<&str> = run
        .stdout
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        starts,
        ["error:", "why:", "hint:", "<3>error:", "<3>why:", "<3>hint:"],
        "{run}"
    );
}
