//! The command line: global options, subcommands, and wrong usage turned into what / why / hint.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::command_line;
use crate::commands;
use crate::failure::{Exit, Failure};
use crate::printer::{Printer, Results};

/// Fetch a very large number of things over IPv6 from one Linux box.
#[derive(Debug, Parser)]
#[command(
    name = "v6kit",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Try it without owning a prefix, or with one that is routed to this host.\n\n\
                  Examples:\n  \
                  v6kit lab demo\n  \
                  sudo v6kit setup --prefix 2001:db8:1:2::/64 --dev eth0\n  \
                  v6kit verify\n  \
                  v6kit crawl 'https://api.example.org/items/{1..1000000}' -o items\n  \
                  sudo v6kit teardown"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is printed, for every subcommand.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct OutputArgs {
    /// Print one JSON document on standard output and nothing else there
    #[arg(long, global = true, display_order = 900)]
    pub(crate) json: bool,
    /// Print errors only
    #[arg(short, long, global = true, display_order = 901, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more on standard error; twice for debugging
    #[arg(short, long, global = true, display_order = 902, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Where setup keeps its journal and summary.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StateArgs {
    /// Where the journal of setup and its summary lie
    #[arg(
        long,
        value_name = "DIR",
        env = "V6KIT_STATE_DIR",
        default_value = "/var/lib/v6kit",
        display_order = 800,
        hide_short_help = true
    )]
    pub(crate) state_dir: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prepare this host to send from every address of a prefix
    Setup(Box<commands::setup::SetupArgs>),
    /// Say whether everything that setup did is still in order
    Status(commands::status::StatusArgs),
    /// Put back everything that setup changed
    Teardown(commands::teardown::TeardownArgs),
    /// Prove that connections leave from addresses of the prefix, or name what is wrong
    Verify(commands::verify::VerifyArgs),
    /// Serve callers their own address, and refuse them on purpose for practice
    Echo(commands::echo::EchoArgs),
    /// Fetch everything that a URL template names
    Crawl(Box<commands::crawl::CrawlArgs>),
    /// Let other programs send from addresses of the prefix: HTTP and SOCKS5
    Proxy(Box<commands::proxy::ProxyArgs>),
    /// Answer neighbour solicitations for a prefix that is on-link rather than routed
    Ndp(commands::ndp::NdpArgs),
    /// Have the router route a prefix to this host and spare it connection tracking
    Router(commands::router::RouterArgs),
    /// Try it all on a host, a router and a target in network namespaces, without root
    Lab(commands::lab::LabArgs),
    /// Show what this host is and what is wrong with it, for a report of a fault
    Doctor(commands::doctor::DoctorArgs),
    /// Say what an error means: messages, cause, what to do
    Explain(commands::explain::ExplainArgs),
    /// Write the manual pages
    Man(commands::man::ManArgs),
    /// Print the completion script of a shell
    Completions(commands::completions::CompletionsArgs),
}

impl Command {
    /// Where its results go: before another program runs, standard output is that program's.
    pub(crate) fn results(&self) -> Results {
        match self {
            Self::Setup(args) if args.is_for_program() => Results::Aside,
            _ => Results::Output,
        }
    }
}

/// Why there are no arguments to run with.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help or the version was asked for.
    Shown(clap::Error),
    /// Wrong usage.
    Usage(Failure, OutputArgs),
}

impl Stop {
    /// Prints what there is to print and names the exit code.
    pub(crate) fn finish(self) -> ExitCode {
        match self {
            // A closed pipe while help is printed is nobody's problem.
            Self::Shown(help) => help.print().map_or(Exit::Failed, |()| Exit::Done).into(),
            Self::Usage(failure, output) => {
                let results = match failure.exit {
                    Exit::NotRun => Results::Aside,
                    _ => Results::Output,
                };
                Printer::new(&output).with(results).failure(&failure).into()
            }
        }
    }
}

