//! Crawling: every item once, from all over the prefix, through interruptions; and what is told when it
//! cannot be done.

#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, and not what they share"
)]

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv6Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::{Run, V6KIT, in_lab_with, in_namespace_with, run, v6kit};

/// The lab with replies to the prefix delivered here, as after setup.
#[track_caller]
fn in_prepared_lab(scratch: &Path, script: &str) -> Run {
    let prepare = "ip -6 route add local \"$V6KIT_LAB_PREFIX\" dev lo";
    in_lab_with("routed", scratch, &format!("{prepare}\n{script}"))
}

/// A namespace with `v6kit echo` on [::1], whose URL is `$url`.
#[track_caller]
fn with_echo(scratch: &Path, arguments: &str, script: &str) -> Run {
    in_namespace_with(
        scratch,
        &format!(
            r#"
            coproc SERVER {{ exec "$V6KIT" echo --json --listen '[::1]:0' {arguments}; }}
            server=$SERVER_PID
            read -r started <&"${{SERVER[0]}}"
            url=http://[::1]:$(sed -E 's/.*"listening":\["[^"]*:([0-9]+)".*/\1/' <<<"$started")
            {script}
            "#
        ),
    )
}

/// The records of a job directory, read by another program.
#[track_caller]
fn records(directory: &Path) -> Vec<Value> {
    let mut command = Command::new("bash");
    command
        .args(["-c", "zstdcat --quiet \"$0\"/*.ndjson.zst"])
        .arg(directory);
    let output = run(&mut command).expect(0).stdout;
    output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[track_caller]
fn assert_each_once(records: &[Value], count: u64) {
    let positions: HashSet<u64> = records
        .iter()
        .map(|record| record["pos"].as_u64().unwrap())
        .collect();
    assert_eq!(records.len() as u64, count, "as many records as items");
    assert_eq!(positions, (0..count).collect(), "each position once");
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_hundred_thousand_items_are_as_many_records_from_all_over_the_prefix() {
    let scratch = scratch();
    let run = in_prepared_lab(
        scratch.path(),
        r#"
        "$V6KIT" crawl "$V6KIT_LAB_TARGET/items/{1..100000}" -o "$T/job" -r max -c 64 --json \
            --prefix "$V6KIT_LAB_PREFIX" --requests-per-address 10
        "#,
    )
    .expect(0);
    let summary = run.json();
    assert_eq!(summary["ok"], 100_000);
    assert_eq!(summary["complete"], true);
    assert!(summary["addresses"].as_u64().unwrap() >= 10_000, "{summary}");
    let records = records(&scratch.path().join("job"));
    assert_each_once(&records, 100_000);
    for record in &records {
        let id = record["pos"].as_u64().unwrap() + 1;
        assert_eq!(record["body"]["id"], id, "{record}");
        assert!(
            record["url"].as_str().unwrap().ends_with(&format!("/items/{id}")),
            "{record}"
        );
    }
    assert_spread(&records);
}

/// No source serves more than its ten requests, and each nibble of the host part is uniform.
#[track_caller]
fn assert_spread(records: &[Value]) {
    let mut sources: HashMap<Ipv6Addr, u32> = HashMap::new();
    for record in records {
        *sources
            .entry(record["from"].as_str().unwrap().parse().unwrap())
            .or_default() += 1;
    }
    assert!(sources.values().all(|&requests| requests <= 10));
    let expected = sources.len() as f64 / 16.0;
    for nibble in 0..16 {
        let mut counts = [0u32; 16];
        for source in sources.keys() {
            assert_eq!(source.segments()[..3], [0x2001, 0xdb8, 6]);
            counts[(source.to_bits() >> (4 * nibble)) as usize & 15] += 1;
        }
        let chi: f64 = counts
            .iter()
            .map(|&n| (f64::from(n) - expected).powi(2) / expected)
            .sum();
        // 15 degrees of freedom: 50 is p = 0.00001.
        assert!(chi < 50.0, "nibble {nibble}: chi-square {chi}");
    }
}

#[test]
fn a_single_address_may_be_the_prefix() {
    let scratch = scratch();
    let run = in_prepared_lab(
        scratch.path(),
        r#"
        "$V6KIT" crawl "$V6KIT_LAB_TARGET/items/{1..100}" -o "$T/job" -r max --json --prefix 2001:db8:6::7/128
        "#,
    )
    .expect(0);
    assert_eq!(run.json()["addresses"], 1);
    assert!(
        records(&scratch.path().join("job"))
            .iter()
            .all(|record| record["from"] == "2001:db8:6::7")
    );
}

#[test]
fn https_needs_trust_and_insecure_is_loud() {
    let scratch = scratch();
    let run = in_prepared_lab(
        scratch.path(),
        r#"
        crawl() { "$V6KIT" crawl "$V6KIT_LAB_TARGET_TLS/items/{1..50}" --json -r max --prefix "$V6KIT_LAB_PREFIX" "$@"; }
        crawl -o "$T/trusted" --cacert "$V6KIT_LAB_TARGET_CA" > "$T/trusted.json"
        crawl -o "$T/insecure" --insecure 2>&1 > "$T/insecure.json" | grep warning
        crawl -o "$T/unknown" > "$T/unknown.json" || echo "exit $?"
        "#,
    )
    .expect(0);
    let summary = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(scratch.path().join(name)).unwrap()).unwrap()
    };
    let trusted = summary("trusted.json");
    assert!(
        trusted["connections"].as_u64().unwrap() <= 10,
        "HTTP/2 by ALPN, ten streams each: {trusted}"
    );
    assert_eq!(summary("trusted.json")["ok"], 50);
    assert_eq!(summary("insecure.json")["ok"], 50);
    assert_eq!(summary("unknown.json")["fatal"], 50);
    assert!(run.stdout.contains("certificates are not checked"), "{run}");
    assert!(run.stdout.ends_with("exit 1\n"), "{run}");
    let unknown = records(&scratch.path().join("unknown"));
    assert!(
        unknown
            .iter()
            .all(|record| record["error"]["kind"] == "certificate"),
        "{}",
        unknown[0]
    );
}

