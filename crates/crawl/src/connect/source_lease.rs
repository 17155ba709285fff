//! How long connections leave from a source address.

use std::cell::RefCell;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use v6kit_net::{BoundedSourcePool, COOL_DOWN, Lease, SourcePool};

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
    bounded: Option<Arc<BoundedSourcePool>>,
    /// What the address of each host is drawn by, where it has one and no other.
    per_host: Option<u64>,
}

impl SourcePicker {
    /// Addresses of `pool`, as many at a time as `bounded` allows; without a pool the kernel chooses.
    pub(crate) fn new(
        pool: Option<SourcePool>,
        bounded: Option<Arc<BoundedSourcePool>>,
        per_host: Option<u64>,
    ) -> Self {
        Self {
            pool: RefCell::new(pool),
            bounded,
            per_host,
        }
    }

    /// The source address of the next connection to a host of this name.
    pub(crate) fn draw(&self, host: &str) -> SourceChoice {
        let mut pool = self.pool.borrow_mut();
        if let (Some(pool), Some(seed)) = (pool.as_ref(), self.per_host) {
            let address = pool.drawn_by(seed_of(seed, host));
            let admitted = self
                .bounded
                .as_ref()
                .map(|bounded| bounded.admit(address, Instant::now()));
            match admitted {
                None => return SourceChoice::Address(address),
                Some(Some(lease)) => return SourceChoice::Leased(lease),
                // More hosts than places: those share what there is.
                Some(None) => {}
            }
        }
        match (pool.as_mut(), &self.bounded) {
            (None, _) => SourceChoice::Kernel,
            (Some(pool), None) => SourceChoice::Address(pool.draw()),
            (Some(pool), Some(bounded)) => {
                SourceChoice::Leased(bounded.lease(Instant::now(), || pool.draw()))
            }
        }
    }
}

/// FNV-1a of a host's name, begun with `seed`.
fn seed_of(seed: u64, host: &str) -> u64 {
    host.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_address_in_every_shard_and_another_host_another() {
        let pool = SourcePool::new("2001:db8::/64".parse().unwrap(), 1, []).unwrap();
        let shards = pool
            .split(2)
            .into_iter()
            .map(|pool| SourcePicker::new(Some(pool), None, Some(7)));
        let seen: Vec<[Ipv6Addr; 3]> = shards
            .map(|shard| {
                ["a.example", "a.example", "b.example"].map(|host| shard.draw(host).address().unwrap())
            })
            .collect();
        let [one, again, other] = seen[0];
        assert_eq!(one, again);
        assert_ne!(one, other);
        assert_eq!(seen[0], seen[1]);
    }
}
