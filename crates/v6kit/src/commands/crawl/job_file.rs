//! Job files: everything that the options of a crawl can say, as TOML.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};
use v6kit_model::input::is_secret_header;

use super::CrawlArgs;
use crate::failure::{Exit, Failure};
use crate::options::{OptionFile, Options, file_text};
use crate::printer::{Form, Printer};
use crate::remote;
use crate::shared_args::OutputArgs;
use crate::usage::{self, Stop};

/// The subcommand.
const NAME: &str = "crawl";

const HEADER: &str =
    "# A crawl: `v6kit crawl --job FILE`. Keys are the long options of `v6kit crawl --help`.";

/// A crawl's options on the command line and in a job file.
pub(crate) struct Described {
    pub(super) options: Options,
    job: Option<PathBuf>,
    pub(super) command: Command,
}

/// What `matches` of the whole command line say about a crawl; `None` for any other command.
pub(crate) fn described(matches: &ArgMatches) -> Result<Option<Described>, Failure> {
    let Some((NAME, matches)) = matches.subcommand() else {
        return Ok(None);
    };
    if matches.subcommand().is_some() {
        return Ok(None);
    }
    let command = command();
    let said = Options::said(&command, matches);
    let job = matches.get_one::<PathBuf>("job").cloned();
    let options = match &job {
        Some(path) => {
            let url = remote::url_of(path);
            let file = url.map_or_else(|| OptionFile::read(path), OptionFile::fetch)?;
            let options = file.options(file.table(), &command, &[])?;
            if let Some(url) = url {
                require_nothing_of_this_host(options.clone(), url)?;
            }
            said.over(options, &command)
        }
        None => said,
    };
    Ok(Some(Described {
        options: options.without(&["job"]),
        job,
        command,
    }))
}

/// Who writes a job file elsewhere has no say in which files of this host are read and written.
fn require_nothing_of_this_host(mut options: Options, url: &str) -> Result<(), Failure> {
    let mut found = None;
    options.retain_values(|key, value| {
        let names_file = match key {
            "input" => remote::url_of(Path::new(value)).is_none(),
            "data" => value.starts_with('@'),
            key => FILES.contains(&key),
        };
        if names_file {
            found = Some(key.to_owned());
        }
        true
    });
    let Some(key) = found else {
        return Ok(());
    };
    Err(Failure::new(
        Exit::Usage,
        format!("the job file at {} is not taken", remote::shown(url)),
    )
    .why(format!("its {key} names a file of this host"))
    .hint(format!("leave it out there, and give --{key} here")))
}

/// `v6kit crawl` with the options that every command has.
fn command() -> Command {
    usage::command_of::<CrawlArgs>(NAME)
}

impl Described {
    /// The command line that says the same without a job file; `None` where there is none.
    pub(crate) fn words(&self) -> Option<Vec<OsString>> {
        self.job.as_ref()?;
        let mut words = vec!["v6kit".into(), NAME.into()];
        words.extend(self.options.words(&self.command));
        Some(words)
    }

    /// The command line that says the same from any directory, without a job file. What is printed and how much is
    /// left out.
    fn portable_words(mut self) -> Vec<String> {
        self.options = self.options.without(&["json", "quiet", "verbose", "print-job"]);
        self.options.map_values(absolute);
        let words = self.options.words(&self.command).into_iter();
        let words = words.map(|word| word.to_string_lossy().into_owned());
        ["v6kit".to_owned(), NAME.to_owned()]
            .into_iter()
            .chain(words)
            .collect()
    }

    /// Names the line of the job file in a failure about what stands there.
    pub(crate) fn located(&self, failure: Failure) -> Failure {
        let path = self.job.as_deref().unwrap_or(Path::new(""));
        self.options.located(failure, path, &self.command)
    }

    /// Prints a job file that says the same, without secrets.
    fn print(mut self, printer: &Printer) {
        self.options = self.options.without(&["print-job", "json", "quiet", "verbose"]);
        self.options.retain_values(|key, value| {
            let is_secret = is_secret(key, value);
            if is_secret {
                let name = value.split(':').next().filter(|_| key == "header");
                printer.warning(format!(
                    "{} is a secret and left out: name a file that holds it, or give it on the command line",
                    name.map_or_else(
                        || format!("the value of {key}"),
                        |name| format!("the header {name}")
                    )
                ));
            }
            !is_secret
        });
        let text = file_text(HEADER, self.options.table(&self.command));
        match printer.form() {
            Form::Json => printer.json(&serde_json::json!({ "job": text })),
            Form::Text => printer.line(text.trim_end()),
        }
    }
}

/// The options whose values name files.
const FILES: [&str; 6] = ["input", "output", "bearer-file", "cert", "key", "cacert"];

