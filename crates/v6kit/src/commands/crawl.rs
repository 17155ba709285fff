//! `v6kit crawl`.

mod access;
mod check;
mod display;
mod invocation;
mod job_file;
mod read;
mod report;
mod retry;
mod settings;
mod status;
mod values;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use http::{HeaderName, HeaderValue, Method};
use indicatif::HumanBytes;
use v6kit_crawl::{Crawl, CrawlError, Expectation, Rate, Summary, Suspicion};
use v6kit_model::input::Template;
use v6kit_net::Prefix;
use v6kit_store::{Content, DiskLow, FieldPath, Format, KeepFree};

pub(crate) use job_file::expanded;

use crate::args::StateArgs;
use crate::failure::{Exit, Failure};
use crate::interrupts::Interrupts;
use crate::printer::Printer;
use crate::service;

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
        v6kit crawl 'https://{de,fr}.example.org/{1..500}?lang={a,b}' -o items -r 20/s -c 50\n  \
        v6kit crawl --job items.toml -r 5/s\n  \
        v6kit crawl 'https://api.example.org/{1..500}' -o items --bearer-file token --redirects 5 \\\n    \
            -x 'socks5h://[::1]:1080'\n  \
        v6kit crawl 'https://api.example.org/search?page={1..500}' -d '{\"page\":{}}' -o pages -c auto --rate-total 50/s\n  \
        v6kit crawl status items\n  \
        v6kit crawl cat items --outcome ok | jq .body\n  \
        v6kit crawl retry items --outcome transient,blocked"
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

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// What to fetch: http:// or https://, with ranges and sets in braces; or, with -i, a URL with {} where
    /// each line goes; - reads lines from standard input
    #[arg(value_name = "URL", required_unless_present_any = ["input", "job"], value_parser = values::url)]
    urls: Vec<Target>,
    /// Take items from a file, plain or packed with gzip or zstd: a URL per line, or a JSON object with
    /// "url" and perhaps "method", "headers", "body" and "id"
    #[arg(short, long, value_name = "FILE", help_heading = "Items")]
    input: Option<PathBuf>,
    /// The job directory; made where there is none
    #[arg(short, long, value_name = "DIR", required_unless_present = "job")]
    output: Option<PathBuf>,

    /// Send from random addresses of this prefix; by default that of the last setup
    #[arg(long, value_name = "P", value_parser = crate::args::prefix, help_heading = "Source addresses")]
    prefix: Option<Prefix>,
    /// Draw a new address after this many requests
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Source addresses")]
    requests_per_address: u64,
    /// Draw a new address after this time, such as 60s
    #[arg(long, value_name = "TIME", value_parser = values::time, help_heading = "Source addresses")]
    address_age: Option<Duration>,
    /// Use so many addresses at a time and change them slowly, as an on-link prefix needs it; any number when
    /// not given, 300 where `v6kit ndp` answers for the prefix
    #[arg(long, value_name = "N", value_parser = values::addresses, help_heading = "Source addresses")]
    addresses: Option<NonZeroUsize>,

    /// How often a destination is asked, over all threads and addresses: 150/s, 90/min, or max
    #[arg(short, long, value_name = "RATE", default_value = "150/s", value_parser = values::rate, help_heading = "Speed")]
    rate: Rate,
    /// How often all destinations together are asked
    #[arg(long, value_name = "RATE", default_value = "max", value_parser = values::rate, help_heading = "Speed")]
    rate_total: Rate,
    /// Requests in flight [default: 100]; auto finds out how many bring more answers rather than longer waits
    #[arg(short, long, value_name = "N|auto", value_parser = values::concurrency, help_heading = "Speed")]
    concurrency: Option<values::Concurrency>,
    /// Threads; as many as the rate needs when not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Speed")]
    threads: Option<u16>,

    /// How long a request may take, from dialling to the last byte
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = values::time, help_heading = "Deadlines")]
    timeout: Duration,
    /// How long a connection may take, TLS included
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::time, help_heading = "Deadlines")]
    connect_timeout: Duration,
    /// How long the first byte of an answer may take; as --timeout when not given
    #[arg(long, value_name = "TIME", value_parser = values::time, help_heading = "Deadlines")]
    first_byte_timeout: Option<Duration>,
    /// How long an answer may pause
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = values::time, help_heading = "Deadlines")]
    idle_timeout: Duration,
    /// How long requests under way may take to come in after the first Ctrl-C
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::time, help_heading = "Deadlines")]
    grace: Duration,
    /// What to do when a site says that it is asked too often (429, 503): ask it less often, go on from
    /// another address, or end the crawl
    #[arg(
        long,
        value_name = "HOW",
        default_value = "slow",
        help_heading = "Terms of the site"
    )]
    on_limit: OnLimitChoice,
    /// Pause when more than this part of the last attempts failed, probe, and stop when probes fail too
    #[arg(long, value_name = "PERCENT", default_value = "20%", value_parser = values::percent, help_heading = "Terms of the site")]
    max_error_rate: f64,
    /// The pause before the first probe; twice as long before each further one
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::time, help_heading = "Terms of the site")]
    probe_pause: Duration,
    /// Whether to obey robots.txt
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "obey",
        help_heading = "Terms of the site"
    )]
    robots: RobotsChoice,
    /// Attempts beyond the first for what fails in a way that may pass
    #[arg(long, value_name = "N", default_value = "3", help_heading = "Deadlines")]
    retries: u32,

    /// The method; GET, or POST with a body
    #[arg(short = 'X', long = "method", value_name = "METHOD", value_parser = values::method, help_heading = "Request")]
    method: Option<Method>,
    /// A header; may be given several times. In headers and body {} stands for the line, or for what the braces
    /// of the URL came to; {1}, {2} for one of several; {{}} for {}
    #[arg(short = 'H', long = "header", value_name = "'K: V'", value_parser = values::header, help_heading = "Request")]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, or the file that holds it
    #[arg(short, long, value_name = "BODY|@FILE", help_heading = "Request")]
    data: Option<String>,
    /// The User-Agent; by default one that says who asks
    #[arg(short = 'A', long, value_name = "UA", value_parser = values::user_agent, help_heading = "Request")]
    user_agent: Option<HeaderValue>,
    /// The version of HTTP; auto takes what the server prefers over TLS, and HTTP/1.1 otherwise
    #[arg(
        long,
        value_name = "VERSION",
        default_value = "auto",
        help_heading = "Request"
    )]
    http: HttpChoice,
    /// HTTP/2 streams on one connection at a time
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Request")]
    streams: u64,
    /// Follow as many redirects for an item; each of them keeps to the pace and the robots.txt of where it leads
    #[arg(long, value_name = "N", default_value = "0", help_heading = "Request")]
    redirects: u32,
    /// Let each source address keep the cookies that it is given; no address shows those of another
    #[arg(long, help_heading = "Request")]
    cookies: bool,
    #[command(flatten)]
    access: access::AccessArgs,
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

    /// What data is like: status=200,404, json, key=data.id, size=10..1M, header=NAME:PATTERN; all must
    /// hold, or the item counts as blocked
    #[arg(long, value_name = "WHAT", value_parser = values::expectation, help_heading = "Items")]
    expect: Vec<Expectation>,
    /// What only a refusal says, as a regular expression on the body; may be given several times
    #[arg(long, value_name = "RE", value_parser = values::pattern, help_heading = "Items")]
    block_pattern: Vec<String>,
    /// Ask for no compression, and keep bodies as they come
    #[arg(long, help_heading = "Items")]
    raw: bool,
    /// The largest body; a larger one is recorded as a failure
    #[arg(long, value_name = "SIZE", default_value = "10M", value_parser = values::size, help_heading = "Items")]
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

    /// The form of the records
    #[arg(long, value_name = "FORMAT", default_value = "ndjson", value_parser = values::format, help_heading = "Output")]
    format: Format,
    /// What is kept of an answer: meta; body; or body,headers
    #[arg(long, value_name = "PARTS", default_value = "body", value_parser = values::content, help_heading = "Output")]
    store: Content,
    /// Keep only these fields of JSON bodies: a.b.c,d
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', value_parser = values::field, help_heading = "Output")]
    extract: Vec<FieldPath>,
    /// The level of zstd, 1 to 22
    #[arg(long, value_name = "N", default_value_t = settings::LEVEL, value_parser = clap::value_parser!(i32).range(1..=22), help_heading = "Output")]
    level: i32,
    /// Let zstd look for what is alike over larger frames; takes more memory
    #[arg(long, help_heading = "Output")]
    long: bool,
    /// How long a record waits at most until it is safe on the disk
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = values::time, help_heading = "Output")]
    commit_every: Duration,
    /// Stop before less than this is free on the disk: 5%, 2GiB; by default 5 % and at least 1 GiB
    #[arg(long, value_name = "SIZE", value_parser = values::keep_free, help_heading = "Output")]
    keep_free: Option<KeepFree>,
    /// How often progress is printed where there is no terminal
    #[arg(long, value_name = "TIME", value_parser = values::time, help_heading = "Output")]
    stats_interval: Option<Duration>,
    /// Serve counters for Prometheus at http://ADDR/metrics; a port alone is on loopback
    #[arg(long, value_name = "ADDR", value_parser = super::metrics::address, help_heading = "Output")]
    metrics: Option<SocketAddr>,
    /// Take options from this file; what is given here wins over it
    #[arg(long, value_name = "FILE.toml", help_heading = "Job file")]
    job: Option<PathBuf>,
    /// Write these options as a job file to standard output, and crawl nothing
    #[arg(long, help_heading = "Job file")]
    print_job: bool,
    #[command(flatten)]
    state: StateArgs,
}