#[test]
fn without_a_prefix_the_own_address_is_used_and_that_is_said() {
    let scratch = scratch();
    let run = with_echo(
        scratch.path(),
        "",
        r#""$V6KIT" crawl "$url/items/{1..20}" -o "$T/job" -r max"#,
    )
    .expect(0);
    assert!(run.stderr.contains("this host's own address"), "{run}");
    assert!(
        records(&scratch.path().join("job"))
            .iter()
            .all(|record| record["from"] == "::1")
    );
}

#[test]
fn failures_are_records_too() {
    let scratch = scratch();
    with_echo(
        scratch.path(),
        "--limit 1/1h --limit-answer 403",
        r#"
        "$V6KIT" crawl "$url/{items,nothing}/{1..3}" -o "$T/job" -r 50/s -c 1 --json > "$T/job.json" || echo $?
        "$V6KIT" crawl "http://[::1]:1/{1..3}" -o "$T/closed" -r max --retries 1 --json > "$T/closed.json" || echo $?
        "#,
    )
    .expect(0);
    let kinds = |name: &str| -> Vec<(String, Value)> {
        let records = records(&scratch.path().join(name));
        records
            .iter()
            .map(|record| {
                (
                    record["outcome"].as_str().unwrap().to_owned(),
                    record["status"].clone(),
                )
            })
            .collect()
    };
    let mut expected = vec![("ok".to_owned(), Value::from(200))];
    expected.extend(vec![("blocked".to_owned(), Value::from(403)); 5]);
    assert_eq!(kinds("job"), expected);
    assert_eq!(kinds("closed"), vec![("transient".to_owned(), Value::Null); 3]);
    let closed = &records(&scratch.path().join("closed"))[0];
    assert_eq!(closed["error"]["kind"], "connect_refused");
    assert_eq!(closed["attempts"], 2);
}

