//! kill -9 at any moment.

use crate::harness::Run;

use super::{assert_each_once, cat, check, found_by_others, scratch, with_server};

/// Kills the crawl 30 times after it has stored a random amount more, and some random milliseconds later.
const RANDOM_KILLS: &str = r#"
    kills=0
    while [ $kills -lt 30 ]; do
        target=$(($(stored) + RANDOM * 2))
        crawl -r 10000/s --commit-every 50ms & pid=$!
        while [ "$(stored)" -le $target ] && kill -0 $pid 2>/dev/null; do :; done
        pause 0.0$((RANDOM % 90 + 10))
        kill -KILL $pid
        if wait $pid; then exit 99; else code=$?; fi
        [ $code = 137 ] || exit 98
        kills=$((kills + 1))
    done
    crawl -r max
"#;

#[track_caller]
fn kill_at_random(format: &str) {
    const ITEMS: u64 = 200_000;
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        &format!(
            r#"
            crawl() {{
                exec "$V6KIT" crawl "$url/items/{{1..{ITEMS}}}" -o "$job" -c 32 --threads 2 --format {format} \
                    --keep-free 0 --json -q "$@"
            }}
            {RANDOM_KILLS}
            "#
        ),
    )
    .expect(0);
    assert_everything_is_there_once(&run, format, scratch.path(), ITEMS);
}

#[track_caller]
fn assert_everything_is_there_once(run: &Run, format: &str, scratch: &std::path::Path, items: u64) {
    let job = scratch.join("job");
    let summary = run.json();
    assert_eq!(summary["complete"], true, "{run}");
    assert!(
        summary["resumed"].as_u64().unwrap() > 0,
        "what was committed before is kept: {run}"
    );
    assert_each_once(&found_by_others(format, &job), items);
    assert_each_once(&cat(&job, &[]), items);
    assert_eq!(check(&job, &[], 0)["items"], items);
}

#[test]
fn thirty_kills_leave_each_item_in_one_record_of_ndjson() {
    kill_at_random("ndjson");
}

#[test]
fn thirty_kills_leave_each_item_in_one_record_of_warc() {
    kill_at_random("warc");
}

#[test]
fn thirty_kills_leave_each_item_in_one_record_of_parquet() {
    kill_at_random("parquet");
}

/// System calls in which the crawl dies while it makes a job: on which file, and the how-manieth of a thread.
const WHILE_IT_IS_MADE: &str = "
    openat:lock:1 openat:ledger:1 pwrite64:ledger:1 fsync:ledger:1 openat:wal:1 fsync:job:1
    pwrite64:wal:1 fsync:wal:1 pwrite64:wal:3 fsync:wal:2
";

/// The same while a segment is created, written and synced and the ledger is, and, on resuming, while what is
/// left over of the last segment is removed or cut.
const WHILE_IT_APPENDS: &str = "
    openat:next:1 write:next:1 unlink:leftover:1 write:next:1 write:next:3 fdatasync:next:1 unlink:leftover:1
    fdatasync:next:3 ftruncate:leftover:1 fdatasync:next:2 pwrite64:wal:9 ftruncate:leftover:1 pwrite64:wal:4
    fsync:wal:1 fsync:wal:3 pwrite64:shm:1 fdatasync:next:6
";

/// The same for files that are written whole, under another name at first.
const WHILE_IT_WRITES_WHOLE_FILES: &str = "
    openat:part:1 write:part:1 unlink:leftover:1 fdatasync:part:1 unlink:leftover:1 linkat:part:1 write:part:1
    linkat:second:1 pwrite64:wal:4 pwrite64:wal:9 fsync:wal:1 fsync:wal:3 fdatasync:second:1 openat:second:1
";

/// Kills the crawl in the middle of system calls, again and again on the same job.
#[track_caller]
fn kill_in_system_calls(format: &str, extension: &str, points: &str) {
    const ITEMS: u64 = 20_000;
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        &[
            format!(
                "ITEMS={ITEMS} FORMAT={format} EXTENSION={extension} POINTS='{points}'",
                points = format!("{WHILE_IT_IS_MADE} {points}").replace('\n', " ")
            )
            .as_str(),
            include_str!("killed/kill_in_system_calls.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
    assert_everything_is_there_once(&run, format, scratch.path(), ITEMS);
}

#[test]
fn a_kill_in_any_system_call_leaves_each_item_in_one_record_of_ndjson() {
    kill_in_system_calls("ndjson", "ndjson.zst", WHILE_IT_APPENDS);
}

#[test]
fn a_kill_in_any_system_call_leaves_each_item_in_one_record_of_warc() {
    kill_in_system_calls("warc", "warc.gz", WHILE_IT_APPENDS);
}

#[test]
fn a_kill_in_any_system_call_leaves_each_item_in_one_record_of_parquet() {
    kill_in_system_calls("parquet", "parquet", WHILE_IT_WRITES_WHOLE_FILES);
}
