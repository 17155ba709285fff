//! Words that are read as a command line, and wrong usage turned into what / why / hint.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Args as _, Command, FromArgMatches as _};

use crate::command_line;
use crate::failure::{Exit, Failure};
use crate::habits;
use crate::printer::{Printer, Results};
use crate::shared_args::{BadValue, OutputArgs};

/// Why there are no arguments to run with.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help or the version was asked for.
    Shown(clap::Error),
    /// Wrong usage.
    Usage(Failure, OutputArgs),
}

impl Stop {
    /// Told in the form that `words` ask for.
    pub(crate) fn told_as(self, words: &[OsString]) -> Self {
        match self {
            Self::Usage(failure, _) => Self::Usage(failure, output_of(words)),
            shown @ Self::Shown(_) => shown,
        }
    }

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

/// Whether another program was to run.
fn runs_a_command(words: &[OsString]) -> bool {
    let mut own = words.iter().skip(1).take_while(|word| *word != "--");
    own.any(|word| word == "setup" || word == "exec") && words.iter().any(|word| word == "--")
}

/// What clap's error about `words`, read as a command line of `root`, ends in.
pub(crate) fn stop(error: clap::Error, root: &Command, words: &[OsString]) -> Stop {
    if error.use_stderr() {
        let hint = habit(&error, root, words).unwrap_or_else(|| help_hint(root, words));
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
pub(crate) fn matches_of(root: &Command, words: &[OsString]) -> Result<ArgMatches, Stop> {
    let command = root.clone();
    command
        .try_get_matches_from(words)
        .map_err(|error| stop(error, root, words))
}

/// A command line of one subcommand, with the options that every command has.
pub(crate) fn alone<T: clap::Args>(name: &'static str) -> Command {
    let root = Command::new("v6kit")
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .subcommand_required(true);
    OutputArgs::augment_args(root).subcommand(T::augment_args(Command::new(name)))
}

/// One subcommand with the options that every command has.
pub(crate) fn command_of<T: clap::Args>(name: &'static str) -> Command {
    let mut root = alone::<T>(name);
    root.build();
    root.find_subcommand(name).cloned().unwrap_or_default()
}

/// What `words` say, which are a command line of one subcommand.
pub(crate) fn read<T: clap::Args>(name: &'static str, words: &[OsString]) -> Result<(OutputArgs, T), Stop> {
    let mut root = alone::<T>(name);
    let matches = matches_of(&root, words)?;
    let said = matches.subcommand_matches(name).unwrap_or(&matches);
    let read = || {
        Ok((
            OutputArgs::from_arg_matches(&matches)?,
            T::from_arg_matches(said)?,
        ))
    };
    read().map_err(|error: clap::Error| stop(error.format(&mut root), &root, words))
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

/// What was meant, where an option or a form is known from other programs.
fn habit(error: &clap::Error, root: &Command, words: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let command = subcommand(root, words).0;
    if command.get_name() == "run" && !argument.starts_with('-') {
        return Some(format!(
            "put -- before the command: `v6kit lab run -- {argument}`"
        ));
    }
    let typed = argument.split(['=', ' ']).next()?;
    let has = |name: &str| {
        command.get_arguments().any(|arg| {
            let long = arg
                .get_long()
                .is_some_and(|long| name.strip_prefix("--") == Some(long));
            let short = arg.get_short().is_some_and(|short| name == format!("-{short}"));
            long || short
        })
    };
    habits::meant(typed, has, command.get_name() == "crawl")
}

/// The subcommand that `words` name, and its path.
fn subcommand(root: &Command, words: &[OsString]) -> (Command, String) {
    let mut command = root.clone();
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
fn help_hint(root: &Command, words: &[OsString]) -> String {
    let path = subcommand(root, words).1;
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
