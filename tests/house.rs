//! The order of the house: which crate may use which, and within a crate which room may use which.
//!
//! Every import of every crate is read: `use` in all its forms, paths in the code, what stands in macros, and names
//! that `lib.rs` re-exports, which count as imports of the room that they come from. Tests within the sources are
//! free to look up.

#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, and not what they share"
)]

mod lengths;
mod programs;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use quote::ToTokens;
use syn::visit::Visit;
use syn::{Attribute, Item, UseTree};

use crate::harness::{repository, run};

/// The crates, floor by floor: each may use those on floors below its own.
const CRATES: &[&[&str]] = &[
    &["base"],
    &["http1", "net"],
    &["echo", "metrics", "model"],
    &["store"],
    &["crawl", "host", "ndp", "proxy", "router", "verify"],
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
            &["change", "exposure", "plan", "reading"],
            &["undo"],
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
fn no_rooms_of_a_crate_use_each_other_in_a_circle() {
    // The binary has no `lib.rs`: its flags and the commands that they belong to know each other.
    let libraries = CRATES.iter().copied().flatten().filter(|name| **name != "v6kit");
    for name in libraries {
        let circle = circle_of(&repository().join("crates").join(name).join("src"));
        assert_eq!(circle, None, "crates/{name}");
    }
    let house = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(house.path().join(name), text).unwrap();
    write("lib.rs", "mod attic; mod cellar; mod shed; pub use attic::Trunk;");
    write("cellar.rs", "use crate::shed::Rake;");
    write(
        "shed.rs",
        "#[cfg(test)] mod tests { use crate::cellar; }\nfn f(_: crate::Trunk) {}",
    );
    write("attic.rs", "");
    assert_eq!(circle_of(house.path()), None);
    write("attic.rs", "use super::cellar;");
    let circle = circle_of(house.path()).unwrap();
    for room in ["attic", "cellar", "shed"] {
        assert!(circle.contains(room), "{circle}");
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
    for (file, room, names) in imports_of(sources) {
        for name in names {
            let (from, to) = (floor(&room), floor(&name));
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

/// Each file of a crate with its room and the rooms that it imports from.
fn imports_of(sources: &Path) -> Vec<(PathBuf, String, BTreeSet<String>)> {
    let exports = reexports(&sources.join("lib.rs"));
    rust_files(sources)
        .into_iter()
        .filter_map(|file| {
            let module = module_of(sources, &file);
            let room = module.first()?.clone();
            if module.iter().any(|part| part == "tests") {
                return None;
            }
            let mut imports = Imports::new(module);
            imports.visit_file(&syn::parse_file(&std::fs::read_to_string(&file).unwrap()).unwrap());
            let found = imports
                .found
                .iter()
                .map(|name| exports.get(name).unwrap_or(name).clone())
                .collect();
            Some((file, room, found))
        })
        .collect()
}

/// Rooms that use each other in a circle, if there are any: `a -> b -> a`.
fn circle_of(sources: &Path) -> Option<String> {
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, room, found) in imports_of(sources) {
        let others = found.into_iter().filter(|name| *name != room);
        arrows.entry(room.clone()).or_default().extend(others);
    }
    // What uses nothing that is left can be in no circle.
    while let Some(room) = arrows
        .iter()
        .find(|(_, used)| !used.iter().any(|room| arrows.contains_key(room)))
        .map(|(room, _)| room.clone())
    {
        arrows.remove(&room);
    }
    let mut way = vec![arrows.keys().next()?.clone()];
    loop {
        let used = &arrows[way.last()?];
        let next = used.iter().find(|room| arrows.contains_key(*room))?.clone();
        let seen = way.iter().position(|room| *room == next);
        way.push(next);
        if let Some(first) = seen {
            return Some(way[first..].join(" -> "));
        }
    }
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

/// `["site", "pace"]` for `site/pace.rs`; nothing for `lib.rs`.
fn module_of(sources: &Path, file: &Path) -> Vec<String> {
    let path = file.strip_prefix(sources).unwrap().with_extension("");
    let mut module: Vec<String> = path
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

/// The names that `lib.rs` re-exports, and the rooms that they come from.
fn reexports(lib: &Path) -> BTreeMap<String, String> {
    let file = syn::parse_file(&std::fs::read_to_string(lib).unwrap()).unwrap();
    let mut exports = BTreeMap::new();
    for item in file.items {
        if let Item::Use(item) = item {
            leaves(&item.tree, &mut Vec::new(), &mut |path, name| {
                let room = path.iter().find(|part| *part != "crate" && *part != "self");
                if let Some(room) = room {
                    exports.insert(name.to_owned(), room.clone());
                }
            });
        }
    }
    exports
}

/// Gives each name that a `use` brings, with the whole path that it comes from.
fn leaves(tree: &UseTree, before: &mut Vec<String>, take: &mut dyn FnMut(&[String], &str)) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            leaves(&path.tree, before, take);
            before.pop();
        }
        UseTree::Name(name) => leaf(before, &name.ident.to_string(), None, take),
        UseTree::Rename(rename) => {
            leaf(
                before,
                &rename.ident.to_string(),
                Some(&rename.rename.to_string()),
                take,
            );
        }
        UseTree::Glob(_) => take(before, "*"),
        UseTree::Group(group) => {
            for tree in &group.items {
                leaves(tree, before, take);
            }
        }
    }
}

fn leaf(before: &mut Vec<String>, name: &str, renamed: Option<&str>, take: &mut dyn FnMut(&[String], &str)) {
    before.push(name.to_owned());
    take(before, renamed.unwrap_or(name));
    before.pop();
}

/// The first names behind `crate` of all paths in a file.
struct Imports {
    /// The module that is read: its path from the root of the crate.
    module: Vec<String>,
    found: BTreeSet<String>,
}

impl Imports {
    fn new(module: Vec<String>) -> Self {
        Self {
            module,
            found: BTreeSet::new(),
        }
    }

    fn add(&mut self, path: &[String]) {
        let mut base = self.module.clone();
        let mut rest = path;
        match path.first().map(String::as_str) {
            Some("crate") => {
                base.clear();
                rest = &path[1..];
            }
            Some("self" | "super") => {
                while let Some(first) = rest.first() {
                    match first.as_str() {
                        "self" => {}
                        "super" => drop(base.pop()),
                        _ => break,
                    }
                    rest = &rest[1..];
                }
            }
            // A crate, or what an import has brought.
            _ => return,
        }
        if let Some(name) = base.first().or(rest.first()) {
            self.found.insert(name.clone());
        }
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.to_token_stream().to_string().contains("test")
    })
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if is_for_tests(&module.attrs) {
            return;
        }
        self.module.push(module.ident.to_string());
        syn::visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut paths = Vec::new();
        leaves(&item.tree, &mut Vec::new(), &mut |path, _| {
            paths.push(path.to_vec());
        });
        paths.iter().for_each(|path| self.add(path));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        self.add(&names);
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        // What a macro makes of its words is unknown; a path in them is one all the same.
        let text = call.tokens.to_string().replace(' ', "");
        for part in text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
            let names: Vec<String> = part.split("::").map(str::to_owned).collect();
            if names.len() > 1 {
                self.add(&names);
            }
        }
    }
}
