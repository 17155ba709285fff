//! The order of the house: which crate may use which, and within a crate which room may use which.
//!
//! Every import of every crate is read: `use` in all its forms, paths in the code, what stands in macros, and names
//! that `lib.rs` re-exports, which count as imports of the room that they come from. Tests within the sources are
//! free to look up.

#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, and not what they share"
)]

mod circles;
mod imports;
mod lengths;
mod paths;
mod programs;
mod waits;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use self::imports::imports_of;
use crate::harness::{repository, run};

/// The crates, floor by floor: each may use those on floors below its own.
const CRATES: &[&[&str]] = &[
    &["base"],
    &["http1", "net"],
    &["echo", "metrics", "model"],
    &["store"],
    &["crawl", "exec", "host", "ndp", "proxy", "router", "verify"],
    &["lab"],
    &["v6kit"],
];

/// The rooms of crates, floor by floor. A room is a module that `lib.rs` declares; those that are not named lie on the
/// lowest floor and may use each other. `lib.rs` may use all.
const ROOMS: &[(&str, &[&[&str]])] = &[
    ("model", &[&["input"]]),
    ("store", &[&["inspect", "bench"]]),
    ("crawl", &[&["connect", "judge", "stats"], &["site"], &["engine"]]),
    (
        "proxy",
        &[
            &["auth", "egress", "relay", "report"],
            &["settings"],
            &["session"],
            &["http", "socks"],
            &["serve"],
            &["server"],
        ],
    ),
    (
        "host",
        &[
            &[
                "boot",
                "delivered",
                "delivery",
                "device",
                "limits",
                "namespace",
                "nft",
                "reserved",
                "summary",
                "sysctl",
            ],
            &["logins", "resource", "trial"],
            &["event", "system"],
            &["error", "state"],
            &["addresses", "facts", "journal", "offer", "uplink"],
            &["change", "exposure", "leftover", "plan", "reading"],
            &["report"],
            &["passing", "undo"],
            &["setup", "status", "teardown"],
            &["doctor"],
        ],
    ),
];

#[test]
fn crates_and_rooms_use_only_what_lies_below_them() {
    let crates = repository().join("crates");
    let mut upward = Vec::new();
    for &name in CRATES.iter().copied().flatten() {
        upward.extend(crates_above(&crates, name));
    }
    for (name, floors) in ROOMS {
        upward.extend(rooms_above(&crates.join(name).join("src"), floors));
    }
    assert!(upward.is_empty(), "{}", upward.join("\n"));
    let known: BTreeSet<&str> = CRATES.iter().copied().flatten().copied().collect();
    for entry in std::fs::read_dir(&crates).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            known.contains(name.as_str()),
            "on which floor does crates/{name} lie?"
        );
    }
}

#[test]
fn what_reads_and_writes_records_has_no_network_stack_below_it() {
    let below = |name: &str| {
        let tree = [
            "tree",
            "--locked",
            "--offline",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--package",
        ];
        run(Command::new(env!("CARGO"))
            .current_dir(repository())
            .args(tree)
            .arg(name))
        .expect(0)
        .stdout
    };
    let network = |tree: &str| {
        let names = tree.lines().filter_map(|line| line.split(' ').next());
        let found: BTreeSet<String> = names
            .filter(|name| ["tokio", "mio", "socket2", "hyper", "rustls"].contains(name))
            .map(str::to_owned)
            .collect();
        found
    };
    assert_eq!(network(&below("v6kit-store")), BTreeSet::new());
    assert!(
        network(&below("v6kit-crawl")).contains("tokio"),
        "the question is the right one"
    );
}

#[test]
fn tls_has_one_provider_of_cryptography() {
    let features = ["--all-features", "--package", "v6kit"];
    let tree = [
        "tree",
        "--locked",
        "--offline",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
    ];
    let tree = run(Command::new(env!("CARGO"))
        .current_dir(repository())
        .args(tree)
        .args(features))
    .expect(0)
    .stdout;
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    for other in [
        "aws-lc-rs",
        "aws-lc-sys",
        "openssl-sys",
        "native-tls",
        "rustls-openssl",
    ] {
        assert!(!names.contains(other), "{other}");
    }
    for asked in ["ring", "rustls", "reqwest"] {
        assert!(names.contains(asked), "{asked}: the question is the right one");
    }
}

