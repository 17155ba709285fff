//! Sources that are built by their path, outside of the crate that they belong to.

use std::path::{Path, PathBuf};

use super::rust_files;
use crate::harness::repository;

/// The files that `#[path]` names in a source, in the order of the text.
fn named_in(text: &str) -> Vec<String> {
    let attribute = regex::Regex::new(r#"#\[(?:cfg_attr\([^\]]*,\s*)?path\s*=\s*"([^"]+)""#).unwrap();
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    attribute
        .captures_iter(&code)
        .map(|found| found[1].to_owned())
        .collect()
}

/// The `#[path]`s below some directories that lead nowhere, each as a sentence, and how many lead somewhere.
fn lost(directories: &[PathBuf]) -> (Vec<String>, usize) {
    let (mut lost, mut found) = (Vec::new(), 0);
    for file in directories.iter().flat_map(|directory| rust_files(directory)) {
        for name in named_in(&std::fs::read_to_string(&file).unwrap()) {
            if file.parent().unwrap_or(Path::new("")).join(&name).is_file() {
                found += 1;
            } else {
                lost.push(format!("{} builds {name}, which is not there", file.display()));
            }
        }
    }
    (lost, found)
}

#[test]
fn what_is_built_by_its_path_is_there() {
    // The packages of the fuzz targets are no part of the workspace: whoever moves a file is told here.
    let (missing, found) = lost(&[repository().join("crates"), repository().join("tests")]);
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(found >= 5, "only {found} paths were found");
    let house = tempfile::tempdir().unwrap();
    std::fs::create_dir(house.path().join("fuzz")).unwrap();
    std::fs::write(house.path().join("cellar.rs"), "").unwrap();
    let moved = "#[cfg_attr(unix, path = \"../attic.rs\")]\nmod attic;";
    for (text, wrong) in [
        ("#[path = \"../cellar.rs\"]\nmod cellar;", 0),
        ("#[path=\"../attic.rs\"]\nmod attic;", 1),
        (moved, 1),
        ("// #[path = \"../attic.rs\"]", 0),
    ] {
        std::fs::write(house.path().join("fuzz/target.rs"), text).unwrap();
        let (missing, _) = lost(&[house.path().to_owned()]);
        assert_eq!(missing.len(), wrong, "{text}: {missing:?}");
    }
}
