//! The demo.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::as_plain_user;
use crate::harness::{V6KIT, in_namespace, run, v6kit};

#[test]
fn the_demo_shows_what_it_claims() {
    let document = v6kit(&["lab", "demo", "--json"]).expect(0).json();
    assert_eq!(document["ok"], true);
    let steps = document["steps"].as_array().unwrap();
    let ids: Vec<_> = steps.iter().map(|step| step["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        ["one_address", "setup", "verify", "crawl", "router", "teardown"]
    );
    for step in steps {
        assert_eq!(step["outcome"], "shown", "{document:#}");
    }
    let number = |step: usize, name: &str| steps[step]["numbers"][name].as_i64().unwrap();
    assert_eq!(number(0, "ok"), 200);
    assert!(number(0, "blocked") > 0, "{document:#}");
    assert_eq!((number(2, "answered"), number(2, "distinct")), (64, 64));
    assert_eq!((number(3, "ok"), number(3, "blocked")), (100_000, 0));
    assert!(number(3, "addresses") >= 1000, "{document:#}");
    assert!(
        number(4, "connection_per_request") > 10 * number(4, "reuse"),
        "{document:#}"
    );
    assert!(number(4, "reuse") > number(4, "notrack"), "{document:#}");
    assert_eq!(steps[5]["numbers"]["different"], serde_json::json!([]));
}

#[test]
fn the_demo_works_for_a_plain_user() {
    let run = as_plain_user(&["lab", "demo"]).expect(0);
    for title in [
        "1 one address",
        "2 setup",
        "3 verify",
        "4 crawl",
        "5 router",
        "6 teardown",
    ] {
        assert!(
            run.stdout.lines().any(|line| line.starts_with(title)),
            "no {title}: {run}"
        );
    }
    assert!(run.stderr.is_empty(), "{run}");
}

#[test]
fn the_demo_says_what_it_skips_without_nft() {
    let run = in_namespace(
        r#"
        mount -t tmpfs none /usr/sbin
        "$V6KIT" lab demo --json
        "#,
    )
    .expect(0);
    let router = &run.json()["steps"][4];
    assert_eq!(router["outcome"], "skipped", "{run}");
    assert_eq!(router["hint"], "`sudo apt install nftables`");
}

#[test]
fn a_demo_that_does_not_show_its_claims_fails() {
    // No command of it may write a file of more than 2 KiB.
    let run = run(Command::new("prlimit").args(["--fsize=2048", V6KIT, "lab", "demo"])).expect(1);
    assert!(run.stdout.contains("failed: `v6kit crawl"), "{run}");
    assert!(run.stdout.contains("Not shown"), "{run}");
}

#[test]
fn an_interrupted_demo_exits_130() {
    let mut child = Command::new(V6KIT)
        .args(["lab", "demo", "--items", "100000000"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut screen = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(screen.any(|line| line.starts_with("3 verify")));
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    assert!(screen.any(|line| line.starts_with("Interrupted")));
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
