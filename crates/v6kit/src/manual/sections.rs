//! Sections of manual pages that no help has: exit status, environment, files, templates, records. What stands in the
//! documentation is taken from there.

use clap_mangen::roff::{Roff, bold, roman};

/// The pages with the tables that are taken.
const OUTPUT: &str = include_str!("../../../../docs/output.md");
const RECORDS: &str = include_str!("../../../../docs/records.md");

/// Variables, the pages that name them (none: every page), and what they say.
const ENVIRONMENT: [(&str, &[&str], &str); 13] = [
    ("NO_COLOR", &[], "set to anything: no colours"),
    (
        "V6KIT_LOG",
        &[],
        "what is logged: a level (off, error, warn, info, debug, trace), or PART=LEVEL with commas between",
    ),
    (
        "V6KIT_STATE_DIR",
        &[
            "setup", "status", "teardown", "verify", "doctor", "ndp", "proxy", "crawl",
        ],
        "where the journal of setup lies, as --state-dir says",
    ),
    (
        "V6KIT_ENDPOINT",
        &["setup", "verify", "lab-run"],
        "which server is asked for the caller's address, as --endpoint says",
    ),
    ("V6KIT_PASSWORD", &["crawl"], "the password of --user"),
    ("V6KIT_PROXY_AUTH", &["proxy"], "USER:PASS, as --auth says"),
    (
        "V6KIT_SETUP_FOR",
        &["setup"],
        "set for the command behind --, by which what it leaves running is known",
    ),
    ("V6KIT_LAB_PREFIX", &["lab-run"], "the prefix of the lab"),
    (
        "V6KIT_LAB_DEV",
        &["lab-run"],
        "the device that leads to its router",
    ),
    (
        "V6KIT_LAB_TARGET",
        &["lab-run"],
        "the URL of its target; V6KIT_LAB_TARGET_TLS with TLS",
    ),
    (
        "V6KIT_LAB_TARGET_CA",
        &["lab-run"],
        "the certificate of that target",
    ),
    (
        "V6KIT_LAB_ROUTER_NS",
        &["lab-run"],
        "the network namespace of its router",
    ),
    (
        "V6KIT_LAB_TARGET_NS",
        &["lab-run"],
        "the network namespace of its target",
    ),
];

/// Files, the pages that name them, and what they hold.
const FILES: [(&str, &[&str], &str); 8] = [
    (
        "/var/lib/v6kit/journal.jsonl",
        &["setup", "status", "teardown", "doctor"],
        "every change with the old value; removed by the last teardown",
    ),
    (
        "/var/lib/v6kit/summary.json",
        &["setup", "verify", "crawl", "proxy", "ndp"],
        "which prefixes are set up; everybody may read it",
    ),
    (
        "/etc/v6kit/host.toml",
        &["setup", "status", "teardown"],
        "what is set up at every boot (--persist)",
    ),
    (
        "/etc/systemd/system/v6kit-*.service",
        &["setup", "teardown"],
        "units that --persist writes where no package brought them",
    ),
    (
        "/etc/security/limits.d/90-v6kit.conf",
        &["setup", "teardown"],
        "limits on open files for logins",
    ),
    (
        "DIR/ledger.sqlite",
        &["crawl", "crawl-status", "crawl-missing", "crawl-check"],
        "the job: its description, which items are done, and where their records lie",
    ),
    (
        "DIR/*.ndjson.zst, DIR/*.warc.zst, DIR/*.parquet",
        &["crawl", "crawl-cat"],
        "the records",
    ),
    (
        "/etc/hosts, /etc/resolv.conf",
        &["crawl", "proxy"],
        "how names are looked up",
    ),
];

/// The grammar of URL templates.
const TEMPLATES: [(&str, &str); 6] = [
    (
        "{A..B}",
        "every number or letter from A to B: {1..1000000}, {a..z}; with zeros in front all are as wide as A: {001..999}",
    ),
    ("{A..B..STEP}", "every STEP-th of them: {1..99..7}"),
    ("{a,b,c}", "each of these texts"),
    (
        "several",
        "multiply, and the last one varies fastest: {a,b}/{1..2} is a/1, a/2, b/1, b/2",
    ),
    (
        "{}",
        "with --input, the line; in a header, and with --fill in the body, what the braces of the URL came to",
    ),
    (
        "anything else",
        "is fetched as it stands; square brackets are no ranges",
    ),
];

