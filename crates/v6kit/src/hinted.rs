//! Commands of v6kit that the sources print in backticks: each is one that the command line takes as it is printed.

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap::error::ErrorKind;
use regex::{Captures, Regex};

use crate::args::Args;

/// What the sources put in, and something like it.
fn filled(command: &str) -> String {
    let value = Regex::new(r"\{(\w*)(:\?)?\}").unwrap();
    value
        .replace_all(command, |name: &Captures<'_>| match &name[1] {
            "prefix" | "network" => "2001:db8:1::/64",
            "command" => "status",
            "path" => "",
            // A device, a directory, a file.
            _ => "eth0",
        })
        .into_owned()
}

/// The text of a source without its tests and comments.
fn printed(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Every source below a directory; those of tests alone are left out.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_command_of_ours_in_a_hint_is_one_as_it_is_printed() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for found in fs::read_dir(crates).unwrap() {
        sources(&found.unwrap().path().join("src"), &mut files);
    }
    // Behind `after` and `by` it is a name in a text, not something to type.
    let command = Regex::new(r"(after |by |: |As )?`(?:sudo )?(v6kit [^`\n]+)`").unwrap();
    let placeholder = Regex::new(r"\b(P|N|DEV|DIR|FILE|URL|COMMAND|ADDR|ROUTER)\b|…|\.\.\.").unwrap();
    let mut checked = 0;
    for path in files {
        let text = printed(&fs::read_to_string(&path).unwrap());
        for found in command.captures_iter(&text) {
            let before = found.get(1).map_or("", |before| before.as_str());
            // Only there is it a remark in a file or a help.
            let is_a_name = ["after ", "by "].contains(&before)
                || found[2].starts_with("v6kit explain {")
                || found[2] == *"v6kit {}";
            let is_help = path.ends_with("job_file.rs")
                || text[found.get(0).unwrap().start()..].starts_with("`v6kit explain NAME`");
            if is_a_name || is_help || path.ends_with("boot/file.rs") {
                continue;
            }
            checked += 1;
            // What was typed stands for the rest.
            let Some(typed) = Some(&found[2]).filter(|command| !command.ends_with(" …")) else {
                continue;
            };
            let place = path.display();
            assert!(
                !placeholder.is_match(&found[2]),
                "{place}: `{}` cannot be typed",
                &found[2]
            );
            let filled = filled(typed);
            let words = shlex::split(&filled).unwrap_or_else(|| panic!("{place}: {filled}"));
            if let Err(error) = Args::command().try_get_matches_from(&words)
                && error.use_stderr()
                // What stands for a value may not be one.
                && error.kind() != ErrorKind::ValueValidation
            {
                panic!("{place}: `{typed}` cannot be typed: {error}");
            }
        }
    }
    assert!(checked >= 30, "only {checked} commands were found");
}
