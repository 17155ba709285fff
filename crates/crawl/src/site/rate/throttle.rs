//! Slowing down when a site says so.

use std::time::{Duration, Instant};

use super::{LONG, Rate};

/// Refusals within this time of a cut were earned before it.
const CUT_GAP: Duration = Duration::from_secs(2);

/// Between two steps of recovery.
const STEP_GAP: Duration = Duration::from_secs(1);

/// What comes in for so long after a cut was mostly sent before it, and says nothing of the new rate.
const SETTLING: Duration = Duration::from_secs(1);

/// So many answers say what share of them the site refuses.
pub(super) const ENOUGH: u64 = 20;

/// A cut halves the rate, or takes as much of it as the site refused; a step gives back this part of what the
/// user asked for, or, where that is the machine's limit, of what it was before the last cut.
const CUT: f64 = 0.5;
const STEP: f64 = 0.02;

/// Less than this is waiting rather than crawling, in requests per second.
const SLOWEST: f64 = 0.02;

/// What becomes of the rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Change {
    /// Nothing.
    Nothing,
    /// It is this from now on.
    Rate(Rate),
}

/// Multiplicative decrease, slow additive recovery, of one destination's rate.
///
/// Recovery is paid for with time and with answers that are no refusals, never with the speed of the
/// answers: error pages are quick, and must not make a crawl faster.
#[derive(Debug)]
pub(super) struct Throttle {
    asked: Rate,
    /// What the site asks for between two requests.
    delay: Option<Duration>,
    /// What is left of the rate since a refusal.
    cut: Option<Cut>,
    /// Until when it was told that nothing is asked.
    announced: Option<Instant>,
}

/// A rate below what was asked for.
#[derive(Debug)]
struct Cut {
    /// Requests per second that the site was getting before the first cut, at present, and what a step adds.
    full: f64,
    now: f64,
    step: f64,
    last_cut: Instant,
    last_step: Instant,
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

impl Cut {
    /// The first one, of what the site was getting.
    fn first(now: Instant, wait: Option<Duration>, bound: Rate, observed: f64) -> Self {
        let full = observed.max(SLOWEST).min(bound.per_second().unwrap_or(f64::MAX));
        Self {
            full,
            now: full,
            step: 0.0,
            last_cut: now,
            last_step: now,
            accepted: 0,
            refused: 0,
            // Where it asks for a wait, it says itself what it takes.
            sounding: wait.is_none().then(|| Sounding::new(now)),
        }
    }

    /// Takes away half of what the site was getting, or as much as it refused where that is known to be more.
    fn deepen(&mut self, now: Instant, wait: Option<Duration>, bound: Rate, observed: f64) {
        let answers = self.accepted + self.refused;
        let share = if answers >= ENOUGH {
            ((self.accepted + 1) as f64 / answers as f64).min(CUT)
        } else {
            CUT
        };
        let before = self.now.min(observed.max(SLOWEST));
        self.step = STEP
            * match bound {
                Rate::PerSecond(_) => self.full,
                Rate::Max => before,
            };
        self.now = (before * share).max(SLOWEST);
        (self.accepted, self.refused) = (0, 0);
        // Those that are still to come in were sent before the wait.
        self.last_cut = now + wait.unwrap_or_default();
        self.last_step = self.last_cut;
    }

    /// A refusal soon after the first cut: far above what the site takes, the two seconds to the next cut
    /// would cost it thousands of requests. Whether the rate is another one now.
    fn sound(&mut self, now: Instant, bound: Rate) -> bool {
        let Some(sounding) = &mut self.sounding else {
            return false;
        };
        sounding.refused += 1;
        let Some((answered, share)) = sounding.found(now) else {
            return false;
        };
        *sounding = Sounding::new(now);
        // After a pause fewer were answered than are sent.
        let taken = answered.max(self.now) * share;
        if taken >= self.now {
            return false;
        }
        if bound == Rate::Max {
            self.step = STEP * answered.min(self.now);
        }
        self.now = taken.max(SLOWEST);
        (self.last_cut, self.last_step) = (now, now);
        true
    }