/// What a positional argument says.
#[derive(Debug, Clone)]
enum Target {
    /// A URL or a template of URLs.
    Template(Template),
    /// A URL into which lines are put.
    Substituted(String),
    /// Lines come from standard input.
    StandardInput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RobotsChoice {
    Obey,
    Ignore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HttpChoice {
    Auto,
    #[value(name = "1")]
    One,
    #[value(name = "2")]
    Two,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnLimitChoice {
    Slow,
    Rotate,
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OrderChoice {
    Sequential,
    Shuffle,
}

pub(crate) fn run(args: CrawlArgs, printer: &Printer) -> Result<Exit, Failure> {
    match args.command {
        Some(ReadCommand::Status(job)) => status::status(&job.directory, printer),
        Some(ReadCommand::Missing(job)) => read::missing(&job.directory, printer),
        Some(ReadCommand::Cat(args)) => read::cat(args),
        Some(ReadCommand::Retry(args)) => retry::retry(args, printer),
        Some(ReadCommand::Check(args)) => check::check(args, printer),
        None if args.run.print_job => job_file::print(&invocation::words(), printer),
        None => super::block_on(crawl(
            args.run,
            invocation::without_secrets(invocation::words()),
            printer,
        )),
    }
}

/// A connection touches a few pages of its buffers. With transparent huge pages, which the allocator asks
/// for, these grow to 2 MiB each: a thousand connections take 95 MiB then rather than 59, and are no faster.
fn keep_pages_small() {
    // A kernel that cannot do this only costs memory.
    let _ = nix::sys::prctl::set_thp_disable(true);
}

/// Crawls; `words` are the command that does so.
async fn crawl(args: RunArgs, words: Vec<String>, printer: &Printer) -> Result<Exit, Failure> {
    keep_pages_small();
    let go_on = invocation::quoted(&words);
    let metrics = match args.metrics {
        Some(address) => Some(super::metrics::bind(address, printer).await?),
        None => None,
    };
    let mut plan = settings::plan(args, printer).await?;
    plan.settings.invocation = words;
    let mut interrupts = Interrupts::listen()?;
    let rate = plan.settings.rate;
    let crawl = tokio::select! {
        crawl = Crawl::start(plan.job, plan.settings, |wait| printer.note(wait)) => crawl,
        () = interrupts.next() => return Err(interrupted_before(&go_on)),
    };
    let crawl = crawl.map_err(|error| failed(&error))?;
    if let Some(metrics) = metrics {
        printer.note(format!("counters at http://{}/metrics", metrics.address()));
        let exposition = crawl.exposition();
        tokio::spawn(metrics.serve(move || exposition.page()));
    }
    service::ready();
    let status = || display::status(&crawl);
    let mut display = display::Display::new(&crawl, plan.stats_interval, printer);
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
                return Err(interrupted_at_once(&go_on));
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
    if let Some(low) = disk_low
        && !summary.complete
    {
        printer.warning(stopped_for_room(&low, summary.left, &go_on));
        return Ok(Exit::DiskFull);
    }
    Ok(exit_of(&summary, interrupted, &go_on, printer))
}

/// Perhaps on this host, perhaps on a router: from here they look the same.
const TABLE_LOOKS_FULL: &str = "looks like a full connection table: new connections hung while established ones \
     went on; check with `v6kit router check` or `v6kit verify`, or on the router with \
     `sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max; dmesg | grep conntrack`";

fn stopped_for_room(low: &DiskLow, left: u64, go_on: &str) -> String {
    format!(
        "stopped before the disk was full: {} free, {} of that to be kept; {left} items are left; \
         make room, or lower --keep-free, then: {go_on}",
        HumanBytes(low.free),
        HumanBytes(low.kept),
    )
}

fn exit_of(summary: &Summary, interrupted: bool, go_on: &str, printer: &Printer) -> Exit {
    if let Some(reason) = &summary.refused {
        printer.warning(format!("stopped: {reason}"));
        printer.note(format!(
            "{} items are left; to go on when the site is willing again: {go_on}",
            summary.left,
        ));
        return Exit::Refused;
    }
    if interrupted && !summary.complete {
        printer.note(format!("{} items are left; to go on: {go_on}", summary.left));
        return Exit::Interrupted;
    }
    if summary.failed() > 0 || !summary.complete {
        Exit::Failed
    } else {
        Exit::Done
    }
}

fn interrupted_before(go_on: &str) -> Failure {
    Failure::new(Exit::Interrupted, "stopped before the first request")
        .why("interrupted while names were looked up: nothing was fetched")
        .hint(format!("to go on: {go_on}"))
}

fn interrupted_at_once(go_on: &str) -> Failure {
    Failure::new(Exit::Interrupted, "stopped at once")
        .why("interrupted twice: what was committed is safe, what was under way will be fetched again")
        .hint(format!("to go on: {go_on}"))
}

fn failed(error: &CrawlError) -> Failure {
    use v6kit_store::LedgerError::{Directory, Foreign, Locked, OtherJob, Version};
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
    let what = if exit == Exit::Usage || matches!(error, CrawlError::DiskLow(_)) {
        "the crawl was not started"
    } else {
        "the crawl stopped"
    };
    Failure::because(exit, what, error)
}
