//! A source address, and one that is drawn and kept for more than one request.

use std::net::Ipv6Addr;
use std::num::NonZeroU64;
use std::rc::Rc;
use std::time::{Duration, Instant};

use v6kit_net::Lease;

/// A source address, with its place where their number is bounded.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) address: Ipv6Addr,
    pub(crate) lease: Option<Rc<Lease>>,
}

/// When those who have no wish get another address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// For each connection, or each request that is forwarded.
    Connection,
    /// For each destination, which sees the same one always.
    Host,
    /// After so many connections and requests of a thread.
    Requests(NonZeroU64),
    /// After this time.
    Time(Duration),
}

/// The address that is served from at present.
#[derive(Debug)]
pub(crate) struct Kept {
    source: Source,
    served: u64,
    since: Instant,
}

impl Kept {
    pub(crate) fn new(source: Source, now: Instant) -> Self {
        Self {
            source,
            served: 0,
            since: now,
        }
    }

    /// The source for one more, if it may serve that.
    pub(crate) fn serve(&mut self, per: Per, now: Instant) -> Option<Source> {
        let may = match per {
            Per::Connection | Per::Host => self.served == 0,
            Per::Requests(most) => self.served < most.get(),
            Per::Time(age) => now.duration_since(self.since) < age,
        };
        self.served += 1;
        may.then(|| self.source.clone())
    }
}
