//! The counters of a crawl in the text format of Prometheus.

use std::sync::Arc;

use v6kit_metrics::{Kind, Page};
use v6kit_model::{ErrorKind, Outcome};

use crate::engine::limits::Limits;
use crate::site::Destinations;
use crate::stats::prefix_stats::{PrefixStats, SeenNetworks};
use crate::stats::progress::{LATENCY_BOUNDS, Progress, Sample};

/// /64s and destinations that have samples of their own; more share one.
const MOST_LABELS: usize = 1000;

/// What the counters of a crawl are read from. Shards never wait for a reader.
#[derive(Debug, Clone)]
pub struct Exposition {
    pub(crate) shards: Vec<Arc<Progress>>,
    pub(crate) seen: Option<Arc<SeenNetworks>>,
    pub(crate) destinations: Arc<Destinations>,
    pub(crate) limits: Limits,
    pub(crate) total: u64,
    pub(crate) resumed: u64,
}

impl Exposition {
    /// The page of this moment.
    #[must_use]
    pub fn page(&self) -> String {
        let sample = Sample::of(self.shards.iter().map(AsRef::as_ref));
        let mut page = Page::default();
        self.items(&mut page, &sample);
        requests(&mut page, &sample);
        self.errors(&mut page);
        self.latencies(&mut page);
        self.paces(&mut page);
        self.networks(&mut page);
        page.into_text()
    }

    fn items(&self, page: &mut Page, sample: &Sample) {
        page.single(
            "v6kit_crawl_job_items",
            Kind::Gauge,
            "Items of the job",
            self.total,
        );
        page.single(
            "v6kit_crawl_job_items_done_before",
            Kind::Gauge,
            "Items that had their record before this run",
            self.resumed,
        );
        page.family(
            "v6kit_crawl_items_total",
            Kind::Counter,
            "Items that are finished, by outcome",
        );
        for outcome in Outcome::ALL {
            page.sample(&[("outcome", outcome.as_str())], sample.outcomes.of(outcome));
        }
        page.single(
            "v6kit_crawl_items_committed_total",
            Kind::Counter,
            "Items whose record is safe on the disk",
            sample.committed,
        );
        page.single(
            "v6kit_crawl_stored_bytes_total",
            Kind::Counter,
            "Bytes added to segments",
            sample.bytes_stored,
        );
    }

    fn errors(&self, page: &mut Page) {
        page.family(
            "v6kit_crawl_errors_total",
            Kind::Counter,
            "Attempts that failed, by the kind of error",
        );
        for kind in ErrorKind::ALL {
            let count: u64 = self
                .shards
                .iter()
                .map(|shard| shard.errors[*kind as usize].get())
                .sum();
            page.sample(&[("kind", kind.as_str())], count);
        }
    }

    fn latencies(&self, page: &mut Page) {
        page.family(
            "v6kit_crawl_request_seconds",
            Kind::Histogram,
            "Time from the departure of a request to the end of its answer",
        );
        let mut counts = [0; LATENCY_BOUNDS.len() + 1];
        for shard in &self.shards {
            for (sum, count) in counts.iter_mut().zip(&shard.latencies) {
                *sum += count.get();
            }
        }
        let microseconds: u64 = self.shards.iter().map(|shard| shard.latency_us.get()).sum();
        page.histogram(&LATENCY_BOUNDS, &counts, microseconds as f64 / 1e6);
    }

    fn paces(&self, page: &mut Page) {
        page.single(
            "v6kit_crawl_slots",
            Kind::Gauge,
            "Requests that may be in flight",
            self.limits.all(),
        );
        page.family(
            "v6kit_crawl_pace_requests_per_second",
            Kind::Gauge,
            "How often a destination may be asked at present",
        );
        for (destination, pace) in self.destinations.paces(MOST_LABELS) {
            page.sample(&[("destination", &destination)], pace);
        }
    }

    fn networks(&self, page: &mut Page) {
        let Some(seen) = &self.seen else { return };
        let shards: Vec<&PrefixStats> = self
            .shards
            .iter()
            .filter_map(|shard| shard.networks.as_ref())
            .collect();
        let Some(networks) = PrefixStats::by_64(&shards, seen) else {
            return;
        };
        page.family(
            "v6kit_crawl_source_requests_total",
            Kind::Counter,
            "Answers by the /64 of the source address, and whether they were a refusal",
        );
        let mut others = [0; 2];
        for (index, (net, counts)) in networks.iter().enumerate() {
            if index < MOST_LABELS {
                by_answer(page, &format!("{net}/64"), *counts);
            } else {
                others = [others[0] + counts[0], others[1] + counts[1]];
            }
        }
        if others != [0, 0] {
            by_answer(page, "other", others);
        }
    }
}

fn by_answer(page: &mut Page, net: &str, [served, refused]: [u64; 2]) {
    page.sample(&[("net64", net), ("answer", "served")], served);
    page.sample(&[("net64", net), ("answer", "refused")], refused);
}

fn requests(page: &mut Page, sample: &Sample) {
    for (name, kind, help, value) in [
        (
            "v6kit_crawl_requests_total",
            Kind::Counter,
            "Requests that were sent",
            sample.requests,
        ),
        (
            "v6kit_crawl_retries_total",
            Kind::Counter,
            "Attempts beyond the first",
            sample.retries,
        ),
        (
            "v6kit_crawl_in_flight",
            Kind::Gauge,
            "Requests under way",
            sample.in_flight,
        ),
        (
            "v6kit_crawl_open_connections",
            Kind::Gauge,
            "Connections that are open",
            sample.open_connections,
        ),
        (
            "v6kit_crawl_connections_total",
            Kind::Counter,
            "Connections that were made",
            sample.connections,
        ),
        (
            "v6kit_crawl_source_addresses_total",
            Kind::Counter,
            "Source addresses that were used",
            sample.addresses,
        ),
    ] {
        page.single(name, kind, help, value);
    }
    page.family(
        "v6kit_crawl_bytes_total",
        Kind::Counter,
        "Bytes read from and written to connections, above TLS",
    );
    page.sample(&[("direction", "in")], sample.bytes_in);
    page.sample(&[("direction", "out")], sample.bytes_out);
}
