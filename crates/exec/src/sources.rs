//! Which address a connection leaves from.

use std::net::Ipv6Addr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use v6kit_net::{BoundedSourcePool, HOLD, Lease, SessionKey, SourcePool, Wear};

use crate::settings::{Per, Pool};

/// Chooses source addresses.
#[derive(Debug)]
pub(crate) struct Sources {
    prefixes: Vec<Shared>,
    per: Per,
    session: Option<String>,
    key: SessionKey,
    /// The prefix of the next draw.
    next: usize,
    current: Option<Current>,
}

/// A prefix, with the bound on its addresses.
#[derive(Debug)]
struct Shared {
    pool: SourcePool,
    bound: Option<(NonZeroUsize, Arc<BoundedSourcePool>)>,
}

/// The address of this time or of this run of connections.
#[derive(Debug)]
struct Current {
    drawn: Drawn,
    since: Instant,
    connections: u64,
}

#[derive(Debug)]
struct Drawn {
    address: Ipv6Addr,
    /// Its place, where the number of addresses is bounded.
    _lease: Option<Lease>,
}

/// Who asks.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) destination: Ipv6Addr,
    /// What tells the process from all others: its id and the time of its start.
    pub(crate) process: &'a dyn Fn() -> (i32, u64),
    /// Whether it counts for [`Per::Count`].
    pub(crate) counts: bool,
}

impl Sources {
    pub(crate) fn new(pools: Vec<Pool>, per: Per, session: Option<String>, key: SessionKey) -> Self {
        // An address serves for a while and then makes room.
        let wear = Wear {
            requests: u64::MAX,
            age: Some(HOLD),
        };
        let shared = |pool: Pool| Shared {
            pool: pool.addresses,
            bound: pool
                .places
                .map(|places| (places, Arc::new(BoundedSourcePool::new(places, wear)))),
        };
        Self {
            prefixes: pools.into_iter().map(shared).collect(),
            per,
            session,
            key,
            next: 0,
            current: None,
        }
    }

    /// Whether `address` is one that may have been given.
    pub(crate) fn contains(&self, address: Ipv6Addr) -> bool {
        self.prefixes.iter().any(|shared| shared.pool.allows(address))
    }

    /// The address of the next connection.
    pub(crate) fn choose(&mut self, now: Instant, asking: Asking<'_>) -> Ipv6Addr {
        match self.per {
            Per::Host => self.named(&asking.destination.octets()),
            Per::Process => {
                let (pid, start) = (asking.process)();
                let mut name = pid.to_be_bytes().to_vec();
                name.extend(start.to_be_bytes());
                self.named(&name)
            }
            Per::Connection if self.session.is_some() => self.named(&[]),
            Per::Connection => self.draw(now).address,
            Per::Count(most) => self.lasting(now, asking.counts, |current| current.connections >= most.get()),
            Per::Time(length) => self.lasting(now, asking.counts, |current| {
                now.saturating_duration_since(current.since) >= length
            }),
        }
    }

    /// The current address, or a new one where that `is_over`.
    fn lasting(&mut self, now: Instant, counts: bool, is_over: impl Fn(&Current) -> bool) -> Ipv6Addr {
        if self.current.as_ref().is_none_or(is_over) {
            let drawn = self.draw(now);
            self.current = Some(Current {
                drawn,
                since: now,
                connections: 0,
            });
        }
        match &mut self.current {
            Some(current) => {
                current.connections += u64::from(counts);
                current.drawn.address
            }
            None => self.draw(now).address,
        }
    }

    /// A new address, of each prefix in its turn.
    fn draw(&mut self, now: Instant) -> Drawn {
        let count = self.prefixes.len();
        let shared = &mut self.prefixes[self.next % count];
        self.next = (self.next + 1) % count;
        match &shared.bound {
            None => Drawn {
                address: shared.pool.draw(),
                _lease: None,
            },
            Some((_, bounded)) => {
                let lease = bounded.lease(now, || shared.pool.draw());
                Drawn {
                    address: lease.address(),
                    _lease: Some(lease),
                }
            }
        }
    }

