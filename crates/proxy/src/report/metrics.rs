//! Counters, kept per thread and added up when somebody asks.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use v6kit_metrics::{Kind, Page};

use crate::data::protocol::Protocol;

/// Upper bounds of the dial times, in seconds.
const DIAL_BUCKETS: [f64; 9] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];
/// /64 networks that are counted by name. More are counted together.
const MAX_NETS: usize = 1000;

/// What one thread counts. Only a scrape ever makes it wait.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: Mutex<Counts>,
    log_lines_dropped: AtomicU64,
    accept_errors: AtomicU64,
    /// The last sign of life that was asked for and given.
    pulse: AtomicU64,
}

#[derive(Debug, Default)]
struct Counts {
    users: BTreeMap<Box<str>, UserCounts>,
    nets: HashMap<Ipv6Addr, u64>,
    other_nets: u64,
    dials: [u64; DIAL_BUCKETS.len() + 1],
    dial_seconds: f64,
}

#[derive(Debug, Default)]
struct UserCounts {
    exchanges: BTreeMap<(Protocol, &'static str), u64>,
    up: u64,
    down: u64,
}

impl Counts {
    fn user(&mut self, user: &str) -> &mut UserCounts {
        if !self.users.contains_key(user) {
            self.users.insert(user.into(), UserCounts::default());
        }
        self.users.get_mut(user).expect("inserted above")
    }

    fn net(&mut self, net: Ipv6Addr, count: u64) {
        if let Some(counted) = self.nets.get_mut(&net) {
            *counted += count;
        } else if self.nets.len() < MAX_NETS {
            self.nets.insert(net, count);
        } else {
            self.other_nets += count;
        }
    }

    fn add(&mut self, other: &Self) {
        for (name, theirs) in &other.users {
            let ours = self.user(name);
            ours.up += theirs.up;
            ours.down += theirs.down;
            for (kind, count) in &theirs.exchanges {
                *ours.exchanges.entry(*kind).or_default() += count;
            }
        }
        for (net, count) in &other.nets {
            self.net(*net, *count);
        }
        self.other_nets += other.other_nets;
        for (ours, theirs) in self.dials.iter_mut().zip(other.dials) {
            *ours += theirs;
        }
        self.dial_seconds += other.dial_seconds;
    }
}

impl Tally {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn exchange(
        &self,
        user: &str,
        protocol: Protocol,
        outcome: &'static str,
        net: Option<Ipv6Addr>,
        dialled: Option<Duration>,
    ) {
        let mut counts = self.counts();
        *counts
            .user(user)
            .exchanges
            .entry((protocol, outcome))
            .or_default() += 1;
        if let Some(net) = net {
            counts.net(net, 1);
        }
        if let Some(seconds) = dialled.map(|took| took.as_secs_f64()) {
            let bucket = DIAL_BUCKETS.partition_point(|bound| *bound < seconds);
            counts.dials[bucket] += 1;
            counts.dial_seconds += seconds;
        }
    }

    pub(crate) fn bytes(&self, user: &str, up: u64, down: u64) {
        let mut counts = self.counts();
        let user = counts.user(user);
        user.up += up;
        user.down += down;
    }

