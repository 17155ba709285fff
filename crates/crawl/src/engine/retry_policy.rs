//! What follows from an attempt: a record, another attempt, a slower pace, or the end.

use std::time::Duration;

use v6kit_model::{ErrorKind, Fault, Item, Outcome};

use crate::site::rate::OnLimit;

/// The pause before the second attempt is drawn from 0 to this, and from twice as much for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often an item may be refused for being asked too often. Being told to wait is no failure of the
/// item, but a site that never relents must not keep it for ever.
const REFUSALS: u32 = 20;

/// What the user wants to be done about failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryPolicy {
    /// Attempts beyond the first for an item that fails in a way that may pass.
    pub(crate) retries: u32,
    /// What to do when the site says that it is asked too often.
    pub(crate) on_limit: OnLimit,
}

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) next: Next,
    pub(crate) address: Address,
    pub(crate) signal: Signal,
}

/// What becomes of an item after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// This was its last.
    Record,
    /// Another one follows.
    Retry(Item, Duration),
}

/// What becomes of the source address after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address {
    /// It may serve on.
    Keep,
    /// The site is told off by it, and perhaps told to wait for so long.
    Retire(Option<Duration>),
}

/// What an attempt says about its destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Signal {
    /// It answered as it should.
    Accepted,
    /// It is asked too often, and perhaps says how long to wait.
    Limited(Option<Duration>),
    /// There is no point in going on, and why.
    Stop(String),
    /// Nothing.
    Nothing,
}

impl RetryPolicy {
    /// What follows from an attempt at `item` that ended by `fault`, or with the data. `wait` is what the answer
    /// asked for (Retry-After), `jitter` draws a number from 0 to 1.
    pub(crate) fn decide(
        &self,
        item: Item,
        fault: Option<&Fault>,
        wait: Option<Duration>,
        jitter: impl FnOnce() -> f64,
    ) -> Decision {
        let Some(fault) = fault else {
            return Decision::of(Next::Record, Signal::Accepted);
        };
        let outcome = fault.kind.outcome();
        // 503 alone is a failure that may pass; with Retry-After it is a wish, as 429 always is.
        let is_wish = fault.kind == ErrorKind::RateLimited || (fault.kind.is_limit() && wait.is_some());
        let is_limit = fault.kind.is_limit();
        match self.on_limit {
            OnLimit::Slow if is_wish => Decision::of(self.refused(item, wait, jitter), Signal::Limited(wait)),
            OnLimit::Slow if is_limit => {
                Decision::of(self.failed(item, outcome, None, jitter), Signal::Limited(None))
            }
            OnLimit::Rotate if is_limit || outcome == Outcome::Blocked => Decision {
                next: self.refused(item, None, jitter),
                address: Address::Retire(wait),
                signal: Signal::Nothing,
            },
            OnLimit::Stop if is_limit => {
                let reason = format!("the site refuses: {}", fault.message);
                Decision::of(Next::Record, Signal::Stop(reason))
            }
            _ if outcome == Outcome::Absent => Decision::of(Next::Record, Signal::Accepted),
            _ => Decision::of(self.failed(item, outcome, wait, jitter), Signal::Nothing),
        }
    }

    /// The pause before attempt `failures` + 2 at what is no item.
    pub(crate) fn pause(&self, failures: u32, jitter: impl FnOnce() -> f64) -> Duration {
        pause(failures, None, jitter)
    }

    /// An item that was refused for being asked too often. Without retries the first refusal is its end.
    fn refused(&self, item: Item, wait: Option<Duration>, jitter: impl FnOnce() -> f64) -> Next {
        if self.retries == 0 || item.refusals >= REFUSALS {
            return Next::Record;
        }
        let pause = pause(item.refusals, wait, jitter);
        let item = Item {
            attempts: item.attempts + 1,
            refusals: item.refusals + 1,
            ..item
        };
        Next::Retry(item, pause)
    }

    /// An item that failed by itself.
    fn failed(
        &self,
        item: Item,
        outcome: Outcome,
        wait: Option<Duration>,
        jitter: impl FnOnce() -> f64,
    ) -> Next {
        let failures = item.attempts - item.refusals;
        if outcome != Outcome::Transient || failures >= self.retries {
            return Next::Record;
        }
        let item = Item {
            attempts: item.attempts + 1,
            ..item
        };
        Next::Retry(item, pause(failures, wait, jitter))
    }
}

impl Decision {
    /// The address may serve on.
    fn of(next: Next, signal: Signal) -> Self {
        Self {
            next,
            address: Address::Keep,
            signal,
        }
    }
}

