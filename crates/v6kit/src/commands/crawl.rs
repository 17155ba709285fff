//! `v6kit crawl`.

mod access;
mod args;
mod check;
mod display;
mod habits;
mod job_file;
mod limits;
mod read;
mod report;
mod retry;
mod settings;
mod status;
mod values;
mod way_out;

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use indicatif::{HumanBytes, HumanCount};
use v6kit_crawl::{Crawl, CrawlError, Rate, Summary, Suspicion};
use v6kit_model::Outcome;
use v6kit_store::DiskLow;

pub(crate) use job_file::expanded;

use crate::command_line::{self, quoted};
use crate::failure::{Exit, Failure};
use crate::interrupts::Interrupts;
use crate::printer::{Form, Printer};
use crate::service;
use crate::stderr;

/// Fetch everything that a URL template names, each item into one record.
///
/// A template holds ranges and sets in braces: {1..1000000} {001..999} {1..99..7} {a,b,c}. Several
/// multiply, the last one varying fastest. Items are never listed in memory: a billion start at once.
///
/// Records go to DIR as ndjson in zstd frames (`zstdcat DIR/*.zst`). Running the same command again goes
/// on where the last run stopped.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  \
        v6kit crawl 'https://api.example.org/items/{1..1000000}' -o items\n  \
        v6kit crawl status items\n  \
        v6kit crawl cat items --outcome ok | jq .body\n\n\
        `v6kit crawl --help` shows every option.",
    after_long_help = "Examples:\n  \
        v6kit crawl 'https://api.example.org/items/{1..1000000}' -o items\n  \
        v6kit crawl 'https://{de,fr}.example.org/{1..500}?lang={a,b}' -o items \\\n    \
            -r 20/s -c 50\n  \
        v6kit crawl --job items.toml -r 5/s\n  \
        v6kit crawl 'https://api.example.org/{1..500}' -o items \\\n    \
            --bearer-file token --redirects 5 -x 'socks5h://[::1]:1080'\n  \
        v6kit crawl 'https://api.example.org/search?page={1..500}' -o pages \\\n    \
            -d '{\"page\":{1}}' --fill -c auto --rate-total 50/s\n  \
        v6kit crawl status items\n  \
        v6kit crawl cat items --outcome ok | jq .body\n  \
        v6kit crawl retry items --outcome transient,blocked"
)]
pub(crate) struct CrawlArgs {
    #[command(subcommand)]
    command: Option<ReadCommand>,
    #[command(flatten)]
    run: args::RunArgs,
}

/// What can be asked of a job directory.
#[derive(Debug, Subcommand)]
enum ReadCommand {
    /// Say how far a crawl has come, and what the rest will take
    #[command(after_help = "Examples:\n  \
        v6kit crawl status items\n  \
        v6kit crawl status items --json | jq .forecast")]
    Status(JobDirectory),
    /// Write the URLs of items without a record, a line each
    #[command(after_help = "Examples:\n  \
        v6kit crawl missing items | wc -l\n  \
        v6kit crawl missing items > left.txt && v6kit crawl -i left.txt -o rest")]
    Missing(JobDirectory),
    /// Write the newest record of each item to standard output, a line each
    #[command(after_help = "Examples:\n  \
        v6kit crawl cat items --outcome ok | jq .body\n  \
        v6kit crawl cat items --pos 100..199")]
    Cat(read::CatArgs),
    /// Go on where the last crawl stopped, with its options
    #[command(
        alias = "continue",
        after_help = "Passwords and tokens are not stored: give them again behind --.\n\n\
        Examples:\n  \
        v6kit crawl resume items\n  \
        v6kit crawl resume items -- -r 20/s"
    )]
    Resume(retry::ResumeArgs),
    /// Fetch items again that failed, and keep both records
    #[command(after_help = "Examples:\n  \
        v6kit crawl retry items\n  \
        v6kit crawl retry items --outcome transient,blocked -- -r 20/s")]
    Retry(retry::RetryArgs),
    /// Read everything back and say what is damaged
    #[command(after_help = "Examples:\n  \
        v6kit crawl check items\n  \
        v6kit crawl check items --repair")]
    Check(check::CheckArgs),
}

