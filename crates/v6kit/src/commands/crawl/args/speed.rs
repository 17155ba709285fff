//! How fast, and on how many threads.

use std::num::NonZeroUsize;

use v6kit_crawl::{ConcurrencyMode, Rate};

use crate::commands::crawl::values::{self, Concurrency};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

/// Requests in flight where nothing else is said.
const CONCURRENCY: usize = 100;

/// The most that `-c auto` tries.
const MOST_AUTO: usize = 4096;

/// The part of this host's memory that answers and records may take, and the most, in bytes.
const MEMORY_SHARE: u64 = 4;
const MEMORY: u64 = 96 << 20;

/// Requests per second that one shard is good for without being busy.
const RATE_PER_SHARD: f64 = 10_000.0;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Speed")]
pub(crate) struct SpeedArgs {
    /// How often a destination is asked: -r 20/s, -r 90/min, -r max
    ///
    /// Over all threads and addresses.
    #[arg(short, long, value_name = "RATE", default_value = "150/s", value_parser = values::rate)]
    rate: Rate,
    /// How often all destinations together are asked
    #[arg(long, value_name = "RATE", default_value = "max", value_parser = values::rate, hide_short_help = true)]
    rate_total: Rate,
    /// How often a connection is begun, to all destinations together: --connect-rate 20/s
    ///
    /// Attempts that fail and repetitions count. Who waits for it loses none of its time.
    #[arg(long, value_name = "RATE", default_value = "max", value_parser = values::rate, hide_short_help = true)]
    connect_rate: Rate,
    /// Requests in flight [default: 100]: -c 400, or -c auto
    ///
    /// auto finds out how many bring more answers rather than longer waits.
    #[arg(short, long, value_name = "N|auto", value_parser = values::concurrency)]
    concurrency: Option<Concurrency>,
    /// Bytes that answers and records take at most on their way to the disk, such as 256M
    ///
    /// [default: a quarter of what this host, its control group or `ulimit -v` has for it, 96M at most]. Where all is taken,
    /// nothing more is read or asked for until records are on the disk. An answer that is larger than that comes alone.
    #[arg(long, value_name = "SIZE", value_parser = values::size, hide_short_help = true)]
    memory: Option<u64>,
    /// Threads; as many as the rate needs when not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), hide_short_help = true)]
    threads: Option<u16>,
}

/// How fast, within what this process may open.
pub(crate) struct Speed {
    pub(crate) rate: Rate,
    pub(crate) rate_total: Rate,
    pub(crate) connect_rate: Rate,
    /// Requests in flight at most.
    pub(crate) slots: usize,
    pub(crate) mode: ConcurrencyMode,
    pub(crate) threads: usize,
    /// Bytes for answers and records on their way to the disk.
    pub(crate) memory: usize,
}

impl SpeedArgs {
    /// Raises the limit on open files as far as it may be, and fits concurrency and threads into it.
    pub(crate) fn resolve(self, printer: &Printer) -> Result<Speed, Failure> {
        let (slots, threads) = fit(self.concurrency, self.threads, self.rate, printer)?;
        Ok(Speed {
            rate: self.rate,
            rate_total: self.rate_total,
            connect_rate: self.connect_rate,
            slots,
            mode: match self.concurrency {
                Some(Concurrency::Auto) => ConcurrencyMode::Auto,
                Some(Concurrency::Fixed(_)) | None => ConcurrencyMode::Fixed,
            },
            threads,
            memory: memory(self.memory),
        })
    }
}

/// Concurrency and threads, within what this process may open.
fn fit(
    concurrency: Option<Concurrency>,
    threads: Option<u16>,
    rate: Rate,
    printer: &Printer,
) -> Result<(usize, usize), Failure> {
    let wanted = match concurrency {
        Some(Concurrency::Fixed(wanted)) => wanted,
        Some(Concurrency::Auto) => MOST_AUTO,
        None => CONCURRENCY,
    };
    let threads = threads.map_or_else(|| threads_for(rate), usize::from).min(wanted);
    let others = v6kit_crawl::other_files(threads);
    let needed = wanted + others;
    let limit = v6kit_net::raise_file_limit(needed as u64).map_err(|error| {
        Failure::new(Exit::NotPermitted, "the limit on open files cannot be raised").why(error.to_string())
    })?;
    let room = usize::try_from(limit.soft)
        .unwrap_or(usize::MAX)
        .saturating_sub(others);
    if room >= wanted {
        return Ok((wanted, threads));
    }
    let why = format!(
        "this process may open {} files (RLIMIT_NOFILE), {needed} are needed",
        limit.soft
    );
    if concurrency == Some(Concurrency::Auto) && room > 0 {
        return Ok((room, threads.min(room)));
    }
    if concurrency.is_some() || room == 0 {
        return Err(
            Failure::new(Exit::Usage, format!("{wanted} requests in flight do not fit"))
                .why(why)
                .hint(if room == 0 {
                    "raise the hard limit: setup does for logins (`v6kit help setup`), LimitNOFILE= for a unit".to_owned()
                } else {
                    format!("use -c {room}, or raise the hard limit: setup does for logins (`v6kit help setup`), LimitNOFILE= for a unit")
                }),
        );
    }
    printer.warning(format!(
        "{why}: using {room} requests in flight instead of {wanted}"
    ));
    Ok((room, threads.min(room)))
}

/// Bytes for answers and records on their way to the disk. Beside them there are what decoding and compressing take,
/// and the connections.
fn memory(given: Option<u64>) -> usize {
    let there = [v6kit_host::memory(), v6kit_net::address_space()];
    let shares = there.into_iter().flatten().map(|bytes| bytes / MEMORY_SHARE);
    let bytes = given.unwrap_or_else(|| shares.fold(MEMORY, u64::min));
    usize::try_from(bytes).unwrap_or(usize::MAX).max(1)
}

fn threads_for(rate: Rate) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    match rate {
        Rate::Max => cores,
        Rate::PerSecond(rate) => ((rate / RATE_PER_SHARD).ceil() as usize).clamp(1, cores),
    }
}