#[test]
fn what_does_not_exist_is_absent_and_no_failure() {
    let scratch = scratch();
    let run = with_echo(
        scratch.path(),
        "",
        r#""$V6KIT" crawl "$url/nothing/{1..5}" -o "$T/job" -r max --json"#,
    )
    .expect(0);
    assert_eq!(run.json()["absent"], 5);
}

#[test]
fn the_pace_is_never_exceeded_over_threads_and_the_summary_names_it() {
    let scratch = scratch();
    let run = with_echo(
        scratch.path(),
        "",
        r#"
        "$V6KIT" crawl "$url/items/{1..301}" -o "$T/a" -r 200/s --threads 2 --json > "$T/a.json"
        "$V6KIT" crawl "$url/items/{1..10}" -o "$T/b"
        "#,
    )
    .expect(0);
    let summary: Value =
        serde_json::from_str(&std::fs::read_to_string(scratch.path().join("a.json")).unwrap()).unwrap();
    // 300 intervals of 5 ms.
    assert!(summary["seconds"].as_f64().unwrap() >= 1.44, "{summary}");
    assert!(run.stdout.contains("150/s"), "{run}");
}

#[test]
fn a_thousand_connections_take_little_memory() {
    let scratch = scratch();
    let run = with_echo(
        scratch.path(),
        "",
        r#"
        "$V6KIT" crawl "$url/items/{1..30000}" -o "$T/job" -r max -c 1000 --threads 2 --keep-free 0 -q & pid=$!
        while memory=$(awk '/RssAnon/ { print $2 }' /proc/$pid/status 2>/dev/null) && [ -n "$memory" ]; do
            echo "$memory"
            sleep 0.02
        done | sort -n | tail -1
        wait $pid
        "$V6KIT" crawl status "$T/job" --json | jq .outcomes.ok
        "#,
    )
    .expect(0);
    let (kilobytes, ok) = run.stdout.trim().split_once('\n').unwrap();
    assert_eq!(ok, "30000", "{run}");
    let kilobytes: u64 = kilobytes.parse().unwrap();
    assert!((10_000..60_000).contains(&kilobytes), "{kilobytes} kB");
}

#[test]
fn shuffled_and_limited_items_come_once_each() {
    let scratch = scratch();
    with_echo(
        scratch.path(),
        "",
        r#""$V6KIT" crawl "$url/items/{1..1e9}" -o "$T/job" -r max --order shuffle --seed 4 --limit 2000 --json"#,
    )
    .expect(0);
    let records = records(&scratch.path().join("job"));
    let positions: HashSet<u64> = records
        .iter()
        .map(|record| record["pos"].as_u64().unwrap())
        .collect();
    assert_eq!((records.len(), positions.len()), (2000, 2000));
    assert!(positions.iter().any(|&position| position > 900_000_000));
    assert!(
        records
            .iter()
            .all(|record| record["body"]["id"].as_u64() == record["pos"].as_u64().map(|pos| pos + 1))
    );
}

#[test]
fn status_and_cat_read_what_was_committed() {
    let scratch = scratch();
    let run = with_echo(
        scratch.path(),
        "",
        r#"
        "$V6KIT" crawl "$url/items/{1..500}" -o "$T/job" -r max -q
        "$V6KIT" crawl status "$T/job" --json
        "$V6KIT" crawl cat "$T/job" | wc -l >&2
        "#,
    )
    .expect(0);
    assert_eq!(run.stderr.trim(), "500", "{run}");
    let status = run.json();
    assert_eq!(
        (&status["done"], &status["left"], &status["outcomes"]["ok"]),
        (&500.into(), &0.into(), &500.into())
    );
}

