//! What was asked, answered and refused, and why.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use v6kit_metrics::{Kind as MetricKind, Page};

use crate::wire::{Invalid, Kind};

/// Why a solicitation got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Broken in its form, or not a solicitation.
    Malformed,
    /// The hop limit is not 255: not from this link.
    HopLimit,
    /// The checksum is wrong.
    Checksum,
    /// A malformed option.
    Options,
    /// Duplicate address detection against the rules.
    DuplicateProbe,
    /// Sent by this host and thrown back by the link.
    Reflected,
    /// Asks for an address outside the prefix.
    OutsidePrefix,
    /// The kernel answers for it.
    OwnAddress,
    /// The address of a gateway.
    Gateway,
    /// A neighbour on the link has it.
    Neighbour,
    /// The routers' common address (RFC 4291 section 2.6.1).
    Anycast,
    /// No socket uses it.
    Unused,
    /// As many addresses as allowed are answered for.
    LiveLimit,
    /// More answers a second than allowed.
    RateLimit,
    /// Too many solicitations wait for a look at the sockets.
    Backlog,
    /// There is no source address, or the device is down.
    CannotSend,
}

impl Cause {
    const ALL: [Self; 16] = [
        Self::Malformed,
        Self::HopLimit,
        Self::Checksum,
        Self::Options,
        Self::DuplicateProbe,
        Self::Reflected,
        Self::OutsidePrefix,
        Self::OwnAddress,
        Self::Gateway,
        Self::Neighbour,
        Self::Anycast,
        Self::Unused,
        Self::LiveLimit,
        Self::RateLimit,
        Self::Backlog,
        Self::CannotSend,
    ];

    /// The name in counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::HopLimit => "hop_limit",
            Self::Checksum => "checksum",
            Self::Options => "options",
            Self::DuplicateProbe => "duplicate_probe",
            Self::Reflected => "reflected",
            Self::OutsidePrefix => "outside_prefix",
            Self::OwnAddress => "own_address",
            Self::Gateway => "gateway",
            Self::Neighbour => "neighbour",
            Self::Anycast => "anycast",
            Self::Unused => "unused",
            Self::LiveLimit => "live_limit",
            Self::RateLimit => "rate_limit",
            Self::Backlog => "backlog",
            Self::CannotSend => "cannot_send",
        }
    }
}

impl From<Invalid> for Cause {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::HopLimit(_) => Self::HopLimit,
            Invalid::Checksum => Self::Checksum,
            Invalid::Options => Self::Options,
            Invalid::ProbeDestination | Invalid::ProbeLinkAddress => Self::DuplicateProbe,
            Invalid::Truncated
            | Invalid::OtherMessage
            | Invalid::Code(_)
            | Invalid::Length
            | Invalid::MulticastTarget
            | Invalid::Source => Self::Malformed,
        }
    }
}

/// Counts since the start. Shared with whoever serves them.
#[derive(Debug, Default)]
pub struct Counters {
    solicitations: AtomicU64,
    answered: [AtomicU64; 3],
    announced: AtomicU64,
    refused: [AtomicU64; Cause::ALL.len()],
    looks: AtomicU64,
    live: AtomicU64,
    dropped: AtomicU64,
}

const KINDS: [(Kind, &str); 3] = [
    (Kind::Resolution, "resolution"),
    (Kind::Reachability, "reachability"),
    (Kind::Duplicate, "duplicate"),
];

/// The counts at one moment, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Solicitations from or for the prefix.
    pub solicitations: u64,
    /// Answers of all kinds.
    pub answered: u64,
    /// Answers to solicitations sent to a group.
    pub resolution: u64,
    /// Answers to probes sent to the address itself.
    pub reachability: u64,
    /// Defences against others who wanted to have the address.
    pub duplicate: u64,
    /// Unsolicited advertisements after the link-layer address changed.
    pub announced: u64,
    /// Solicitations without an answer.
    pub refused: u64,
    /// The same by cause; causes that never occurred are left out.
    pub causes: std::collections::BTreeMap<&'static str, u64>,
    /// Addresses that are being answered for.
    pub live: u64,
    /// Looks at the sockets of this host.
    pub looks: u64,
    /// Packets that the kernel dropped because they came faster than they were read.
    pub dropped: u64,
}