/// Reads the command line of this process.
pub(crate) fn parse() -> Result<Args, Stop> {
    let mut words: Vec<OsString> = command_line::words().to_vec();
    // What other programs call it.
    if words.len() == 2 && words[1] == "version" {
        words[1] = "--version".into();
    }
    parse_from(&words)
}

/// How the result of `words` is to be printed. clap stops at the first error, so `--json` is looked for by hand to
/// answer in the right form.
fn output_of(words: &[OsString]) -> OutputArgs {
    let json = words
        .iter()
        .take_while(|word| *word != "--")
        .any(|word| word == "--json");
    OutputArgs {
        json,
        ..OutputArgs::default()
    }
}

/// Whether another program was to run after a setup.
fn runs_a_command(words: &[OsString]) -> bool {
    let mut own = words.iter().skip(1).take_while(|word| *word != "--");
    own.any(|word| word == "setup") && words.iter().any(|word| word == "--")
}

/// What clap's error about `words` ends in.
fn stop(error: clap::Error, words: &[OsString]) -> Stop {
    if error.use_stderr() {
        let hint = habit(&error, words).unwrap_or_else(|| help_hint(words));
        let failure = usage_failure(&error, &hint);
        let exit = if runs_a_command(words) {
            Exit::NotRun
        } else {
            failure.exit
        };
        Stop::Usage(Failure { exit, ..failure }, output_of(words))
    } else {
        Stop::Shown(error)
    }
}

/// What `words` say, option by option, before anything is made of it.
pub(crate) fn matches_of(words: &[OsString]) -> Result<clap::ArgMatches, Stop> {
    let command = if words.iter().any(|word| word == "-h") {
        for_short_help(Args::command())
    } else {
        Args::command()
    };
    command
        .try_get_matches_from(words)
        .map_err(|error| stop(error, words))
}

pub(crate) fn parse_from(words: &[OsString]) -> Result<Args, Stop> {
    let matches = matches_of(words)?;
    match commands::crawl::expanded(&matches) {
        Ok(Some(args)) => Ok(args),
        Ok(None) => {
            Args::from_arg_matches(&matches).map_err(|error| stop(error.format(&mut Args::command()), words))
        }
        Err(Stop::Usage(failure, _)) => Err(Stop::Usage(failure, output_of(words))),
        Err(shown) => Err(shown),
    }
}

/// `v6kit crawl -h` fits a screen: the few options that it shows need no headings.
pub(crate) fn for_short_help(command: clap::Command) -> clap::Command {
    command.mut_subcommand("crawl", |crawl| {
        crawl.mut_args(|arg| {
            if arg.is_hide_short_help_set() {
                arg
            } else {
                arg.help_heading(None::<&'static str>)
            }
        })
    })
}

/// A value that an argument does not take, with advice. Value parsers return it.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(crate) struct BadValue {
    why: String,
    hint: Option<String>,
    code: v6kit_net::Code,
}

impl BadValue {
    pub(crate) fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            hint: Some(hint.into()),
            code: v6kit_net::Code::BadValue,
        }
    }

    /// Where the catalogue says more.
    pub(crate) fn code(self, code: v6kit_net::Code) -> Self {
        Self { code, ..self }
    }
}

impl<E: std::error::Error + v6kit_net::Hint> From<&E> for BadValue {
    fn from(error: &E) -> Self {
        Self {
            why: crate::failure::chain(error),
            hint: error.hint(),
            code: error.code(),
        }
    }
}

/// Parses `--prefix`.
pub(crate) fn prefix(text: &str) -> Result<v6kit_net::Prefix, BadValue> {
    text.parse()
        .map_err(|error: v6kit_net::PrefixError| BadValue::from(&error))
}

/// Parses a time such as `5s`, `500ms` or `1m30s`, more than zero.
pub(crate) fn duration(text: &str) -> Result<Duration, BadValue> {
    const HINT: &str = "write a number and a unit, such as 5s, 500ms or 1m30s";
    let bad = |why: String| BadValue::new(why, HINT);
    let signed: jiff::SignedDuration = text
        .parse()
        .map_err(|error: jiff::Error| bad(error.to_string()))?;
    match Duration::try_from(signed) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(bad("it must be more than zero".to_owned())),
    }
}

