//! How often something may happen.

use std::time::{Duration, Instant};

/// The generic cell rate algorithm (ITU-T I.371): one moment, that of the next cell in time, is moved on by one
/// interval for each event. The caller tells the time, so that it can be any.
#[derive(Debug, Clone)]
pub struct RateLimit {
    interval: Duration,
    burst: Duration,
    next: Instant,
}

impl RateLimit {
    /// At most `per_second` events a second from `now` on, above 0, with `burst` worth of them at once; the first is
    /// always admitted.
    #[must_use]
    pub fn new(per_second: f64, burst: Duration, now: Instant) -> Self {
        // A rate of next to nothing is an interval longer than any clock.
        let interval = Duration::try_from_secs_f64(1.0 / per_second).unwrap_or(LONGEST);
        Self {
            interval: interval.min(LONGEST),
            burst,
            next: now,
        }
    }

    /// Counts an event at `now`, or says how long it would have to wait.
    ///
    /// # Errors
    /// The wait, in which case nothing is counted.
    pub fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        let due = self.next.max(now);
        // The event itself takes one interval of the burst.
        let room = self.burst.saturating_sub(self.interval);
        let early = due.saturating_duration_since(now);
        if early > room {
            return Err(early - room);
        }
        self.next = due + self.interval;
        Ok(())
    }
}

/// Longer than any process lives.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many of 10,000 events at one moment are admitted.
    fn at_once(limit: &mut RateLimit, now: Instant) -> usize {
        (0..10_000).filter(|_| limit.admit(now).is_ok()).count()
    }

    #[test]
    fn a_burst_is_what_a_second_permits_and_the_rest_has_to_wait() {
        let start = Instant::now();
        let mut limit = RateLimit::new(100.0, SECOND, start);
        assert_eq!(at_once(&mut limit, start), 100);
        let wait = limit.admit(start).unwrap_err();
        assert_eq!(wait, Duration::from_millis(10));
        assert!(limit.admit(start + wait).is_ok());
        assert_eq!(at_once(&mut limit, start + 11 * SECOND), 100);
    }

    #[test]
    fn in_the_long_run_the_rate_holds() {
        let start = Instant::now();
        let mut limit = RateLimit::new(50.0, SECOND, start);
        let admitted = (0..60_000u64)
            .filter(|n| limit.admit(start + Duration::from_millis(*n)).is_ok())
            .count();
        assert!((3000..=3050).contains(&admitted), "{admitted} in a minute");
    }

    #[test]
    fn the_first_event_is_admitted_however_low_the_rate() {
        let start = Instant::now();
        for rate in [0.001, f64::MIN_POSITIVE] {
            let mut limit = RateLimit::new(rate, SECOND, start);
            assert!(limit.admit(start).is_ok(), "{rate}");
            assert!(limit.admit(start).is_err(), "{rate}");
        }
    }

    #[test]
    fn a_burst_of_nothing_spaces_events_evenly() {
        let start = Instant::now();
        let mut limit = RateLimit::new(10.0, Duration::ZERO, start);
        assert_eq!(at_once(&mut limit, start), 1);
        assert_eq!(limit.admit(start), Err(Duration::from_millis(100)));
    }
}
