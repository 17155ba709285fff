//! A bounded number of source addresses that turns slowly.

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an address keeps its place after its last use: as long as a router may be unable to part with
/// the neighbour entry. Linux keeps one that was confirmed for up to 1.5 times 30 s (RFC 4861 section 10),
/// and then for another 5 s (`neigh_forced_gc` in net/core/neighbour.c).
pub const HOLD: Duration = Duration::from_secs(50);

/// How long an address is not used after it was refused, when nobody says for how long.
pub const COOL_DOWN: Duration = Duration::from_secs(60);

/// How often places are looked through that may be free again.
const SWEEP: Duration = Duration::from_millis(100);

/// Draws of a new address that may hit one that is in the pool already, as in a small prefix.
const DRAWS: usize = 32;

/// At most so many source addresses at a time, shared by threads.
///
/// For prefixes that are on-link, where every address takes a place in the router's neighbour table: in any
/// [`HOLD`] no more than `places` different addresses are used. An address is *spent* when it has served its
/// requests, is too old, or was refused. A spent one rests, which takes half of the places at most, and makes
/// room for a new one when it has not been used for [`HOLD`]. While no place is free, what has to be used is
/// used again, but what was refused cools down first.
///
/// The lock is taken for each connection, never for a request.
#[derive(Debug)]
pub struct BoundedSourcePool {
    places: NonZeroUsize,
    wear: Wear,
    epoch: Instant,
    state: Mutex<State>,
}

/// When an address is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wear {
    /// After this many requests.
    pub requests: u64,
    /// After this time.
    pub age: Option<Duration>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order of their next use.
    active: VecDeque<Arc<Place>>,
    /// In the order in which they were spent.
    resting: VecDeque<Arc<Place>>,
    swept: Option<Instant>,
}

/// An address in the pool.
#[derive(Debug)]
struct Place {
    address: Ipv6Addr,
    born: Instant,
    requests: AtomicU64,
    /// Milliseconds since the pool's epoch, as are the next two.
    used: AtomicU64,
    /// Not to be used before, when it was refused.
    cool: AtomicU64,
    refused: AtomicBool,
    /// Somebody has connected from it.
    connected: AtomicBool,
}

/// The right of a connection to leave from an address. The address keeps its place until it is dropped.
#[derive(Debug)]
pub struct Lease {
    place: Arc<Place>,
    pool: Arc<BoundedSourcePool>,
}

impl BoundedSourcePool {
    /// A pool with room for `places` addresses.
    #[must_use]
    pub fn new(places: NonZeroUsize, wear: Wear) -> Self {
        Self {
            places,
            wear,
            epoch: Instant::now(),
            state: Mutex::default(),
        }
    }

    /// How many addresses there may be at a time.
    #[must_use]
    pub fn places(&self) -> usize {
        self.places.get()
    }

    /// The address of the next connection: a new one of `draw` where there is room, or the one that has
    /// waited longest.
    pub fn lease(self: &Arc<Self>, now: Instant, draw: impl FnMut() -> Ipv6Addr) -> Lease {
        let mut state = self.state();
        self.sweep(&mut state, now);
        let place = self.choose(&mut state, now, draw);
        place.used.fetch_max(self.since_epoch(now), Ordering::Relaxed);
        Lease {
            place,
            pool: Arc::clone(self),
        }
    }

    /// A place for `address`, which somebody else chose; `None` where there is no room at present.
    pub fn admit(self: &Arc<Self>, address: Ipv6Addr, now: Instant) -> Option<Lease> {
        let mut state = self.state();
        let known = state.all().find(|place| place.address == address).map(Arc::clone);
        let place = match known {
            Some(place) => place,
            None => {
                if !self.has_room(&state) {
                    self.free_idle(&mut state, now);
                }
                if !self.has_room(&state) {
                    return None;
                }
                let place = Arc::new(Place::new(address, now));
                state.active.push_back(Arc::clone(&place));
                place
            }
        };
        place.used.fetch_max(self.since_epoch(now), Ordering::Relaxed);
        Some(Lease {
            place,
            pool: Arc::clone(self),
        })
    }