/// The value of the option `key`, where it names a file so that it does from any directory.
fn absolute(key: &str, value: &str) -> String {
    let (before, path) = match value.strip_prefix('@') {
        Some(path) if key == "data" => ("@", path),
        None if key == "input" && remote::url_of(Path::new(value)).is_some() => return value.to_owned(),
        None if FILES.contains(&key) && value != "-" => ("", value),
        Some(_) if FILES.contains(&key) => ("", value),
        _ => return value.to_owned(),
    };
    match std::path::absolute(path) {
        Ok(path) => format!("{before}{}", path.display()),
        Err(_) => value.to_owned(),
    }
}

/// The command line that says what `words` do from any directory, without a job file and without secrets; empty where
/// they are no crawl.
pub(super) fn portable_words(words: &[String]) -> Vec<String> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let described = said(&words).ok().flatten();
    let words = described.map(Described::portable_words).unwrap_or_default();
    crate::command_line::without_secrets(words)
}

/// Whether a value would tell whoever reads the job file a password.
fn is_secret(key: &str, value: &str) -> bool {
    let has_password = |url: &str| {
        let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
        authority
            .split(['/', '?', '#'])
            .next()
            .is_some_and(|authority| authority.contains('@'))
    };
    match key {
        "password" => true,
        "user" => value.contains(':'),
        "url" | "proxy" => has_password(value),
        "header" => is_secret_header(value.split(':').next().unwrap_or_default()),
        _ => false,
    }
}

/// Prints the job file of the crawl that `words` describe.
pub(super) fn print(words: &[OsString], printer: &Printer) -> Result<Exit, Failure> {
    if let Some(described) = said(words)? {
        described.print(printer);
    }
    Ok(Exit::Done)
}

/// What `words` say; they are a crawl's, without a job file.
pub(super) fn read(words: &[OsString]) -> Result<(OutputArgs, CrawlArgs), Stop> {
    usage::read(NAME, words)
}

/// What `words` of a command line say about a crawl; `None` where they ask for help or read a job directory.
pub(super) fn said(words: &[OsString]) -> Result<Option<Described>, Failure> {
    match usage::matches_of(&usage::alone::<CrawlArgs>(NAME), words) {
        Ok(matches) => described(&matches),
        Err(Stop::Usage(failure, _)) => Err(failure),
        Err(Stop::Shown(_)) => Ok(None),
    }
}

