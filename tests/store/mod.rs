//! What a crawl stores: nothing lost and nothing twice, whatever happens to the process, the disk and the
//! files; and read by other people's programs.

#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, and not what they share"
)]

mod again;
mod damage;
mod disk;
mod killed;
mod merged;
mod mixed;
mod nothing;
mod older;
mod readers;
mod resume;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Run, assert_each_once, in_namespace_with, repository, run, v6kit};

/// Every form that records can be stored in.
const FORMATS: [&str; 3] = ["ndjson", "warc", "parquet"];

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A namespace with `v6kit echo` on [::1], whose URL is `$url`; `$job` is the job
/// directory, `stored` says how many bytes lie in its segments, and `committed` how many records the ledger
/// has, which happens a moment later.
#[track_caller]
fn with_server(scratch: &Path, script: &str) -> Run {
    in_namespace_with(
        scratch,
        &format!(
            r#"
            export job="$T/job"
            coproc SERVER {{ exec "$V6KIT" echo --json --listen '[::1]:0'; }}
            read -r started <&"${{SERVER[0]}}"
            export url=http://[::1]:$(sed -E 's/.*"listening":\["[^"]*:([0-9]+)".*/\1/' <<<"$started")
            stored() {{
                {{ find "$job" -name '*.ndjson.zst' -o -name '*.warc.gz' -o -name '*.parquet' || true; }} 2>/dev/null |
                    {{ xargs -r stat -c %s 2>/dev/null || true; }} | awk '{{ sum += $1 }} END {{ print sum + 0 }}'
            }}
            committed() {{
                local count
                count=$("$V6KIT" crawl status "$job" --json 2>/dev/null | jq '.done // 0') || true
                echo "${{count:-0}}"
            }}
            {script}
            "#
        ),
    )
}

/// The newest records of a job.
#[track_caller]
fn cat(directory: &Path, options: &[&str]) -> Vec<Value> {
    let directory = directory.to_str().unwrap();
    let run = v6kit(&[&["crawl", "cat", directory], options].concat()).expect(0);
    lines(&run)
}

#[track_caller]
fn lines(run: &Run) -> Vec<Value> {
    run.stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Everything that other programs find in the segments of a job, superseded records included.
#[track_caller]
fn found_by_others(format: &str, directory: &Path) -> Vec<Value> {
    lines(&python(&["records", format], directory))
}

/// Runs tests/store/readers.py with the Python that has the readers.
#[track_caller]
fn python(arguments: &[&str], directory: &Path) -> Run {
    let script = repository().join("tests/store/readers.py");
    run(Command::new(reader("python"))
        .arg(script)
        .args(arguments)
        .arg(directory))
    .expect(0)
}

/// A program of the Python environment that tests/install makes.
#[track_caller]
fn reader(name: &str) -> PathBuf {
    let path = repository().join("target/python/bin").join(name);
    assert!(
        path.exists(),
        "{} is missing: tests/install makes it",
        path.display()
    );
    path
}

fn status(directory: &Path) -> Value {
    v6kit(&["crawl", "status", "--json", directory.to_str().unwrap()])
        .expect(0)
        .json()
}

/// What `crawl check` says, with its exit code.
#[track_caller]
fn check(directory: &Path, options: &[&str], code: i32) -> Value {
    let directory = directory.to_str().unwrap();
    v6kit(&[&["crawl", "check", "--json", directory], options].concat())
        .expect(code)
        .json()
}
