//! Counters that a shard keeps and a reader samples.

use std::sync::Arc;
use std::time::Duration;

use v6kit_model::{Counter, Counts, ErrorKind, Fault, Outcome};

use crate::stats::prefix_stats::PrefixStats;

/// Upper bounds of the latencies that are counted apart, in seconds.
pub(crate) const LATENCY_BOUNDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// A counter for each kind of error.
#[derive(Debug)]
pub(crate) struct ErrorCounters([Counter; ErrorKind::ALL.len()]);

impl Default for ErrorCounters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl std::ops::Index<usize> for ErrorCounters {
    type Output = Counter;

    fn index(&self, kind: usize) -> &Counter {
        &self.0[kind]
    }
}

/// What one shard has done so far. Only its own thread writes.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) outcomes: [Counter; 5],
    pub(crate) requests: Counter,
    pub(crate) retries: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) in_flight: Counter,
    pub(crate) open_connections: Arc<Counter>,
    pub(crate) connections: Counter,
    pub(crate) addresses: Counter,
    pub(crate) bytes_recorded: Counter,
    pub(crate) bytes_stored: Counter,
    pub(crate) committed: Counter,
    /// How often a table of tracked connections looked full.
    pub(crate) table_full: Counter,
    /// Records whose answers may have been meant for other requests.
    pub(crate) doubtful: Counter,
    /// Finished items without data by kind.
    pub(crate) kinds: ErrorCounters,
    /// Failed attempts by kind.
    pub(crate) errors: ErrorCounters,
    /// Whole answers, the microseconds that they took in all, and how many took how long.
    pub(crate) answers: Counter,
    pub(crate) latency_us: Counter,
    pub(crate) latencies: [Counter; LATENCY_BOUNDS.len() + 1],
    /// Attempts without a whole answer.
    pub(crate) silences: Counter,
    /// Outcomes by network; none without a prefix.
    pub(crate) networks: Option<PrefixStats>,
}

/// What all shards have done at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    /// Finished items per outcome, whether committed yet or not.
    pub outcomes: Counts,
    /// Attempts: requests that were sent, and those for which there was no connection.
    pub requests: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Bytes read from connections, above TLS.
    pub bytes_in: u64,
    /// Bytes written to connections, above TLS.
    pub bytes_out: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Connections that are open.
    pub open_connections: u64,
    /// Connections that were made.
    pub connections: u64,
    /// Source addresses that were used.
    pub addresses: u64,
    /// Bytes of records before compression.
    pub bytes_recorded: u64,
    /// Bytes on the disk.
    pub bytes_stored: u64,
    /// Items whose records are committed.
    pub committed: u64,
    /// How often new connections hung while established ones went on.
    pub table_full: u64,
    /// Answers that led elsewhere and were not followed.
    pub redirects: u64,
    /// Answers by which a site refused for now: 429, 503.
    pub refusals: u64,
    /// Records whose answers may have been meant for other requests, and which could not be fetched again.
    pub doubtful: u64,
}

impl Sample {
    /// The sum over shards.
    pub(crate) fn of<'a>(shards: impl IntoIterator<Item = &'a Progress>) -> Self {
        let mut sum = Self::default();
        for shard in shards {
            sum.outcomes.add_all(&Counts::new(std::array::from_fn(|index| {
                shard.outcomes[index].get()
            })));
            sum.requests += shard.requests.get();
            sum.retries += shard.retries.get();
            sum.bytes_in += shard.bytes_in.get();
            sum.bytes_out += shard.bytes_out.get();
            sum.in_flight += shard.in_flight.get();
            sum.open_connections += shard.open_connections.get();
            sum.connections += shard.connections.get();
            sum.addresses += shard.addresses.get();
            sum.bytes_recorded += shard.bytes_recorded.get();
            sum.bytes_stored += shard.bytes_stored.get();
            sum.committed += shard.committed.get();
            sum.table_full += shard.table_full.get();
            sum.redirects += shard.errors[ErrorKind::Redirect as usize].get();
            let limits = ErrorKind::ALL.iter().filter(|kind| kind.is_limit());
            sum.refusals += limits.map(|kind| shard.errors[*kind as usize].get()).sum::<u64>();
            sum.doubtful += shard.doubtful.get();
        }
        sum
    }

    /// Items that are finished.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.outcomes.sum()
    }
}

impl Progress {
    /// Counts a whole answer.
    pub(crate) fn answered(&self, took: Duration) {
        self.answers.add(1);
        self.latency_us
            .add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX / 2));
        let seconds = took.as_secs_f64();
        let bucket = LATENCY_BOUNDS.partition_point(|bound| *bound < seconds);
        self.latencies[bucket].add(1);
    }

    /// Counts an attempt that failed.
    pub(crate) fn failed(&self, fault: &Fault) {
        self.errors[fault.kind as usize].add(1);
    }

    /// An item that was finished is not.
    pub(crate) fn take_back(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].subtract(1);
    }

    pub(crate) fn finish(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].add(1);
    }
}