/// Reads the job file that `matches` name, and the command line anew with what it says.
pub(crate) fn expanded(matches: &ArgMatches) -> Result<Option<(OutputArgs, CrawlArgs)>, Stop> {
    let wrong = |failure| Stop::Usage(failure, OutputArgs::default());
    let Some(described) = described(matches).map_err(wrong)? else {
        return Ok(None);
    };
    let Some(words) = described.words() else {
        return Ok(None);
    };
    match read(&words) {
        Ok(said) => Ok(Some(said)),
        Err(Stop::Usage(failure, output)) => Err(Stop::Usage(described.located(failure), output)),
        Err(stop @ Stop::Shown(_)) => Err(stop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(words: &[&str]) -> ArgMatches {
        usage::alone::<CrawlArgs>(NAME)
            .try_get_matches_from(["v6kit", "crawl"].iter().chain(words))
            .unwrap()
    }

    fn described_by(words: &[&str]) -> Described {
        described(&matches(words)).unwrap().unwrap()
    }

    /// A value that an argument takes: one of its choices, its default, or what its value parser is known
    /// to want.
    fn sample(arg: &clap::Arg) -> String {
        if let Some(choice) = arg.get_possible_values().first() {
            return choice.get_name().to_owned();
        }
        if let Some(default) = arg.get_default_values().first() {
            return default.to_string_lossy().into_owned();
        }
        let key = crate::options::key(arg).unwrap();
        match key.as_str() {
            "url" => "http://[::1]/{1..9}",
            "prefix" => "2001:db8::/64",
            "header" => "Accept: text/plain",
            "expect" => "status=200,404",
            "method" => "PUT",
            "first-byte-timeout" | "stats-interval" => "7s",
            "keep-free" => "2GiB",
            "extract" => "a.b",
            _ => "7",
        }
        .to_owned()
    }

    #[test]
    fn a_job_file_says_everything_that_options_can_say() {
        let command = command();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("job.toml");
        let mut walked = 0;
        for arg in command.get_arguments() {
            let Some(key) = crate::options::key(arg) else {
                continue;
            };
            if matches!(key.as_str(), "job" | "print-job") {
                continue;
            }
            let value = match arg.get_action() {
                clap::ArgAction::Count => "2".to_owned(),
                action if !action.takes_values() => "true".to_owned(),
                clap::ArgAction::Append => format!("['{}']", sample(arg)),
                _ => format!("'{}'", sample(arg)),
            };
            std::fs::write(&path, format!("{key} = {value}\n")).unwrap();
            let file = OptionFile::read(&path).unwrap();
            let options = file.options(file.table(), &command, &[]).unwrap();
            let words = options.words(&command);
            assert_eq!(
                words.len(),
                1 + usize::from(arg.is_positional() || value == "2"),
                "{key}: {words:?}"
            );
            assert!(words[0].to_string_lossy().starts_with("--"), "{key}: {words:?}");
            // And back again.
            let text = file_text("", options.table(&command));
            std::fs::write(&path, text).unwrap();
            let file = OptionFile::read(&path).unwrap();
            let again = file.options(file.table(), &command, &[]).unwrap();
            assert_eq!(again.words(&command), words, "{key}");
            walked += 1;
        }
        assert!(walked > 40, "{walked}");
    }

    #[test]
    fn what_was_said_is_said_again_by_the_file_that_is_printed() {
        let words = [
            "http://[::1]/{1..3}",
            "http://[::1]/{a,b}",
            "-o",
            "out dir",
            "-r",
            "20/s",
            "-c7",
            "-H",
            "Accept: a, \"b\"",
            "-H",
            "X-A: 1",
            "--extract",
            "a.b,c",
            "--insecure",
            "-vv",
            "-d",
            "007",
        ];
        let described = described_by(&words);
        let text = file_text(HEADER, described.options.table(&described.command));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("job.toml");
        std::fs::write(&path, &text).unwrap();
        let again = described_by(&["--job", path.to_str().unwrap()]);
        assert_eq!(
            again.options.words(&again.command),
            described.options.words(&described.command),
            "{text}"
        );
        let expanded = expanded(&matches(&["--job", path.to_str().unwrap()])).unwrap();
        assert!(expanded.is_some(), "a crawl");
    }

    #[test]
    fn options_win_over_the_file_also_where_they_exclude_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("job.toml");
        std::fs::write(
            &path,
            "url = ['http://[::1]/']\noutput = 'o'\nrate = '1/s'\ncacert = 'c.pem'\nheader = ['A: 1', 'B: 2']\n",
        )
        .unwrap();
        let described = described_by(&[
            "--job",
            path.to_str().unwrap(),
            "-r",
            "max",
            "--insecure",
            "-H",
            "C: 3",
        ]);
        let words: Vec<_> = described.words().unwrap();
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        for wanted in ["--rate=max", "--insecure", "--header=C: 3", "--output=o"] {
            assert!(words.contains(&wanted), "{wanted}: {words:?}");
        }
        assert_eq!(
            words.iter().filter(|word| word.starts_with("--header")).count(),
            1
        );
        assert!(
            !words.iter().any(|word| word.starts_with("--cacert")),
            "{words:?}"
        );
    }

    #[test]
    fn an_unknown_key_and_a_wrong_value_are_named_with_their_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("job.toml");
        let failure = |text: &str| {
            std::fs::write(&path, text).unwrap();
            match expanded(&matches(&["--job", path.to_str().unwrap()])) {
                Err(Stop::Usage(failure, _)) => failure,
                other => panic!("{other:?}"),
            }
        };
        let unknown = failure("url = 'http://[::1]/'\nconcurency = 5\n");
        assert_eq!(unknown.why.as_deref(), Some("line 2: `concurency` is not a key"));
        assert_eq!(unknown.hint.as_deref(), Some("did you mean `concurrency`?"));
        let wrong = failure("url = ['http://[::1]/']\noutput = 'o'\n\nrate = 'fast'\n");
        assert!(
            wrong.what.starts_with("line 4 of ") && wrong.what.ends_with("`fast` is not a value for --rate"),
            "{wrong:?}"
        );
        assert!(wrong.hint.unwrap().contains("150/s"));
        let missing = failure("url = 'http://[::1]/'\n");
        assert!(missing.why.unwrap().contains("--output"));
        let syntax = failure("url = [\n");
        assert!(syntax.why.unwrap().starts_with("line "));
        let of_another_kind = failure("insecure = 'yes'\n");
        assert_eq!(
            of_another_kind.why.as_deref(),
            Some("line 1: `insecure` is either true or false")
        );
    }

    #[test]
    fn secrets_are_known() {
        for (key, value) in [
            ("header", "Authorization: Bearer x"),
            ("header", "cookie: a=b"),
            ("header", "X-Auth-Token: 1"),
            ("header", "X-Goog-Api-Key: 1"),
            ("user", "me:secret"),
            ("password", "secret"),
            ("url", "https://me:secret@example.org/"),
            ("proxy", "http://me:secret@[::1]:1"),
        ] {
            assert!(is_secret(key, value), "{key} {value}");
        }
        for (key, value) in [
            ("header", "Accept: a"),
            ("url", "https://example.org/@me"),
            ("bearer-file", "token"),
            ("user", "me"),
        ] {
            assert!(!is_secret(key, value), "{key} {value}");
        }
    }
}
