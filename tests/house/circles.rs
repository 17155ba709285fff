//! Nothing in a crate uses each other in a circle: neither its rooms nor its files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::CRATES;
use super::imports::imports_of;
use crate::harness::repository;

/// Who uses whom.
type Arrows = BTreeMap<String, BTreeSet<String>>;

#[test]
fn no_rooms_of_a_crate_use_each_other_in_a_circle() {
    for name in CRATES.iter().copied().flatten() {
        let circle = circle(rooms(&repository().join("crates").join(name).join("src")));
        assert_eq!(circle, None, "crates/{name}");
    }
    let house = House::new();
    house.write("lib.rs", "mod attic; mod cellar; mod shed; pub use attic::Trunk;");
    house.write("cellar.rs", "use crate::shed::Rake;");
    house.write(
        "shed.rs",
        "#[cfg(test)] mod tests { use crate::cellar; }\nfn f(_: crate::Trunk) {}",
    );
    house.write("attic.rs", "");
    assert_eq!(circle(rooms(house.path())), None);
    house.write("attic.rs", "use super::cellar;");
    let found = circle(rooms(house.path())).unwrap();
    for room in ["attic", "cellar", "shed"] {
        assert!(found.contains(room), "{found}");
    }
}

#[test]
fn the_rooms_of_a_program_are_looked_at_as_those_of_a_library() {
    let house = House::new();
    house.write("main.rs", "mod args; mod commands;\nuse crate::args::Args;");
    house.write("args.rs", "use crate::commands::Setup;");
    house.write("commands/mod.rs", "mod setup; pub use setup::Setup;");
    house.write("commands/setup.rs", "");
    assert_eq!(circle(rooms(house.path())), None);
    house.write("commands/setup.rs", "fn f() { crate::args::parse(); }");
    let found = circle(rooms(house.path())).unwrap();
    assert!(found.contains("args -> commands"), "{found}");
}

#[test]
fn no_files_of_a_crate_use_each_other_in_a_circle() {
    let mut circles = Vec::new();
    for name in CRATES.iter().copied().flatten() {
        let found = circle(files(&repository().join("crates").join(name).join("src")));
        circles.extend(found.map(|found| format!("crates/{name}: {found}")));
    }
    assert!(
        circles.is_empty(),
        "move what both need into a file below them\n{}",
        circles.join("\n")
    );
}

#[test]
fn a_circle_of_files_is_found_in_every_form_and_a_look_at_the_own_parent_is_none() {
    let fine = [
        ("lib.rs", "mod attic; mod cellar; pub use attic::Trunk;"),
        (
            "attic.rs",
            "mod beam; mod rafter;\nuse beam::Beam;\nfn f() { rafter::f(); }",
        ),
        ("attic/beam.rs", "use super::Roof;\nuse crate::cellar::Wall;"),
        ("attic/rafter.rs", "use super::beam::Beam;"),
        ("cellar.rs", ""),
    ];
    for (file, fault, found) in [
        (
            "attic/beam.rs",
            "use super::rafter::Rafter;",
            "attic::beam -> attic::rafter",
        ),
        (
            "attic/beam.rs",
            "fn f() { crate::attic::rafter::f(); }",
            "attic::beam -> attic::rafter",
        ),
        (
            "attic/beam.rs",
            "fn f() { println!(\"{}\", super::rafter::LENGTH); }",
            "attic::beam -> attic::rafter",
        ),
        // By way of the parent, which uses its children.
        ("cellar.rs", "use crate::Trunk;", "cellar -> attic"),
        ("cellar.rs", "use crate::attic::Roof;", "cellar -> attic"),
    ] {
        let house = House::new();
        for (file, text) in fine {
            house.write(file, text);
        }
        assert_eq!(circle(files(house.path())), None);
        let before = fine.iter().find(|(name, _)| *name == file).unwrap().1;
        house.write(file, &format!("{before}\n{fault}"));
        let circle = circle(files(house.path())).unwrap_or_else(|| panic!("{fault} is not found"));
        let round = format!("{circle} -> {}", circle.split(" -> ").nth(1).unwrap());
        assert!(round.contains(found), "{fault}: {round}");
    }
}

/// A crate's sources.
struct House(tempfile::TempDir);

impl House {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Which room of a crate uses which.
fn rooms(sources: &Path) -> Arrows {
    let mut arrows = Arrows::new();
    for (_, module, paths) in imports_of(sources) {
        let Some(room) = module.first() else { continue };
        let used = paths.iter().filter_map(|path| path.first());
        let others = used.filter(|other| *other != room).cloned();
        arrows.entry(room.clone()).or_default().extend(others);
    }
    arrows
}

/// Which file of a crate uses which. A file belongs to those that it is a part of, and may use them.
fn files(sources: &Path) -> Arrows {
    let imported = imports_of(sources);
    let modules: BTreeSet<&[String]> = imported.iter().map(|(_, module, _)| module.as_slice()).collect();
    let mut arrows = Arrows::new();
    for (_, module, paths) in &imported {
        let used = paths.iter().filter_map(|path| file_of(path, &modules));
        let others = used.filter(|other| !module.starts_with(other));
        arrows
            .entry(module.join("::"))
            .or_default()
            .extend(others.map(|other| other.join("::")));
    }
    arrows
}

/// The module among `modules` that holds what `path` names.
fn file_of<'a>(path: &'a [String], modules: &BTreeSet<&[String]>) -> Option<&'a [String]> {
    let lengths = (0..=path.len()).rev();
    lengths
        .map(|end| &path[..end])
        .find(|path| modules.contains(path))
}

/// A circle of arrows, if there is one: `a -> b -> a`.
fn circle(mut arrows: Arrows) -> Option<String> {
    // What uses nothing that is left can be in no circle.
    while let Some(name) = arrows
        .iter()
        .find(|(_, used)| !used.iter().any(|name| arrows.contains_key(name)))
        .map(|(name, _)| name.clone())
    {
        arrows.remove(&name);
    }
    let mut way = vec![arrows.keys().next()?.clone()];
    loop {
        let used = &arrows[way.last()?];
        let next = used.iter().find(|name| arrows.contains_key(*name))?.clone();
        let seen = way.iter().position(|name| *name == next);
        way.push(next);
        if let Some(first) = seen {
            return Some(way[first..].join(" -> "));
        }
    }
}
