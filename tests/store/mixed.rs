//! Ledgers and segments that do not belong together.

use std::fs;
use std::path::Path;

use super::{assert_each_once, cat, check, found_by_others, scratch, status, with_server};

const ITEMS: u64 = 20_000;

/// `crawl -o DIRECTORY` fetches them all; `begun DIRECTORY` returns when some are committed, and goes on as `$pid`.
const CRAWLS: &str = r#"
    crawl=("$V6KIT" crawl "$url/items/{1..20000}" --threads 1 --commit-every 20ms --level 1 --keep-free 0 --format "$FORMAT")
    crawl() { "${crawl[@]}" "$@" >"$T/summary"; }
    begun() {
        "${crawl[@]}" -q -r 2000/s -o "$1" & pid=$!
        until [ "$(job=$1 committed)" -gt 0 ]; do :; done
    }
"#;

#[track_caller]
fn played(scratch: &Path, format: &str, script: &str) -> crate::harness::Run {
    with_server(scratch, &format!("FORMAT={format}\n{CRAWLS}\n{script}")).expect(0)
}

#[test]
fn a_ledger_of_another_job_changes_no_segment_and_a_repair_sets_the_segment_aside() {
    for format in ["ndjson", "warc"] {
        let scratch = scratch();
        let run = played(
            scratch.path(),
            format,
            include_str!(
                "mixed/a_ledger_of_another_job_changes_no_segment_and_a_repair_sets_the_segment_aside.sh"
            ),
        );
        assert_eq!(run.stdout, "1\n1\n1\n", "{run}");
        let said = fs::read_to_string(scratch.path().join("said")).unwrap();
        assert_eq!(
            said.matches("does not hold the bytes that the ledger tells of")
                .count(),
            4,
            "{said}"
        );
        let job = scratch.path().join("job");
        assert_each_once(&cat(&job, &[]), ITEMS);
        check(&job, &[], 0);
        assert_eq!(status(&job)["complete"], true);
    }
}

#[test]
fn what_a_ledger_of_before_does_not_know_is_set_aside_and_fetched_again() {
    for format in ["ndjson", "warc"] {
        let scratch = scratch();
        played(
            scratch.path(),
            format,
            include_str!("mixed/what_a_ledger_of_before_does_not_know_is_set_aside_and_fetched_again.sh"),
        );
        let job = scratch.path().join("job");
        assert_each_once(&cat(&job, &[]), ITEMS);
        assert_each_once(&found_by_others(format, &job), ITEMS);
        check(&job, &[], 0);
    }
}

#[test]
fn a_segment_of_another_job_is_refused_whatever_its_length() {
    let scratch = scratch();
    let run = played(
        scratch.path(),
        "parquet",
        include_str!("mixed/a_segment_of_another_job_is_refused_whatever_its_length.sh"),
    );
    assert_eq!(run.stdout, "1\nprecious\n", "{run}");
    assert_each_once(&cat(&scratch.path().join("job"), &[]), ITEMS);
}
