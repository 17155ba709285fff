//! The crawl and the site: where it sends from, what it may ask and how often, and what is told of it.

mod addresses;
mod flow;
mod mixed;
mod outages;
mod robots;
mod terms;
mod work;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Run, in_namespace_with, repository, run};

/// Shell functions for the scripts: sites, and crawls whose summary is `$T/NAME.json`.
const PRELUDE: &str = include_str!("prelude.sh");

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[track_caller]
fn on_loopback(scratch: &Path, script: &str) -> Run {
    let python = python();
    in_namespace_with(
        scratch,
        &format!("PYTHON='{}'\n{PRELUDE}\n{script}", python.display()),
    )
}

/// The Python that has what tests/install gave it.
#[track_caller]
fn python() -> PathBuf {
    let path = repository().join("target/python/bin/python");
    assert!(path.exists(), "{} is missing: run tests/install", path.display());
    path
}

/// The summary of a crawl.
#[track_caller]
fn summary(scratch: &Path, name: &str) -> Value {
    let said = || std::fs::read_to_string(scratch.join(format!("{name}.err"))).unwrap_or_default();
    let text = std::fs::read_to_string(scratch.join(format!("{name}.json"))).expect("a summary");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{}", said()))
}

/// The records of a crawl, in the order of their positions.
#[track_caller]
fn records(scratch: &Path, name: &str) -> Vec<Value> {
    let output = run(std::process::Command::new("bash")
        .args(["-c", "zstdcat --quiet \"$0\"/*.ndjson.zst"])
        .arg(scratch.join(name)))
    .expect(0);
    let mut records: Vec<Value> = json_lines(&output.stdout);
    records.sort_by_key(|record| record["pos"].as_u64());
    records
}

#[track_caller]
fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// What a site was asked: seconds, and the status of the answer.
#[track_caller]
fn asked(scratch: &Path, name: &str) -> Vec<(f64, u64)> {
    let text = std::fs::read_to_string(scratch.join(format!("{name}.log"))).expect("a log");
    let mut asked: Vec<(f64, u64)> = json_lines(&text)
        .iter()
        .map(|line| {
            let (at, status) = (line["at"].as_f64(), line["status"].as_u64());
            (at.expect("a time"), status.expect("a status"))
        })
        .collect();
    asked.sort_by(|a, b| a.0.total_cmp(&b.0));
    asked
}
