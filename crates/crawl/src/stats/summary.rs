//! What a crawl came to.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use v6kit_model::{Counts, Outcome};
use v6kit_store::Standing;

use crate::stats::prefix_stats::PrefixSummary;
use crate::stats::progress::Sample;

/// Latencies in microseconds, 1 us to 10 min with three digits.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(Histogram<u64>);

const LONGEST: u64 = 600_000_000;

impl Latencies {
    pub(crate) fn new() -> Self {
        // These bounds are valid.
        let mut histogram = Histogram::new_with_bounds(1, LONGEST, 3).expect("valid bounds");
        histogram.auto(false);
        Self(histogram)
    }

    pub(crate) fn record(&mut self, took: Duration) {
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(microseconds.clamp(1, LONGEST));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        // The bounds are the same.
        let _ = self.0.add(&other.0);
    }

    fn percentiles(&self) -> Percentiles {
        let milliseconds = |microseconds: u64| (microseconds as f64 / 100.0).round() / 10.0;
        let at = |quantile| {
            if self.0.is_empty() {
                0.0
            } else {
                milliseconds(self.0.value_at_quantile(quantile))
            }
        };
        Percentiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: milliseconds(self.0.max()),
        }
    }
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of the requests took no longer.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// What a crawl came to: outcomes, segments and stored bytes are those of the job, also of earlier runs; requests,
/// time and connections are of this run, as is `run`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Attempts: requests that were sent, and those for which there was no connection.
    pub requests: u64,
    /// Items with data.
    pub ok: u64,
    /// Items that do not exist.
    pub absent: u64,
    /// Items that the site refused.
    pub blocked: u64,
    /// Items that failed in a way that may pass.
    pub transient: u64,
    /// Items that failed for good.
    pub fatal: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Records whose answers may have been meant for other requests, and which could not be fetched again.
    pub doubtful: u64,
    /// Bytes read from connections, above TLS.
    pub bytes_in: u64,
    /// Wall-clock time.
    pub seconds: f64,
    /// Finished items per second.
    pub rate: f64,
    /// How long requests took.
    pub latency_ms: Percentiles,
    /// Connections that were made.
    pub connections: u64,
    /// Source addresses that were used.
    pub addresses: u64,
    /// Segments in the job directory.
    pub segments: u64,
    /// Bytes in them.
    pub bytes_stored: u64,
    /// CPU time of this process, user and system.
    pub cpu_seconds: f64,
    /// Whether every item of the job has its record.
    pub complete: bool,
    /// Items of the job.
    pub total: u64,
    /// Items that were done before this run.
    pub resumed: u64,
    /// Items without a record.
    pub left: u64,
    /// Why the crawl ended early, where the site left no point in going on.
    pub refused: Option<String>,
    /// Why nothing was reached from this host for too long, where the crawl ended early by that.
    pub outage: Option<String>,
    /// The list that was changed while it was being crawled, where the crawl ended early by that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_list: Option<String>,
    /// What a part of v6kit said that stopped by an error of its own, where the crawl ended early by that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panicked: Option<String>,
    /// What may be behind connections that failed.
    pub suspicion: Option<Suspicion>,
    /// Requests that might be in flight in the end.
    pub concurrency: usize,
    /// Whether that was found out rather than given.
    pub concurrency_found: bool,
    /// What this run did of it.
    pub run: RunSummary,
    /// How many items of this run ended by which kind of failure.
    pub kinds: BTreeMap<&'static str, u64>,
    /// How the outcomes differ between networks of the prefix; none without a prefix.
    pub networks: Option<PrefixSummary>,
}

/// What one run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RunSummary {
    /// Items with data.
    pub ok: u64,
    /// Items that do not exist.
    pub absent: u64,
    /// Items that the site refused.
    pub blocked: u64,
    /// Items that failed in a way that may pass.
    pub transient: u64,
    /// Items that failed for good.
    pub fatal: u64,
    /// Answers that led elsewhere and were not followed.
    pub redirects: u64,
    /// Answers by which a site refused for now: 429, 503.
    pub refusals: u64,
    /// Bytes added to the segments.
    pub bytes_stored: u64,
}

impl RunSummary {
    fn new(sample: &Sample) -> Self {
        let counts = &sample.outcomes;
        Self {
            ok: counts.of(Outcome::Ok),
            absent: counts.of(Outcome::Absent),
            blocked: counts.of(Outcome::Blocked),
            transient: counts.of(Outcome::Transient),
            fatal: counts.of(Outcome::Fatal),
            redirects: sample.redirects,
            refusals: sample.refusals,
            bytes_stored: sample.bytes_stored,
        }
    }
}

/// What the failures of a crawl look like, seen together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suspicion {
    /// New connections hung while established ones went on, as when a router's table of tracked
    /// connections is full.
    Conntrack,
}

/// What a summary is made of beside the counters.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) standing: Standing,
    pub(crate) resumed: u64,
    pub(crate) refused: Option<String>,
    pub(crate) outage: Option<String>,
    pub(crate) changed_list: Option<String>,
    pub(crate) panicked: Option<String>,
    pub(crate) concurrency: usize,
    pub(crate) concurrency_found: bool,
}

impl Summary {
    pub(crate) fn new(sample: &Sample, latencies: &Latencies, run: &Run) -> Self {
        let counts: &Counts = &run.standing.done;
        let seconds = run.wall.as_secs_f64();
        Self {
            requests: sample.requests,
            ok: counts.of(Outcome::Ok),
            absent: counts.of(Outcome::Absent),
            blocked: counts.of(Outcome::Blocked),
            transient: counts.of(Outcome::Transient),
            fatal: counts.of(Outcome::Fatal),
            retries: sample.retries,
            doubtful: sample.doubtful,
            bytes_in: sample.bytes_in,
            seconds: (seconds * 1000.0).round() / 1000.0,
            rate: (sample.finished() as f64 / seconds.max(1e-9) * 10.0).round() / 10.0,
            latency_ms: latencies.percentiles(),
            connections: sample.connections,
            addresses: sample.addresses,
            segments: run.standing.segments,
            bytes_stored: run.standing.bytes,
            cpu_seconds: run.cpu.as_secs_f64(),
            complete: run.standing.left() == 0,
            total: run.standing.total,
            resumed: run.resumed,
            left: run.standing.left(),
            refused: run.refused.clone(),
            outage: run.outage.clone(),
            changed_list: run.changed_list.clone(),
            panicked: run.panicked.clone(),
            suspicion: (sample.table_full > 0).then_some(Suspicion::Conntrack),
            concurrency: run.concurrency,
            concurrency_found: run.concurrency_found,
            run: RunSummary::new(sample),
            kinds: BTreeMap::new(),
            networks: None,
        }
    }

    /// Items of the job that have neither data nor a clear absence.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.blocked + self.transient + self.fatal
    }
}
