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
const PRELUDE: &str = r#"
    # Starts a site that logs to $T/NAME.log; $url is where it is.
    site() { # name, mode...
        local name=$1 port
        shift
        exec {out}< <(exec python3 "$TESTS/site/server.py" "$T/$name.log" "$@")
        read -r port <&"$out"
        url=http://[::1]:$port
    }
    # Crawls into $T/NAME without robots.txt; its exit code is in $exit.
    crawl() { # name, argument...
        local name=$1
        shift
        exit=0
        "$V6KIT" crawl "$@" -o "$T/$name" --robots ignore --json >"$T/$name.json" 2>"$T/$name.err" || exit=$?
    }
    # nginx on [::1]:8080 and further ports, with this inside its http block; its log has a line a request.
    start_nginx() { # configuration
        local as=
        mkdir -p "$T/nginx"
        [ "$(id -u)" != 0 ] || as="user root;"
        cat >"$T/nginx.conf" <<CONF
$as
worker_processes 1;
pid $T/nginx.pid;
error_log $T/nginx.err;
events { worker_connections 4096; }
http {
    access_log off;
    log_format plain '\$msec \$status \$uri';
    keepalive_requests 10000000;
    server_names_hash_max_size 8192;
    client_body_temp_path $T/nginx/1; proxy_temp_path $T/nginx/2; fastcgi_temp_path $T/nginx/3;
    uwsgi_temp_path $T/nginx/4; scgi_temp_path $T/nginx/5;
    $1
}
CONF
        nginx -c "$T/nginx.conf" 2>"$T/nginx.out" || { cat "$T/nginx.out" >&2; return 1; }
        trap 'kill "$(cat "$T/nginx.pid")"' EXIT
    }
"#;

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[track_caller]
fn on_loopback(scratch: &Path, script: &str) -> Run {
    let tests = repository().join("tests");
    let python = python();
    in_namespace_with(
        scratch,
        &format!(
            "TESTS='{}' PYTHON='{}'\n{PRELUDE}\n{script}",
            tests.display(),
            python.display()
        ),
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
