//! Commands that the documentation names, parsed as the command line would.

use std::collections::BTreeSet;
use std::path::Path;

use clap::error::ErrorKind;
use clap::{Command, CommandFactory};

use crate::args::Args;
use crate::help::invocations;

#[path = "../../../tests/docs/pages.rs"]
mod pages;

/// What stands for a value in the text.
const PLACEHOLDERS: [(&str, &str); 15] = [
    ("P", "2001:db8:6::/64"),
    ("DEV", "eth0"),
    ("DIR", "items"),
    ("N", "1"),
    ("FILE", "file"),
    ("FILE.toml", "file.toml"),
    ("CODE", "usage"),
    ("URL", "http://[2001:db8::1]/"),
    ("TIME", "5s"),
    ("HOST:PORT:ADDR", "example.org:443:[2001:db8::1]"),
    ("USER:PASS", "user:pass"),
    ("SHELL", "bash"),
    ("ADDR", "fe80::9"),
    ("RATE", "20/s"),
    ("COMMAND", "crawl"),
];

/// Options of other programs.
const FOREIGN: [&str; 14] = [
    "--to",
    "--privileged",
    "--cap-add",
    "--cpus",
    "--interface",
    "--locked",
    "--path",
    "--release",
    "--release`",
    "--tag",
    "--scale",
    "--test",
    "--lib",
    "--bin",
];

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// How much of a command stands there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// All of it.
    Whole,
    /// What the text speaks of: other arguments may be needed.
    Named,
}

/// How many commands of ours `line` holds.
fn takes(line: &str, form: Form) -> Result<usize, String> {
    let mut count = 0;
    for words in invocations(line) {
        count += 1;
        let words = words.into_iter().map(|word| {
            let known = PLACEHOLDERS.iter().find(|(name, _)| word == **name);
            known.map_or(word, |(_, value)| value.into())
        });
        if let Err(error) = Args::command().try_get_matches_from(words)
            && error.use_stderr()
            && !(form == Form::Named && error.kind() == ErrorKind::MissingRequiredArgument)
        {
            return Err(error.to_string());
        }
    }
    Ok(count)
}

#[test]
fn every_command_of_the_documentation_is_one() {
    let mut count = 0;
    let mut faults = Vec::new();
    for page in pages::pages(repository()) {
        let mut commands = Vec::new();
        for block in &page.blocks {
            let text = block.text.replace("\\\n", " ");
            // The suite runs the others.
            let is_run = block
                .check
                .as_deref()
                .is_some_and(|check| !check.starts_with("by "));
            match block.language.as_str() {
                "console" if is_run => {}
                "sh" => commands.extend(text.lines().map(|line| (line.to_owned(), Form::Whole))),
                "console" => commands.extend(
                    text.lines()
                        .filter_map(|line| Some((line.strip_prefix("$ ")?.to_owned(), Form::Whole))),
                ),
                _ => {}
            }
        }
        let in_text = page.code.iter().filter(|code| {
            (code.starts_with("v6kit ") || code.starts_with("sudo v6kit "))
                && !code.contains(['…', '|', '*', '['])
                && !code.contains("...")
        });
        commands.extend(in_text.map(|code| (code.clone(), Form::Named)));
        for (command, form) in commands {
            match takes(&command, form) {
                Ok(found) => count += found,
                Err(error) => faults.push(format!("{}: `{command}`: {error}", page.path.display())),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 40, "only {count} commands were found");
}

fn long_options(command: &Command, options: &mut BTreeSet<String>) {
    options.extend(
        command
            .get_arguments()
            .filter_map(|arg| arg.get_long())
            .map(|long| format!("--{long}")),
    );
    for below in command.get_subcommands() {
        long_options(below, options);
    }
}

#[test]
fn every_option_that_the_documentation_names_exists() {
    let mut root = Args::command();
    root.build();
    let mut known: BTreeSet<String> = FOREIGN.map(str::to_owned).into();
    long_options(&root, &mut known);
    let mut count = 0;
    let mut unknown = Vec::new();
    for page in pages::pages(repository()) {
        if page.path.starts_with("openwrt") {
            continue;
        }
        for option in page.code.iter().filter(|code| code.starts_with("--")) {
            for word in option
                .split([' ', '='])
                .filter(|word| word.len() > 2 && word.starts_with("--"))
            {
                count += 1;
                if !known.contains(word) {
                    unknown.push(format!("{}: there is no option {word}", page.path.display()));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert!(count > 30, "only {count} options were found");
}

#[test]
fn the_checker_finds_planted_faults() {
    assert_eq!(takes("sudo v6kit setup --prefix P --dev DEV", Form::Whole), Ok(1));
    assert_eq!(takes("v6kit crawl cat items | jq .body", Form::Whole), Ok(1));
    for wrong in [
        "v6kit sutep",
        "v6kit verify --perfix P",
        "v6kit crawl cat",
        "v6kit setup --prefix DEV",
    ] {
        assert!(takes("v6kit setup", Form::Named).is_ok());
        assert!(takes(wrong, Form::Whole).is_err(), "{wrong}");
    }
}
