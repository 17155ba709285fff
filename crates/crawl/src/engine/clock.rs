//! The time of day, without a look at its clock for every request.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

/// How long one look lasts. A clock that is set meanwhile is followed that much later.
const LASTS: Duration = Duration::from_secs(1);

/// Tells what time of day it was at an [`Instant`]: on machines without a fast clock each look is a system call.
#[derive(Debug)]
pub(crate) struct Clock(Cell<(Instant, SystemTime)>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Cell::new((Instant::now(), SystemTime::now())))
    }

    /// The time of day at `now`, which has just been.
    pub(crate) fn time_of_day(&self, now: Instant) -> SystemTime {
        let (looked, time) = self.0.get();
        let since = now.saturating_duration_since(looked);
        if since < LASTS {
            return time + since;
        }
        let time = SystemTime::now();
        self.0.set((now, time));
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_at_the_clock_lasts_for_a_second() {
        let clock = Clock::new();
        let (looked, time) = clock.0.get();
        let soon = Duration::from_millis(999);
        assert_eq!(clock.time_of_day(looked + soon), time + soon);
        assert_eq!(clock.0.get(), (looked, time));
        let later = looked + LASTS;
        let told = clock.time_of_day(later);
        assert_eq!(clock.0.get(), (later, told));
        assert!(
            told < time + LASTS,
            "the clock itself was asked, and no second has passed"
        );
    }
}
