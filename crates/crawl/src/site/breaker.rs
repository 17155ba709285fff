//! Stopping when too much fails.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use v6kit_model::{ErrorKind, Fault};

/// How much of what a destination answers may be failures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ErrorBudget {
    /// The part, 0 to 1, of the last attempts.
    pub share: f64,
    /// The pause before the first probe; twice as long before each further one. At most a second where
    /// nothing was answered well yet: whatever is not there at all need not be spared.
    pub pause: Duration,
}

/// The pause before the first probe of a destination that never answered well, at most.
const OPEN_INTERVAL_UNANSWERED: Duration = Duration::from_secs(1);

/// Attempts that are looked at, and how many there must be before anything is concluded.
const WINDOW: u32 = 256;
const ENOUGH: u32 = 100;

/// The same after a pause: one probe that went well, perhaps of another kind of item, is little to go on.
const ENOUGH_AGAIN: u32 = 25;

/// Probes that may fail before the crawl ends.
pub(crate) const PROBES: u32 = 3;

/// How long a probe may be out before another is sent in its place.
const PROBE_LOST: Duration = Duration::from_secs(120);

/// The last attempts of one shard at one destination.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// A bit per attempt, set for a failure.
    bits: Cell<[u64; WINDOW as usize / 64]>,
    next: Cell<u32>,
    seen: Cell<u32>,
    failed: Cell<u32>,
    /// Whether any attempt ever went well.
    alive: Cell<bool>,
    /// Whether it was forgotten what came before, and not yet enough has come since.
    anew: Cell<bool>,
}

/// How an attempt ended, for the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempted {
    Well,
    Badly,
}

impl From<Option<&Fault>> for Attempted {
    /// An answer about the item, such as that it does not exist or lies elsewhere, is as good as any; what is wrong on
    /// this host is not the site's.
    fn from(fault: Option<&Fault>) -> Self {
        match fault.map(|fault| fault.kind) {
            None
            | Some(
                ErrorKind::NotFound
                | ErrorKind::Redirect
                | ErrorKind::TooManyRedirects
                | ErrorKind::Status
                | ErrorKind::BodyTooLarge
                | ErrorKind::Coding
                | ErrorKind::BadItem
                | ErrorKind::BadAddress
                | ErrorKind::Resources
                | ErrorKind::Ports
                | ErrorKind::SourceAddress,
            ) => Self::Well,
            Some(_) => Self::Badly,
        }
    }
}

impl Window {
    /// Adds an attempt, and says which part of the window failed once there are enough.
    pub(crate) fn push(&self, attempted: impl Into<Attempted>) -> Option<f64> {
        let attempted = attempted.into();
        let (mut bits, at) = (self.bits.get(), self.next.get());
        let (word, bit) = ((at / 64) as usize, 1u64 << (at % 64));
        let failed = attempted == Attempted::Badly;
        self.alive.set(self.alive.get() || !failed);
        let before = bits[word] & bit != 0;
        if failed {
            bits[word] |= bit;
        } else {
            bits[word] &= !bit;
        }
        self.bits.set(bits);
        self.next.set((at + 1) % WINDOW);
        self.seen.set((self.seen.get() + 1).min(WINDOW));
        self.failed
            .set(self.failed.get() + u32::from(failed) - u32::from(before));
        if self.seen.get() >= ENOUGH {
            self.anew.set(false);
        }
        let enough = if self.anew.get() { ENOUGH_AGAIN } else { ENOUGH };
        (self.seen.get() >= enough).then(|| f64::from(self.failed.get()) / f64::from(self.seen.get()))
    }

    /// How long to pause before the first probe.
    pub(crate) fn pause(&self, budget: &ErrorBudget) -> Duration {
        if self.alive.get() {
            budget.pause
        } else {
            budget.pause.min(OPEN_INTERVAL_UNANSWERED)
        }
    }

    /// Forgets all attempts, as there was a pause or a probe.
    pub(crate) fn clear(&self) {
        self.anew.set(true);
        self.bits.set([0; WINDOW as usize / 64]);
        self.seen.set(0);
        self.failed.set(0);
    }
}

/// Whether a destination may be asked, shared by all shards.
#[derive(Debug, Default)]
pub(crate) struct CircuitBreaker {
    active: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    until: Option<Instant>,
    /// When the probe left that is under way.
    probe: Option<Instant>,
    failures: u32,
    /// The pause before the first probe.
    pause: Duration,
}

/// Whether a request may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Yes.
    Open,
    /// Yes, to find out for all.
    Probe,
    /// Not before then.
    Wait(Instant),
}

/// What a probe showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbeVerdict {
    /// All may go on.
    Recovered,
    /// Another probe follows.
    Paused {
        /// Probes that failed so far.
        failures: u32,
        /// The pause before the next.
        pause: Duration,
    },
    /// There is no point in going on.
    Hopeless,
}

