//! Waiting is for an event, not a time: nothing of the tests sleeps but in the places named here.

use std::path::Path;

use regex::Regex;

use super::files_below;
use crate::harness::repository;

/// What polls for an event, and what lets time pass where the time itself is tested, under names that say so.
const MAY_SLEEP: [&str; 4] = [
    "tests/harness/mod.rs",
    "tests/harness/wait.bash",
    "tests/harness/wait.py",
    "crates/crawl/tests/servers/stall.rs",
];

#[test]
fn nothing_of_the_tests_sleeps_but_in_the_named_places() {
    let top = repository();
    let found = sleeps(&top);
    assert!(found.is_empty(), "{}", found.join("\n"));
    for place in MAY_SLEEP {
        let text = std::fs::read_to_string(top.join(place)).unwrap();
        assert!(
            text.contains("sleep"),
            "{place} does not sleep: it need not be named"
        );
    }
}

#[test]
fn a_sleep_is_found_in_every_language_and_in_the_tests_of_sources() {
    // Split, or this file would be found itself.
    let sleep = "sle".to_owned() + "ep";
    for (file, text) in [
        ("tests/a.rs", format!("std::thread::{sleep}(TIME);")),
        ("tests/b.rs", format!("tokio::time::{sleep}_until (then).await")),
        ("tests/c.rs", format!("r#\"until done; do {sleep} 0.1; done\"#")),
        ("tests/d/run", format!("  {sleep} \"$seconds\"")),
        (".ci/run", format!("#!/bin/sh\n{sleep} 5")),
        ("tests/e.py", format!("    await asyncio.{sleep}(1)")),
        ("crates/one/tests/f.rs", format!("{sleep}(TIME)")),
        (
            "crates/one/src/g.rs",
            format!("#[cfg(test)]\nmod tests {{ fn f() {{ {sleep}(TIME) }} }}"),
        ),
        ("crates/one/src/h/tests.rs", format!("{sleep}(TIME)")),
    ] {
        let house = planted(file, &text);
        let found = sleeps(house.path());
        assert_eq!(found.len(), 1, "{file}: {found:?}");
        assert!(found[0].contains(file), "{found:?}");
    }
    for (file, text) in [
        // A program that goes on until it is ended.
        ("tests/a.rs", format!("exec {sleep} infinity")),
        // Another task's turn.
        ("tests/b.py", format!("await asyncio.{sleep}(0)")),
        // What is no test may.
        (
            "crates/one/src/c.rs",
            format!("tokio::time::{sleep}(PAUSE).await"),
        ),
    ] {
        let house = planted(file, &text);
        assert_eq!(sleeps(house.path()), Vec::<String>::new(), "{file}");
    }
}

/// A house with one file.
fn planted(file: &str, text: &str) -> tempfile::TempDir {
    let house = tempfile::tempdir().unwrap();
    for directory in ["tests", "crates"] {
        std::fs::create_dir(house.path().join(directory)).unwrap();
    }
    let path = house.path().join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    house
}

/// The lines of tests that sleep, each as a sentence.
fn sleeps(top: &Path) -> Vec<String> {
    // A call in Rust or Python, or a command of a shell with its time.
    let sleep = Regex::new(r#"\bsleep(_until|_ms)?\s*\(|\bpark_timeout\s*\(|\bsleep\s+["'$0-9.{]"#).unwrap();
    let mut found = Vec::new();
    let directories = [".ci", "crates", "examples", "tests"].map(|directory| top.join(directory));
    let there = directories.iter().filter(|directory| directory.is_dir());
    for file in there.flat_map(|directory| files_below(directory)) {
        let name = file.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
        let Some(from) = first_line_of_tests(&name, &file).filter(|_| !MAY_SLEEP.contains(&name.as_str()))
        else {
            continue;
        };
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        for (number, line) in text.lines().enumerate().skip(from) {
            if sleep.is_match(&line.replace("sleep(0)", "")) {
                found.push(format!(
                    "{name}, line {}: wait for an event with `eventually`; where the time itself is tested, that is \
                     `pause` or `stall` of tests/harness: {}",
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    found
}

/// From which line on a file is a test; `None` where it is none.
fn first_line_of_tests(name: &str, file: &Path) -> Option<usize> {
    let (_, below) = name.split_once('/')?;
    let parts: Vec<&str> = name.split('/').collect();
    if name.starts_with(".ci/") {
        return Some(0);
    }
    if name.starts_with("tests/") {
        return (!below.ends_with(".md")).then_some(0);
    }
    match parts[2..] {
        ["tests", ..] => Some(0),
        ["src", .., last] if last.ends_with(".rs") => {
            if last == "tests.rs" {
                return Some(0);
            }
            let text = std::fs::read_to_string(file).ok()?;
            text.lines().position(|line| line.trim() == "#[cfg(test)]")
        }
        _ => None,
    }
}