#[test]
fn an_arrow_that_runs_upward_is_found_in_every_form() {
    let floors: &[&[&str]] = &[&["cellar", "shed"], &["attic"]];
    let lib = "mod cellar; mod shed; mod attic; pub use attic::{Trunk, old::Lamp as Light};";
    for (fault, found) in [
        ("use crate::attic::Trunk;", "crate::attic"),
        ("use crate::{cellar, attic::{old, Trunk}};", "crate::attic"),
        ("use super::attic::Trunk as Box;", "crate::attic"),
        ("use crate::Light;", "crate::attic"),
        ("fn f() { let _ = crate::attic::trunk(); }", "crate::attic"),
        ("fn f(_: &crate::Trunk) {}", "crate::attic"),
        (
            "fn f() { println!(\"{}\", crate::attic::LENGTH); }",
            "crate::attic",
        ),
        (
            "mod inner { fn f() { super::super::attic::trunk(); } }",
            "crate::attic",
        ),
        ("use crate::shed::Rake;", "crate::shed"),
    ] {
        let house = tempfile::tempdir().unwrap();
        std::fs::write(house.path().join("lib.rs"), lib).unwrap();
        std::fs::write(house.path().join("cellar.rs"), fault).unwrap();
        std::fs::write(house.path().join("attic.rs"), "use crate::{cellar, shed};").unwrap();
        let upward = rooms_above(house.path(), floors);
        assert_eq!(upward.len(), 1, "{fault}: {upward:?}");
        assert!(upward[0].contains(found), "{fault}: {upward:?}");
        assert!(upward[0].contains("cellar.rs"), "{fault}: {upward:?}");
    }
    for fine in [
        "use std::attic::Trunk;",
        "#[cfg(test)] mod tests { use crate::attic::Trunk; }",
        "/// [`Trunk`](crate::attic::Trunk)\nfn f() {}",
    ] {
        let house = tempfile::tempdir().unwrap();
        std::fs::write(house.path().join("lib.rs"), lib).unwrap();
        std::fs::write(house.path().join("cellar.rs"), fine).unwrap();
        assert_eq!(rooms_above(house.path(), floors), Vec::<String>::new(), "{fine}");
    }
}

/// The dependencies of a crate that do not lie below it, each as a sentence.
fn crates_above(crates: &Path, name: &str) -> Vec<String> {
    let manifest = crates.join(name).join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let manifest: toml_edit::DocumentMut = text.parse().unwrap();
    let floor = |name: &str| CRATES.iter().position(|floor| floor.contains(&name));
    let Some(dependencies) = manifest["dependencies"].as_table() else {
        return Vec::new();
    };
    dependencies
        .iter()
        .filter_map(|(dependency, _)| dependency.strip_prefix("v6kit-"))
        .filter(|dependency| floor(dependency) >= floor(name))
        .map(|dependency| {
            format!(
                "crates/{name} depends on crates/{dependency}, which does not lie below it: move what it takes from there down"
            )
        })
        .collect()
}

/// The imports of a crate's sources that do not run downward, each as a sentence.
fn rooms_above(sources: &Path, floors: &[&[&str]]) -> Vec<String> {
    let floor = |room: &str| {
        floors
            .iter()
            .position(|floor| floor.contains(&room))
            .map_or(0, |at| at + 1)
    };
    let mut upward = Vec::new();
    for (file, module, paths) in imports_of(sources) {
        let Some(room) = module.first() else { continue };
        let names: BTreeSet<&String> = paths.iter().filter_map(|path| path.first()).collect();
        for name in names {
            let (from, to) = (floor(room), floor(name));
            if name != room && to > 0 && to >= from {
                upward.push(format!(
                    "{} imports from crate::{name}, which does not lie below {room}: move what it takes from there down, or itself up",
                    file.display()
                ));
            }
        }
    }
    upward
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = files_below(directory);
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files
}

/// Every file below a directory, in order; what is built there is left out.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            files.push(path);
        } else if path.file_name().is_some_and(|name| name != "target") {
            files.extend(files_below(&path));
        }
    }
    files.sort();
    files
}