#[test]
fn rotating_goes_on_from_other_addresses_where_one_is_refused() {
    let scratch = scratch();
    let run = in_prepared_lab(
        scratch.path(),
        r#"
        nsenter --net="$V6KIT_LAB_TARGET_NS" "$V6KIT" echo --listen '[::]:8100' --limit 10/1h --limit-answer 403 >/dev/null &
        until curl -sS -o /dev/null "$V6KIT_LAB_TARGET:8100/healthz" 2>/dev/null; do kill -0 $!; done
        "$V6KIT" crawl "$V6KIT_LAB_TARGET:8100/items/{1..500}" -o "$T/job" -r max -c 4 --json --on-limit rotate \
            --prefix "$V6KIT_LAB_PREFIX" --requests-per-address 1000 --max-error-rate 100%
        kill $!
        "#,
    )
    .expect(0);
    let summary = run.json();
    assert_eq!(
        (&summary["ok"], &summary["complete"]),
        (&500.into(), &true.into())
    );
    assert!(summary["addresses"].as_u64().unwrap() >= 50, "{summary}");
    assert_each_once(&records(&scratch.path().join("job")), 500);
}

#[test]
fn a_site_that_refuses_ends_the_crawl_with_18_and_the_line_to_go_on() {
    let scratch = scratch();
    let run = with_echo(
        scratch.path(),
        "--limit 50/1h",
        r#"
        "$V6KIT" crawl "$url/items/{1..1000}" -o "$T/a" -r max -c 1 --json --on-limit stop >"$T/a.json" || echo "exit $?"
        "$V6KIT" crawl "$url/nothing" -o "$T/b" -r max --on-limit rotate 2>&1 || echo "exit $?"
        "#,
    )
    .expect(0);
    let summary: Value =
        serde_json::from_str(&std::fs::read_to_string(scratch.path().join("a.json")).unwrap()).unwrap();
    assert_eq!(
        (&summary["ok"], &summary["blocked"]),
        (&50.into(), &1.into()),
        "{summary}"
    );
    assert!(run.stdout.starts_with("exit 18\n"), "{run}");
    assert!(
        run.stderr.contains("949 items are left") && run.stderr.contains("--on-limit stop"),
        "{run}"
    );
    assert!(
        run.stdout.contains("no prefix to draw them from") && run.stdout.ends_with("exit 2\n"),
        "{run}"
    );
}

#[test]
fn lists_are_crawled_whatever_they_are_packed_in_and_bad_lines_are_recorded() {
    let scratch = scratch();
    with_echo(
        scratch.path(),
        "",
        r#"
        for id in $(seq 300); do echo "$url/items/$id"; echo; done > "$T/list"
        echo "items/7" >> "$T/list"
        echo "{\"url\":\"$url/items/8\",\"id\":\"eight\"}" >> "$T/list"
        gzip -k "$T/list"
        zstd -q "$T/list"
        crawl() { "$V6KIT" crawl "$@" -r max --json --threads 2 > "$T/summary" || echo "exit $?"; }
        crawl -i "$T/list" -o "$T/plain"
        crawl -i "$T/list.gz" -o "$T/gz" --order shuffle
        crawl -i "$T/list.zst" -o "$T/zst"
        crawl - -o "$T/stdin" < "$T/list"
        crawl -i "$T/list.gz" -o "$T/plain"
        seq 5 | crawl "$url/items/{}" - -o "$T/put"
        seq 6 | crawl "$url/items/{}" - -o "$T/put"
        "#,
    )
    .expect(0);
    for job in ["plain", "gz", "zst", "stdin"] {
        let records = records(&scratch.path().join(job));
        assert_each_once(&records, 302);
        let of = |position: u64| records.iter().find(|record| record["pos"] == position).unwrap();
        assert_eq!(of(41)["body"]["id"], 42, "{job}");
        assert_eq!(of(300)["error"]["kind"], "bad_item", "{job}");
        assert!(
            of(300)["error"]["message"]
                .as_str()
                .unwrap()
                .starts_with("line 601: "),
            "{job}"
        );
        assert_eq!(
            (&of(301)["id"], &of(301)["body"]["id"]),
            (&"eight".into(), &8.into()),
            "{job}"
        );
    }
    let put = records(&scratch.path().join("put"));
    assert_each_once(&put, 5);
    assert!(
        put.iter()
            .all(|record| record["body"]["id"].as_u64() == record["pos"].as_u64().map(|pos| pos + 1))
    );
}

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
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => interrupt(&child),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(status.code(), Some(130));
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

