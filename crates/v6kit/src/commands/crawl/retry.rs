//! `v6kit crawl retry`.

use std::ffi::OsString;
use std::path::PathBuf;

use indicatif::HumanCount;
use v6kit_model::Outcome;

use super::read::{outcome, unreadable};
use crate::args::{self, Args, Command};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

#[derive(Debug, clap::Args)]
pub(super) struct RetryArgs {
    /// The job directory, `-o` of the crawl
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Which items: those whose newest record has one of these outcomes
    #[arg(
        long,
        value_name = "OUTCOMES",
        value_delimiter = ',',
        default_value = "transient,blocked",
        value_parser = outcome
    )]
    outcome: Vec<Outcome>,
    /// Only open the items again, and leave the fetching to the next crawl
    #[arg(long)]
    no_run: bool,
    /// Options of the crawl that shall differ this time, such as -r 20/s
    #[arg(value_name = "OPTIONS", last = true)]
    options: Vec<String>,
}

pub(super) fn retry(args: RetryArgs, printer: &Printer) -> Result<Exit, Failure> {
    let retried = v6kit_store::retry(&args.directory, &args.outcome).map_err(|error| unreadable(&error))?;
    let items = retried.items.sum();
    let by_outcome: Vec<String> = Outcome::ALL
        .into_iter()
        .filter(|&outcome| retried.items.of(outcome) > 0)
        .map(|outcome| format!("{} {outcome}", HumanCount(retried.items.of(outcome))))
        .collect();
    printer.note(match items {
        0 => "no item ended that way".to_owned(),
        items => format!(
            "{} items are open again: {}",
            HumanCount(items),
            by_outcome.join(", ")
        ),
    });
    if args.no_run {
        printer.json(&serde_json::json!({ "opened": items }));
        return Ok(Exit::Done);
    }
    let words = words(&args, retried.invocation);
    let run = parsed(&words)?;
    let words = crate::command_line::without_secrets(words);
    super::super::block_on(super::crawl(run, words, printer))
}

/// The command that crawled here last, with the options that shall differ.
fn words(args: &RetryArgs, invocation: Vec<String>) -> Vec<String> {
    let mut words = invocation;
    let elsewhere = |run: super::args::RunArgs| run.output.as_ref() != Some(&args.directory);
    if parsed(&words).is_ok_and(elsewhere) {
        words.push("-o".to_owned());
        words.push(args.directory.to_string_lossy().into_owned());
    }
    words.extend(args.options.iter().cloned());
    words
}

fn parsed(words: &[String]) -> Result<super::args::RunArgs, Failure> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    match args::parse_from(&words) {
        Ok(Args {
            command: Command::Crawl(crawl),
            ..
        }) if crawl.command.is_none() => Ok(crawl.run),
        Err(args::Stop::Usage(failure, _)) => Err(failure),
        Ok(_) | Err(args::Stop::Shown(_)) => Err(Failure::new(
            Exit::Usage,
            "the command that crawled here last is not known",
        )
        .hint("the items are open again: repeat that command to fetch them")),
    }
}
