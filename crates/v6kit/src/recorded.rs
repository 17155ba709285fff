//! docs/records.md against the code: every field, outcome and kind of a record, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;
use v6kit_model::{ErrorKind, Outcome};

use crate::commands::explain::counts;

const PAGE: &str = include_str!("../../../docs/records.md");

/// The rows of the table below a heading, cell by cell, without the backticks.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let section = PAGE
        .split("\n## ")
        .find(|section| section.starts_with(&format!("{heading}\n")))
        .unwrap_or_else(|| panic!("there is no section {heading}"));
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches('|').split(" | ");
        cells
            .map(|cell| cell.trim().trim_matches('`').to_owned())
            .collect()
    };
    let table = section.lines().filter(|line| line.starts_with('|'));
    table.skip(2).map(cells).collect()
}

#[test]
fn every_kind_of_failure_stands_in_the_page_with_its_outcome_and_meaning() {
    let known: Vec<Vec<String>> = ErrorKind::ALL
        .iter()
        .map(|kind| {
            let (outcome, meaning) = (kind.outcome().as_str(), kind.meaning());
            [kind.as_str(), outcome, meaning].map(str::to_owned).to_vec()
        })
        .collect();
    assert_eq!(rows("Kinds of failure"), known);
}

#[test]
fn every_outcome_stands_in_the_page() {
    let known: Vec<Vec<String>> = Outcome::ALL
        .iter()
        .map(|outcome| [outcome.as_str(), counts(*outcome)].map(str::to_owned).to_vec())
        .collect();
    assert_eq!(rows("Outcomes"), known);
}

/// The names of fields that the source of the writer writes.
fn written(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let field = Regex::new(r#"[{,]\\"([a-z_0-9]+)\\":"#).unwrap();
    let part = Regex::new(r#"\("([a-z_]+)", timing\."#).unwrap();
    let names = [field, part].into_iter().flat_map(|pattern| {
        let found = pattern.captures_iter(code);
        found.map(|found| found[1].to_owned()).collect::<Vec<_>>()
    });
    names.collect()
}

#[test]
fn every_field_of_a_record_stands_in_the_page() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/src/record/ndjson.rs");
    let found = written(&fs::read_to_string(source).unwrap());
    assert!(found.len() > 15, "{found:?}");
    let mut told: BTreeSet<String> = rows("Fields").into_iter().map(|row| row[0].clone()).collect();
    // The parts of objects are told below the table.
    for part in ["name", "connect", "tls", "first_byte", "kind", "message"] {
        assert!(PAGE.contains(&format!("`{part}`")), "{part}");
        told.insert(part.to_owned());
    }
    assert_eq!(told, found);
    // The check itself.
    assert!(written("push(b\",\\\"planted\\\":\")").contains("planted"));
}
