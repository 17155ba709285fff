//! How long a file of Rust may be.

use std::path::PathBuf;

use super::rust_files;
use crate::harness::repository;

/// A file of more lines than that does several things: it is to be redesigned, not cut in two.
const MOST_LINES: usize = 500;

/// Where the sources of this repository lie.
const SOURCES: [&str; 2] = ["crates", "tests"];

#[test]
fn no_file_is_longer_than_500_lines() {
    let top = repository();
    let found = too_long(&SOURCES.map(|directory| top.join(directory)));
    assert!(found.is_empty(), "{}", found.join("\n"));
    let house = tempfile::tempdir().unwrap();
    std::fs::create_dir(house.path().join("attic")).unwrap();
    let write = |name: &str, lines: usize| {
        std::fs::write(house.path().join(name), "//\n".repeat(lines)).unwrap();
    };
    write("attic/full.rs", MOST_LINES);
    assert_eq!(too_long(&[house.path().to_owned()]), Vec::<String>::new());
    write("attic/crammed.rs", MOST_LINES + 1);
    let found = too_long(&[house.path().to_owned()]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("attic/crammed.rs has 501 lines"), "{found:?}");
}

/// The files below `directories` that have too many lines, each as a sentence.
fn too_long(directories: &[PathBuf]) -> Vec<String> {
    let files = directories.iter().flat_map(|directory| rust_files(directory));
    files
        .filter_map(|file| {
            let lines = std::fs::read_to_string(&file).unwrap().lines().count();
            (lines > MOST_LINES).then(|| {
                format!(
                    "{} has {lines} lines, and {MOST_LINES} are the most: make several of it, each about one thing",
                    file.display()
                )
            })
        })
        .collect()
}
