//! Files of wishes: the options of setup, a table for each prefix.

use std::ffi::OsString;
use std::path::Path;

use clap::Command;
use toml_edit::Item;
use v6kit_host::boot::{ENTRIES, ON_DRIFT};
use v6kit_net::Prefix;

use super::{OnDriftArg, SetupArgs};
use crate::failure::{Exit, Failure};
use crate::options::{OptionFile, Options};
use crate::usage::{self, Stop};

/// What a file and the options beside it wish for.
pub(crate) struct Config {
    /// The prefixes, in the order of the file.
    pub(crate) setups: Vec<SetupArgs>,
    /// What the check does about drift, where the file says it.
    pub(crate) on_drift: Option<OnDriftArg>,
}

/// The subcommand.
const NAME: &str = "setup";

/// `v6kit setup` with the options that every command has.
pub(super) fn command() -> Command {
    usage::command_of::<SetupArgs>(NAME)
}

/// What was said on the command line of this process, if that is a setup.
pub(super) fn said() -> Options {
    let matches = usage::alone::<SetupArgs>(NAME)
        .try_get_matches_from(crate::command_line::words())
        .ok();
    let matches = matches
        .as_ref()
        .and_then(|matches| matches.subcommand_matches(NAME));
    matches.map_or_else(Options::default, |matches| Options::said(&command(), matches))
}

impl Config {
    /// Reads `path`; what `said` says wins over it. A prefix that is said chooses among those of the file,
    /// or joins them with what the file says for all.
    pub(crate) fn read(path: &Path, said: &Options) -> Result<Self, Failure> {
        let command = command();
        let file = OptionFile::read(path)?;
        let top = file.options(file.table(), &command, &[ENTRIES, ON_DRIFT])?;
        let mut entries = Vec::new();
        match file.table().get(ENTRIES) {
            None => {}
            Some(Item::ArrayOfTables(tables)) => {
                for table in tables {
                    let entry = file.options(table, &command, &[])?;
                    entries.push(entry.over(top.clone(), &command));
                }
            }
            Some(_) => {
                return Err(wrong(
                    path,
                    "`setup` is not a list of tables",
                    "write [[setup]] above each prefix",
                ));
            }
        }
        // The short form: one prefix, or a server without one, without a table of its own.
        let is_server = |entry: &Options| entry.values("for").is_some_and(|values| *values == ["server"]);
        if top.values("prefix").is_some() || entries.is_empty() && is_server(&top) {
            entries.insert(0, top.clone());
        }
        let chosen = said
            .values("prefix")
            .and_then(|values| prefix_of(values.first()?));
        if let Some(chosen) = chosen {
            entries.retain(|entry| prefix(entry) == Some(chosen));
            if entries.is_empty() {
                entries.push(top);
            }
        }
        if entries.is_empty() {
            return Err(wrong(
                path,
                "it names no prefix",
                "write [[setup]], and below it prefix = \"2001:db8:1:2::/64\" and dev = \"eth0\"",
            ));
        }
        let mut setups: Vec<SetupArgs> = Vec::new();
        for entry in entries {
            let args = parsed(&entry, said, path, &command)?;
            if setups.iter().any(|known| known.prefix == args.prefix) {
                let prefix = args.prefix.map(|prefix| prefix.to_string()).unwrap_or_default();
                return Err(wrong(
                    path,
                    &format!("{prefix} is there twice"),
                    "keep one of the two tables",
                ));
            }
            setups.push(args);
        }
        Ok(Self {
            setups,
            on_drift: on_drift(path, file.table().get(ON_DRIFT))?,
        })
    }
}

fn prefix_of(text: &str) -> Option<Prefix> {
    text.parse().ok()
}

fn prefix(entry: &Options) -> Option<Prefix> {
    prefix_of(entry.values("prefix")?.first()?)
}

fn wrong(path: &Path, why: &str, hint: &str) -> Failure {
    Failure::new(Exit::Usage, format!("{} cannot be used", path.display()))
        .why(why)
        .hint(hint)
}

fn on_drift(path: &Path, item: Option<&Item>) -> Result<Option<OnDriftArg>, Failure> {
    let Some(item) = item else { return Ok(None) };
    item.as_str()
        .and_then(|text| clap::ValueEnum::from_str(text, false).ok())
        .map(Some)
        .ok_or_else(|| {
            wrong(
                path,
                &format!("`{ON_DRIFT}` is either report or repair"),
                &format!("write {ON_DRIFT} = \"report\""),
            )
        })
}

