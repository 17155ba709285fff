//! Which source address a connection gets.

use std::cell::RefCell;
use std::net::Ipv6Addr;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use v6kit_net::{BoundedSourcePool, HOLD, Prefix, SessionKey, SourcePool, Wear};

use super::kept::{Kept, Per, Source};
use super::turns::{By, SessionName, Turned, Turns};
use crate::data::username::SourceRequest;

/// Chooses source addresses for one thread.
#[derive(Debug)]
pub(crate) struct Sources {
    pool: RefCell<SourcePool>,
    key: SessionKey,
    /// The /64 that was chosen last by any thread.
    last_net64: Arc<AtomicU64>,
    /// How many addresses there may be at a time.
    bounds: Option<Bounds>,
    /// When those who have no wish get another one, and the one that they have.
    per: Per,
    kept: RefCell<Option<Kept>>,
    turns: Arc<Turns>,
}

/// A bound on the addresses that are used at a time, shared by all threads. Drawn ones and those of sessions
/// and pins have half of the places each, so that neither keeps the other from being served.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    drawn: Arc<BoundedSourcePool>,
    chosen: Arc<BoundedSourcePool>,
}

impl Bounds {
    /// At most `places` addresses, which is at least two.
    pub(crate) fn new(places: NonZeroUsize) -> Self {
        // A drawn address serves for a while and then makes room.
        let wear = Wear {
            requests: u64::MAX,
            age: Some(HOLD),
        };
        let half = |places: usize| NonZeroUsize::new(places / 2).unwrap_or(NonZeroUsize::MIN);
        let (drawn, chosen) = (half(places.get() + 1), half(places.get()));
        Self {
            drawn: Arc::new(BoundedSourcePool::new(drawn, wear)),
            chosen: Arc::new(BoundedSourcePool::new(chosen, wear)),
        }
    }
}

/// As many sessions and pins as there are places have used theirs a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoPlace {
    /// The places for them.
    pub(crate) places: usize,
}

/// Draws after which the same /64 as before is taken, should the prefix have only one that is usable.
const NET64_DRAWS: usize = 64;

impl Sources {
    pub(crate) fn new(
        pool: SourcePool,
        key: SessionKey,
        last_net64: Arc<AtomicU64>,
        bounds: Option<Bounds>,
        (per, turns): (Per, Arc<Turns>),
    ) -> Self {
        Self {
            pool: RefCell::new(pool),
            key,
            last_net64,
            bounds,
            per,
            kept: RefCell::default(),
            turns,
        }
    }

    /// Whether a client may pin `address`.
    pub(crate) fn allows(&self, address: Ipv6Addr) -> bool {
        self.pool.borrow().allows(address)
    }

    /// The source that honours `request`. Where the number of addresses is bounded, another one is one of
    /// those that are in use.
    pub(crate) fn choose(&self, user: &str, request: SourceRequest<'_>) -> Result<Source, NoPlace> {
        match request {
            SourceRequest::Another => Ok(self.another(Instant::now())),
            SourceRequest::AnotherNet64 => Ok(self.drawn(|| self.in_another_net64())),
            SourceRequest::Session { id, ttl, turn } => {
                let name = SessionName {
                    user: user.into(),
                    id: id.into(),
                    ttl,
                    turn,
                };
                let turned = self.turns.of(&name);
                self.chosen(self.of_session(&name, &turned, SystemTime::now()))
            }
        }
    }

    /// The source of connections to `host`, where each destination sees the same one always; `None` where it does not.
    pub(crate) fn of_host(&self, user: &str, host: &str) -> Option<Result<Source, NoPlace>> {
        if self.per != Per::Host {
            return None;
        }
        let name = SessionName {
            user: user.into(),
            // No session of a client's is called so by chance.
            id: format!("\u{1}host {host}").into(),
            ttl: None,
            turn: 0,
        };
        let address = self.of_session(&name, &Turned::default(), SystemTime::now());
        Some(self.chosen(address))
    }

