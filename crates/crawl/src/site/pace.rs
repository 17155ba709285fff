//! How fast a destination may be asked.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Requests over time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// Requests per second.
    PerSecond(f64),
    /// As fast as the machine and the concurrency allow.
    Max,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerSecond(rate) => write!(f, "{rate}/s"),
            Self::Max => f.write_str("max"),
        }
    }
}

/// How far a late request may be made up for: timers fire up to a millisecond late and threads are
/// kept waiting by others. Long enough to keep the rate exact, short enough not to be a burst.
const SLACK: Duration = Duration::from_millis(50);

/// The budget of one destination, shared by all shards without a lock.
///
/// The generic cell rate algorithm (ITU-T I.371): one number, the time of the next free departure,
/// is moved on by one interval for each request.
#[derive(Debug)]
pub(crate) struct Pace {
    epoch: Instant,
    /// Nanoseconds since the epoch.
    next: AtomicU64,
    /// Nanoseconds between departures; 0 is [`Rate::Max`].
    interval: AtomicU64,
}

impl Pace {
    /// A pace of `rate` from now on. The first request may leave at once, the second an interval later.
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            epoch: Instant::now(),
            next: AtomicU64::new(0),
            interval: AtomicU64::new(interval(rate)),
        }
    }

    /// Whether nobody ever waits.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.interval.load(Ordering::Relaxed) == 0
    }

    /// Requests per second; `None` for any number.
    pub(crate) fn per_second(&self) -> Option<f64> {
        let interval = self.interval.load(Ordering::Relaxed);
        (interval > 0).then(|| 1e9 / interval as f64)
    }

    /// Whether nobody may leave at `now`.
    pub(crate) fn is_held(&self, now: Instant) -> bool {
        self.next.load(Ordering::Relaxed) > self.since_epoch(now)
    }

    /// Changes the rate from now on.
    pub(crate) fn set(&self, rate: Rate) {
        self.interval.store(interval(rate), Ordering::Relaxed);
    }

    /// Lets nobody leave before `until`.
    pub(crate) fn hold(&self, until: Instant) {
        self.next.fetch_max(self.since_epoch(until), Ordering::Relaxed);
    }

    /// Takes the next departure and returns its time, which may have passed already.
    pub(crate) fn depart(&self, now: Instant) -> Instant {
        let departure = self.take(self.since_epoch(now), u64::MAX);
        // No departure is later than that.
        self.epoch + Duration::from_nanos(departure.unwrap_or(u64::MAX))
    }

    /// Takes the next departure where its time has come, and says whether it has.
    pub(crate) fn depart_if_due(&self, now: Instant) -> bool {
        let now = self.since_epoch(now);
        self.take(now, now).is_some()
    }

    /// Takes the next departure unless it is after `latest`; all times in nanoseconds since the epoch.
    fn take(&self, now: u64, latest: u64) -> Option<u64> {
        let interval = self.interval.load(Ordering::Relaxed);
        let earliest = now.saturating_sub(nanoseconds(SLACK));
        let mut next = self.next.load(Ordering::Relaxed);
        loop {
            let departure = next.max(earliest);
            if departure > latest {
                return None;
            }
            match self.next.compare_exchange_weak(
                next,
                departure + interval,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(departure),
                Err(current) => next = current,
            }
        }
    }

    fn since_epoch(&self, now: Instant) -> u64 {
        nanoseconds(now.saturating_duration_since(self.epoch))
    }
}

fn interval(rate: Rate) -> u64 {
    match rate {
        Rate::Max => 0,
        Rate::PerSecond(rate) => ((1e9 / rate).round() as u64).max(1),
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Departures of a caller that is `late` behind each of them, as offsets from the start.
    fn departures(pace: &Pace, count: usize, late: Duration) -> Vec<Duration> {
        let mut now = pace.epoch;
        (0..count)
            .map(|_| {
                let departure = pace.depart(now);
                now = now.max(departure) + late;
                departure - pace.epoch
            })
            .collect()
    }

    #[test]
    fn the_rate_is_exact_and_the_start_is_no_burst() {
        let pace = Pace::new(Rate::PerSecond(150.0));
        let times = departures(&pace, 1501, Duration::ZERO);
        assert_eq!(times[0], Duration::ZERO);
        assert!(times[1] >= Duration::from_micros(6_600), "{:?}", times[1]);
        let last = times[1500].as_secs_f64();
        assert!((last - 10.0).abs() < 0.001, "{last}");
    }

    #[test]
    fn late_timers_do_not_slow_it_down() {
        let pace = Pace::new(Rate::PerSecond(5000.0));
        let times = departures(&pace, 50_001, Duration::from_micros(150));
        let last = times[50_000].as_secs_f64();
        assert!((last - 10.0).abs() < 0.06, "{last}");
    }

    #[test]
    fn a_pause_is_not_made_up_for_beyond_the_slack() {
        let pace = Pace::new(Rate::PerSecond(100.0));
        pace.depart(pace.epoch);
        let resumed = pace.epoch + Duration::from_secs(60);
        let due = (0..20).filter(|_| pace.depart(resumed) <= resumed).count();
        assert_eq!(due, 6, "50 ms of slack and the present one");
    }

    #[test]
    fn whoever_only_asks_takes_no_departure_that_is_still_to_come() {
        let pace = Pace::new(Rate::PerSecond(100.0));
        assert!(pace.depart_if_due(pace.epoch));
        assert!(!pace.depart_if_due(pace.epoch));
        assert!(!pace.depart_if_due(pace.epoch + Duration::from_millis(9)));
        assert!(pace.depart_if_due(pace.epoch + Duration::from_millis(10)));
        assert_eq!(pace.depart(pace.epoch) - pace.epoch, Duration::from_millis(20));
    }

    #[test]
    fn shards_share_one_budget() {
        let pace = Pace::new(Rate::PerSecond(1000.0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..1000).for_each(|_| {
                        pace.depart(pace.epoch);
                    });
                });
            }
        });
        assert_eq!(pace.depart(pace.epoch) - pace.epoch, Duration::from_secs(4));
    }
}
