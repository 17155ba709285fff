//! How many requests a destination is getting.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What lies so far back, in milliseconds, counts for 1/e.
const MEMORY: f64 = 5000.0;

/// Beyond so many milliseconds without a request nothing is remembered: the next one begins anew.
const FORGOTTEN: u64 = 4 * MEMORY as u64;

/// The requests that one shard sends to a destination, weighted by age. Written by that shard alone and read by all:
/// no request waits for another thread.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// The sum of the weights at `last`, as the bits of an `f64`.
    level: AtomicU64,
    /// Milliseconds of the model.
    last: AtomicU64,
    /// When the first of them was sent.
    began: AtomicU64,
    /// Anything was sent.
    used: AtomicBool,
}

impl Meter {
    /// Counts a request at `now`. Those before `since` do not count any more.
    pub(super) fn sent(&self, now: u64, since: u64) {
        let last = self.last.load(Ordering::Relaxed);
        let is_new =
            !self.used.load(Ordering::Relaxed) || last < since || now.saturating_sub(last) > FORGOTTEN;
        let before = if is_new {
            self.began.store(now, Ordering::Relaxed);
            self.used.store(true, Ordering::Relaxed);
            0.0
        } else {
            self.level() * decay(now.saturating_sub(last))
        };
        self.level.store((before + 1.0).to_bits(), Ordering::Relaxed);
        self.last.store(now.max(last), Ordering::Relaxed);
    }

    fn level(&self) -> f64 {
        f64::from_bits(self.level.load(Ordering::Relaxed))
    }

    /// The sum of the weights at `now`, and since when; nothing where all is forgotten.
    fn at(&self, now: u64, since: u64) -> Option<(f64, u64)> {
        let last = self.last.load(Ordering::Relaxed);
        let counts =
            self.used.load(Ordering::Relaxed) && last >= since && now.saturating_sub(last) <= FORGOTTEN;
        counts.then(|| {
            (
                self.level() * decay(now.saturating_sub(last)),
                self.began.load(Ordering::Relaxed),
            )
        })
    }
}

/// Requests per second at `now` by all `meters`. What began less than `least` milliseconds ago counts as if it took
/// that long, so that a handful at one moment is no rate.
pub(super) fn rate<'a>(meters: impl Iterator<Item = &'a Meter>, now: u64, since: u64, least: f64) -> f64 {
    let (mut level, mut began) = (0.0, now);
    for (weights, first) in meters.filter_map(|meter| meter.at(now, since)) {
        level += weights;
        began = began.min(first);
    }
    let span = (now.saturating_sub(began) as f64).max(least);
    // The weight that a steady stream of one a millisecond would have gathered since then.
    let full = MEMORY * (1.0 - (-span / MEMORY).exp());
    1000.0 * level / full
}

fn decay(milliseconds: u64) -> f64 {
    if milliseconds == 0 {
        return 1.0;
    }
    (-(milliseconds as f64) / MEMORY).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(meters: &[&Meter], now: u64) -> f64 {
        rate(meters.iter().copied(), now, 0, 1.0)
    }

    #[test]
    fn a_steady_rate_is_seen_as_it_is_from_the_first_second_on() {
        for interval in [1, 5, 20, 100] {
            let meter = Meter::default();
            let steady = 1000.0 / interval as f64;
            for request in 0..30_000 / interval {
                let now = 700 + request * interval;
                meter.sent(now, 0);
                if request * interval >= 1000 {
                    let seen = after(&[&meter], now);
                    assert!((seen / steady - 1.0).abs() < 0.12, "{seen} of {steady} at {now}");
                }
            }
        }
    }

    #[test]
    fn the_past_is_forgotten_by_and_by() {
        let meter = Meter::default();
        (0..10_000).for_each(|now| meter.sent(now, 0));
        for now in (10_000..40_000).step_by(100) {
            meter.sent(now, 0);
        }
        let seen = after(&[&meter], 39_900);
        assert!((9.0..13.0).contains(&seen), "{seen} of 10, once 1000");
        assert_eq!(after(&[&meter], 39_900 + 2 * FORGOTTEN), 0.0);
    }

    #[test]
    fn what_all_shards_send_is_one_rate() {
        let meters = [Meter::default(), Meter::default(), Meter::default()];
        for now in 0..8000 {
            meters[now as usize % 2].sent(now, 0);
        }
        // A shard that came late.
        meters[2].sent(7999, 0);
        let seen = after(&meters.each_ref(), 8000);
        assert!((950.0..1050.0).contains(&seen), "{seen} of 1000");
    }

    #[test]
    fn after_a_long_silence_a_rate_begins_anew() {
        let meter = Meter::default();
        meter.sent(0, 0);
        let later = 10 * FORGOTTEN;
        (0..1000).for_each(|now| meter.sent(later + now, 0));
        let seen = after(&[&meter], later + 1000);
        assert!((950.0..1050.0).contains(&seen), "{seen} of 1000");
    }

    #[test]
    fn a_handful_at_one_moment_is_no_rate() {
        let meter = Meter::default();
        (0..10).for_each(|_| meter.sent(0, 0));
        let seen = rate([&meter].into_iter(), 0, 0, 50.0);
        assert!((190.0..210.0).contains(&seen), "{seen} of 10 in 50 ms");
    }
}
