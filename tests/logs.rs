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
            if curl -s -m 20 "http://$(jq -r '.listening[0]' <<<"$line")/"; then exit 1; fi
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

/// The lines of a crawl of two items at a site that refuses the second once, with `V6KIT_LOG={log}` and `options`.
fn lines_of_a_crawl(log: &str, options: &str) -> Vec<String> {
    let run = sh(&format!(
        r#"
        coproc ECHO {{ exec "$V6KIT" echo --listen '[::1]:0' --limit 1/3s --json; }}
        trap 'kill "$ECHO_PID"' EXIT
        read -r line <&"${{ECHO[0]}}"
        url=http://$(jq -r '.listening[0]' <<<"$line")
        V6KIT_LOG={log} "$V6KIT" crawl "$url/items/{{1..2}}" -o "$T/items" -r 1/s -c 1 --robots ignore --keep-free 0 \
            --json {options} 2>"$T/log" >/dev/null
        cat "$T/log"
        "#
    ))
    .expect(0);
    run.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn the_life_of_an_item_can_be_read_from_the_log() {
    let lines = lines_of_a_crawl("crawl=debug", "");
    let start = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z DEBUG ";
    let item = |position: u32, attempt: u32, source: &str| {
        format!(
            r"{start}item\{{position={position} host=http://\[::1\]:\d+ attempt={attempt}{source}\}}: v6kit_crawl::\S+: "
        )
    };
    let mut rest = lines.iter();
    for expected in [
        format!("{start}v6kit_crawl::engine::queue: leased items=2 "),
        item(0, 1, "") + "dialled to=.* took=",
        item(0, 1, " source=::1") + "asks protocol=Http1",
        item(0, 1, " source=::1") + "is recorded outcome=ok status=200 ",
        item(1, 1, "") + "waited for the site's pace waited=",
        item(1, 1, " source=::1") + "asks ",
        item(1, 1, " source=::1") + "the site is asked less often",
        item(1, 1, " source=::1") + "is tried again pause=",
        item(1, 2, " source=::1") + "is recorded outcome=ok ",
        format!("{start}v6kit_crawl::engine::run: committed items="),
    ] {
        let pattern = Regex::new(&expected).expect("a pattern");
        assert!(
            rest.any(|line| pattern.is_match(line)),
            "nothing like {expected} where it is due:\n{}",
            lines.join("\n")
        );
    }
}

#[test]
fn nothing_is_told_of_an_item_unless_that_is_asked_for() {
    for lines in [lines_of_a_crawl("''", "-v"), lines_of_a_crawl("proxy=debug", "")] {
        let told: Vec<&String> = lines
            .iter()
            .filter(|line| line.contains("DEBUG") || line.contains("item{"))
            .collect();
        assert_eq!(told, Vec::<&String>::new());
    }
}

#[test]
fn the_life_of_a_connection_through_the_proxy_can_be_read_from_the_log() {
    let run = sh(r#"
        coproc ECHO { exec "$V6KIT" echo --listen '[::1]:0' --json; }
        echo=$ECHO_PID
        read -r line <&"${ECHO[0]}"
        at=$(jq -r '.listening[0]' <<<"$line")
        exec {proxied}< <(V6KIT_LOG=proxy=debug exec "$V6KIT" proxy --listen '[::1]:0' --auth alice:S3CRET \
            --allow-destination ::1 --json 2>"$T/log" & echo "pid $!"; wait)
        trap 'kill "$echo" "$proxy"' EXIT
        read -r _ proxy <&"$proxied"
        read -r line <&"$proxied"
        curl -s -m 20 -x "http://alice:S3CRET@$(jq -r '.listening[0]' <<<"$line")" -p "http://$at/" >/dev/null
        kill -TERM "$proxy"
        # The end of its standard output is its own.
        cat <&"$proxied" >/dev/null
        trap 'kill "$echo"' EXIT
        cat "$T/log"
        "#)
    .expect(0);
    for expected in [
        r"DEBUG connection\{client=::1\}: v6kit_proxy::\S+: asks target=\[::1\]:\d+",
        r"DEBUG connection\{client=::1\}: v6kit_proxy::\S+: connected .*to=\[::1\]:\d+ took=",
        r"DEBUG connection\{client=::1\}: v6kit_proxy::\S+: ended outcome=.ok. .*up=\d+ down=\d+",
    ] {
        let pattern = Regex::new(expected).expect("a pattern");
        assert!(pattern.is_match(&run.stdout), "nothing like {expected}: {run}");
    }
    assert!(!run.stdout.contains("S3CRET"), "{run}");
}

#[test]
fn no_log_holds_a_secret_however_much_is_asked_for() {
    let run = sh(r#"
        coproc ECHO { exec "$V6KIT" echo --listen '[::1]:0' --tls self-signed --json; }
        trap 'kill "$ECHO_PID"' EXIT
        read -r line <&"${ECHO[0]}"
        at=$(jq -r '.listening[0]' <<<"$line")
        export V6KIT_LOG=trace,h2=trace,hyper=trace,hickory_net=trace,hickory_resolver=trace
        for http in 1 2; do
            "$V6KIT" crawl "https://$at/items/{1..2}" -o "$T/$http" -r max --robots ignore --keep-free 0 --insecure --http $http \
                -u alice:S3CRET -H 'X-Vault-Token: S3CRET' -H 'Cookie: a=S3CRET' >>"$T/log" 2>&1
        done
        cat "$T/log"
        "#)
    .expect(0);
    assert!(run.stdout.contains("TRACE h2::"), "as much as there is: {run}");
    // base64 of alice:S3CRET
    for secret in ["S3CRET", "YWxpY2U6UzNDUkVU"] {
        let line = run.stdout.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
}

/// Spans of `text` that are made at other levels than debug and trace, where somebody always pays for them.
fn costly_spans(text: &str) -> Vec<&str> {
    let span = Regex::new(r"\b(\w*span!|instrument)\s*[(\]]").expect("a pattern");
    let made = span.captures_iter(text).filter_map(|made| made.get(1));
    made.map(|made| made.as_str())
        .filter(|made| !matches!(*made, "debug_span!" | "trace_span!"))
        .filter(|made| {
            *made != "instrument" || text.contains("#[instrument") || text.contains("::instrument]")
        })
        .collect()
}

#[test]
fn spans_are_made_where_they_cost_nothing_unless_they_are_asked_for() {
    assert_eq!(
        costly_spans("let s = tracing::info_span!(\"x\");"),
        ["info_span!"]
    );
    assert_eq!(costly_spans("tracing::span!(Level::INFO, \"x\")"), ["span!"]);
    assert_eq!(costly_spans("#[tracing::instrument]\nfn f() {}"), ["instrument"]);
    assert_eq!(
        costly_spans("f().instrument(tracing::debug_span!(\"x\"))"),
        Vec::<&str>::new()
    );
    let mut spans = 0;
    let mut directories = vec![crate::harness::repository().join("crates")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source");
                assert_eq!(costly_spans(&text), Vec::<&str>::new(), "{}", path.display());
                spans += text.matches("_span!(").count();
            }
        }
    }
    assert!(spans >= 2, "{spans}");
}
