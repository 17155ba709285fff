//! What TAB completes: the words of the command line, and values that are looked up on this host. No network is asked.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, Command, ValueHint};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete};
use v6kit_host::Summary;
use v6kit_model::{ErrorKind, Outcome};
use v6kit_net::Code;

/// The scripts that ask this program for candidates.
pub(crate) const BASH: &str = include_str!("v6kit.bash");
pub(crate) const ZSH: &str = include_str!("v6kit.zsh");
pub(crate) const FISH: &str = include_str!("v6kit.fish");

/// Values that options take, by their long names, where their parsers do not list them.
const VALUES: [(&str, &[&str]); 8] = [
    ("format", &["ndjson", "warc", "parquet"]),
    ("conntrack", &["auto", "notrack", "keep"]),
    ("concurrency", &["auto"]),
    ("rate", &["max"]),
    ("connect-rate", &["max"]),
    ("method", &["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]),
    ("expect", &["json", "status=", "key=", "size="]),
    ("as", &["root"]),
];

/// What stands in a job directory.
const LEDGER: &str = "ledger.sqlite";

/// The candidates for the word at `index` of `words`, a line that `root` reads, each with what it means where that is
/// known.
pub(crate) fn candidates(root: Command, words: Vec<OsString>, index: usize) -> Vec<(String, Option<String>)> {
    let mut command = with_values(root);
    let here = std::env::current_dir().ok();
    let found = complete(&mut command, words, index, here.as_deref()).unwrap_or_default();
    let told = found.into_iter().filter(|candidate| !candidate.is_hide_set());
    told.map(|candidate| {
        let help = candidate.get_help().map(ToString::to_string);
        let first = help.as_deref().and_then(|help| help.lines().next());
        (
            candidate.get_value().to_string_lossy().into_owned(),
            first.map(ToOwned::to_owned),
        )
    })
    .collect()
}

/// The command line with what this host knows of its values.
fn with_values(command: Command) -> Command {
    let is_of_a_job =
        ["status", "missing", "cat", "retry", "resume", "merge", "pack"].contains(&command.get_name());
    command
        .mut_args(|arg| with_candidates(arg, is_of_a_job))
        .mut_subcommands(with_values)
}

fn with_candidates(arg: Arg, is_of_a_job: bool) -> Arg {
    let long = arg.get_long().unwrap_or_default().to_owned();
    let id = arg.get_id().to_string();
    let value = arg
        .get_value_names()
        .and_then(|names| names.first())
        .map(ToString::to_string)
        .unwrap_or_default();
    if let Some((_, values)) = VALUES.iter().find(|(name, _)| *name == long) {
        return arg.add(ArgValueCompleter::new(|current: &OsStr| known(current, values)));
    }
    match (long.as_str(), value.as_str()) {
        ("outcome", _) => arg.add(ArgValueCompleter::new(outcomes)),
        (_, "DEV" | "DEV|CIDR") => arg.add(ArgValueCompleter::new(devices)),
        ("prefix", _) => arg.add(ArgValueCompleter::new(prefixes)),
        ("output", _) => arg.add(ArgValueCompleter::new(jobs)),
        ("", "DIR") if is_of_a_job => arg.add(ArgValueCompleter::new(jobs)),
        ("", "CODE") if id == "code" => arg.add(ArgValueCompleter::new(codes)),
        (_, "DIR") => arg.value_hint(ValueHint::DirPath),
        (_, "FILE" | "F" | "FILE.toml") => arg.value_hint(ValueHint::FilePath),
        (_, "CMD") => arg.value_hint(ValueHint::CommandName),
        _ => arg,
    }
}

fn known(current: &OsStr, values: &[&str]) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let begin = values.iter().filter(|value| value.starts_with(&*current));
    begin.map(|value| CompletionCandidate::new(*value)).collect()
}

/// Outcomes, of which several stand behind one another with commas.
fn outcomes(current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let (before, last) = match current.rsplit_once(',') {
        Some((before, last)) => (format!("{before},"), last),
        None => (String::new(), &*current),
    };
    let begin = Outcome::ALL
        .iter()
        .filter(|outcome| outcome.as_str().starts_with(last));
    begin
        .map(|outcome| CompletionCandidate::new(format!("{before}{outcome}")))
        .collect()
}

/// The network devices of this namespace (proc_net(5)).
fn devices(current: &OsStr) -> Vec<CompletionCandidate> {
    let table = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let rows = table.lines().filter_map(|line| line.rsplit_once(": "));
    let names: Vec<&str> = rows.map(|(name, _)| name.trim()).collect();
    known(current, &names)
}

/// The prefixes that are set up.
fn prefixes(current: &OsStr) -> Vec<CompletionCandidate> {
    let summary = Summary::read(&state_dir()).ok().flatten();
    let setups = summary.into_iter().flat_map(|summary| summary.setups);
    let mut prefixes: Vec<String> = setups.map(|setup| setup.prefix.to_string()).collect();
    prefixes.dedup();
    let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    known(current, &prefixes)
}

#[allow(
    clippy::disallowed_methods,
    reason = "it is a default of the option, which completion does not read"
)]
fn state_dir() -> PathBuf {
    let named = std::env::var_os("V6KIT_STATE_DIR").filter(|name| !name.is_empty());
    named.map_or_else(|| v6kit_host::boot::STATE_DIR.into(), PathBuf::from)
}

