//! How long connections leave from a source address.

use std::cell::RefCell;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use v6kit_net::{COOL_DOWN, Lease, SourcePool, TurningPool};

/// How long an address may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Term {
    /// Requests of one connection, or of all connections that share the address.
    pub(crate) requests: u64,
    /// The age of the address.
    pub(crate) age: Option<Duration>,
}

/// A source address that was drawn for a connection.
#[derive(Debug)]
pub(crate) enum Drawn {
    /// By the kernel.
    Kernel,
    /// Out of the whole prefix.
    Address(Ipv6Addr),
    /// Out of a bounded pool.
    Leased(Lease),
}

impl Drawn {
    /// What to bind to.
    pub(crate) fn address(&self) -> Option<Ipv6Addr> {
        match self {
            Self::Kernel => None,
            Self::Address(address) => Some(*address),
            Self::Leased(lease) => Some(lease.address()),
        }
    }
}

/// Draws the source address of each connection of a shard.
#[derive(Debug)]
pub(crate) struct SourceChoice {
    pool: RefCell<Option<SourcePool>>,
    /// The bound on addresses, which all shards share.
    turning: Option<Arc<TurningPool>>,
}

impl SourceChoice {
    /// Addresses of `pool`, as many at a time as `turning` allows; without a pool the kernel chooses.
    pub(crate) fn new(pool: Option<SourcePool>, turning: Option<Arc<TurningPool>>) -> Self {
        Self {
            pool: RefCell::new(pool),
            turning,
        }
    }

    /// The source address of the next connection.
    pub(crate) fn draw(&self) -> Drawn {
        let mut pool = self.pool.borrow_mut();
        match (pool.as_mut(), &self.turning) {
            (None, _) => Drawn::Kernel,
            (Some(pool), None) => Drawn::Address(pool.draw()),
            (Some(pool), Some(turning)) => Drawn::Leased(turning.lease(Instant::now(), || pool.draw())),
        }
    }
}

/// The source address of a connection, for as long as that is open.
#[derive(Debug)]
pub(crate) struct Tenure {
    pub(crate) from: Ipv6Addr,
    lease: Option<Lease>,
    born: Instant,
    /// Nothing left from the address before.
    is_new: bool,
}

impl Tenure {
    /// A connection from `from`, which is `drawn` unless the kernel chose.
    pub(crate) fn begin(from: Ipv6Addr, drawn: Drawn) -> Self {
        let lease = match drawn {
            Drawn::Leased(lease) => Some(lease),
            Drawn::Kernel | Drawn::Address(_) => None,
        };
        Self {
            from,
            is_new: lease.as_ref().is_none_or(Lease::connect),
            lease,
            born: Instant::now(),
        }
    }

    /// Counts a request.
    pub(crate) fn count(&self) {
        if let Some(lease) = &self.lease {
            lease.count_request();
        }
    }

    /// Whether nothing left from the address before this connection.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether the address should serve nothing new after `served` requests of the connection.
    pub(crate) fn is_over(&self, served: u64, term: &Term) -> bool {
        match &self.lease {
            Some(lease) => served >= term.requests || lease.is_spent(Instant::now()),
            None => served >= term.requests || term.age.is_some_and(|age| self.born.elapsed() >= age),
        }
    }

    /// The site refused the address, for `wait` where it said for how long.
    pub(crate) fn refuse(&self, wait: Option<Duration>) {
        if let Some(lease) = &self.lease {
            lease.refuse(Instant::now(), wait.unwrap_or(COOL_DOWN));
        }
    }
}