    /// The address that follows from the session and `name`. Where addresses are bounded, names share as many.
    fn named(&self, name: &[u8]) -> Ipv6Addr {
        const NO_TTL: Option<Duration> = None;
        let mut id = self.session.clone().unwrap_or_default().into_bytes();
        if !name.is_empty() {
            // No name of a session has a zero.
            id.push(0);
            id.extend(name);
        }
        let weight = |shared: &&Shared| self.key.weight("", &id, shared.pool.prefix());
        let shared = self
            .prefixes
            .iter()
            .max_by_key(weight)
            .expect("there is at least one prefix");
        if let Some((places, _)) = shared.bound {
            let slot = self.key.weight("slot", &id, shared.pool.prefix()) % places.get() as u64;
            id = slot.to_be_bytes().to_vec();
        }
        self.key
            .address(&shared.pool, "", &id, NO_TTL, SystemTime::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::num::NonZeroU64;

    use super::*;

    fn sources(prefixes: &[&str], per: Per, session: Option<&str>, places: Option<usize>) -> Sources {
        let pool = |(seed, prefix): (usize, &&str)| Pool {
            addresses: SourcePool::new(prefix.parse().unwrap(), seed as u64, []).unwrap(),
            places: places.and_then(NonZeroUsize::new),
        };
        let pools = prefixes.iter().enumerate().map(pool).collect();
        Sources::new(pools, per, session.map(str::to_owned), SessionKey::new([3; 16]))
    }

    fn ask(sources: &mut Sources, destination: u128, pid: i32, now: Instant) -> Ipv6Addr {
        sources.choose(
            now,
            Asking {
                destination: Ipv6Addr::from_bits(destination),
                process: &|| (pid, 7),
                counts: true,
            },
        )
    }

    #[test]
    fn each_way_changes_the_address_when_it_says() {
        let now = Instant::now();
        let later = now + Duration::from_secs(60);
        let p = ["2001:db8::/64"];
        let mut each = sources(&p, Per::Connection, None, None);
        assert_ne!(ask(&mut each, 1, 1, now), ask(&mut each, 1, 1, now));
        let mut host = sources(&p, Per::Host, None, None);
        assert_eq!(ask(&mut host, 1, 1, now), ask(&mut host, 1, 2, later));
        assert_ne!(ask(&mut host, 1, 1, now), ask(&mut host, 2, 1, now));
        let mut process = sources(&p, Per::Process, None, None);
        assert_eq!(ask(&mut process, 1, 1, now), ask(&mut process, 2, 1, later));
        assert_ne!(ask(&mut process, 1, 1, now), ask(&mut process, 1, 2, now));
        let mut three = sources(&p, Per::Count(NonZeroU64::new(3).unwrap()), None, None);
        let seen: Vec<_> = (0..9).map(|_| ask(&mut three, 1, 1, now)).collect();
        assert!(seen.chunks(3).all(|run| run[0] == run[2]));
        assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 3);
        let mut minute = sources(&p, Per::Time(Duration::from_secs(60)), None, None);
        let first = ask(&mut minute, 1, 1, now);
        assert_eq!(ask(&mut minute, 2, 2, later - Duration::from_millis(1)), first);
        assert_ne!(ask(&mut minute, 1, 1, later), first);
    }

    #[test]
    fn what_does_not_count_uses_up_no_address() {
        let mut two = sources(
            &["2001:db8::/64"],
            Per::Count(NonZeroU64::new(2).unwrap()),
            None,
            None,
        );
        let now = Instant::now();
        let uncounted = |two: &mut Sources| {
            let process = || (1, 1);
            two.choose(
                now,
                Asking {
                    destination: Ipv6Addr::LOCALHOST,
                    process: &process,
                    counts: false,
                },
            )
        };
        let first = uncounted(&mut two);
        for _ in 0..5 {
            assert_eq!(uncounted(&mut two), first);
        }
        assert_eq!(ask(&mut two, 1, 1, now), first);
        assert_eq!(ask(&mut two, 1, 1, now), first);
        assert_ne!(ask(&mut two, 1, 1, now), first);
    }

    #[test]
    fn a_session_has_the_same_addresses_in_another_run_and_another_session_has_others() {
        let prefixes = ["2001:db8:1::/64", "2001:db8:2::/64"];
        let now = Instant::now();
        let one = |per, session| ask(&mut sources(&prefixes, per, Some(session), None), 5, 1, now);
        assert_eq!(one(Per::Connection, "a"), one(Per::Connection, "a"));
        assert_ne!(one(Per::Connection, "a"), one(Per::Connection, "b"));
        assert_eq!(one(Per::Host, "a"), one(Per::Host, "a"));
        assert_ne!(one(Per::Host, "a"), one(Per::Host, "b"));
    }

    #[test]
    fn several_prefixes_share_evenly_and_a_bound_holds_in_every_way() {
        let prefixes = ["2001:db8:1::/64", "2001:db8:2::/64"];
        let now = Instant::now();
        let mut each = sources(&prefixes, Per::Connection, None, None);
        let second = (0..100)
            .filter(|_| ask(&mut each, 1, 1, now).segments()[2] == 2)
            .count();
        assert_eq!(second, 50);
        for per in [Per::Connection, Per::Host, Per::Process] {
            let mut bounded = sources(&["2001:db8::/64"], per, None, Some(8));
            let seen: HashSet<_> = (0..500).map(|n| ask(&mut bounded, n, n as i32, now)).collect();
            assert!(seen.len() <= 8, "{per:?}: {}", seen.len());
        }
    }
}
