//! Slowing down when a site says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::site::pace::{Pace, Rate};

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

/// Refusals within this time of a cut were earned before it.
const CUT_GAP: Duration = Duration::from_secs(2);

/// Between two steps of recovery.
const STEP_GAP: Duration = Duration::from_secs(1);

/// What comes in for so long after a cut was mostly sent before it, and says nothing of the new rate.
const SETTLING: Duration = Duration::from_secs(1);

/// So many answers say what share of them the site refuses.
const ENOUGH: u64 = 20;

/// A cut halves the rate, or takes as much of it as the site refused; a step gives back this part of what the
/// user asked for, or, where that is the machine's limit, of what it was before the last cut.
const CUT: f64 = 0.5;
const STEP: f64 = 0.02;

/// Less than this is waiting rather than crawling, in requests per second.
const SLOWEST: f64 = 0.02;

/// Multiplicative decrease, slow additive recovery, of one destination's pace.
///
/// Recovery is paid for with time and with answers that are no refusals, never with the speed of the
/// answers: error pages are quick, and must not make a crawl faster.
#[derive(Debug)]
pub(crate) struct Throttle {
    throttled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    configured: Rate,
    /// Until when it was told that nothing is asked.
    announced: Option<Instant>,
    /// What it was before the first cut.
    full: f64,
    now: f64,
    /// What a step gives back.
    step: f64,
    last_cut: Option<Instant>,
    last_step: Option<Instant>,
    /// Answers that were no refusals, and refusals, at the present rate.
    accepted: u64,
    refused: u64,
    /// While the first cut is being brought down to what the site takes.
    sounding: Option<Sounding>,
}

/// What came in since a moment at which the site was refusing already: what it accepts meanwhile is what it
/// takes, however much more it is asked.
#[derive(Debug)]
struct Sounding {
    since: Instant,
    accepted: u64,
    refused: u64,
}

impl Sounding {
    fn new(since: Instant) -> Self {
        Self {
            since,
            accepted: 0,
            refused: 0,
        }
    }

    /// Requests per second that were answered, and the share of them that was accepted at most, once that can
    /// be said.
    fn found(&self, now: Instant) -> Option<(f64, f64)> {
        let answers = self.accepted + self.refused;
        let seconds = now.saturating_duration_since(self.since).as_secs_f64().max(0.001);
        let share = (self.accepted + 1) as f64 / answers as f64;
        (answers >= ENOUGH).then_some((answers as f64 / seconds, share))
    }
}

impl State {
    /// A refusal soon after the first cut: far above what the site takes, the two seconds to the next cut
    /// would cost it thousands of requests.
    fn sound(&mut self, pace: &Pace, now: Instant) {
        let Some(sounding) = &mut self.sounding else {
            return;
        };
        sounding.refused += 1;
        let Some((answered, share)) = sounding.found(now) else {
            return;
        };
        *sounding = Sounding::new(now);
        // After a pause fewer were answered than are sent.
        let taken = answered.max(self.now) * share;
        if taken < self.now {
            if self.configured == Rate::Max {
                self.step = STEP * answered.min(self.now);
            }
            self.now = taken.max(SLOWEST);
            self.last_cut = Some(now);
            self.last_step = Some(now);
            pace.set(Rate::PerSecond(self.now));
        }
    }

    fn has_settled(&self, now: Instant) -> bool {
        self.last_cut
            .is_some_and(|last| now.saturating_duration_since(last) >= SETTLING)
    }

    /// Cuts the rate that was in fact sent at, when that is known.
    fn cut(&mut self, now: Instant) {
        let answers = self.accepted + self.refused;
        let settled = self.last_cut.map(|last| last + SETTLING);
        let (before, share) = match settled {
            Some(since) if answers >= ENOUGH => {
                let seconds = now.saturating_duration_since(since).as_secs_f64().max(0.001);
                let accepted = (self.accepted + 1) as f64 / answers as f64;
                (self.now.min(answers as f64 / seconds), accepted.min(CUT))
            }
            _ => (self.now, CUT),
        };
        self.step = STEP
            * match self.configured {
                Rate::PerSecond(_) => self.full,
                Rate::Max => before,
            };
        self.now = (before * share).max(SLOWEST);
        (self.accepted, self.refused) = (0, 0);
    }
}

impl Throttle {
    pub(crate) fn new(configured: Rate) -> Self {
        Self {
            throttled: AtomicBool::new(false),
            state: Mutex::new(State {
                configured,
                full: 0.0,
                now: 0.0,
                step: 0.0,
                last_cut: None,
                last_step: None,
                accepted: 0,
                refused: 0,
                sounding: None,
                announced: None,
            }),
        }
    }