#[test]
fn progress_is_lines_without_a_terminal_and_nothing_when_quiet() {
    let scratch = scratch();
    let run = with_echo(
        scratch.path(),
        "",
        r#"
        "$V6KIT" crawl "$url/items/{1..200}" -o "$T/a" -r 400/s --stats-interval 100ms 2>"$T/lines"
        "$V6KIT" crawl "$url/items/{1..200}" -o "$T/b" -r max -q 2>&1
        "#,
    )
    .expect(0);
    let lines = std::fs::read_to_string(scratch.path().join("lines")).unwrap();
    assert!(
        lines
            .lines()
            .any(|line| line.contains("/200 ") && line.contains("in flight")),
        "{lines}"
    );
    assert!(run.stdout.contains("200 of 200"), "{run}");
    assert_eq!(
        run.stdout.matches("200 of 200").count(),
        1,
        "-q prints no table: {run}"
    );
}

/// One line of what failed, one of why, one hint.
#[track_caller]
fn assert_explained(run: &Run, parts: &[&str]) {
    let starts: Vec<&str> = run
        .stderr
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(starts.ends_with(&["error:", "why:", "hint:"]), "{run}");
    for part in parts {
        assert!(run.stderr.contains(part), "`{part}` is missing: {run}");
    }
}

#[test]
fn bad_usage_is_explained_and_exits_2() {
    let scratch = scratch();
    let job = scratch.path().join("job");
    let job = job.to_str().unwrap();
    for (arguments, parts) in [
        (vec!["http://h/{5..1}"], vec!["ends before it begins", "{1..5}"]),
        (vec!["http://h/{1..}"], vec!["lacks an end"]),
        (vec!["http://h/{1..5"], vec!["never closed"]),
        (vec!["h/{1..5}"], vec!["no scheme", "https://h/{1..5}"]),
        (vec!["ftp://h/{1..5}"], vec!["ftp://"]),
        (vec!["http://192.0.2.1/{1..5}"], vec!["IPv4"]),
        (vec!["http://h/{1..1e19}{1..1e19}"], vec!["split"]),
        (vec!["http://h/", "-r", "fast"], vec!["150/s"]),
        (vec!["http://h/", "-o", "-"], vec!["crawl cat DIR"]),
        (vec!["http://h/", "--timeout", "0s"], vec!["30s"]),
        (vec!["http://h/", "--max-body", "big"], vec!["10M"]),
        (vec!["http://h/", "-H", "nonsense"], vec!["Name: value"]),
        (vec!["http://h/", "-X", "GE T"], vec!["method"]),
        (
            vec!["http://h/", "--prefix", "2409:1:2:3:abcd::5/80"],
            vec!["2409:1:2:3:abcd::/80"],
        ),
        (vec!["http://h/", "-d", "@/nonexistent"], vec!["/nonexistent"]),
        (
            vec!["http://h/", "-i", "/nonexistent"],
            vec!["a list and other URLs"],
        ),
        (vec!["-i", "/nonexistent"], vec!["/nonexistent"]),
        (vec!["http://h/{}"], vec!["-i FILE"]),
        (vec!["http://h/", "--expect", "jsn"], vec!["key=data.id"]),
        (vec!["http://h/", "--block-pattern", "("], vec!["unclosed group"]),
        (vec!["http://h/", "--max-error-rate", "120%"], vec!["20%"]),
        (vec!["http://[::1]/", "--cacert", "/nonexistent"], vec![]),
        (vec!["http://name.invalid/"], vec!["name.invalid"]),
    ] {
        let mut all = vec!["crawl", "-o", job, "--state-dir", "/nonexistent"];
        all.extend(&arguments);
        if arguments == ["http://[::1]/", "--cacert", "/nonexistent"] {
            all[5] = "https://[::1]/";
        }
        let run = v6kit(&all).expect(2);
        assert_explained(&run, &parts);
    }
    assert!(!Path::new(job).exists(), "nothing was begun");
}

