//! What is known about an item on its way.

use std::net::Ipv6Addr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;
use serde_json::value::RawValue;
use tracing::{Level, Span, field};
use v6kit_model::{Fault, Item, Protocol};
use v6kit_store::{Hop, Record, Timing, Way};

use crate::engine::clock::Clock;
use crate::site::{Permit, Site};

/// An item on its way: from the queue to its record.
pub(super) struct ItemContext<'a> {
    pub(super) item: Item,
    pub(super) position: u64,
    pub(super) url: &'a str,
    /// What the list calls it, as JSON.
    pub(super) id: Option<Box<RawValue>>,
    /// Who is asked, or was asked last.
    pub(super) site: Rc<Site>,
    pub(super) permit: Permit,
    pub(super) attempt: Attempt,
    /// Where redirects led to, where there were any.
    pub(super) final_url: Option<String>,
    /// The answers that led there, where they are kept.
    pub(super) hops: Vec<Hop>,
}

impl<'a> ItemContext<'a> {
    /// What all that is logged about this attempt has in common.
    pub(super) fn span(&self) -> Span {
        tracing::debug_span!(
            "item",
            position = self.position,
            host = %self.site.destination().origin(),
            attempt = self.item.attempts + 1,
            source = field::Empty,
        )
    }

    /// The record of the item, without what was sent and answered.
    pub(super) fn record(&'a self, fault: Option<&'a Fault>) -> Record<'a> {
        Record {
            final_url: self.final_url.as_deref(),
            id: self.id.as_deref(),
            way: Way {
                at: self.attempt.last_at,
                peer: self.attempt.peer,
                protocol: self.attempt.protocol,
                hops: &self.hops,
            },
            ..self.attempt.record(self.position, self.url, self.item, fault)
        }
    }
}

/// One attempt at an item.
pub(super) struct Attempt {
    pub(super) at: SystemTime,
    pub(super) began: Instant,
    pub(super) took: Duration,
    /// How long the parts of its last request took.
    pub(super) timing: Timing,
    pub(super) from: Option<Ipv6Addr>,
    /// When the last request began, where it followed a redirect.
    pub(super) last_at: Option<SystemTime>,
    /// Who was asked last, unless it was through a proxy.
    pub(super) peer: Option<Ipv6Addr>,
    pub(super) protocol: Option<Protocol>,
    pub(super) status: Option<StatusCode>,
    /// Its first request is still to be counted as one that follows others for the item.
    pub(super) is_retry: bool,
    /// Whether a request was sent, as far as its bytes left this host.
    pub(super) sent: bool,
}

impl Attempt {
    /// One that begins now.
    pub(super) fn new(clock: &Clock) -> Self {
        let began = Instant::now();
        Self {
            at: clock.time_of_day(began),
            began,
            took: Duration::ZERO,
            timing: Timing::default(),
            from: None,
            last_at: None,
            peer: None,
            protocol: None,
            status: None,
            is_retry: false,
            sent: false,
        }
    }

    /// Another request begins, where an answer led.
    pub(super) fn go_on(&mut self, clock: &Clock) {
        self.began = Instant::now();
        self.last_at = Some(clock.time_of_day(self.began));
        (self.status, self.peer, self.protocol) = (None, None, None);
    }

    /// A request is sent from `from`.
    pub(super) fn sends_from(&mut self, from: Ipv6Addr) {
        let is_first = !std::mem::replace(&mut self.sent, true);
        if is_first && tracing::enabled!(Level::DEBUG) {
            Span::current().record("source", field::display(from));
        }
    }

    /// The record of an item whose last attempt this was, and of which nothing else is known.
    pub(super) fn record<'a>(
        &self,
        position: u64,
        url: &'a str,
        item: Item,
        fault: Option<&'a Fault>,
    ) -> Record<'a> {
        Record {
            position,
            url,
            status: self.status,
            from: self.from,
            at: self.at,
            took: self.took,
            timing: self.timing,
            attempts: item.attempts + 1,
            final_url: None,
            id: None,
            way: Way::default(),
            sent: None,
            answer: None,
            fault,
        }
    }
}