    /// Has a session leave from elsewhere if it still leaves from `address`. Says whether it did.
    pub(crate) fn turn(&self, name: &SessionName, address: Ipv6Addr, by: By) -> bool {
        let current = |turned: &Turned| self.of_session(name, turned, SystemTime::now());
        self.turns.turn(name, address, (by, Instant::now()), current)
    }

    fn another(&self, now: Instant) -> Source {
        if matches!(self.per, Per::Connection | Per::Host) {
            return self.drawn(|| self.pool.borrow_mut().draw());
        }
        let mut kept = self.kept.borrow_mut();
        if let Some(source) = kept.as_mut().and_then(|kept| kept.serve(self.per, now)) {
            return source;
        }
        let source = self.drawn(|| self.pool.borrow_mut().draw());
        let kept = kept.insert(Kept::new(source.clone(), now));
        kept.serve(self.per, now).unwrap_or(source)
    }

    /// The source at an address that a client or a session has chosen.
    pub(crate) fn chosen(&self, address: Ipv6Addr) -> Result<Source, NoPlace> {
        let Some(Bounds { chosen, .. }) = &self.bounds else {
            return Ok(Source { address, lease: None });
        };
        let lease = chosen.admit(address, Instant::now()).ok_or(NoPlace {
            places: chosen.places(),
        })?;
        Ok(Source {
            address,
            lease: Some(Rc::new(lease)),
        })
    }

    fn drawn(&self, mut draw: impl FnMut() -> Ipv6Addr) -> Source {
        match &self.bounds {
            None => Source {
                address: draw(),
                lease: None,
            },
            Some(Bounds { drawn, .. }) => {
                let lease = drawn.lease(Instant::now(), draw);
                Source {
                    address: lease.address(),
                    lease: Some(Rc::new(lease)),
                }
            }
        }
    }

    /// An address outside the /64 of the choice before, whichever thread made that.
    fn in_another_net64(&self) -> Ipv6Addr {
        let mut pool = self.pool.borrow_mut();
        let net64 = |address: Ipv6Addr| (address.to_bits() >> 64) as u64;
        let fresh = (0..NET64_DRAWS)
            .map(|_| pool.draw())
            .find(|address| self.last_net64.swap(net64(*address), Ordering::Relaxed) != net64(*address));
        fresh.unwrap_or_else(|| pool.draw())
    }

    /// The session's address at `now`.
    ///
    /// Where it has turned away from addresses it is in none of their networks, as wide as the prefix has others of:
    /// a site that refuses one address often refuses its /64, and some its /56.
    fn of_session(&self, name: &SessionName, turned: &Turned, now: SystemTime) -> Ipv6Addr {
        let pool = self.pool.borrow();
        let address = |id: &[u8]| self.key.address(&pool, &name.user, id, name.ttl, now);
        let id = name.id.as_bytes();
        if (name.turn, turned.times) == (0, 0) {
            return address(id);
        }
        let width = ban_width(pool.prefix().length());
        let net = |address: Ipv6Addr| Prefix::around(address, width);
        let is_refused =
            |address: Ipv6Addr| turned.refused.iter().any(|refused| net(*refused) == net(address));
        let drawn = |attempt: u64| {
            // A zero cannot be part of a user name, so that no id runs into what follows.
            let counts = [name.turn, turned.times, attempt];
            let counts = counts.iter().flat_map(|count| count.to_be_bytes());
            let id: Vec<u8> = id.iter().copied().chain([0]).chain(counts).collect();
            address(&id)
        };
        let other = (0..NET64_DRAWS as u64)
            .map(drawn)
            .find(|address| !is_refused(*address));
        other.unwrap_or_else(|| drawn(NET64_DRAWS as u64))
    }
}

