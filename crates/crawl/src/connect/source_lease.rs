//! How long connections leave from a source address.

use std::cell::RefCell;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use v6kit_net::{COOL_DOWN, Lease, SourcePool, TurningPool};

/// How long an address may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeaseLimits {
    /// Requests of one connection, or of all connections that share the address.
    pub(crate) requests: u64,
    /// The age of the address.
    pub(crate) age: Option<Duration>,
}

/// A source address that was choice for a connection.
#[derive(Debug)]
pub(crate) enum SourceChoice {
    /// By the kernel.
    Kernel,
    /// Out of the whole prefix.
    Address(Ipv6Addr),
    /// Out of a bounded pool.
    Leased(Lease),
}

impl SourceChoice {
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
pub(crate) struct SourcePicker {
    pool: RefCell<Option<SourcePool>>,
    /// The bound on addresses, which all shards share.
    turning: Option<Arc<TurningPool>>,
}

impl SourcePicker {
    /// Addresses of `pool`, as many at a time as `turning` allows; without a pool the kernel chooses.
    pub(crate) fn new(pool: Option<SourcePool>, turning: Option<Arc<TurningPool>>) -> Self {
        Self {
            pool: RefCell::new(pool),
            turning,
        }
    }

    /// The source address of the next connection.
    pub(crate) fn draw(&self) -> SourceChoice {
        let mut pool = self.pool.borrow_mut();
        match (pool.as_mut(), &self.turning) {
            (None, _) => SourceChoice::Kernel,
            (Some(pool), None) => SourceChoice::Address(pool.draw()),
            (Some(pool), Some(turning)) => {
                SourceChoice::Leased(turning.lease(Instant::now(), || pool.draw()))
            }
        }
    }
}

/// The source address of a connection, for as long as that is open.
#[derive(Debug)]
pub(crate) struct SourceLease {
    pub(crate) from: Ipv6Addr,
    /// Where the connection leads; `None` through a proxy, which alone knows.
    pub(crate) peer: Option<Ipv6Addr>,
    lease: Option<Lease>,
    born: Instant,
    /// Nothing left from the address before.
    is_new: bool,
}

impl SourceLease {
    /// A connection to `peer` from `from`, which is `choice` unless the kernel chose.
    pub(crate) fn begin(from: Ipv6Addr, choice: SourceChoice, peer: Option<Ipv6Addr>) -> Self {
        let lease = match choice {
            SourceChoice::Leased(lease) => Some(lease),
            SourceChoice::Kernel | SourceChoice::Address(_) => None,
        };
        Self {
            from,
            peer,
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
    pub(crate) fn is_over(&self, served: u64, limits: &LeaseLimits) -> bool {
        match &self.lease {
            Some(lease) => served >= limits.requests || lease.is_spent(Instant::now()),
            None => served >= limits.requests || limits.age.is_some_and(|age| self.born.elapsed() >= age),
        }
    }

    /// The site refused the address, for `wait` where it said for how long.
    pub(crate) fn refuse(&self, wait: Option<Duration>) {
        if let Some(lease) = &self.lease {
            lease.refuse(Instant::now(), wait.unwrap_or(COOL_DOWN));
        }
    }
}
