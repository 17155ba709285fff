//! How fast a destination may be asked: by the user's rate, by what it asks for itself (Retry-After, Crawl-delay) and
//! by what it refuses. The caller tells the time; no clock is read here.

mod observed;
mod throttle;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use v6kit_net::RateLimit;

pub(crate) use observed::Meter;
use throttle::{Change, Throttle};

/// Requests over time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// Requests per second.
    PerSecond(f64),
    /// As fast as the machine and the concurrency allow.
    Max,
}

/// What there is to tell of a refusal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Restraint {
    /// For how long the site is left alone, where that is long and has not been told.
    pub(crate) hold: Option<Duration>,
    /// Requests per second that it is asked from now on, where it was asked as often as the user wants until now.
    pub(crate) slowed: Option<f64>,
}

impl Rate {
    /// Per second; `None` for any number.
    pub(crate) fn per_second(self) -> Option<f64> {
        match self {
            Self::PerSecond(rate) => Some(rate),
            Self::Max => None,
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerSecond(rate) => write!(f, "{rate}/s"),
            Self::Max => f.write_str("max"),
        }
    }
}

/// What to do when a site says that it is asked too often (429, 503).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLimit {
    /// Ask the destination less often, from whatever address, and wait as long as it says.
    Slow,
    /// Go on from another address.
    Rotate,
    /// End the crawl.
    Stop,
}

/// How far a late request may be made up for: timers fire up to a millisecond late and threads are
/// kept waiting by others. Long enough to keep the rate exact, short enough not to be a burst.
pub(crate) const SLACK: Duration = Duration::from_millis(50);

/// A wait that somebody should be told of.
const LONG: Duration = Duration::from_secs(10);

/// The shortest time over which a rate is observed, in milliseconds: without a rate all slots send at once in the
/// beginning; with one, it bounds what is observed.
const LEAST: f64 = 1.0;
const LEAST_UNLIMITED: f64 = 50.0;

/// One destination's budget of requests, shared by all shards.
///
/// A request takes one atomic of it, none where there is no rate. Only refusals, and answers while it is throttled,
/// take a lock.
#[derive(Debug)]
pub(crate) struct RateModel {
    epoch: Instant,
    limit: RateLimit,
    /// Until when nobody may leave, also who has waited already, in milliseconds since the epoch.
    held: AtomicU64,
    throttled: AtomicBool,
    throttle: Mutex<Throttle>,
    /// What each shard sends there. Locked when a shard meets the destination, and at a refusal.
    meters: Mutex<Vec<Weak<Meter>>>,
    /// What was sent before, in milliseconds since the epoch, says nothing of the present rate.
    counts_since: AtomicU64,
}

impl RateModel {
    /// A rate of `asked` from `now` on. The first request may leave at once, the second an interval later.
    pub(crate) fn new(asked: Rate, now: Instant) -> Self {
        Self {
            epoch: now,
            limit: RateLimit::even(asked.per_second(), SLACK, now),
            held: AtomicU64::new(0),
            throttled: AtomicBool::new(false),
            throttle: Mutex::new(Throttle::new(asked)),
            meters: Mutex::default(),
            counts_since: AtomicU64::new(0),
        }
    }

    /// Whether nobody ever waits.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.limit.is_unlimited()
    }

    /// Requests per second that it may be asked at present; `None` for any number.
    pub(crate) fn per_second(&self) -> Option<f64> {
        self.limit.per_second()
    }

    /// Takes the next permit where its time has come, and says whether it has.
    pub(crate) fn acquire_if_due(&self, now: Instant) -> bool {
        self.limit.admit(now).is_ok()
    }

    /// Takes the next permit and returns its time, which may have passed already. Whoever has waited for it asks
    /// [`Self::is_held`] then.
    pub(crate) fn acquire(&self, now: Instant) -> Instant {
        self.limit.reserve(now)
    }

    /// Whether the site has asked to be left alone, so that nobody may leave, also who was given a permit.
    pub(crate) fn is_held(&self, now: Instant) -> bool {
        self.held.load(Ordering::Relaxed) > self.clock(now)
    }

    /// Whether it must not be asked now, or not as often as was asked for.
    pub(crate) fn is_restrained(&self, now: Instant) -> bool {
        self.limit.is_ahead(now) || self.throttled.load(Ordering::Relaxed)
    }

    /// What a shard that meets the destination counts its requests with.
    pub(crate) fn meter(&self) -> Arc<Meter> {
        let meter = Arc::default();
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        meters.retain(|meter| meter.strong_count() > 0);
        meters.push(Arc::downgrade(&meter));
        meter
    }

    /// The shard of `meter` sends a request.
    pub(crate) fn sent(&self, meter: &Meter, now: Instant) {
        meter.sent(self.clock(now), self.counts_since.load(Ordering::Relaxed));
    }

    /// Requests per second that the site has been getting of late, from all shards.
    pub(crate) fn observed(&self, now: Instant) -> f64 {
        let meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let alive: Vec<Arc<Meter>> = meters.iter().filter_map(Weak::upgrade).collect();
        drop(meters);
        let since = self.counts_since.load(Ordering::Relaxed);
        let least = if self.is_unlimited() {
            LEAST_UNLIMITED
        } else {
            LEAST
        };
        observed::rate(alive.iter().map(AsRef::as_ref), self.clock(now), since, least)
    }

    /// The site refused, and perhaps asked for a `wait`.
    pub(crate) fn on_limited(&self, now: Instant, wait: Option<Duration>) -> Restraint {
        let observed = self.observed(now);
        let mut throttle = self.throttle();
        if let Some(wait) = wait {
            let until = now + wait;
            self.limit.hold(until);
            self.held.fetch_max(self.clock(until), Ordering::Relaxed);
            // The pause is the site's wish, and no sign of what it takes.
            self.counts_since.fetch_max(self.clock(until), Ordering::Relaxed);
        }
        let mut slowed = None;
        if let Change::Rate(rate) = throttle.refused(now, wait, observed) {
            let was_slow = self.throttled.swap(true, Ordering::Relaxed);
            slowed = rate.per_second().filter(|_| !was_slow);
            self.limit.set(rate.per_second());
        }
        Restraint {
            hold: wait.filter(|wait| throttle.announces(now, now + *wait)),
            slowed,
        }
    }

    /// The site answered. Costs one load unless the destination is throttled.
    pub(crate) fn on_accepted(&self, now: impl FnOnce() -> Instant) {
        if !self.throttled.load(Ordering::Relaxed) {
            return;
        }
        let mut throttle = self.throttle();
        if let Change::Rate(rate) = throttle.accepted(now()) {
            self.throttled.store(throttle.is_active(), Ordering::Relaxed);
            self.limit.set(rate.per_second());
        }
    }

    /// The site asks for a pause of `delay` between requests (Crawl-delay), or for none, until it asks for another.
    pub(crate) fn set_delay(&self, delay: Option<Duration>) {
        if let Change::Rate(rate) = self.throttle().set_delay(delay) {
            self.limit.set(rate.per_second());
        }
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the epoch.
    fn clock(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