/// What the site asked for, and full jitter of a limit that doubles with each failure.
fn pause(failures: u32, wait: Option<Duration>, jitter: impl FnOnce() -> f64) -> Duration {
    let limit = FIRST_PAUSE
        .saturating_mul(1 << failures.min(10))
        .min(LONGEST_PAUSE);
    wait.unwrap_or_default() + limit.mul_f64(jitter())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Option<Duration> = Some(Duration::from_secs(7));

    fn policy(on_limit: OnLimit) -> RetryPolicy {
        RetryPolicy { retries: 2, on_limit }
    }

    fn item(attempts: u32, refusals: u32) -> Item {
        Item {
            ordinal: 9,
            attempts,
            refusals,
        }
    }

    fn decide(on_limit: OnLimit, item: Item, kind: ErrorKind) -> Decision {
        policy(on_limit).decide(item, Some(&Fault::new(kind, "so")), WAIT, || 1.0)
    }

    #[test]
    fn data_and_clear_absence_are_recorded_and_speak_well_of_the_site() {
        for on_limit in [OnLimit::Slow, OnLimit::Rotate, OnLimit::Stop] {
            let data = policy(on_limit).decide(item(0, 0), None, None, || 1.0);
            assert_eq!(data, Decision::of(Next::Record, Signal::Accepted));
            assert_eq!(decide(on_limit, item(0, 0), ErrorKind::NotFound), data);
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_as_often_as_asked_for_with_pauses_that_double() {
        for (failures, limit) in [(0, 500), (1, 1000)] {
            let decision = decide(OnLimit::Slow, item(failures, 0), ErrorKind::Reset);
            let pause = WAIT.unwrap() + Duration::from_millis(limit);
            let next = Next::Retry(item(failures + 1, 0), pause);
            assert_eq!(decision, Decision::of(next, Signal::Nothing));
        }
        let last = decide(OnLimit::Slow, item(2, 0), ErrorKind::Reset);
        assert_eq!(last.next, Next::Record);
        // Refusals are no failures of the item.
        let refused = decide(OnLimit::Slow, item(6, 5), ErrorKind::Reset);
        assert!(matches!(refused.next, Next::Retry(..)));
    }

    #[test]
    fn a_pause_has_jitter_and_an_upper_bound() {
        assert_eq!(pause(0, None, || 0.0), Duration::ZERO);
        assert_eq!(pause(1, None, || 0.5), Duration::from_millis(500));
        assert_eq!(pause(31, None, || 1.0), LONGEST_PAUSE);
        // What is no item waits in the same way.
        let policy = policy(OnLimit::Slow);
        assert_eq!(policy.pause(2, || 1.0), Duration::from_millis(2000));
        assert_eq!(policy.pause(2, || 0.0), Duration::ZERO);
    }

    #[test]
    fn what_will_not_pass_is_recorded_at_once() {
        for kind in [ErrorKind::Certificate, ErrorKind::Forbidden, ErrorKind::BadItem] {
            let decision = decide(OnLimit::Slow, item(0, 0), kind);
            assert_eq!(decision, Decision::of(Next::Record, Signal::Nothing), "{kind}");
        }
    }

    #[test]
    fn a_limit_slows_the_destination_down_and_the_item_waits_as_told() {
        for kind in [ErrorKind::RateLimited, ErrorKind::Unavailable] {
            let decision = decide(OnLimit::Slow, item(0, 0), kind);
            let next = Next::Retry(item(1, 1), WAIT.unwrap() + FIRST_PAUSE);
            assert_eq!(decision, Decision::of(next, Signal::Limited(WAIT)));
        }
        let alone = policy(OnLimit::Slow).decide(
            item(2, 0),
            Some(&Fault::new(ErrorKind::Unavailable, "so")),
            None,
            || 1.0,
        );
        assert_eq!(
            alone,
            Decision::of(Next::Record, Signal::Limited(None)),
            "503 without a wish spends retries"
        );
        let none = RetryPolicy {
            retries: 0,
            on_limit: OnLimit::Slow,
        };
        let limited = Fault::new(ErrorKind::RateLimited, "so");
        assert_eq!(
            none.decide(item(0, 0), Some(&limited), WAIT, || 1.0).next,
            Next::Record
        );
        let worn_out = decide(OnLimit::Slow, item(REFUSALS, REFUSALS), ErrorKind::RateLimited);
        assert_eq!(worn_out, Decision::of(Next::Record, Signal::Limited(WAIT)));
    }

    #[test]
    fn rotating_retires_the_address_for_as_long_as_the_site_says_and_the_item_goes_on() {
        for kind in [
            ErrorKind::RateLimited,
            ErrorKind::Unavailable,
            ErrorKind::Challenge,
        ] {
            let decision = decide(OnLimit::Rotate, item(0, 0), kind);
            assert_eq!(decision.next, Next::Retry(item(1, 1), FIRST_PAUSE), "{kind}");
            assert_eq!(
                (decision.address, decision.signal),
                (Address::Retire(WAIT), Signal::Nothing)
            );
        }
        let other = decide(OnLimit::Rotate, item(0, 0), ErrorKind::Reset);
        assert_eq!(other.address, Address::Keep);
    }

    #[test]
    fn stopping_at_a_limit_says_why_and_other_refusals_are_records() {
        let decision = decide(OnLimit::Stop, item(0, 0), ErrorKind::RateLimited);
        assert_eq!(
            decision,
            Decision::of(Next::Record, Signal::Stop("the site refuses: so".to_owned()))
        );
        let forbidden = decide(OnLimit::Stop, item(0, 0), ErrorKind::Forbidden);
        assert_eq!(forbidden, Decision::of(Next::Record, Signal::Nothing));
    }
}
