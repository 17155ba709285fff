//! Types and functions that ARCHITECTURE.md names are there. (Its paths are checked with the links.)

use std::fs;
use std::path::Path;

use regex::Regex;

use super::pages::Page;
use crate::harness::repository;

/// The sources of all crates, as one text.
fn sources(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).expect("sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("a source"));
        }
    }
}

/// Names in `page` that `sources` do not define, and how many were looked up.
fn unknown(page: &Page, sources: &str) -> (Vec<String>, usize) {
    let name = Regex::new(r"^([A-Z][a-z]\w*)(?:::(\w+))?$|^(\w+)\(\)$").expect("a pattern");
    let defines = |pattern: String| Regex::new(&pattern).expect("a pattern").is_match(sources);
    let mut unknown = Vec::new();
    let mut count = 0;
    for code in &page.code {
        let Some(found) = name.captures(code) else {
            continue;
        };
        count += 1;
        let has_type = found
            .get(1)
            .is_none_or(|name| defines(format!(r"\b(?:struct|enum|trait|type) {}\b", name.as_str())));
        let has_function = found
            .get(2)
            .or(found.get(3))
            .is_none_or(|name| defines(format!(r"\bfn {}\b", name.as_str())));
        if !(has_type && has_function) {
            unknown.push(code.clone());
        }
    }
    (unknown, count)
}

#[test]
fn every_name_in_the_architecture_is_one() {
    let top = repository();
    let mut text = String::new();
    sources(&top.join("crates"), &mut text);
    let page = Page::read(&top, Path::new("ARCHITECTURE.md"));
    let (unknown, count) = unknown(&page, &text);
    assert!(
        unknown.is_empty(),
        "ARCHITECTURE.md names what is not there: {unknown:?}"
    );
    assert!(count >= 4, "only {count} names were found");
    // Every crate has its line.
    for entry in fs::read_dir(top.join("crates")).expect("crates") {
        let name = entry
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("a name");
        if top.join("crates").join(&name).join("Cargo.toml").exists() {
            assert!(
                page.code.contains(&format!("crates/{name}")),
                "no line for crates/{name}"
            );
        }
    }
}

#[test]
fn names_that_are_not_there_are_found() {
    let text = "pub(crate) struct Slot {} trait Ledger { fn lease(&self); } fn decide() {}";
    let of = |text: &str| Page::parse(Path::new("a.md"), text);
    let good = of("`Slot` `Ledger::lease` `decide()` `IP_FREEBIND` `crates/x` `a::b`");
    assert_eq!(unknown(&good, text), (Vec::new(), 3));
    let bad = of("`Slots` `Ledger::leases` `Registry::lease` `decided()`");
    assert_eq!(unknown(&bad, text).0.len(), 4);
}

/// The number behind `before` in the line of `text` that holds `line`.
fn number(text: &str, line: &str, before: &str) -> Option<u32> {
    let line = text.lines().find(|text| text.contains(line))?;
    let digits = line.split_once(before)?.1;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[test]
fn the_formats_on_disk_have_the_versions_that_the_architecture_says() {
    let read = |path: &str| fs::read_to_string(repository().join(path)).expect(path);
    let said = read("ARCHITECTURE.md");
    for (source, line) in [
        ("crates/host/src/journal.rs", "| journal of setup |"),
        ("crates/store/src/ledger/sqlite/rows.rs", "| ledger |"),
    ] {
        let written = number(&read(source), "const VERSION", " = ");
        assert!(written.is_some(), "{source}");
        assert_eq!(number(&said, line, ", now "), written, "{source}");
    }
    assert_eq!(number("a\n| b | now 12: c\n", "| b", "now "), Some(12));
    assert_eq!(number("| b | now c", "| b", "now "), None);
}
