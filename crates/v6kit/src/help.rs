//! What every command's help has to be, checked by walking the commands that clap knows.
//!
//! After a change of the command line, look at the new helps and accept them:
//! `INSTA_UPDATE=always cargo test --workspace --locked --bin v6kit -- help::`, then `git diff`.

use std::ffi::OsString;

use clap::{Command, CommandFactory};

use crate::args::{Args, for_short_help};

const WIDTH: usize = 100;

/// The width of a new terminal.
const NARROW: usize = 80;

/// A command and its words: `v6kit crawl status`.
struct Entry {
    words: String,
    command: Command,
}

fn entries() -> Vec<Entry> {
    entries_at(WIDTH)
}

fn entries_at(width: usize) -> Vec<Entry> {
    let mut root = Args::command().term_width(width);
    root.build();
    let mut entries = Vec::new();
    collect("v6kit", &root, &mut entries);
    entries
}

fn collect(words: &str, command: &Command, entries: &mut Vec<Entry>) {
    entries.push(Entry {
        words: words.to_owned(),
        command: command.clone(),
    });
    for below in command
        .get_subcommands()
        .filter(|below| below.get_name() != "help")
    {
        collect(&format!("{words} {}", below.get_name()), below, entries);
    }
}

/// The indented lines under `Examples:`, those that end in a backslash joined with the next.
fn examples(help: &str) -> Vec<String> {
    let block: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Examples:")
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .map(str::trim)
        .collect();
    block
        .join("\n")
        .replace("\\\n", "")
        .lines()
        .map(ToOwned::to_owned)
        .collect()
}

/// The words of each `v6kit …` in an example, without what a shell takes for itself and the remark behind it.
pub(crate) fn invocations(example: &str) -> Vec<Vec<OsString>> {
    let command = example.split("    ").next().unwrap_or_default();
    let words = shlex::split(command).unwrap_or_else(|| panic!("a shell does not understand: {example}"));
    words
        .split(|word| ["|", "&&", ";"].contains(&word.as_str()))
        .filter_map(|words| {
            let first = words.iter().position(|word| word == "v6kit")?;
            let is_first = words[..first]
                .iter()
                .all(|word| word == "sudo" || word.contains('='));
            let own = words[first..]
                .iter()
                .take_while(|word| !word.starts_with('>') && *word != "&");
            is_first.then(|| own.map(OsString::from).collect())
        })
        .collect()
}

#[test]
fn every_help_fits_100_columns() {
    for Entry { words, mut command } in entries() {
        for (kind, help) in [
            ("-h", command.render_help()),
            ("--help", command.render_long_help()),
        ] {
            for line in help.to_string().lines() {
                assert!(line.chars().count() <= WIDTH, "`{words} {kind}`: {line}");
            }
        }
    }
}

#[test]
fn no_line_of_an_example_is_broken_by_a_new_terminal() {
    let mut broken = Vec::new();
    for (wide, narrow) in entries().into_iter().zip(entries_at(NARROW)) {
        for render in [Command::render_help, Command::render_long_help] {
            let shown = |command: &Command| render(&mut command.clone()).to_string();
            let narrow = shown(&narrow.command);
            if examples(&narrow) != examples(&shown(&wide.command)) {
                broken.push(wide.words.clone());
            }
        }
    }
    assert!(broken.is_empty(), "an example of these is too wide: {broken:#?}");
}

#[test]
fn every_help_has_two_examples_that_the_command_line_takes() {
    for Entry { words, mut command } in entries() {
        let help = command.render_long_help().to_string();
        let mut count = 0;
        for example in examples(&help) {
            for invocation in invocations(&example) {
                count += 1;
                // Files that it names, such as a job file, need not be there.
                if let Err(error) = Args::command().try_get_matches_from(&invocation)
                    && error.use_stderr()
                {
                    panic!("`{words}`: {example}\n{error}");
                }
            }
        }
        assert!(
            count >= 2,
            "`{words} --help` has {count} examples of v6kit:\n{help}"
        );
    }
}

#[test]
fn the_short_help_of_crawl_has_what_people_need_and_the_long_one_all_of_it() {
    let crawl = |mut root: Command| {
        root.build();
        root.find_subcommand("crawl").expect("a crawl").clone()
    };
    let short = crawl(for_short_help(Args::command().term_width(WIDTH)))
        .render_help()
        .to_string();
    let mut crawl = crawl(Args::command().term_width(WIDTH));
    let long = crawl.render_long_help().to_string();
    assert!(short.lines().count() <= 50, "{}\n{short}", short.lines().count());
    let shown = |help: &str, arg: &clap::Arg| {
        let long = arg.get_long().map(|long| format!("--{long}"));
        help.split_whitespace().any(|word| Some(word) == long.as_deref())
    };
    let of_crawl = || {
        crawl
            .get_arguments()
            .filter(|arg| arg.get_help_heading().is_some() && !arg.is_hide_set())
    };
    for arg in of_crawl().filter(|arg| arg.get_long().is_some()) {
        assert!(shown(&long, arg), "{arg}");
        if shown(&short, arg) {
            let help = arg.get_help().expect("a help").to_string();
            assert!(help.contains(": "), "no example: {arg}: {help}");
        }
    }
    let count = of_crawl().filter(|arg| shown(&short, arg)).count();
    assert!((10..=16).contains(&count), "{count}\n{short}");
    insta::assert_snapshot!("v6kit-crawl-short", short);
}

#[test]
fn the_helps_are_those_that_were_accepted() {
    for Entry { words, mut command } in entries() {
        let name = words.replace(' ', "-");
        insta::assert_snapshot!(name, command.render_long_help().to_string());
    }
}
