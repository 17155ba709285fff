//! How often something may happen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The generic cell rate algorithm (ITU-T I.371): one moment, that of the next cell in time, is moved on by one
/// interval for each event. The caller tells the time, so that it can be any. Shared by threads without a lock.
#[derive(Debug)]
pub struct RateLimit {
    epoch: Instant,
    /// How far an event may be ahead of its moment, in nanoseconds. What was missed is made up for as far.
    tolerance: u64,
    /// The moment of the next event, in nanoseconds since the epoch, put off by the tolerance.
    next: AtomicU64,
    /// Nanoseconds between events; 0 is no limit.
    interval: AtomicU64,
}

impl RateLimit {
    /// At most `per_second` events a second from `now` on, above 0, with `burst` worth of them at once; the first is
    /// always admitted.
    #[must_use]
    pub fn new(per_second: f64, burst: Duration, now: Instant) -> Self {
        let interval = interval(Some(per_second));
        Self {
            epoch: now,
            // The event itself takes one interval of the burst.
            tolerance: nanoseconds(burst).saturating_sub(interval),
            next: AtomicU64::new(0),
            interval: AtomicU64::new(interval),
        }
    }

    /// `per_second` events a second from `now` on, any number for `None`, evenly: the first at once, the second an
    /// interval later. What comes late by up to `slack` is made up for.
    #[must_use]
    pub fn even(per_second: Option<f64>, slack: Duration, now: Instant) -> Self {
        let slack = nanoseconds(slack);
        Self {
            epoch: now,
            tolerance: slack,
            next: AtomicU64::new(slack),
            interval: AtomicU64::new(interval(per_second)),
        }
    }

    /// Whether any number of events is admitted.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.interval.load(Ordering::Relaxed) == 0
    }

    /// Events per second; `None` for any number.
    #[must_use]
    pub fn per_second(&self) -> Option<f64> {
        let interval = self.interval.load(Ordering::Relaxed);
        (interval > 0).then(|| 1e9 / interval as f64)
    }

    /// Changes the rate for the events after the next one.
    pub fn set(&self, per_second: Option<f64>) {
        self.interval.store(interval(per_second), Ordering::Relaxed);
    }

    /// Admits nothing before `until`, and no burst then.
    pub fn hold(&self, until: Instant) {
        self.next.fetch_max(self.clock(until), Ordering::Relaxed);
    }

    /// Whether the next event has its moment after `now`.
    pub fn is_ahead(&self, now: Instant) -> bool {
        self.next.load(Ordering::Relaxed) > self.clock(now)
    }

    /// Counts an event at `now`, or says how long it would have to wait.
    ///
    /// # Errors
    /// The wait, in which case nothing is counted.
    pub fn admit(&self, now: Instant) -> Result<(), Duration> {
        let now = self.clock(now);
        self.take(now, now)
            .map(drop)
            .map_err(|due| Duration::from_nanos(due - now))
    }

    /// Counts an event and returns its moment, which may have passed already.
    pub fn reserve(&self, now: Instant) -> Instant {
        let (Ok(due) | Err(due)) = self.take(self.clock(now), u64::MAX);
        self.epoch + Duration::from_nanos(due.saturating_sub(self.tolerance))
    }

    /// Counts an event and returns its moment, unless it would have to wait longer than `longest`.
    ///
    /// # Errors
    /// The wait, in which case nothing is counted.
    pub fn reserve_within(&self, now: Instant, longest: Duration) -> Result<Instant, Duration> {
        let now = self.clock(now);
        let latest = now.saturating_add(nanoseconds(longest));
        match self.take(now, latest) {
            Ok(due) => Ok(self.epoch + Duration::from_nanos(due.saturating_sub(self.tolerance))),
            Err(due) => Err(Duration::from_nanos(due - now)),
        }
    }

    /// Counts an event unless its moment is after `latest`. The moment either way.
    fn take(&self, now: u64, latest: u64) -> Result<u64, u64> {
        let interval = self.interval.load(Ordering::Relaxed);
        let earliest = now.saturating_sub(self.tolerance);
        let mut next = self.next.load(Ordering::Relaxed);
        loop {
            let due = next.max(earliest);
            if due > latest {
                return Err(due);
            }
            let after = due.saturating_add(interval);
            match self
                .next
                .compare_exchange_weak(next, after, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(due),
                Err(current) => next = current,
            }
        }
    }

    /// `now` in nanoseconds since the epoch, put off by the tolerance.
    fn clock(&self, now: Instant) -> u64 {
        nanoseconds(now.saturating_duration_since(self.epoch)).saturating_add(self.tolerance)
    }
}

