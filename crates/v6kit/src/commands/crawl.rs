//! `v6kit crawl`.

mod display;
mod read;
mod report;
mod settings;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use http::{HeaderName, HeaderValue, Method};
use tokio::signal::unix::{Signal, SignalKind, signal};
use v6kit_crawl::{Crawl, CrawlError, Rate, Summary, Template};
use v6kit_net::Prefix;

use crate::args::StateArgs;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

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
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  \
        v6kit crawl 'https://api.example.org/items/{1..1000000}' -o items\n  \
        v6kit crawl 'https://{de,fr}.example.org/{1..500}?lang={a,b}' -o items -r 20/s -c 50\n  \
        v6kit crawl status items\n  \
        v6kit crawl cat items | jq .body"
)]
pub(crate) struct CrawlArgs {
    #[command(subcommand)]
    command: Option<ReadCommand>,
    #[command(flatten)]
    run: RunArgs,
}

/// What can be asked of a job directory.
#[derive(Debug, Subcommand)]
enum ReadCommand {
    /// Say how far a crawl has come
    Status(JobDirectory),
    /// Write the committed records to standard output, a line each
    Cat(JobDirectory),
}

#[derive(Debug, clap::Args)]
struct JobDirectory {
    /// The job directory, `-o` of the crawl
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// What to fetch; http:// or https://, with ranges and sets in braces
    #[arg(value_name = "URL", required = true, value_parser = settings::template)]
    urls: Vec<Template>,
    /// The job directory; made where there is none
    #[arg(short, long, value_name = "DIR", required = true)]
    output: Option<PathBuf>,

    /// Send from random addresses of this prefix; by default that of the last setup
    #[arg(long, value_name = "P", value_parser = crate::args::prefix, help_heading = "Source addresses")]
    prefix: Option<Prefix>,
    /// Draw a new address after this many requests
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Source addresses")]
    requests_per_address: u64,

    /// How often a destination is asked, over all threads and addresses: 150/s, 90/min, or max
    #[arg(short, long, value_name = "RATE", default_value = "150/s", value_parser = settings::rate, help_heading = "Speed")]
    rate: Rate,
    /// Requests in flight
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Speed")]
    concurrency: Option<u32>,
    /// Threads; as many as the rate needs when not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Speed")]
    threads: Option<u16>,

    /// How long a request may take, from dialling to the last byte
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = settings::time, help_heading = "Deadlines")]
    timeout: Duration,
    /// How long a connection may take, TLS included
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = settings::time, help_heading = "Deadlines")]
    connect_timeout: Duration,
    /// How long the first byte of an answer may take; as --timeout when not given
    #[arg(long, value_name = "TIME", value_parser = settings::time, help_heading = "Deadlines")]
    first_byte_timeout: Option<Duration>,
    /// How long an answer may pause
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = settings::time, help_heading = "Deadlines")]
    idle_timeout: Duration,
    /// How long requests under way may take to come in after the first Ctrl-C
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = settings::time, help_heading = "Deadlines")]
    grace: Duration,
    /// Attempts beyond the first for what fails in a way that may pass
    #[arg(long, value_name = "N", default_value = "3", help_heading = "Deadlines")]
    retries: u32,

    /// The method; GET, or POST with a body
    #[arg(short = 'X', long = "method", value_name = "METHOD", value_parser = settings::method, help_heading = "Request")]
    method: Option<Method>,
    /// A header; may be given several times
    #[arg(short = 'H', long = "header", value_name = "'K: V'", value_parser = settings::header, help_heading = "Request")]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, or the file that holds it
    #[arg(short, long, value_name = "BODY|@FILE", help_heading = "Request")]
    data: Option<String>,
    /// The User-Agent; by default one that says who asks
    #[arg(short = 'A', long, value_name = "UA", value_parser = settings::user_agent, help_heading = "Request")]
    user_agent: Option<HeaderValue>,
    /// Trust the PEM certificates in this file instead of the system's
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "insecure",
        help_heading = "Request"
    )]
    cacert: Option<PathBuf>,
    /// Believe every server, whatever its certificate
    #[arg(long, help_heading = "Request")]
    insecure: bool,

    /// The largest body; a larger one is recorded as a failure
    #[arg(long, value_name = "SIZE", default_value = "10M", value_parser = settings::size, help_heading = "Items")]
    max_body: u64,
    /// Fetch only the first N items in the order of visiting
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Items")]
    limit: Option<u64>,
    /// The order in which items are visited
    #[arg(
        long,
        value_name = "ORDER",
        default_value = "sequential",
        help_heading = "Items"
    )]
    order: OrderChoice,
    /// Makes a shuffle repeatable; also where the draw of addresses begins
    #[arg(long, value_name = "N", help_heading = "Items")]
    seed: Option<u64>,

    /// How often progress is printed where there is no terminal
    #[arg(long, value_name = "TIME", value_parser = settings::time, help_heading = "Output")]
    stats_interval: Option<Duration>,
    #[command(flatten)]
    state: StateArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OrderChoice {
    Sequential,
    Shuffle,
}