    /// Whether somebody should be told of a wait until `until`: it is long, and no other that ends about then was told.
    pub(crate) fn announces(&self, now: Instant, until: Instant) -> bool {
        const LONG: Duration = Duration::from_secs(10);
        let mut state = self.state();
        let is_new = state.announced.is_none_or(|announced| until > announced + LONG);
        let announces = is_new && until >= now + LONG;
        if announces {
            state.announced = Some(until);
        }
        announces
    }

    /// The site refused. `observed` is how many requests per second it was getting.
    pub(crate) fn on_limited(&self, pace: &Pace, now: Instant, wait: Option<Duration>, observed: f64) {
        let mut state = self.state();
        if let Some(wait) = wait {
            pace.hold(now + wait);
            // It says itself what it takes.
            state.sounding = None;
        }
        if state.has_settled(now) {
            state.refused += 1;
        }
        if state
            .last_cut
            .is_some_and(|last| now.saturating_duration_since(last) < CUT_GAP)
        {
            state.sound(pace, now);
            return;
        }
        state.sounding = None;
        if !self.throttled.swap(true, Ordering::Relaxed) {
            state.full = match state.configured {
                Rate::PerSecond(rate) => rate.min(observed.max(SLOWEST)),
                Rate::Max => observed.max(1.0),
            };
            state.now = state.full;
            state.sounding = wait.is_none().then(|| Sounding::new(now));
        }
        state.cut(now);
        // Those that are still to come in were sent before the wait.
        state.last_cut = Some(now + wait.unwrap_or_default());
        state.last_step = state.last_cut;
        pace.set(Rate::PerSecond(state.now));
    }

    /// The site asks for a pause of `delay` between requests, from now on.
    pub(crate) fn limit(&self, pace: &Pace, delay: Duration) {
        let most = 1.0 / delay.as_secs_f64().max(1e-6);
        let mut state = self.state();
        let slower = match state.configured {
            Rate::PerSecond(rate) => most < rate,
            Rate::Max => true,
        };
        if slower {
            state.configured = Rate::PerSecond(most);
            pace.set(state.configured);
        }
    }

    /// The site answered. Costs one load unless the destination is throttled.
    pub(crate) fn on_accepted(&self, pace: &Pace, now: impl FnOnce() -> Instant) {
        if !self.throttled.load(Ordering::Relaxed) {
            return;
        }
        let now = now();
        let mut state = self.state();
        if state.has_settled(now) {
            state.accepted += 1;
        }
        if let Some(sounding) = &mut state.sounding {
            sounding.accepted += 1;
        }
        let since =
            |moment: Option<Instant>| moment.map_or(Duration::MAX, |at| now.saturating_duration_since(at));
        if since(state.last_cut) < CUT_GAP || since(state.last_step) < STEP_GAP {
            return;
        }
        state.sounding = None;
        state.last_step = Some(now);
        state.now += state.step;
        let recovered = match state.configured {
            Rate::PerSecond(rate) => state.now >= rate,
            // Well beyond where it was refused first.
            Rate::Max => state.now >= 2.0 * state.full,
        };
        if recovered {
            self.throttled.store(false, Ordering::Relaxed);
            pace.set(state.configured);
        } else {
            pace.set(Rate::PerSecond(state.now));
        }
    }