impl Counters {
    pub(crate) fn solicited(&self) {
        add(&self.solicitations);
    }

    pub(crate) fn answered(&self, kind: Kind) {
        add(&self.answered[kind as usize]);
    }

    pub(crate) fn announced(&self) {
        add(&self.announced);
    }

    pub(crate) fn refused(&self, cause: Cause) {
        add(&self.refused[cause as usize]);
    }

    pub(crate) fn looked(&self) {
        add(&self.looks);
    }

    pub(crate) fn set_live(&self, live: usize) {
        self.live.store(live as u64, Ordering::Relaxed);
    }

    pub(crate) fn set_dropped(&self, dropped: u64) {
        self.dropped.store(dropped, Ordering::Relaxed);
    }

    /// The counts of now.
    #[must_use]
    pub fn now(&self) -> Counts {
        let answered = self.answered.each_ref().map(read);
        let causes: std::collections::BTreeMap<_, _> = Cause::ALL
            .into_iter()
            .map(|cause| (cause.name(), read(&self.refused[cause as usize])))
            .filter(|(_, count)| *count > 0)
            .collect();
        Counts {
            solicitations: read(&self.solicitations),
            answered: answered.iter().sum(),
            resolution: answered[Kind::Resolution as usize],
            reachability: answered[Kind::Reachability as usize],
            duplicate: answered[Kind::Duplicate as usize],
            announced: read(&self.announced),
            refused: causes.values().sum(),
            causes,
            live: read(&self.live),
            looks: read(&self.looks),
            dropped: read(&self.dropped),
        }
    }

    /// The counts in the text format of Prometheus.
    #[must_use]
    pub fn exposition(&self) -> String {
        let mut page = Page::default();
        page.single(
            "v6kit_ndp_solicitations_total",
            MetricKind::Counter,
            "Solicitations from or for the prefix",
            read(&self.solicitations),
        );
        page.family(
            "v6kit_ndp_answers_total",
            MetricKind::Counter,
            "Advertisements sent, by what was asked",
        );
        for (kind, name) in KINDS {
            page.sample(&[("kind", name)], read(&self.answered[kind as usize]));
        }
        page.family(
            "v6kit_ndp_refusals_total",
            MetricKind::Counter,
            "Solicitations without an answer, by cause",
        );
        for cause in Cause::ALL {
            page.sample(&[("cause", cause.name())], read(&self.refused[cause as usize]));
        }
        for (name, kind, help, value) in [
            (
                "v6kit_ndp_announcements_total",
                MetricKind::Counter,
                "Unsolicited advertisements sent",
                &self.announced,
            ),
            (
                "v6kit_ndp_socket_lists_total",
                MetricKind::Counter,
                "Looks at the sockets of this host",
                &self.looks,
            ),
            (
                "v6kit_ndp_kernel_drops_total",
                MetricKind::Counter,
                "Packets lost because they came too fast",
                &self.dropped,
            ),
            (
                "v6kit_ndp_live_addresses",
                MetricKind::Gauge,
                "Addresses that are being answered for",
                &self.live,
            ),
        ] {
            page.single(name, kind, help, read(value));
        }
        page.into_text()
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_own_place_and_name() {
        let counters = Counters::default();
        for (n, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, n);
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.name());
            for _ in 0..=n {
                counters.refused(cause);
            }
        }
        let counts = counters.now();
        assert_eq!(counts.causes["malformed"], 1);
        assert_eq!(counts.causes["cannot_send"], 16);
        assert_eq!(counts.refused, (1..=16).sum::<u64>());
    }

    #[test]
    fn the_exposition_names_every_counter_with_its_type() {
        let counters = Counters::default();
        counters.solicited();
        counters.answered(Kind::Reachability);
        counters.refused(Cause::Unused);
        let text = counters.exposition();
        for line in [
            "# TYPE v6kit_ndp_answers_total counter",
            "v6kit_ndp_solicitations_total 1",
            "v6kit_ndp_answers_total{kind=\"reachability\"} 1",
            "v6kit_ndp_refusals_total{cause=\"unused\"} 1",
            "v6kit_ndp_refusals_total{cause=\"gateway\"} 0",
            "# TYPE v6kit_ndp_live_addresses gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}