/// Nanoseconds between events, 0 for any number of them. A rate of next to nothing is longer than any process lives.
fn interval(per_second: Option<f64>) -> u64 {
    const LONGEST: u64 = 100 * 365 * 24 * 3600 * 1_000_000_000;
    per_second.map_or(0, |rate| ((1e9 / rate).round() as u64).clamp(1, LONGEST))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const SLACK: Duration = Duration::from_millis(50);

    /// How many of 10,000 events at one moment are admitted.
    fn at_once(limit: &RateLimit, now: Instant) -> usize {
        (0..10_000).filter(|_| limit.admit(now).is_ok()).count()
    }

    fn even(rate: f64) -> RateLimit {
        RateLimit::even(Some(rate), SLACK, Instant::now())
    }

    /// The moments of events whose caller is `late` behind each of them, as offsets from the start.
    fn moments(limit: &RateLimit, count: usize, late: Duration) -> Vec<Duration> {
        let mut now = limit.epoch;
        (0..count)
            .map(|_| {
                let due = limit.reserve(now);
                now = now.max(due) + late;
                due - limit.epoch
            })
            .collect()
    }

    #[test]
    fn a_burst_is_what_a_second_permits_and_the_rest_has_to_wait() {
        let start = Instant::now();
        let limit = RateLimit::new(100.0, SECOND, start);
        assert_eq!(at_once(&limit, start), 100);
        let wait = limit.admit(start).unwrap_err();
        assert_eq!(wait, Duration::from_millis(10));
        assert!(limit.admit(start + wait).is_ok());
        assert_eq!(at_once(&limit, start + 11 * SECOND), 100);
    }

    #[test]
    fn in_the_long_run_the_rate_holds() {
        let start = Instant::now();
        let limit = RateLimit::new(50.0, SECOND, start);
        let admitted = (0..60_000u64)
            .filter(|n| limit.admit(start + Duration::from_millis(*n)).is_ok())
            .count();
        assert!((3000..=3050).contains(&admitted), "{admitted} in a minute");
    }

    #[test]
    fn the_first_event_is_admitted_however_low_the_rate() {
        let start = Instant::now();
        for rate in [0.001, f64::MIN_POSITIVE] {
            let limit = RateLimit::new(rate, SECOND, start);
            assert!(limit.admit(start).is_ok(), "{rate}");
            assert!(limit.admit(start).is_err(), "{rate}");
        }
    }

    #[test]
    fn a_burst_of_nothing_spaces_events_evenly() {
        let start = Instant::now();
        let limit = RateLimit::new(10.0, Duration::ZERO, start);
        assert_eq!(at_once(&limit, start), 1);
        assert_eq!(limit.admit(start), Err(Duration::from_millis(100)));
    }

    #[test]
    fn an_even_rate_is_exact_and_its_start_is_no_burst() {
        let times = moments(&even(150.0), 1501, Duration::ZERO);
        assert_eq!(times[0], Duration::ZERO);
        assert!(times[1] >= Duration::from_micros(6_600), "{:?}", times[1]);
        let last = times[1500].as_secs_f64();
        assert!((last - 10.0).abs() < 0.001, "{last}");
    }

    #[test]
    fn late_timers_do_not_slow_an_even_rate_down() {
        let times = moments(&even(5000.0), 50_001, Duration::from_micros(150));
        let last = times[50_000].as_secs_f64();
        assert!((last - 10.0).abs() < 0.06, "{last}");
    }

    #[test]
    fn a_pause_is_not_made_up_for_beyond_the_slack() {
        let limit = even(100.0);
        limit.reserve(limit.epoch);
        let resumed = limit.epoch + Duration::from_secs(60);
        let due = (0..20).filter(|_| limit.reserve(resumed) <= resumed).count();
        assert_eq!(due, 6, "50 ms of slack and the present one");
    }

    #[test]
    fn the_end_of_a_hold_is_no_burst() {
        let limit = even(100.0);
        let until = limit.epoch + Duration::from_secs(60);
        limit.hold(until);
        assert!(limit.is_ahead(until - Duration::from_millis(1)) && !limit.is_ahead(until));
        let due: Vec<Duration> = (0..3).map(|_| limit.reserve(limit.epoch) - until).collect();
        assert_eq!(due, [0, 10, 20].map(Duration::from_millis));
    }

    #[test]
    fn whoever_only_asks_takes_no_event_that_is_still_to_come() {
        let limit = even(100.0);
        let at = |milliseconds| limit.epoch + Duration::from_millis(milliseconds);
        assert!(limit.admit(at(0)).is_ok());
        assert!(limit.admit(at(0)).is_err());
        assert!(limit.admit(at(9)).is_err());
        assert!(limit.admit(at(10)).is_ok());
        assert_eq!(limit.reserve(at(10)), at(20));
    }

    #[test]
    fn whoever_would_wait_too_long_reserves_nothing() {
        let limit = even(10.0);
        let within = |milliseconds| limit.reserve_within(limit.epoch, Duration::from_millis(milliseconds));
        assert_eq!(within(0), Ok(limit.epoch));
        assert_eq!(within(100), Ok(limit.epoch + Duration::from_millis(100)));
        assert_eq!(within(199), Err(Duration::from_millis(200)));
        assert_eq!(within(200), Ok(limit.epoch + Duration::from_millis(200)));
    }

    #[test]
    fn a_limit_says_its_rate_and_takes_another_one() {
        let limit = even(8.0);
        assert_eq!((limit.per_second(), limit.is_unlimited()), (Some(8.0), false));
        limit.set(None);
        assert_eq!((limit.per_second(), limit.is_unlimited()), (None, true));
        assert_eq!(at_once(&limit, limit.epoch), 10_000);
        limit.set(Some(0.5));
        assert_eq!((limit.per_second(), limit.is_unlimited()), (Some(0.5), false));
    }

    #[test]
    fn events_may_be_decades_apart() {
        let years = Duration::from_secs(50 * 365 * 86_400);
        let limit = even(1.0 / years.as_secs_f64());
        limit.reserve(limit.epoch);
        let second = limit.reserve(limit.epoch) - limit.epoch;
        assert_eq!(second.as_secs(), years.as_secs());
    }

    #[test]
    fn threads_share_one_budget() {
        let limit = even(1000.0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..1000).for_each(|_| {
                        limit.reserve(limit.epoch);
                    });
                });
            }
        });
        assert_eq!(limit.reserve(limit.epoch) - limit.epoch, Duration::from_secs(4));
    }

    #[test]
    fn a_rate_of_next_to_nothing_ends_no_clock() {
        let limit = even(f64::MIN_POSITIVE);
        let last = (0..10).map(|_| limit.reserve(limit.epoch)).last();
        assert!(last.is_some_and(|last| last > limit.epoch));
    }
}
