//! The catalogue of errors, docs/errors.md, as part of the binary.

use v6kit_net::Code;

const DOCUMENT: &str = include_str!("../../../docs/errors.md");

/// What the catalogue says of `code`, without its heading.
pub(crate) fn entry(code: Code) -> &'static str {
    sections()
        .find(|(name, _)| *name == code.name())
        .map_or("", |(_, text)| text)
}

/// The names and texts of all entries.
fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    DOCUMENT
        .split("\n## ")
        .skip(1)
        .filter_map(|section| section.split_once('\n'))
        .map(|(name, text)| (name, text.trim()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use regex::Regex;

    use super::*;

    #[test]
    fn every_code_has_an_entry_and_every_entry_a_code() {
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        let entries: Vec<&str> = sections().map(|(name, _)| name).collect();
        assert_eq!(codes, entries, "docs/errors.md against crates/base/src/code.rs");
    }

    #[test]
    fn every_entry_has_a_cause_and_what_to_do() {
        for (name, text) in sections() {
            for part in ["Cause: ", "What to do: "] {
                let found = text
                    .lines()
                    .filter_map(|line| line.strip_prefix(part))
                    .collect::<Vec<_>>();
                assert!(
                    matches!(found.as_slice(), [line] if line.ends_with('.')),
                    "{name}: {part}"
                );
            }
        }
    }

    /// The messages of errors that bring a hint, as the sources write them.
    fn messages() -> BTreeSet<String> {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut messages = BTreeSet::new();
        for found in fs::read_dir(crates).unwrap() {
            let mut sources = Vec::new();
            collect(&found.unwrap().path().join("src"), &mut sources);
            messages.append(&mut messages_of(&sources));
        }
        messages
    }

    /// Those of one crate: a type brings its hint in the crate that defines it.
    fn messages_of(sources: &[String]) -> BTreeSet<String> {
        let hinted = Regex::new(r"impl Hint for (\w+)").unwrap();
        let hinted: BTreeSet<String> = sources
            .iter()
            .flat_map(|source| hinted.captures_iter(source))
            .map(|found| found[1].to_owned())
            .collect();
        let token = Regex::new(
            r#"(?m)^ *(?:pub(?:\([a-z]+\))? )?(?:enum|struct) (\w+)|#\[error\(\s*"((?:[^"\\]|\\.)*)"[^\n]*(?:\n\s*(?:pub(?:\([a-z]+\))? )?struct (\w+))?"#,
        )
        .unwrap();
        let brace = Regex::new(r"\{\{|\}\}|\{[^{}]*\}").unwrap();
        let continued = Regex::new(r"\\\n\s*").unwrap();
        let mut messages = BTreeSet::new();
        for source in sources {
            let mut type_name = String::new();
            for found in token.captures_iter(source) {
                if let Some(name) = found.get(1) {
                    type_name = name.as_str().to_owned();
                }
                let Some(text) = found.get(2) else { continue };
                let owner = found.get(3).map_or(type_name.as_str(), |name| name.as_str());
                let text = continued.replace_all(text.as_str(), "");
                let text = brace.replace_all(&text, |found: &regex::Captures<'_>| match &found[0] {
                    "{{" => "{",
                    "}}" => "}",
                    _ => "…",
                });
                if hinted.contains(owner) && *text != *"…" {
                    messages.insert(text.into_owned());
                }
            }
        }
        messages
    }

    fn collect(directory: &Path, sources: &mut Vec<String>) {
        let found: Vec<PathBuf> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        for path in found {
            if path.is_dir() {
                collect(&path, sources);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn every_message_of_the_sources_stands_in_the_catalogue() {
        let messages = messages();
        assert!(messages.len() > 150, "only {} messages found", messages.len());
        let listed: BTreeSet<String> = DOCUMENT
            .lines()
            .filter_map(|line| line.strip_prefix("- "))
            .map(ToOwned::to_owned)
            .collect();
        let missing: Vec<&String> = messages.difference(&listed).collect();
        assert!(missing.is_empty(), "not in docs/errors.md: {missing:#?}");
    }
}