#[test]
fn urls_of_other_habits_are_fetched_and_spoken_of() {
    let scratch = scratch();
    let run = with_echo(
        scratch.path(),
        "",
        r#"
        "$V6KIT" crawl "$url/items/[1-5]" -o "$T/globbed" -r max --robots ignore
        "$V6KIT" crawl "$url"/items/{7..31} -o "$T/braces" -r max --robots ignore
        "$V6KIT" crawl status "$T/braces"
        "#,
    )
    .expect(0);
    assert!(
        run.stderr
            .contains("[1-5] is fetched as it stands; a range is written {1..5}"),
        "{run}"
    );
    assert!(run.stderr.contains("25 URLs were given"), "{run}");
    assert!(run.stderr.contains("/items/{7..31}'"), "{run}");
    assert!(run.stdout.contains("/items/7 and 24 more"), "{run}");
}

#[test]
fn a_directory_that_cannot_be_used_is_explained() {
    let scratch = scratch();
    let file = scratch.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    let other = scratch.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("thesis.txt"), "mine").unwrap();
    for directory in [Path::new("/proc/job"), &file, &other] {
        let run = v6kit(&[
            "crawl",
            "http://[::1]:1/",
            "--state-dir",
            "/nonexistent",
            "-o",
            directory.to_str().unwrap(),
        ]);
        assert_explained(&run.expect(2), &["-o DIR"][..usize::from(directory != other)]);
    }
    assert_eq!(std::fs::read_dir(&other).unwrap().count(), 1);
}

#[test]
fn another_job_in_the_same_directory_is_refused_with_the_difference() {
    let scratch = scratch();
    let job = scratch.path().join("job");
    let crawl = |url: &str, more: &[&str]| {
        let mut all = vec![
            "crawl",
            url,
            "-o",
            job.to_str().unwrap(),
            "--state-dir",
            "/nonexistent",
            "--retries",
            "0",
        ];
        all.extend(more);
        v6kit(&all)
    };
    crawl("http://[::1]:1/{1..3}", &[]).expect(1);
    let run = crawl("http://[::1]:1/{1..4}", &["-X", "HEAD"]).expect(2);
    assert_explained(
        &run,
        &[
            "url was `http://[::1]:1/{1..3}`",
            "method was `GET` and is `HEAD` now",
        ],
    );
    // What does not change the meaning may change. The items of the job have failed as before.
    crawl("http://[::1]:1/{1..3}", &["-r", "max", "-c", "7"]).expect(1);
}

#[test]
fn a_concurrency_beyond_the_limit_on_files_names_the_limit() {
    let scratch = scratch();
    let run = with_echo(
        scratch.path(),
        "",
        r#"
        ulimit -n 150
        "$V6KIT" crawl "$url/items/{1..50}" -o "$T/a" -r max -c 1000 2>"$T/refused" || echo "exit $?"
        "$V6KIT" crawl "$url/items/{1..50}" -o "$T/b" -r max -q
        "#,
    )
    .expect(0);
    assert_eq!(run.stdout, "exit 2\n", "{run}");
    let refused = std::fs::read_to_string(scratch.path().join("refused")).unwrap();
    assert!(
        refused.contains("RLIMIT_NOFILE") && refused.contains("hint: use -c "),
        "{refused}"
    );
    assert!(run.stderr.contains("instead of 100"), "{run}");
    assert_each_once(&records(&scratch.path().join("b")), 50);
}

#[test]
fn a_lack_of_descriptors_is_waited_out_and_no_item_fails_by_it() {
    let scratch = scratch();
    let run = with_echo(
        scratch.path(),
        "",
        r#"
        ulimit -n 256
        # What the caller left open is not in the account of the crawl.
        for fd in {20..190}; do eval "exec $fd</dev/null"; done
        "$V6KIT" crawl "$url/items/{1..300}" -o "$T/a" -r max -c 100 --threads 1 --retries 0
        "#,
    )
    .expect(0);
    assert_eq!(
        run.stderr.matches("no file descriptor left").count(),
        1,
        "told once: {run}"
    );
    let records = records(&scratch.path().join("a"));
    assert_each_once(&records, 300);
    assert!(records.iter().all(|record| record["outcome"] == "ok"), "{run}");
}