/// Directories of crawls first; where there is none, every directory.
fn jobs(current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let (directory, begun) = match current.rfind('/') {
        Some(at) => current.split_at(at + 1),
        None => ("", &*current),
    };
    let place = if directory.is_empty() { "." } else { directory };
    let is_shown =
        |name: &String| name.starts_with(begun) && (begun.starts_with('.') || !name.starts_with('.'));
    let below: Vec<String> = names_in(Path::new(place))
        .into_iter()
        .filter(is_shown)
        .filter(|name| Path::new(place).join(name).is_dir())
        .collect();
    let is_job = |name: &&String| Path::new(place).join(name).join(LEDGER).exists();
    let found: Vec<&String> = below.iter().filter(is_job).collect();
    if found.is_empty() {
        let every = below.iter();
        return every
            .map(|name| CompletionCandidate::new(format!("{directory}{name}/")))
            .collect();
    }
    let found = found.into_iter();
    found
        .map(|name| CompletionCandidate::new(format!("{directory}{name}")))
        .collect()
}

/// What `explain` knows.
fn codes(current: &OsStr) -> Vec<CompletionCandidate> {
    let codes = Code::ALL.iter().map(|code| code.name());
    let kinds = ErrorKind::ALL.iter().map(|kind| kind.as_str());
    let outcomes = Outcome::ALL.iter().map(|outcome| outcome.as_str());
    let all: Vec<&str> = codes.chain(kinds).chain(outcomes).collect();
    known(current, &all)
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Args;

    fn values(line: &str) -> Vec<String> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let last = words.len() - 1;
        candidates(Args::command(), words, last)
            .into_iter()
            .map(|(value, _)| value)
            .collect()
    }

    #[test]
    fn values_that_no_parser_lists_are_completed() {
        assert_eq!(values("v6kit crawl --format p"), ["parquet"]);
        assert_eq!(values("v6kit crawl --format=w"), ["--format=warc"]);
        assert_eq!(values("v6kit setup --conntrack no"), ["notrack"]);
        assert_eq!(values("v6kit crawl cat --outcome ok,b"), ["ok,blocked"]);
        assert_eq!(values("v6kit setup --dev l"), ["lo"]);
        assert_eq!(values("v6kit explain connect_t"), ["connect_timeout"]);
        assert_eq!(values("v6kit crawl --on-limit r"), ["rotate"]);
        assert_eq!(values("v6kit doc"), ["doctor"]);
    }

    #[test]
    fn every_list_of_values_is_taken_by_its_option() {
        for (line, is_taken) in [
            ("crawl http://[::1]/ -o x --format", true),
            ("setup --prefix 2001:db8::/64 --dev eth0 --conntrack", true),
        ] {
            let long = line.rsplit("--").next().unwrap();
            let (_, values) = VALUES.iter().find(|(name, _)| *name == long).unwrap();
            for value in *values {
                let words = format!("v6kit {line} {value}");
                let parsed = Args::command().try_get_matches_from(words.split(' '));
                assert_eq!(parsed.is_ok(), is_taken, "{words}");
            }
        }
    }
}
