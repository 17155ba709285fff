//! From when on callers are refused, and with what.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Networks that are remembered per generation; there are two. 2^19 of them take about 25 MiB.
const NETWORKS_PER_GENERATION: usize = 1 << 19;

/// `count` requests per `window` from each source network of the scope; what goes beyond is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many requests are answered in a window.
    pub count: NonZeroU32,
    /// How long a window lasts, from the first request in it.
    pub window: Duration,
    /// Which callers are counted together.
    pub scope: LimitScope,
    /// How the others are refused.
    pub answer: LimitAnswer,
}

/// Which callers are counted together. IPv4 callers are always counted one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitScope {
    /// Each address (/128).
    Address,
    /// Each /64, what a site usually gives to one subnet.
    Subnet,
    /// Each /48, what a provider usually gives to one site.
    Site,
}

impl LimitScope {
    /// The prefix length that callers of one count have in common.
    #[must_use]
    pub fn length(self) -> u8 {
        match self {
            Self::Address => 128,
            Self::Subnet => 64,
            Self::Site => 48,
        }
    }

    fn network(self, caller: IpAddr) -> Ipv6Addr {
        match caller {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (128 - self.length()))),
        }
    }
}

/// How a caller over the limit is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitAnswer {
    /// 429 Too Many Requests with Retry-After (RFC 6585 section 4).
    TooManyRequests,
    /// 403 Forbidden.
    Forbidden,
    /// 412 Precondition Failed.
    PreconditionFailed,
    /// A challenge page with status 200: the refusal that does not look like one.
    Captcha,
}

/// Whether a request is within the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Within,
    /// Over it for this long.
    Over(Duration),
}

/// Counts requests per source network.
#[derive(Debug)]
pub(super) struct Limiter {
    limit: Limit,
    networks_per_generation: usize,
    generations: Mutex<Generations>,
}

/// Counts of the last window and the one before. A network that is seen again moves to the young
/// ones; the old ones are dropped together once their windows have passed, so nothing is ever swept.
#[derive(Debug)]
struct Generations {
    born: Instant,
    young: HashMap<Ipv6Addr, Window>,
    old: HashMap<Ipv6Addr, Window>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    start: Instant,
    count: u32,
}

impl Limiter {
    pub(super) fn new(limit: Limit) -> Self {
        Self {
            limit,
            networks_per_generation: NETWORKS_PER_GENERATION,
            generations: Mutex::new(Generations {
                born: Instant::now(),
                young: HashMap::new(),
                old: HashMap::new(),
            }),
        }
    }

    /// How refusals look.
    pub(super) fn answer(&self) -> LimitAnswer {
        self.limit.answer
    }

    /// Counts a request of `caller` at `now`.
    pub(super) fn count(&self, caller: IpAddr, now: Instant) -> Verdict {
        let network = self.limit.scope.network(caller);
        // A thread that panicked while counting leaves counts that are still good enough.
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.age(now, self.limit.window, self.networks_per_generation);
        let window = generations.window(network, now);
        let passed = now.saturating_duration_since(window.start);
        if passed >= self.limit.window {
            *window = Window { start: now, count: 1 };
            Verdict::Within
        } else if window.count < self.limit.count.get() {
            window.count += 1;
            Verdict::Within
        } else {
            Verdict::Over(self.limit.window.saturating_sub(passed))
        }
    }
}

impl Generations {
    fn age(&mut self, now: Instant, window: Duration, most: usize) {
        if now.saturating_duration_since(self.born) >= window || self.young.len() >= most {
            self.old = std::mem::take(&mut self.young);
            self.born = now;
        }
    }

    fn window(&mut self, network: Ipv6Addr, now: Instant) -> &mut Window {
        let old = &mut self.old;
        self.young
            .entry(network)
            .or_insert_with(|| old.remove(&network).unwrap_or(Window { start: now, count: 0 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn limiter(count: u32, scope: LimitScope) -> Limiter {
        Limiter::new(Limit {
            count: NonZeroU32::new(count).unwrap(),
            window: WINDOW,
            scope,
            answer: LimitAnswer::TooManyRequests,
        })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_caller_over_the_limit_is_told_when_its_window_ends() {
        let limiter = limiter(2, LimitScope::Address);
        let caller = address("2001:db8::1");
        let start = Instant::now();
        let at = |seconds| limiter.count(caller, start + Duration::from_secs(seconds));
        assert_eq!(at(0), Verdict::Within);
        assert_eq!(at(3), Verdict::Within);
        assert_eq!(at(4), Verdict::Over(Duration::from_secs(6)));
        assert_eq!(at(9), Verdict::Over(Duration::from_secs(1)));
        assert_eq!(at(10), Verdict::Within);
        assert_eq!(at(11), Verdict::Within);
        assert_eq!(at(12), Verdict::Over(Duration::from_secs(8)));
    }

    #[test]
    fn callers_of_one_network_are_counted_together_and_others_apart() {
        for (scope, same, other) in [
            (LimitScope::Address, "2001:db8::1", "2001:db8::2"),
            (LimitScope::Subnet, "2001:db8::2", "2001:db8:0:1::1"),
            (LimitScope::Site, "2001:db8:0:ffff::1", "2001:db8:1::1"),
        ] {
            let limiter = limiter(1, scope);
            let now = Instant::now();
            assert_eq!(limiter.count(address("2001:db8::1"), now), Verdict::Within);
            assert_ne!(limiter.count(address(same), now), Verdict::Within, "{scope:?}");
            assert_eq!(limiter.count(address(other), now), Verdict::Within, "{scope:?}");
        }
    }

    #[test]
    fn ipv4_callers_are_counted_one_by_one() {
        let limiter = limiter(1, LimitScope::Site);
        let now = Instant::now();
        assert_eq!(limiter.count(address("192.0.2.1"), now), Verdict::Within);
        assert_eq!(limiter.count(address("192.0.2.2"), now), Verdict::Within);
        assert_ne!(limiter.count(address("192.0.2.1"), now), Verdict::Within);
    }

    #[test]
    fn a_count_outlives_the_change_of_generations() {
        let limiter = limiter(1, LimitScope::Address);
        let start = Instant::now();
        let caller = address("2001:db8::1");
        assert_eq!(
            limiter.count(address("2001:db8::2"), start + WINDOW / 2),
            Verdict::Within
        );
        assert_eq!(limiter.count(caller, start + WINDOW / 2), Verdict::Within);
        // The generation is now older than a window, the caller's window is not.
        let later = start + WINDOW + WINDOW / 4;
        assert_eq!(limiter.count(caller, later), Verdict::Over(WINDOW / 4));
    }

    #[test]
    fn memory_is_bounded_however_many_networks_call() {
        let mut limiter = limiter(1, LimitScope::Address);
        limiter.networks_per_generation = 100;
        let now = Instant::now();
        for n in 0..10_000_u128 {
            assert_eq!(
                limiter.count(IpAddr::V6(Ipv6Addr::from_bits(n)), now),
                Verdict::Within
            );
        }
        let generations = limiter.generations.lock().unwrap();
        assert!(generations.young.len() <= 100 && generations.old.len() <= 100);
    }
}
