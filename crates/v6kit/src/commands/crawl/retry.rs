//! `v6kit crawl retry` and `v6kit crawl resume`: the last crawl of a directory once more.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use indicatif::HumanCount;
use v6kit_model::input::LIST_COPY;
use v6kit_model::{Counts, Outcome};
use v6kit_net::shell_path;
use v6kit_store::JobDirectory;

use super::RunCommand;
use super::job_file::{self, Described};
use super::read::{exit_of, outcome, unreadable};
use crate::failure::{Exit, Failure};
use crate::options::Options;
use crate::printer::Printer;
use crate::remote;
use crate::usage::Stop;

#[derive(Debug, clap::Args)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    last: ResumeArgs,
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
}

#[derive(Debug, clap::Args)]
pub(super) struct ResumeArgs {
    /// The job directory, `-o` of the crawl
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Options of the crawl that shall differ this time, such as -r 20/s or a header with a new token
    #[arg(value_name = "OPTIONS", last = true)]
    options: Vec<String>,
}

pub(super) fn resume(args: &ResumeArgs, printer: &Printer) -> anyhow::Result<Exit> {
    let unknown = "repeat that command: it goes on where it stopped".to_owned();
    crawl(
        words(&args.directory, &args.options, unknown)?,
        Vec::new(),
        printer,
    )
}

pub(super) fn retry(args: RetryArgs, printer: &Printer) -> anyhow::Result<Exit> {
    let ResumeArgs { directory, options } = &args.last;
    if args.no_run {
        let opened = v6kit_store::retry(directory, &args.outcome).map_err(|error| unreadable(&error))?;
        tell(opened, printer);
        printer.json(&serde_json::json!({ "opened": opened.sum() }));
        return Ok(Exit::Done);
    }
    let unknown = format!(
        "open the items with `v6kit crawl retry {} --no-run`, then repeat that command to fetch them",
        shell_path(directory)
    );
    crawl(words(directory, options, unknown)?, args.outcome, printer)
}

/// Crawls as `words` say, and fetches items again whose newest records have an outcome of `retry`.
fn crawl(words: Vec<OsString>, retry: Vec<Outcome>, printer: &Printer) -> anyhow::Result<Exit> {
    let run = parsed(&words)?;
    let texts = words.iter().map(|word| word.to_string_lossy().into_owned());
    let words = crate::command_line::without_secrets(texts.collect());
    let command = RunCommand {
        options: words.clone(),
        words,
        retry,
    };
    super::super::block_on(super::crawl(run, command, printer))
}

/// Says which items are open again.
pub(super) fn tell(opened: Counts, printer: &Printer) {
    let by_outcome: Vec<String> = Outcome::ALL
        .into_iter()
        .filter(|&outcome| opened.of(outcome) > 0)
        .map(|outcome| format!("{} {outcome}", HumanCount(opened.of(outcome))))
        .collect();
    printer.note(match opened.sum() {
        0 => "no item ended that way".to_owned(),
        items => format!(
            "{} items are open again: {}",
            HumanCount(items),
            by_outcome.join(", ")
        ),
    });
}

/// The command line of the crawl in `directory`, with `changed` in the place of the options that it replaces. Where it is
/// not known, `unknown` is the hint.
fn words(directory: &Path, changed: &[String], unknown: String) -> Result<Vec<OsString>, Failure> {
    let failed = |error| Failure::because(exit_of(&error), "the records cannot be read", &error);
    let job = JobDirectory::read(directory).map_err(failed)?;
    job.require_format().map_err(failed)?;
    let stored = job.ledger.options().map_err(failed)?;
    let stored: Vec<OsString> = stored.iter().map(OsString::from).collect();
    let Some(stored) = described(&stored)? else {
        return Err(
            Failure::new(Exit::Usage, "the command that crawled here last is not known")
                .why("nothing was begun")
                .hint(unknown),
        );
    };
    // What is required of a crawl may be in a job file, here an empty one.
    let mut alone: Vec<OsString> = vec!["v6kit".into(), "crawl".into(), "--job=/dev/null".into()];
    alone.extend(changed.iter().map(OsString::from));
    let changed = described(&alone)?
        .map(|described| described.options)
        .unwrap_or_default();
    let Described { options, command, .. } = stored;
    let output = directory.to_string_lossy().into_owned();
    let mut merged = replacing_headers(changed, &options)
        .over(options, &command)
        .without(&["output", "json", "quiet", "verbose", "print-job"]);
    merged.say("output", vec![output]);
    // Standard input was read to its end, and what a URL leads to may be another list now; the job has kept a copy.
    let copy = directory.join(LIST_COPY);
    if copy.exists() {
        let copy = copy.to_string_lossy().into_owned();
        let is_kept = |key: &str, value: &str| match key {
            "input" => value == "-" || remote::url_of(Path::new(value)).is_some(),
            key => key == "url" && value == "-",
        };
        let mut from_copy = false;
        merged.retain_values(|key, value| {
            from_copy |= is_kept(key, value);
            !is_kept(key, value)
        });
        if from_copy {
            merged.say("input", vec![copy]);
        }
    }
    let mut words = vec!["v6kit".into(), "crawl".into()];
    words.extend(merged.words(&command));
    Ok(words)
}

/// `changed` with those headers of `stored` whose names it does not give.
fn replacing_headers(mut changed: Options, stored: &Options) -> Options {
    let name = |header: &str| {
        header
            .split(':')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    };
    let Some(given) = changed.values("header").map(<[String]>::to_vec) else {
        return changed;
    };
    let replaced: Vec<String> = given.iter().map(|header| name(header)).collect();
    let kept = stored.values("header").unwrap_or_default().iter();
    let kept = kept.filter(|header| !replaced.contains(&name(header))).cloned();
    changed.say("header", kept.chain(given.iter().cloned()).collect());
    changed
}

/// What `words` say; `None` where they are no crawl.
fn described(words: &[OsString]) -> Result<Option<Described>, Failure> {
    if words.is_empty() {
        return Ok(None);
    }
    job_file::said(words)
}

fn parsed(words: &[OsString]) -> Result<super::args::RunArgs, Failure> {
    match job_file::read(words) {
        Ok((_, crawl)) if crawl.command.is_none() => Ok(crawl.run),
        Err(Stop::Usage(failure, _)) => Err(failure),
        Ok(_) | Err(Stop::Shown(_)) => Err(Failure::new(
            Exit::Usage,
            "the options after -- are not those of a crawl",
        )
        .hint("give options such as -r 20/s: `v6kit help crawl` shows them")),
    }
}