/// How wide a net a refused address stands for: as wide as a prefix of this length has others of.
fn ban_width(length: u8) -> u8 {
    match length {
        ..56 => 56,
        56..64 => 64,
        _ => 128,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn plain() -> (Per, Arc<Turns>) {
        (Per::Connection, Arc::default())
    }

    fn name(id: &str, ttl: Option<Duration>) -> SessionName {
        SessionName {
            user: "alice".into(),
            id: id.into(),
            ttl,
            turn: 0,
        }
    }

    fn sources(prefix: &str) -> Sources {
        let pool = SourcePool::new(prefix.parse().unwrap(), 1, []).unwrap();
        Sources::new(pool, SessionKey::new([7; 16]), Arc::default(), None, plain())
    }

    fn address(sources: &Sources, user: &str, request: SourceRequest<'_>) -> Ipv6Addr {
        sources.choose(user, request).unwrap().address
    }

    fn session(id: &str) -> SourceRequest<'_> {
        SourceRequest::Session {
            id,
            ttl: None,
            turn: 0,
        }
    }

    #[test]
    fn a_session_keeps_its_address_and_another_has_another() {
        let sources = sources("2001:db8::/48");
        let first = address(&sources, "alice", session("a"));
        assert_eq!(address(&sources, "alice", session("a")), first);
        assert_ne!(address(&sources, "alice", session("b")), first);
    }

    #[test]
    fn sessions_of_two_users_never_collide() {
        let sources = sources("2001:db8::/48");
        let seen: HashSet<Ipv6Addr> = ["alice", "bob"]
            .into_iter()
            .flat_map(|user| (0..5000).map(move |n| (user, n.to_string())))
            .map(|(user, id)| address(&sources, user, session(&id)))
            .collect();
        assert_eq!(seen.len(), 10_000);
    }

    #[test]
    fn sessions_use_every_bit_of_a_48() {
        let sources = sources("2001:db8:1::/48");
        let addresses: Vec<u128> = (0..2000)
            .map(|n| address(&sources, "alice", session(&n.to_string())).to_bits())
            .collect();
        for bit in 0..80 {
            let ones = addresses.iter().filter(|bits| *bits >> bit & 1 == 1).count();
            assert!((800..1200).contains(&ones), "bit {bit} is set in {ones} of 2000");
        }
    }

    #[test]
    fn another_key_gives_other_addresses() {
        let pool = SourcePool::new("2001:db8::/64".parse().unwrap(), 1, []).unwrap();
        let other = Sources::new(pool, SessionKey::new([8; 16]), Arc::default(), None, plain());
        let one = address(&sources("2001:db8::/64"), "alice", session("a"));
        assert_ne!(one, address(&other, "alice", session("a")));
    }

    #[test]
    fn a_ttl_moves_the_session_once_per_period() {
        let sources = sources("2001:db8::/64");
        let at = |seconds: u64| {
            sources.of_session(
                &name("a", Some(Duration::from_secs(600))),
                &Turned::default(),
                UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds),
            )
        };
        let seen: Vec<Ipv6Addr> = (0..6000).map(at).collect();
        let changes = seen.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!((9..=10).contains(&changes), "{changes} changes in ten periods");
    }

    #[test]
    fn a_session_in_a_tiny_prefix_never_gets_a_reserved_address() {
        let own: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let pool = SourcePool::new("2001:db8::/126".parse().unwrap(), 1, [own]).unwrap();
        let sources = Sources::new(pool, SessionKey::new([7; 16]), Arc::default(), None, plain());
        let seen: HashSet<Ipv6Addr> = (0..200)
            .map(|n| address(&sources, "alice", session(&n.to_string())))
            .collect();
        assert_eq!(seen.len(), 2);
        assert!(seen.iter().all(|address| sources.allows(*address)));
    }

    #[test]
    fn another_net64_changes_the_64_each_time() {
        let sources = sources("2001:db8::/48");
        let subnets: Vec<u128> = (0..200)
            .map(|_| address(&sources, "", SourceRequest::AnotherNet64).to_bits() >> 64)
            .collect();
        assert!(subnets.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn where_addresses_are_bounded_sessions_keep_theirs_and_the_rest_share() {
        let pool = SourcePool::new("2001:db8::/64".parse().unwrap(), 1, []).unwrap();
        let bounds = Bounds::new(NonZeroUsize::new(8).unwrap());
        let sources = Sources::new(
            pool,
            SessionKey::new([7; 16]),
            Arc::default(),
            Some(bounds),
            plain(),
        );
        let drawn: HashSet<Ipv6Addr> = (0..100)
            .map(|_| address(&sources, "", SourceRequest::Another))
            .collect();
        assert_eq!(drawn.len(), 4);
        let held: Vec<Source> = ["a", "b", "c", "d"]
            .iter()
            .map(|id| sources.choose("alice", session(id)).unwrap())
            .collect();
        assert_eq!(address(&sources, "alice", session("a")), held[0].address);
        let refused = sources.choose("alice", session("e")).unwrap_err();
        assert_eq!(refused, NoPlace { places: 4 });
    }

    #[test]
    fn a_session_turns_to_networks_that_were_not_refused_and_stays_there() {
        for (prefix, width) in [
            ("2001:db8:1::/48", 56),
            ("2001:db8:1::/60", 64),
            ("2001:db8:1::/64", 128),
        ] {
            let sources = sources(prefix);
            let now = || address(&sources, "alice", session("a"));
            let mut seen = HashSet::from([Prefix::around(now(), width)]);
            for _ in 0..8 {
                let refused = now();
                assert!(sources.turn(&name("a", None), refused, By::Status));
                assert!(!sources.turn(&name("a", None), refused, By::Status), "once");
                assert!(seen.insert(Prefix::around(now(), width)), "{prefix}");
                assert_eq!(now(), now());
            }
            assert_eq!(
                address(&sources, "bob", session("a")),
                address(&sources, "bob", session("a"))
            );
        }
    }

    #[test]
    fn what_a_client_counts_gives_the_same_address_for_the_same_count() {
        let sources = sources("2001:db8::/64");
        let at = |turn| {
            address(
                &sources,
                "alice",
                SourceRequest::Session {
                    id: "a",
                    ttl: None,
                    turn,
                },
            )
        };
        assert_eq!(at(0), address(&sources, "alice", session("a")));
        assert_eq!(at(3), at(3));
        assert_eq!(HashSet::from([at(0), at(1), at(2), at(3)]).len(), 4);
    }

    #[test]
    fn addresses_change_when_the_user_says() {
        let with = |per| {
            let pool = SourcePool::new("2001:db8::/64".parse().unwrap(), 1, []).unwrap();
            Sources::new(
                pool,
                SessionKey::new([7; 16]),
                Arc::default(),
                None,
                (per, Arc::default()),
            )
        };
        let three = with(Per::Requests(std::num::NonZeroU64::new(3).unwrap()));
        let seen: Vec<Ipv6Addr> = (0..9)
            .map(|_| address(&three, "", SourceRequest::Another))
            .collect();
        assert!(
            seen.chunks(3)
                .all(|same| same.iter().all(|address| *address == same[0]))
        );
        assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 3);
        let slow = with(Per::Time(Duration::from_secs(60)));
        let start = Instant::now();
        let at = |seconds| slow.another(start + Duration::from_secs(seconds)).address;
        let first = at(0);
        assert_eq!(at(59), first);
        assert_ne!(at(60), first);
        let by_host = with(Per::Host);
        let host = |user, name| by_host.of_host(user, name).unwrap().unwrap().address;
        assert_eq!(host("a", "x.example"), host("a", "x.example"));
        assert_ne!(host("a", "x.example"), host("a", "y.example"));
        assert_ne!(host("a", "x.example"), host("b", "x.example"));
        assert!(three.of_host("a", "x.example").is_none());
    }
}
