//! Crawling: every item once, from all over the prefix, through interruptions; and what is told when it
//! cannot be done.

#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, and not what they share"
)]

mod refusals;
mod stops;

use std::collections::{HashMap, HashSet};
use std::net::Ipv6Addr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Run, assert_each_once, in_lab_with, in_namespace_with, run};

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
            pause 0.02
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