    fn has_settled(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last_cut) >= SETTLING
    }

    /// Whether it is over: back at what is asked for or, where that is the machine's limit, well beyond where it was
    /// refused first.
    fn has_recovered(&self, bound: Rate) -> bool {
        self.now >= bound.per_second().unwrap_or(2.0 * self.full)
    }
}

impl Throttle {
    pub(super) fn new(asked: Rate) -> Self {
        Self {
            asked,
            delay: None,
            cut: None,
            announced: None,
        }
    }

    /// Whether the rate is below what it may be without refusals.
    pub(super) fn is_active(&self) -> bool {
        self.cut.is_some()
    }

    /// What was asked for by the user and the site, without regard to refusals.
    fn bound(&self) -> Rate {
        let most = self.delay.map(|delay| 1.0 / delay.as_secs_f64().max(1e-6));
        match (self.asked, most) {
            (Rate::PerSecond(rate), Some(most)) => Rate::PerSecond(rate.min(most)),
            (Rate::Max, Some(most)) => Rate::PerSecond(most),
            (asked, None) => asked,
        }
    }

    /// What holds at present.
    fn rate(&self) -> Rate {
        match (&self.cut, self.bound()) {
            (None, bound) => bound,
            (Some(cut), Rate::Max) => Rate::PerSecond(cut.now),
            (Some(cut), Rate::PerSecond(most)) => Rate::PerSecond(cut.now.min(most)),
        }
    }

    /// Whether somebody should be told of a wait until `until`: it is long, and no other that ends about then was told.
    pub(super) fn announces(&mut self, now: Instant, until: Instant) -> bool {
        let is_new = self.announced.is_none_or(|announced| until > announced + LONG);
        let announces = is_new && until >= now + LONG;
        if announces {
            self.announced = Some(until);
        }
        announces
    }

    /// The site refused, and perhaps asked for a wait. `observed` is how many requests per second it was getting.
    pub(super) fn refused(&mut self, now: Instant, wait: Option<Duration>, observed: f64) -> Change {
        let bound = self.bound();
        if let Some(cut) = &mut self.cut {
            if wait.is_some() {
                cut.sounding = None;
            }
            if cut.has_settled(now) {
                cut.refused += 1;
            }
            if now.saturating_duration_since(cut.last_cut) < CUT_GAP {
                return match cut.sound(now, bound) {
                    true => Change::Rate(self.rate()),
                    false => Change::Nothing,
                };
            }
            cut.sounding = None;
        }
        self.cut
            .get_or_insert_with(|| Cut::first(now, wait, bound, observed))
            .deepen(now, wait, bound, observed);
        Change::Rate(self.rate())
    }

    /// The site answered.
    pub(super) fn accepted(&mut self, now: Instant) -> Change {
        let bound = self.bound();
        let Some(cut) = &mut self.cut else {
            return Change::Nothing;
        };
        if cut.has_settled(now) {
            cut.accepted += 1;
        }
        if let Some(sounding) = &mut cut.sounding {
            sounding.accepted += 1;
        }
        let since = |moment| now.saturating_duration_since(moment);
        if since(cut.last_cut) < CUT_GAP || since(cut.last_step) < STEP_GAP {
            return Change::Nothing;
        }
        cut.sounding = None;
        cut.last_step = now;
        cut.now += cut.step;
        if cut.has_recovered(bound) {
            self.cut = None;
        }
        Change::Rate(self.rate())
    }

    /// The site asks for a pause of `delay` between requests, or for none.
    pub(super) fn set_delay(&mut self, delay: Option<Duration>) -> Change {
        if self.delay == delay {
            return Change::Nothing;
        }
        self.delay = delay;
        Change::Rate(self.rate())
    }
}
