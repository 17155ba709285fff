//! HTTP as a user meets it: names, certificates, logins, redirects, cookies, proxies, HTTP/2, all against
//! real servers.

#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, and not what they share"
)]

mod access;
mod beside_curl;
mod certificates;
mod cookies;
mod names;
mod proxies;
mod redirects;
mod remote;
mod timing;
mod versions;

use std::process::Command;

use serde_json::Value;

use crate::harness::{Run, in_namespace_with, run};

/// A namespace in which `script` has the functions of `http.bash`, and what it left behind.
struct Scene {
    scratch: tempfile::TempDir,
    run: Run,
}

impl Scene {
    #[track_caller]
    fn play(script: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let run = in_namespace_with(
            scratch.path(),
            &format!("{}\n{script}", include_str!("http.bash")),
        );
        Self {
            scratch,
            run: run.expect(0),
        }
    }

    /// The records of a job, in the order of the items.
    #[track_caller]
    fn records(&self, job: &str) -> Vec<Value> {
        let mut command = Command::new("bash");
        command
            .args(["-c", "zstdcat --quiet \"$0\"/*.ndjson.zst"])
            .arg(self.scratch.path().join(job));
        let output = run(&mut command).expect(0).stdout;
        let mut records: Vec<Value> = output
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect();
        records.sort_by_key(|record| record["pos"].as_u64());
        records
    }

    /// The text of each body; empty where there is none.
    #[track_caller]
    fn bodies(&self, job: &str) -> Vec<String> {
        let records = self.records(job);
        let bodies = records.iter().map(|record| match &record["body"] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            json => json.to_string(),
        });
        bodies.collect()
    }

    /// The kind of error of each record; empty where there is none.
    #[track_caller]
    fn kinds(&self, job: &str) -> Vec<String> {
        let records = self.records(job);
        let kinds = records
            .iter()
            .map(|record| record["error"]["kind"].as_str().unwrap_or_default().to_owned());
        kinds.collect()
    }

    /// A file that the script wrote.
    #[track_caller]
    fn file(&self, name: &str) -> String {
        let path = self.scratch.path().join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}