pub(crate) fn run(args: CrawlArgs, printer: &Printer) -> Result<Exit, Failure> {
    match args.command {
        Some(ReadCommand::Status(job)) => read::status(&job.directory, printer),
        Some(ReadCommand::Cat(job)) => read::cat(&job.directory),
        None => super::block_on(crawl(args.run, printer)),
    }
}

async fn crawl(args: RunArgs, printer: &Printer) -> Result<Exit, Failure> {
    let plan = settings::plan(args, printer).await?;
    let mut interrupts = Interrupts::listen()?;
    let rate = plan.settings.rate;
    let crawl = Crawl::start(plan.job, plan.settings)
        .await
        .map_err(|error| failed(&error))?;
    let mut display = display::Display::new(&crawl, plan.stats_interval, printer);
    let interrupted = tokio::select! {
        () = crawl.ended() => false,
        () = display.run(&crawl) => false,
        () = interrupts.next() => true,
    };
    if interrupted {
        crawl.drain();
        display.note(
            "stopping: requests under way come in, the rest stays for the next run; again to stop at once",
        );
        tokio::select! {
            () = crawl.ended() => {}
            () = display.run(&crawl) => {}
            () = interrupts.next() => {
                display.close();
                return Err(interrupted_at_once());
            }
        }
    }
    display.close();
    let summary = crawl.finish().map_err(|error| failed(&error))?;
    report::print(&summary, rate, printer);
    Ok(exit_of(&summary, interrupted, printer))
}

fn exit_of(summary: &Summary, interrupted: bool, printer: &Printer) -> Exit {
    if interrupted && !summary.complete {
        printer.note(format!(
            "{} items are left; to go on: {}",
            summary.left,
            command_line()
        ));
        return Exit::Interrupted;
    }
    if summary.failed() > 0 || !summary.complete {
        Exit::Failed
    } else {
        Exit::Done
    }
}

fn interrupted_at_once() -> Failure {
    Failure::new(Exit::Interrupted, "stopped at once")
        .why("interrupted twice: what was committed is safe, what was under way will be fetched again")
        .hint(format!("to go on: {}", command_line()))
}

/// The line that was typed, quoted for a shell.
fn command_line() -> String {
    let words: Vec<OsString> = std::env::args_os().collect();
    let words: Vec<String> = words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_nul| words.join(" "))
}

fn failed(error: &CrawlError) -> Failure {
    use v6kit_crawl::LedgerError::{Directory, Foreign, Locked, OtherJob, Version};
    let exit = match error {
        error if error.is_disk() => Exit::DiskFull,
        CrawlError::Ledger(
            Directory { .. } | Foreign { .. } | Locked { .. } | OtherJob { .. } | Version { .. },
        )
        | CrawlError::Pool(_)
        | CrawlError::Resolve(_)
        | CrawlError::Trust(_) => Exit::Usage,
        _ => Exit::Failed,
    };
    let what = if exit == Exit::Usage {
        "the crawl was not started"
    } else {
        "the crawl stopped"
    };
    Failure::because(exit, what, error)
}

/// SIGINT and SIGTERM.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(Exit::Failed, "cannot listen for signals").why(error.to_string())
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