impl CircuitBreaker {
    /// Too much failed: everybody pauses. Whether that is new.
    pub(crate) fn begin(&self, now: Instant, pause: Duration) -> bool {
        let mut state = self.state();
        if self.active.load(Ordering::Relaxed) {
            return false;
        }
        *state = State {
            until: Some(now + pause),
            pause,
            ..State::default()
        };
        self.active.store(true, Ordering::Release);
        true
    }

    /// Costs one load unless there is a pause.
    pub(crate) fn admit(&self, now: impl FnOnce() -> Instant) -> Admission {
        if !self.active.load(Ordering::Acquire) {
            return Admission::Open;
        }
        let now = now();
        let mut state = self.state();
        match (state.until, state.probe) {
            (Some(until), _) if now < until => Admission::Wait(until),
            (_, Some(left)) if now < left + PROBE_LOST => Admission::Wait(now + Duration::from_millis(200)),
            _ => {
                state.probe = Some(now);
                Admission::Probe
            }
        }
    }

    /// The probe showed nothing, and another one may leave.
    pub(crate) fn withdraw_probe(&self) {
        self.state().probe = None;
    }

    /// What the probe showed.
    pub(crate) fn probed(&self, attempted: Attempted, now: Instant) -> ProbeVerdict {
        let mut state = self.state();
        state.probe = None;
        if attempted == Attempted::Well {
            self.active.store(false, Ordering::Release);
            return ProbeVerdict::Recovered;
        }
        state.failures += 1;
        let failures = state.failures;
        let pause = state.pause * (1 << failures.min(10));
        state.until = Some(now + pause);
        if failures >= PROBES {
            ProbeVerdict::Hopeless
        } else {
            ProbeVerdict::Paused { failures, pause }
        }
    }

    /// Whether the destination is paused.
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_slides() {
        let window = Window::default();
        assert!((0..99).all(|_| window.push(Attempted::Badly).is_none()));
        assert_eq!(window.push(Attempted::Well), Some(0.99));
        for _ in 0..256 {
            window.push(Attempted::Well);
        }
        assert_eq!(window.push(Attempted::Badly), Some(1.0 / 256.0));
        window.clear();
        assert_eq!(window.push(Attempted::Badly), None);
    }

    #[test]
    fn after_a_pause_fewer_attempts_are_enough_until_many_went_well() {
        let window = Window::default();
        window.clear();
        assert!((0..24).all(|_| window.push(Attempted::Badly).is_none()));
        assert_eq!(window.push(Attempted::Well), Some(0.96));
        window.clear();
        for _ in 0..100 {
            window.push(Attempted::Well);
        }
        assert_eq!(window.push(Attempted::Badly), Some(1.0 / 101.0));
    }

    #[test]
    fn what_never_answered_is_judged_sooner() {
        let budget = ErrorBudget {
            share: 0.2,
            pause: Duration::from_secs(10),
        };
        let window = Window::default();
        window.push(Attempted::Badly);
        assert_eq!(window.pause(&budget), OPEN_INTERVAL_UNANSWERED);
        window.push(Attempted::Well);
        window.clear();
        assert_eq!(window.pause(&budget), budget.pause);
    }

    #[test]
    fn one_probe_at_a_time_and_three_failures_are_the_end() {
        let (breaker, pause) = (CircuitBreaker::default(), Duration::from_secs(10));
        let mut now = Instant::now();
        assert_eq!(breaker.admit(|| now), Admission::Open);
        breaker.begin(now, pause);
        assert_eq!(breaker.admit(|| now), Admission::Wait(now + pause));
        let paused = |failures, pause| ProbeVerdict::Paused { failures, pause };
        for verdict in [paused(1, 2 * pause), paused(2, 4 * pause), ProbeVerdict::Hopeless] {
            now += 10 * pause;
            assert_eq!(breaker.admit(|| now), Admission::Probe);
            assert!(
                matches!(breaker.admit(|| now), Admission::Wait(_)),
                "one at a time"
            );
            assert_eq!(breaker.probed(Attempted::Badly, now), verdict);
        }
    }

    #[test]
    fn a_probe_that_succeeds_lets_all_go_on() {
        let (breaker, pause) = (CircuitBreaker::default(), Duration::from_secs(10));
        let now = Instant::now();
        breaker.begin(now, pause);
        assert_eq!(breaker.admit(|| now + pause), Admission::Probe);
        assert_eq!(
            breaker.probed(Attempted::Well, now + pause),
            ProbeVerdict::Recovered
        );
        assert_eq!(breaker.admit(|| now + pause), Admission::Open);
    }

    #[test]
    fn a_lost_probe_is_replaced() {
        let (breaker, pause) = (CircuitBreaker::default(), Duration::from_secs(10));
        let now = Instant::now();
        breaker.begin(now, pause);
        assert_eq!(breaker.admit(|| now + pause), Admission::Probe);
        assert_eq!(breaker.admit(|| now + pause + PROBE_LOST), Admission::Probe);
    }
}