    fn choose(&self, state: &mut State, now: Instant, draw: impl FnMut() -> Ipv6Addr) -> Arc<Place> {
        if self.has_room(state)
            && let Some(address) = state.unknown(draw)
        {
            let place = Arc::new(Place::new(address, now));
            state.active.push_back(Arc::clone(&place));
            return place;
        }
        let most_resting = (self.places.get() / 2).max(1);
        while let Some(place) = state.active.pop_front() {
            // Those that were refused rest whatever their number.
            let refused = place.refused.load(Ordering::Relaxed);
            if refused || place.is_spent(&self.wear, now) && state.resting.len() < most_resting {
                state.resting.push_back(place);
            } else {
                state.active.push_back(Arc::clone(&place));
                return place;
            }
        }
        // All are spent: the one that may be used soonest.
        let soonest = state
            .all()
            .min_by_key(|place| {
                (
                    place.cool.load(Ordering::Relaxed),
                    place.used.load(Ordering::Relaxed),
                )
            })
            .map(Arc::clone);
        // There is always a place that is not free.
        soonest.unwrap_or_else(|| Arc::new(Place::new(Ipv6Addr::UNSPECIFIED, now)))
    }

    /// Frees the places of addresses that have rested enough.
    fn sweep(&self, state: &mut State, now: Instant) {
        if state.swept.is_some_and(|swept| now.duration_since(swept) < SWEEP) {
            return;
        }
        state.swept = Some(now);
        state.resting.retain(|place| !self.is_over(place, now));
    }

    /// Frees a place that nobody has used for long enough, spent or not.
    fn free_idle(&self, state: &mut State, now: Instant) {
        if let Some(idle) = state.active.iter().position(|place| self.is_over(place, now)) {
            state.active.remove(idle);
        }
    }

    fn is_over(&self, place: &Arc<Place>, now: Instant) -> bool {
        let held = place.used.load(Ordering::Relaxed) + milliseconds(HOLD);
        let until = held.max(place.cool.load(Ordering::Relaxed));
        // Besides the pool only leases hold it, and none can be added while the lock is held.
        Arc::strong_count(place) == 1 && until <= self.since_epoch(now)
    }

    fn has_room(&self, state: &State) -> bool {
        state.active.len() + state.resting.len() < self.places.get()
    }

    fn since_epoch(&self, moment: Instant) -> u64 {
        milliseconds(moment.saturating_duration_since(self.epoch))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn all(&self) -> impl Iterator<Item = &Arc<Place>> {
        self.active.iter().chain(&self.resting)
    }

    /// A drawn address that has no place yet.
    fn unknown(&self, mut draw: impl FnMut() -> Ipv6Addr) -> Option<Ipv6Addr> {
        (0..DRAWS)
            .map(|_| draw())
            .find(|address| self.all().all(|place| place.address != *address))
    }
}

impl Place {
    fn new(address: Ipv6Addr, now: Instant) -> Self {
        Self {
            address,
            born: now,
            requests: AtomicU64::new(0),
            used: AtomicU64::new(0),
            cool: AtomicU64::new(0),
            refused: AtomicBool::new(false),
            connected: AtomicBool::new(false),
        }
    }

    fn is_spent(&self, wear: &Wear, now: Instant) -> bool {
        self.requests.load(Ordering::Relaxed) >= wear.requests
            || wear
                .age
                .is_some_and(|age| now.saturating_duration_since(self.born) >= age)
    }
}

impl Lease {
    /// The address.
    #[must_use]
    pub fn address(&self) -> Ipv6Addr {
        self.place.address
    }

    /// A connection was made, and the result says whether it is the first one from the address.
    pub fn connect(&self) -> bool {
        !self.place.connected.swap(true, Ordering::Relaxed)
    }