/// Options whose values may hold a password or a token: one that is refused is not repeated.
const MAY_HOLD_SECRETS: [&str; 5] = ["--auth", "--header", "--password", "--proxy", "--user"];

fn usage_failure(error: &clap::Error, help_hint: &str) -> Failure {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    if let (ErrorKind::ValueValidation, Some(argument), Some(value)) = (
        error.kind(),
        text(ContextKind::InvalidArg),
        text(ContextKind::InvalidValue),
    ) {
        let option = argument.split(' ').next().unwrap_or(&argument);
        let what = if MAY_HOLD_SECRETS.contains(&option) {
            format!("what was given is not a value for {option}")
        } else {
            format!("`{}` is not a value for {option}", command_line::shown(&value))
        };
        let failure = Failure::new(Exit::Usage, what);
        let said = |text: &str| command_line::said_of(&value, text);
        let source = std::error::Error::source(error);
        let bad = source.and_then(|source| source.downcast_ref::<BadValue>());
        return match (bad, source) {
            (Some(BadValue { why, hint, code }), _) => Failure {
                hint: hint.as_deref().map(said),
                ..failure.why(said(why)).code(*code)
            },
            (None, Some(source)) => failure.why(said(&source.to_string())).hint(help_hint),
            (None, None) => failure.hint(help_hint),
        };
    }
    Failure::new(Exit::Usage, "wrong usage")
        .why(reason(error))
        .hint(match suggestion(&text) {
            Some(suggestion) if help_hint.contains("`v6kit help") => suggestion,
            _ => help_hint.to_owned(),
        })
}

/// Options as other programs have them, and what they are called here.
const HABITS: [(&str, &str); 18] = [
    ("-L", "--redirects 5"),
    ("--location", "--redirects 5"),
    ("--max-redirs", "--redirects"),
    ("-k", "--insecure"),
    ("--no-check-certificate", "--insecure"),
    ("--max-time", "--timeout"),
    ("-m", "--timeout"),
    ("--retry", "--retries"),
    ("--parallel", "--concurrency"),
    ("-p", "--listen 127.0.0.1:1234"),
    ("--port", "--listen 127.0.0.1:1234"),
    ("--bind", "--listen"),
    ("--user-agent", "-A"),
    ("--header", "-H"),
    ("--data", "-d"),
    ("--request", "-X"),
    ("--cookie", "-H 'Cookie: …'"),
    ("--limit-rate", "--rate"),
];

/// What was meant, where an option or a form is known from other programs.
fn habit(error: &clap::Error, words: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let command = subcommand(words).0;
    if command.get_name() == "run" && !argument.starts_with('-') {
        return Some(format!(
            "put -- before the command: `v6kit lab run -- {argument}`"
        ));
    }
    let typed = argument.split(['=', ' ']).next()?;
    let (_, here) = HABITS.iter().find(|(habit, _)| *habit == typed)?;
    let name = here.split(' ').next()?;
    let is_there = command.get_arguments().any(|arg| {
        let long = arg
            .get_long()
            .is_some_and(|long| name.strip_prefix("--") == Some(long));
        let short = arg.get_short().is_some_and(|short| name == format!("-{short}"));
        long || short
    });
    is_there.then(|| format!("here it is `{here}`"))
}

/// The subcommand that `words` name, and its path.
fn subcommand(words: &[OsString]) -> (clap::Command, String) {
    let mut command = Args::command();
    let mut path = String::new();
    for word in words.iter().skip(1) {
        let Some(below) = command.find_subcommand(word) else {
            continue;
        };
        path.push(' ');
        path.push_str(below.get_name());
        command = below.clone();
    }
    (command, path)
}

/// The command that shows the options of the subcommand in `words`, or the subcommands where there is none.
fn help_hint(words: &[OsString]) -> String {
    let path = subcommand(words).1;
    if path.is_empty() {
        "`v6kit help` shows the commands and examples".to_owned()
    } else {
        format!("`v6kit help{path}` shows every option and examples")
    }
}