#[derive(Debug, clap::Args)]
struct JobDirectory {
    /// The job directory, `-o` of the crawl
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(args: CrawlArgs, printer: &Printer) -> anyhow::Result<Exit> {
    match args.command {
        Some(ReadCommand::Status(job)) => Ok(status::status(&job.directory, printer)?),
        Some(ReadCommand::Missing(job)) => read::missing(&job.directory, printer),
        Some(ReadCommand::Cat(args)) => Ok(read::cat(args)?),
        Some(ReadCommand::Resume(args)) => retry::resume(&args, printer),
        Some(ReadCommand::Retry(args)) => retry::retry(args, printer),
        Some(ReadCommand::Check(args)) => Ok(check::check(args, printer)?),
        None if args.run.job_file.print_job => Ok(job_file::print(command_line::words(), printer)?),
        None => {
            let words = command_line::texts();
            let command = RunCommand {
                options: job_file::portable_words(&words),
                words: command_line::without_secrets(words),
                retry: Vec::new(),
            };
            super::block_on(crawl(args.run, command, printer))
        }
    }
}

/// The command that crawls.
struct RunCommand {
    /// Its words, without secrets.
    words: Vec<String>,
    /// Words that say the same from any directory.
    options: Vec<String>,
    /// Items that are fetched again: those whose newest records have these outcomes.
    retry: Vec<Outcome>,
}

/// A connection touches a few pages of its buffers. With transparent huge pages, which the allocator asks
/// for, these grow to 2 MiB each: a thousand connections take 95 MiB then rather than 59, and are no faster.
fn keep_pages_small() {
    // A kernel that cannot do this only costs memory.
    let _ = nix::sys::prctl::set_thp_disable(true);
}

/// A crawl that has begun.
struct Started {
    crawl: Crawl,
    metrics: Option<v6kit_metrics::MetricsListener>,
    rate: Rate,
    stats_interval: Option<Duration>,
    /// The command that fetches again what failed.
    retry: String,
}

/// Everything up to the first request.
async fn start(args: args::RunArgs, command: RunCommand, printer: &Printer) -> anyhow::Result<Started> {
    let metrics = match args.report.metrics {
        Some(address) => Some(super::metrics::bind(address, printer).await?),
        None => None,
    };
    let state_dir = args.state.state_dir.clone();
    let mut plan = settings::plan(args, printer).await?;
    way_out::look(&plan.settings, &state_dir).await?;
    let retry = retry_command(&command.words, &plan.settings.output);
    let is_retry = !command.retry.is_empty();
    plan.settings.invocation = command.words;
    plan.settings.options = command.options;
    plan.settings.retry = command.retry;
    let rate = plan.settings.rate;
    let crawl = Crawl::start(plan.job, plan.settings, |wait| printer.note(wait))
        .await
        .map_err(|error| failed(&error))?;
    if is_retry {
        retry::tell(crawl.retried(), printer);
    }
    Ok(Started {
        crawl,
        metrics,
        rate,
        stats_interval: plan.stats_interval,
        retry,
    })
}

/// Crawls.
async fn crawl(args: args::RunArgs, command: RunCommand, printer: &Printer) -> anyhow::Result<Exit> {
    keep_pages_small();
    limits::outlive();
    stderr::write_in_background();
    let go_on = quoted(&command.words);
    let mut interrupts = Interrupts::listen()?;
    let Started {
        crawl,
        metrics,
        rate,
        stats_interval,
        retry,
    } = tokio::select! {
        started = start(args, command, printer) => started?,
        () = interrupts.next() => return Err(interrupted_before(&go_on).into()),
    };
    if let Some(metrics) = metrics {
        printer.note(format!("counters at http://{}/metrics", metrics.address()));
        let exposition = crawl.exposition();
        tokio::spawn(metrics.serve(move || exposition.page()));
    }
    service::ready();
    let status = || display::status(&crawl);
    let mut display = display::Display::new(&crawl, stats_interval, printer);
    let interrupted = tokio::select! {
        () = crawl.ended() => false,
        () = display.run(&crawl) => false,
        () = service::report(status) => false,
        () = interrupts.next() => true,
    };
    if interrupted {
        crawl.drain();
        service::stopping("requests under way come in");
        display.note(
            "stopping: requests under way come in, the rest stays for the next run; again to stop at once",
        );
        tokio::select! {
            () = crawl.ended() => {}
            () = display.run(&crawl) => {}
            () = service::report(status) => {}
            () = interrupts.next() => {
                display.close();
                return Err(interrupted_at_once(&go_on).into());
            }
        }
    }
    display.close();
    let disk_low = crawl.disk_low();
    let summary = crawl.finish().map_err(|error| failed(&error))?;
    report::print(&summary, rate, printer);
    if let Some(Suspicion::Conntrack) = summary.suspicion {
        printer.warning(TABLE_LOOKS_FULL);
    }
    if let Some(message) = &summary.panicked {
        return Ok(stopped_by_own_error(message, printer)?);
    }
    if let Some(low) = disk_low
        && !summary.complete
    {
        printer.warning(stopped_for_room(&low, summary.left, &go_on));
        return Ok(Exit::DiskFull);
    }
    Ok(exit_of(&summary, interrupted, &go_on, &retry, printer))
}

/// Perhaps on this host, perhaps on a router: from here they look the same.
const TABLE_LOOKS_FULL: &str = "looks like a full connection table: new connections hung while established ones \
     went on; check with `v6kit router check` or `v6kit verify`, or on the router with \
     `sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max; dmesg | grep conntrack`";

/// A shard panicked. What the crawl came to is printed already, so that in JSON this is no second document.
fn stopped_by_own_error(message: &str, printer: &Printer) -> Result<Exit, Failure> {
    let error = CrawlError::Panic {
        message: message.to_owned(),
    };
    if printer.form() == Form::Json {
        printer.warning(&error);
        return Ok(Exit::Failed);
    }
    Err(failed(&error))
}

fn stopped_for_room(low: &DiskLow, left: u64, go_on: &str) -> String {
    format!(
        "stopped before the disk was full: {} free, {} of that to be kept; {left} items are left; \
         make room, or lower --keep-free, then: {go_on}",
        HumanBytes(low.free),
        HumanBytes(low.kept),
    )
}

/// The command that opens the failed items of the job again and fetches them.
fn retry_command(words: &[String], directory: &std::path::Path) -> String {
    let program = words.first().map_or("v6kit", String::as_str);
    let directory = directory.display().to_string();
    let retry = [
        "crawl",
        "retry",
        &directory,
        "--outcome",
        "blocked,transient,fatal",
    ];
    let retry: Vec<String> = std::iter::once(program).chain(retry).map(str::to_owned).collect();
    quoted(&retry)
}

fn exit_of(summary: &Summary, interrupted: bool, go_on: &str, retry: &str, printer: &Printer) -> Exit {
    if let Some(reason) = &summary.refused {
        printer.warning(format!("stopped: {reason}"));
        printer.note(format!(
            "{} items are left; to go on when the site is willing again: {go_on}",
            summary.left,
        ));
        return Exit::Refused;
    }
    if let Some(list) = &summary.changed_list {
        printer.warning(format!(
            "stopped: {list} was changed while it was being crawled, and is too large for a copy; {} items are left; put it \
             back as it was, then: {go_on}; where lines were added at its end: {go_on} --append",
            summary.left,
        ));
        return Exit::Failed;
    }
    if let Some(cause) = &summary.outage
        && !summary.complete
    {
        printer.warning(format!(
            "stopped: {cause}, for longer than --max-outage; no site has refused, and what was tried meanwhile used up no \
             attempt"
        ));
        printer.note(format!(
            "{} items are left; to go on when this host reaches others again (`v6kit verify` looks into it): {go_on}",
            summary.left,
        ));
        return Exit::OutOfService;
    }
    if interrupted && !summary.complete {
        printer.note(format!("{} items are left; to go on: {go_on}", summary.left));
        return Exit::Interrupted;
    }
    if summary.run.redirects > 0 {
        printer.note(format!(
            "{} answers led elsewhere and were not followed: --redirects 5 follows them",
            HumanCount(summary.run.redirects),
        ));
    }
    if summary.failed() > 0 {
        printer.note(format!(
            "{} items of the job failed; to fetch them again: {retry}",
            HumanCount(summary.failed()),
        ));
    }
    if summary.failed() > 0 || !summary.complete {
        Exit::Failed
    } else {
        Exit::Done
    }
}

fn interrupted_before(go_on: &str) -> Failure {
    Failure::new(Exit::Interrupted, "stopped before the first request")
        .why("interrupted while the list, the job directory and names were looked up: nothing was fetched")
        .hint(format!("to go on: {go_on}"))
}

fn interrupted_at_once(go_on: &str) -> Failure {
    Failure::new(Exit::Interrupted, "stopped at once")
        .why("interrupted twice: what was committed is safe, what was under way will be fetched again")
        .hint(format!("to go on: {go_on}"))
}

fn failed(error: &CrawlError) -> Failure {
    use v6kit_store::LedgerError::{Directory, Foreign, Locked, NotGrown, OtherJob, Shuffled, Version};
    let exit = match error {
        error if error.is_disk() => Exit::DiskFull,
        CrawlError::Ledger(
            Directory { .. }
            | Foreign { .. }
            | Locked { .. }
            | NotGrown { .. }
            | OtherJob { .. }
            | Shuffled { .. }
            | Version { .. },
        )
        | CrawlError::Pool(_)
        | CrawlError::Resolve(_)
        | CrawlError::Trust(_) => Exit::Usage,
        _ => Exit::Failed,
    };
    let what = if exit == Exit::Usage || matches!(error, CrawlError::DiskLow(_)) {
        "the crawl was not started"
    } else {
        "the crawl stopped"
    };
    Failure::because(exit, what, error)
}