    pub(crate) fn log_line_dropped(&self) {
        self.log_lines_dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn accept_error(&self) {
        self.accept_errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answer_pulse(&self, asked: u64) {
        self.pulse.store(asked, Ordering::Relaxed);
    }

    pub(crate) fn pulse(&self) -> u64 {
        self.pulse.load(Ordering::Relaxed)
    }
}

/// All that is counted.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) tallies: Arc<[Arc<Tally>]>,
    pub(crate) open: Arc<AtomicUsize>,
}

impl Metrics {
    /// The text format of Prometheus.
    pub(crate) fn render(&self) -> String {
        let mut counts = Counts::default();
        for tally in &*self.tallies {
            counts.add(&tally.counts());
        }
        let sum = |counter: fn(&Tally) -> &AtomicU64| -> u64 {
            self.tallies
                .iter()
                .map(|tally| counter(tally).load(Ordering::Relaxed))
                .sum()
        };
        let mut page = Page::default();
        page.family(
            "v6kit_proxy_connections",
            Kind::Gauge,
            "Client connections open now",
        );
        page.sample(&[], self.open.load(Ordering::Relaxed));
        users(&mut page, &counts);
        nets(&mut page, &counts);
        dials(&mut page, &counts);
        page.family(
            "v6kit_proxy_accept_errors_total",
            Kind::Counter,
            "Connections that could not be accepted",
        );
        page.sample(&[], sum(|tally| &tally.accept_errors));
        page.family(
            "v6kit_proxy_log_lines_dropped_total",
            Kind::Counter,
            "Access log lines lost to a slow disk",
        );
        page.sample(&[], sum(|tally| &tally.log_lines_dropped));
        page.into_text()
    }
}

fn users(page: &mut Page, counts: &Counts) {
    page.family(
        "v6kit_proxy_requests_total",
        Kind::Counter,
        "Tunnels, requests and associations that have ended, by how they did",
    );
    for (user, counted) in &counts.users {
        for ((protocol, outcome), count) in &counted.exchanges {
            let labels = [
                ("user", &**user),
                ("protocol", protocol.name()),
                ("outcome", outcome),
            ];
            page.sample(&labels, count);
        }
    }
    page.family(
        "v6kit_proxy_bytes_total",
        Kind::Counter,
        "Bytes relayed, without headers of our own",
    );
    for (user, counted) in &counts.users {
        page.sample(&[("user", user), ("direction", "up")], counted.up);
        page.sample(&[("user", user), ("direction", "down")], counted.down);
    }
}

fn nets(page: &mut Page, counts: &Counts) {
    let mut nets: Vec<_> = counts.nets.iter().collect();
    nets.sort_unstable();
    page.family(
        "v6kit_proxy_source_connections_total",
        Kind::Counter,
        "Connections and requests by the /64 of their source address",
    );
    for (net, count) in nets {
        page.sample(&[("net64", &format!("{net}/64"))], count);
    }
    if counts.other_nets > 0 {
        page.sample(&[("net64", "other")], counts.other_nets);
    }
}

fn dials(page: &mut Page, counts: &Counts) {
    page.family(
        "v6kit_proxy_dial_seconds",
        Kind::Histogram,
        "Time to resolve and connect",
    );
    page.histogram(&DIAL_BUCKETS, &counts.dials, counts.dial_seconds);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_added_up_and_labels_escaped() {
        let tallies: Arc<[Arc<Tally>]> = (0..2).map(|_| Arc::default()).collect();
        for tally in &*tallies {
            let net = Some("2001:db8:0:7::".parse().unwrap());
            tally.exchange(
                "a\"b",
                Protocol::Connect,
                "ok",
                net,
                Some(Duration::from_millis(3)),
            );
            tally.bytes("a\"b", 10, 20);
        }
        let page = Metrics {
            tallies,
            open: Arc::new(AtomicUsize::new(3)),
        }
        .render();
        for line in [
            "v6kit_proxy_connections 3",
            "v6kit_proxy_requests_total{user=\"a\\\"b\",protocol=\"connect\",outcome=\"ok\"} 2",
            "v6kit_proxy_bytes_total{user=\"a\\\"b\",direction=\"down\"} 40",
            "v6kit_proxy_source_connections_total{net64=\"2001:db8:0:7::/64\"} 2",
            "v6kit_proxy_dial_seconds_bucket{le=\"0.001\"} 0",
            "v6kit_proxy_dial_seconds_bucket{le=\"0.005\"} 2",
            "v6kit_proxy_dial_seconds_count 2",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
        }
    }

    #[test]
    fn networks_beyond_the_limit_are_counted_together() {
        let tally = Tally::default();
        for net in 0..MAX_NETS as u128 + 5 {
            let net = Ipv6Addr::from_bits(0x2001 << 112 | net << 64);
            tally.exchange("", Protocol::Forward, "ok", Some(net), None);
        }
        let counts = tally.counts();
        assert_eq!((counts.nets.len(), counts.other_nets), (MAX_NETS, 5));
    }
}