/// The arguments of a command line that says what `entry` and `said` say.
fn parsed(entry: &Options, said: &Options, path: &Path, command: &Command) -> Result<SetupArgs, Failure> {
    let options = said.clone().without(&["config"]).over(entry.clone(), command);
    let mut words: Vec<OsString> = vec!["v6kit".into(), NAME.into()];
    words.extend(options.words(command));
    match usage::read::<SetupArgs>(NAME, &words) {
        Ok((_, mut args)) if args.prefix.is_some() || args.needs_no_prefix() => {
            args.wish = options;
            if args.prefix.is_none() {
                args.fill_in()?;
            }
            Ok(args)
        }
        Ok(_) => Err(wrong(
            path,
            "a table has no --prefix",
            "write prefix = \"2001:db8:1:2::/64\" in each; one with for = \"server\" goes without",
        )),
        Err(Stop::Usage(failure, _)) if failure.what == "wrong usage" => Err(Failure {
            what: format!("{} cannot be used", path.display()),
            ..failure
        }),
        Err(Stop::Usage(failure, _)) => Err(options.located(failure, path, command)),
        Err(Stop::Shown(_)) => Err(wrong(
            path,
            "it asks for something else than setup",
            "`v6kit help setup`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, said: &[&str]) -> Result<Config, Failure> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("host.toml");
        std::fs::write(&path, text).unwrap();
        let words = ["v6kit", "setup", "--config", "f"];
        let matches = usage::alone::<SetupArgs>(NAME)
            .try_get_matches_from(words.iter().chain(said))
            .unwrap();
        let said = Options::said(&command(), matches.subcommand_matches("setup").unwrap());
        Config::read(&path, &said)
    }

    const TWO: &str = "dev = 'eth0'\nnofile = 100000\non-drift = 'repair'\n\
                       [[setup]]\nprefix = '2001:db8:1::/64'\n\
                       [[setup]]\nprefix = '2001:db8:2::/64'\nfor = 'proxy'\nnofile = 200000\nconntrack = 'notrack'\n";

    #[test]
    fn each_table_is_a_prefix_and_what_stands_above_goes_for_all() {
        let config = read(TWO, &[]).unwrap();
        let wanted: Vec<_> = config.setups.iter().map(SetupArgs::wanted).collect();
        assert_eq!(wanted.len(), 2);
        assert_eq!((wanted[0].device.as_str(), wanted[0].nofile), ("eth0", 100_000));
        assert_eq!((wanted[1].device.as_str(), wanted[1].nofile), ("eth0", 200_000));
        assert_eq!(wanted[1].purpose, v6kit_host::Purpose::Proxy);
        assert_eq!(wanted[1].conntrack, v6kit_host::Conntrack::Notrack);
        assert_eq!(config.on_drift, Some(OnDriftArg::Repair));
        let short = read("prefix = '2001:db8:1::/64'\ndev = 'e'\n", &[]).unwrap();
        assert_eq!(short.setups.len(), 1);
        for server in ["for = 'server'\n", "nofile = 70000\n[[setup]]\nfor = 'server'\n"] {
            let server = read(server, &[]).unwrap();
            assert_eq!(server.setups.len(), 1);
            assert_eq!(server.setups[0].wanted().purpose, v6kit_host::Purpose::Server);
        }
    }

    #[test]
    fn options_win_over_the_file_and_a_prefix_chooses() {
        let config = read(TWO, &["--nofile", "4096"]).unwrap();
        assert!(config.setups.iter().all(|args| args.nofile == 4096));
        let config = read(TWO, &["--prefix", "2001:db8:2::/64", "--dev", "eth9"]).unwrap();
        assert_eq!(config.setups.len(), 1);
        let wanted = config.setups[0].wanted();
        assert_eq!((wanted.device.as_str(), wanted.nofile), ("eth9", 200_000));
        let config = read(TWO, &["--prefix", "2001:db8:3::/64"]).unwrap();
        assert_eq!(config.setups[0].wanted().nofile, 100_000);
    }

    #[test]
    fn every_option_of_setup_is_a_key() {
        let command = command();
        let mut walked = 0;
        for key in command.get_arguments().filter_map(crate::options::key) {
            let is_of_a_command = matches!(
                key.as_str(),
                "endpoint" | "no-verify" | "plain" | "as" | "for-program" | "watch" | "cmd"
            );
            if is_of_a_command || matches!(key.as_str(), "config" | "persist" | "dry-run" | "on-drift") {
                continue;
            }
            let value = match key.as_str() {
                "json" | "quiet" | "yes" => "true",
                "verbose" => "1",
                "prefix" => "'2001:db8:1::/64'",
                "inbound" => "'allow'",
                "for" => "'server'",
                _ => "4096",
            };
            let rest = ["prefix = '2001:db8:1::/64'\n", "dev = 'e'\n"]
                .iter()
                .filter(|line| !line.starts_with(&format!("{key} ")))
                .copied()
                .collect::<String>();
            if let Err(failure) = read(&format!("{rest}{key} = {value}\n"), &[]) {
                panic!("{key}: {failure:?}");
            }
            walked += 1;
        }
        assert!(walked >= 10, "{walked}");
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let failure = |text: &str| read(text, &[]).err().unwrap();
        let unknown = failure("[[setup]]\nprefix = '2001:db8:1::/64'\ndevice = 'e'\n");
        assert_eq!(unknown.why.as_deref(), Some("line 3: `device` is not a key"));
        assert_eq!(unknown.hint.as_deref(), Some("did you mean `dev`?"));
        let bits = failure("[[setup]]\nprefix = '2001:db8:1::5/64'\ndev = 'e'\n");
        assert!(bits.what.starts_with("line 2 of "), "{bits:?}");
        assert_eq!(bits.hint.as_deref(), Some("the network is 2001:db8:1::/64"));
        let missing = failure("[[setup]]\ndev = 'eth0'\n");
        assert!(missing.why.unwrap().contains("--prefix"));
        assert!(failure("").why.unwrap().contains("no prefix"));
        let twice = "[[setup]]\nprefix = '2001:db8:1::/64'\ndev = 'e'\n".repeat(2);
        assert!(failure(&twice).why.unwrap().contains("twice"));
        assert!(
            failure("on-drift = 'ignore'\nprefix='2001:db8::/64'\ndev='e'\n")
                .why
                .unwrap()
                .contains("report or repair")
        );
        assert!(
            failure("[setup]\nprefix = '2001:db8:1::/64'\n")
                .hint
                .unwrap()
                .contains("[[setup]]")
        );
    }
}
