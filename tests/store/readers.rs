//! Other people's programs read what was stored.

use std::process::Command;

use serde_json::Value;

use crate::harness::run;

use super::{FORMATS, assert_each_once, cat, found_by_others, python, reader, scratch, with_server};

/// Answers with whatever a record may have to hold.
const ODD_SERVER: &str = include_str!("readers/odd_server.sh");

#[test]
fn duckdb_pyarrow_and_warcio_find_every_record() {
    for format in FORMATS {
        let scratch = scratch();
        with_server(
            scratch.path(),
            &format!(
                r#"
                "$V6KIT" crawl "$url/items/{{1..20000}}" -o "$job" -r max --format {format} --commit-every 50ms \
                    --keep-free 0 -q
                "#
            ),
        )
        .expect(0);
        let job = scratch.path().join("job");
        let found = found_by_others(format, &job);
        assert_each_once(&found, 20_000);
        assert!(found.iter().all(|record| record["outcome"] == "ok"
            && record["status"] == 200
            && record["from"] == "::1"
            && record["body"].is_string()));
        if format != "warc" {
            let run = python(&["duckdb", format], &job);
            assert_eq!(run.stdout.trim(), "20000 20000 199990000", "{format}");
        }
    }
}

#[test]
fn zstdcat_jq_and_duckdb_read_a_job_that_is_running() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        r#"
        "$V6KIT" crawl "$url/items/{1..1000000}" -o "$job" -r 500/s --commit-every 300ms --keep-free 0 -q & pid=$!
        until [ "$(stored)" -gt 20000 ]; do :; done
        zstdcat -q "$job"/*.zst | jq -s 'length'
        "$V6KIT" crawl cat "$job" | jq -s 'map(.body.id) | length'
        kill -KILL $pid
        "#,
    )
    .expect(0);
    for line in run.stdout.lines() {
        assert!(line.parse::<u64>().unwrap() > 100, "{run}");
    }
}

#[test]
fn warcio_checks_and_pywb_indexes() {
    let scratch = scratch();
    with_server(
        scratch.path(),
        &format!(
            r#"{ODD_SERVER}
            "$V6KIT" crawl --robots ignore "$odd/{{0..6}}" "$url/nothing" "http://[::1]:1/" -o "$job" -r max --retries 0 --format warc \
                --keep-free 0 -q -d 'a=1' && exit 9
            kill $ODD_PID
            "#
        ),
    )
    .expect(0);
    let file = scratch.path().join("job/000001.warc.gz");
    let checked = run(Command::new(reader("warcio")).args(["check", "-v"]).arg(&file)).expect(0);
    assert!(checked.stdout.contains("digest pass"), "{checked}");
    assert!(!checked.stdout.contains("fail"), "{checked}");
    let index = run(Command::new(reader("cdx-indexer")).arg("-j").arg("-p").arg(&file)).expect(0);
    assert_eq!(
        index.stdout.matches("\"status\": \"200\"").count()
            + index.stdout.matches("\"status\":\"200\"").count(),
        7,
        "{index}"
    );
    assert!(index.stdout.contains("405"), "{index}");
}

#[test]
fn bodies_of_every_kind_come_back_as_they_went() {
    let mut seen: Vec<Vec<Value>> = Vec::new();
    for format in FORMATS {
        let scratch = scratch();
        with_server(
            scratch.path(),
            &format!(
                r#"{ODD_SERVER}
                "$V6KIT" crawl --robots ignore "$odd/{{0..6}}" -o "$job" -r max --format {format} --keep-free 0 -q
                kill $ODD_PID
                "#
            ),
        )
        .expect(0);
        let mut records = cat(&scratch.path().join("job"), &[]);
        records.sort_by_key(|record| record["pos"].as_u64());
        let bodies = records
            .iter()
            .map(|record| match record.get("body_base64") {
                Some(encoded) => serde_json::json!({ "base64": encoded }),
                None => record["body"].clone(),
            })
            .collect();
        seen.push(bodies);
    }
    assert_eq!(
        seen[0],
        [
            serde_json::json!({"a": {"b": [1, 2.5]}, "c": "é\0😀"}),
            "<p>\"é\"\t\r\n\\ \x7f</p>".into(),
            serde_json::json!({"base64": "iVBORw0KGgoA/w=="}),
            "12".into(),
            12.into(),
            "".into(),
            "text".into(),
        ]
    );
    assert_eq!(seen[0], seen[1], "warc");
    assert_eq!(seen[0], seen[2], "parquet");
}

#[test]
fn parts_of_answers_are_kept_on_demand() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        &[
            ODD_SERVER,
            include_str!("readers/parts_of_answers_are_kept_on_demand.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
    let expected = [
        r#"["1, 2","application/json",1]"#,
        r#"{"a.b.1":2.50,"c":"é\u0000😀","x":null}"#,
        "[false,false,200]",
    ];
    let lines: Vec<String> = run
        .stdout
        .lines()
        .map(|line| line.replace("2.5,", "2.50,"))
        .collect();
    assert_eq!(lines, [expected, expected].concat(), "{run}");
    // The body of a failure is kept where it is said what is to be kept, and bodies are.
    let failures = std::fs::read_to_string(scratch.path().join("failures")).unwrap();
    let failures: Vec<&str> = failures.lines().collect();
    let [none, kept] = [r#"["blocked",true,null]"#, r#"["blocked",true,1]"#];
    assert_eq!(failures, [none, kept, kept, none].repeat(2), "{run}");
}