    /// Counts a request, and says how many there have been over all connections.
    pub fn count_request(&self) -> u64 {
        self.place.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether the address should serve nothing new, where there is another one.
    #[must_use]
    pub fn is_spent(&self, now: Instant) -> bool {
        self.place.refused.load(Ordering::Relaxed) || self.place.is_spent(&self.pool.wear, now)
    }

    /// The address was refused: nothing leaves from it for `wait` while there is another one.
    pub fn refuse(&self, now: Instant, wait: Duration) {
        let until = self.pool.since_epoch(now + wait);
        self.place.cool.fetch_max(until, Ordering::Relaxed);
        self.place.refused.store(true, Ordering::Relaxed);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let now = self.pool.since_epoch(Instant::now());
        self.place.used.fetch_max(now, Ordering::Relaxed);
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::SourcePool;

    fn bounded(places: usize, requests: u64) -> (Arc<BoundedSourcePool>, SourcePool) {
        let wear = Wear { requests, age: None };
        let pool = BoundedSourcePool::new(NonZeroUsize::new(places).unwrap(), wear);
        let draw = SourcePool::new("2001:db8::/64".parse().unwrap(), 7, []).unwrap();
        (Arc::new(pool), draw)
    }

    #[test]
    fn no_more_addresses_than_places_in_any_hold_and_all_of_them_turn() {
        let (pool, mut draw) = bounded(40, 10);
        let start = Instant::now();
        let mut used: HashMap<Ipv6Addr, (Instant, Instant)> = HashMap::new();
        for tick in 0..60_000 {
            let now = start + Duration::from_millis(5 * tick);
            let lease = pool.lease(now, || draw.draw());
            (0..10).for_each(|_| {
                lease.count_request();
            });
            used.entry(lease.address()).or_insert((now, now)).1 = now;
            if tick % 997 == 0 {
                // Those that are in the router's table.
                let live = used.values().filter(|(_, last)| now - *last < HOLD).count();
                assert!(live <= 40, "{live} at {:?}", now - start);
            }
        }
        // 300 s are six holds, in each of which half of the places turn.
        assert!((100..=160).contains(&used.len()), "{}", used.len());
    }

    #[test]
    fn an_address_serves_its_requests_before_a_new_one_takes_over() {
        let (pool, mut draw) = bounded(8, 100);
        let now = Instant::now();
        let first: HashSet<Ipv6Addr> = (0..8)
            .map(|_| pool.lease(now, || draw.draw()).address())
            .collect();
        assert_eq!(first.len(), 8);
        for _ in 0..80 {
            assert!(first.contains(&pool.lease(now, || draw.draw()).address()));
        }
        let lease = pool.lease(now, || draw.draw());
        assert!((1..100).all(|n| lease.count_request() == n) && !lease.is_spent(now));
        lease.count_request();
        assert!(lease.is_spent(now));
    }

    #[test]
    fn what_was_refused_cools_down_and_is_used_before_its_time_only_when_all_were() {
        let (pool, mut draw) = bounded(4, u64::MAX);
        let start = Instant::now();
        let leases: Vec<Lease> = (0..4).map(|_| pool.lease(start, || draw.draw())).collect();
        leases[0].refuse(start, Duration::from_secs(600));
        for second in 0..500 {
            let now = start + Duration::from_secs(second);
            let lease = pool.lease(now, || draw.draw());
            assert_ne!(lease.address(), leases[0].address(), "after {second} s");
        }
        for (seconds, lease) in [(500, &leases[1]), (300, &leases[2]), (400, &leases[3])] {
            lease.refuse(start, Duration::from_secs(seconds));
        }
        let soonest = pool.lease(start + Duration::from_secs(1), || draw.draw());
        assert_eq!(soonest.address(), leases[2].address());
    }

    #[test]
    fn an_old_address_makes_room_and_one_with_a_connection_keeps_its_place() {
        let wear = Wear {
            requests: u64::MAX,
            age: Some(Duration::from_secs(60)),
        };
        let pool = Arc::new(BoundedSourcePool::new(NonZeroUsize::new(4).unwrap(), wear));
        let mut draw = SourcePool::new("2001:db8::/64".parse().unwrap(), 7, []).unwrap();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let kept = pool.lease(start, || draw.draw());
        let gone = pool.lease(start, || draw.draw()).address();
        assert!(kept.is_spent(at(60)) && !kept.is_spent(at(59)));
        let mut seen = HashSet::new();
        for second in 60..400 {
            seen.insert(pool.lease(at(second), || draw.draw()).address());
        }
        assert!(seen.len() > 6, "{seen:?}");
        let has = |address| pool.state().all().any(|place| place.address == address);
        assert!(has(kept.address()) && !has(gone));
        assert!(pool.state().all().count() <= 4);
    }

    #[test]
    fn a_small_prefix_has_fewer_addresses_than_places() {
        let (pool, _) = bounded(400, 100);
        let mut draw = SourcePool::new("2001:db8::10/126".parse().unwrap(), 7, []).unwrap();
        let now = Instant::now();
        let seen: HashSet<Ipv6Addr> = (0..500)
            .map(|_| pool.lease(now, || draw.draw()).address())
            .collect();
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn a_chosen_address_is_admitted_while_there_is_room_and_again_after_the_hold() {
        let (pool, mut draw) = bounded(2, u64::MAX);
        let start = Instant::now();
        let one = pool.admit(draw.draw(), start).unwrap();
        let two = pool.admit(draw.draw(), start).unwrap().address();
        assert!(pool.admit(two, start).is_some(), "it is in");
        assert!(pool.admit(draw.draw(), start + HOLD / 2).is_none());
        let later = Instant::now() + HOLD;
        assert!(pool.admit(draw.draw(), later).is_some(), "the unused one left");
        assert!(
            pool.admit(draw.draw(), later).is_none(),
            "the other has a connection"
        );
        drop(one);
    }
}