/// The first paragraph of clap's own message on one line, without its `error:`.
fn reason(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "a subcommand is missing".to_owned();
    }
    let rendered = error.render().to_string();
    let paragraph: Vec<&str> = rendered
        .lines()
        .take_while(|line| !line.is_empty())
        .map(str::trim)
        .collect();
    let line = paragraph.join(" ");
    line.strip_prefix("error: ")
        .map_or(line.clone(), ToOwned::to_owned)
}

fn suggestion(text: &impl Fn(ContextKind) -> Option<String>) -> Option<String> {
    [
        ContextKind::SuggestedArg,
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedValue,
    ]
    .into_iter()
    .find_map(text)
    .map(|nearest| format!("did you mean `{nearest}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_bad_prefix_is_explained_with_the_right_network() {
        let words = ["v6kit", "verify", "--prefix", "2409:1:2:3:abcd::5/80"];
        let Err(Stop::Usage(failure, _)) = parse_from(&words.map(OsString::from)) else {
            panic!("a usage failure")
        };
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(
            failure.what,
            "`2409:1:2:3:abcd::5/80` is not a value for --prefix"
        );
        assert_eq!(
            failure.hint.as_deref(),
            Some("the network is 2409:1:2:3:abcd::/80")
        );
    }

    #[test]
    fn a_refused_value_is_not_repeated_where_it_may_be_a_secret() {
        for words in [
            &["crawl", "http://[::1]/", "-o", "x", "-x", "http://u:S3CRET@h:bad"][..],
            &[
                "crawl",
                "http://[::1]/",
                "-o",
                "x",
                "-H",
                "Authorization Bearer S3CRET",
            ],
            &["crawl", "http://[::1]/", "-o", "x", "-qH", "Cookie\u{1}: S3CRET"],
            &["crawl", "http://[::1]/", "-o", "x", "-u", ":S3CRET"],
            &["crawl", "http://u:S3CRET@h/", "-o", "x"],
            &["crawl", "http://u:S3/CRET@h/", "-o", "x"],
            &["crawl", "http://u:{S3CRET@h/", "-o", "x"],
            &["crawl", "u:S3CRET@h/", "-o", "x"],
            &["proxy", "--auth", "S3CRET"],
            &["proxy", "--listen", "http://u:S3CRET@[::1]:1"],
        ] {
            let words: Vec<OsString> = ["v6kit"].iter().chain(words).map(OsString::from).collect();
            let Err(Stop::Usage(failure, _)) = parse_from(&words) else {
                panic!("a usage failure: {words:?}")
            };
            let told = failure.on_one_line();
            assert!(
                !told.contains("S3CRET") && !told.contains("CRET@") && told.contains("is not a value for "),
                "{told}"
            );
        }
    }

    #[test]
    fn wrong_usage_names_the_help_of_the_command_that_was_typed() {
        for (words, hint) in [
            (&["v6kit", "verify", "--frobnicate"][..], "`v6kit help verify` "),
            (
                &["v6kit", "--json", "crawl", "status", "--oops"],
                "`v6kit help crawl status` ",
            ),
            (&["v6kit", "--frobnicate"], "`v6kit help` "),
        ] {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let Err(Stop::Usage(failure, _)) = parse_from(&words) else {
                panic!("a usage failure: {words:?}")
            };
            let told = failure.hint.unwrap();
            assert!(told.starts_with(hint), "{words:?}: {told}");
        }
    }

    #[test]
    fn a_misspelt_option_is_answered_with_the_nearest() {
        let words = ["v6kit", "verify", "--perfix", "2001:db8::/64"];
        let Err(Stop::Usage(failure, _)) = parse_from(&words.map(OsString::from)) else {
            panic!("a usage failure")
        };
        assert_eq!(failure.hint.as_deref(), Some("did you mean `--prefix`?"));
    }
}