    /// Whether the site has said that it is asked too often, and has not recovered.
    pub(crate) fn is_throttled(&self) -> bool {
        self.throttled.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(throttle: &Throttle) -> f64 {
        throttle.state().now
    }

    #[test]
    fn a_long_wait_is_told_once_and_a_longer_one_again() {
        let throttle = Throttle::new(Rate::PerSecond(100.0));
        let now = Instant::now();
        let tells = |seconds| throttle.announces(now, now + Duration::from_secs(seconds));
        assert!(!tells(5));
        assert!(tells(3600) && !tells(3600) && !tells(3601) && !tells(20));
        assert!(tells(7200));
    }

    #[test]
    fn a_burst_of_refusals_halves_the_rate_once() {
        let pace = Pace::new(Rate::PerSecond(100.0));
        let throttle = Throttle::new(Rate::PerSecond(100.0));
        let start = Instant::now();
        // As many as were under way.
        for milliseconds in 0..ENOUGH {
            throttle.on_limited(&pace, start + Duration::from_millis(milliseconds), None, 100.0);
        }
        assert_eq!(rate(&throttle), 50.0);
        throttle.on_limited(&pace, start + Duration::from_secs(3), None, 50.0);
        assert_eq!(rate(&throttle), 25.0);
    }

    #[test]
    fn recovery_depends_on_time_and_not_on_how_many_answers_come() {
        let pace = Pace::new(Rate::PerSecond(100.0));
        let throttle = Throttle::new(Rate::PerSecond(100.0));
        let start = Instant::now();
        throttle.on_limited(&pace, start, None, 100.0);
        for milliseconds in 0..10_000 {
            throttle.on_accepted(&pace, || start + Duration::from_millis(milliseconds));
        }
        // Eight seconds behind the gap, two per cent each.
        assert_eq!(rate(&throttle), 66.0);
        for seconds in 10..40 {
            throttle.on_accepted(&pace, || start + Duration::from_secs(seconds));
        }
        assert!(
            !throttle.throttled.load(Ordering::Relaxed),
            "back to what was asked for"
        );
    }

    #[test]
    fn without_a_rate_the_present_one_is_halved() {
        let pace = Pace::new(Rate::Max);
        let throttle = Throttle::new(Rate::Max);
        assert!(pace.is_unlimited());
        throttle.on_limited(&pace, Instant::now(), None, 8000.0);
        assert_eq!(rate(&throttle), 4000.0);
        assert!(!pace.is_unlimited());
    }

    #[test]
    fn a_rate_that_is_still_far_too_high_comes_down_at_once_to_what_was_accepted() {
        let pace = Pace::new(Rate::Max);
        let throttle = Throttle::new(Rate::Max);
        let start = Instant::now();
        throttle.on_limited(&pace, start, Some(Duration::ZERO), 8000.0);
        // The site accepts a hundred a second.
        for milliseconds in 1000..2000 {
            let now = start + Duration::from_millis(milliseconds);
            (0..4).for_each(|_| throttle.on_limited(&pace, now, None, 4000.0));
            if milliseconds % 10 == 0 {
                throttle.on_accepted(&pace, || now);
            }
        }
        throttle.on_limited(&pace, start + Duration::from_secs(2), None, 4000.0);
        let now = rate(&throttle);
        assert!((90.0..110.0).contains(&now), "{now} of 4000");
    }

    /// What it costs a site that takes `limit` requests a second, and five at once, to answer 250 of them to a
    /// crawl without a rate and with 100 requests in flight that are answered in two milliseconds.
    fn requests_for_250(limit: f64, seconds: &mut f64) -> u32 {
        const LATENCY: Duration = Duration::from_millis(2);
        const IN_FLIGHT: usize = 100;
        let pace = Pace::new(Rate::Max);
        let throttle = Throttle::new(Rate::Max);
        let start = Instant::now();
        // The times at which requests arrive, the next one first.
        let mut arriving: std::collections::BTreeSet<(Instant, usize)> =
            (0..IN_FLIGHT).map(|slot| (start + LATENCY, slot)).collect();
        let (mut asked, mut answered) = (0, 0);
        let (mut tokens, mut before) = (5.0, start);
        while answered < 250 {
            let (now, slot) = arriving.pop_first().unwrap();
            asked += 1;
            tokens = f64::min(5.0, tokens + (now - before).as_secs_f64() * limit);
            before = now;
            if tokens >= 1.0 {
                tokens -= 1.0;
                answered += 1;
                throttle.on_accepted(&pace, || now);
            } else {
                let observed = f64::from(asked) / (now - start).as_secs_f64();
                throttle.on_limited(&pace, now, None, observed);
            }
            arriving.insert((pace.depart(now).max(now) + LATENCY, slot));
        }
        *seconds = (before - start).as_secs_f64();
        asked
    }

    #[test]
    fn a_crawl_without_a_rate_costs_a_site_with_a_limit_few_requests_in_vain() {
        for limit in [10.0, 60.0, 600.0] {
            let mut seconds = 0.0;
            let asked = requests_for_250(limit, &mut seconds);
            assert!(asked <= 600, "{asked} requests at {limit}/s, {seconds:.1} s");
        }
    }

    #[test]
    fn a_few_refusals_among_many_answers_halve_the_rate_and_no_more() {
        let pace = Pace::new(Rate::PerSecond(100.0));
        let throttle = Throttle::new(Rate::PerSecond(100.0));
        let start = Instant::now();
        throttle.on_limited(&pace, start, None, 100.0);
        for milliseconds in 1000..1900 {
            throttle.on_accepted(&pace, || start + Duration::from_millis(milliseconds));
        }
        throttle.on_limited(&pace, start + Duration::from_secs(2), None, 50.0);
        assert_eq!(rate(&throttle), 25.0);
    }

    #[test]
    fn a_wait_is_kept_by_everybody() {
        let pace = Pace::new(Rate::PerSecond(100.0));
        let throttle = Throttle::new(Rate::PerSecond(100.0));
        let now = Instant::now();
        throttle.on_limited(&pace, now, Some(Duration::from_secs(7)), 100.0);
        assert!(pace.depart(now) >= now + Duration::from_millis(6_999));
        throttle.on_limited(&pace, now + Duration::from_secs(1), None, 100.0);
        assert_eq!(
            rate(&throttle),
            50.0,
            "what was under way during the wait does not count again"
        );
    }
}