/// The page of the command behind `v6kit-`, or an empty name for that of v6kit itself.
fn names(pages: &[&str], page: &str) -> bool {
    pages.is_empty() || page.is_empty() || pages.contains(&page)
}

fn entries<'a>(roff: &mut Roff, title: &str, entries: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut entries = entries.peekable();
    if entries.peek().is_none() {
        return;
    }
    roff.control("SH", [title]);
    for (name, text) in entries {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(text)]);
    }
}

/// The cells of the table below a heading of a page.
fn table<'a>(document: &'a str, heading: &str) -> impl Iterator<Item = Vec<&'a str>> {
    let section = document
        .split("\n## ")
        .find(|section| section.lines().next() == Some(heading))
        .unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        row.trim_matches('|')
            .split(" | ")
            .map(|cell| cell.trim().trim_matches('`'))
            .collect()
    })
}

/// What a page has besides its help: exit status, unless its help told, environment, files, and what crawl writes.
pub(super) fn add(roff: &mut Roff, page: &str, has_exit_status: bool) {
    if ["crawl", "crawl-cat"].contains(&page) {
        if page == "crawl" {
            entries(roff, "TEMPLATES", TEMPLATES.into_iter());
        }
        let fields = table(RECORDS, "Fields").map(|row| (row[0], row[2]));
        entries(roff, "RECORDS", fields);
        entries(
            roff,
            "OUTCOMES",
            table(RECORDS, "Outcomes").map(|row| (row[0], row[1])),
        );
        let kinds = table(RECORDS, "Kinds of failure").map(|row| (row[0], row[2]));
        entries(roff, "KINDS OF FAILURE", kinds);
    }
    if !has_exit_status {
        entries(
            roff,
            "EXIT STATUS",
            table(OUTPUT, "Exit codes").map(|row| (row[0], row[1])),
        );
    }
    let environment = ENVIRONMENT.iter().filter(|(_, pages, _)| names(pages, page));
    entries(
        roff,
        "ENVIRONMENT",
        environment.map(|(name, _, text)| (*name, *text)),
    );
    let files = FILES.iter().filter(|(_, pages, _)| names(pages, page));
    entries(roff, "FILES", files.map(|(name, _, text)| (*name, *text)));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use regex::Regex;

    use super::*;

    #[test]
    fn tables_of_the_documentation_are_found_and_whole() {
        assert!(table(OUTPUT, "Exit codes").count() >= 8);
        assert!(table(RECORDS, "Fields").all(|row| row.len() == 3 && !row[0].is_empty()));
        assert_eq!(table(RECORDS, "Outcomes").count(), 5);
        assert!(table(RECORDS, "Kinds of failure").count() > 30);
    }

    fn sources(directory: &Path, text: &mut String) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("sections.rs")
            {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn every_variable_that_the_sources_name_stands_in_the_manual() {
        let mut text = String::new();
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        sources(&here.join("src"), &mut text);
        sources(&here.join("../lab/src"), &mut text);
        let name = Regex::new(r#""(V6KIT_[A-Z_]+)""#).unwrap();
        let named: BTreeSet<&str> = name
            .captures_iter(&text)
            .map(|found| found.extract::<1>().1[0])
            .collect();
        assert!(named.len() >= 10, "{named:?}");
        let told: String = ENVIRONMENT
            .iter()
            .map(|(name, _, text)| format!("{name} {text} "))
            .collect();
        // Of the build, and of the lab to its own shells.
        let inner = ["V6KIT_COMMIT", "V6KIT_LAB_ZDOTDIR", "V6KIT_LAB_ENV"];
        for variable in named.iter().filter(|name| !inner.contains(name)) {
            assert!(told.contains(*variable), "{variable}");
        }
    }
}
