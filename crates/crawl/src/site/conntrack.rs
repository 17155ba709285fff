//! Whether new connections hang while established ones go on.
//!
//! That is what a full table of tracked connections on a router looks like from here: it drops the first
//! packet of what it does not know (nf_conntrack: `table full, dropping packet`).

use std::cell::Cell;
use std::time::Instant;

/// Connections that hung while others went on, below which nothing is concluded.
const ENOUGH: u32 = 16;
/// One in this many attempts to connect.
const SHARE: u32 = 4;
/// Attempts after which older ones count half.
const WINDOW: u32 = 256;

/// The last attempts of one shard to connect to one destination.
#[derive(Debug, Default)]
pub(crate) struct ConntrackSuspicion {
    attempts: Cell<u32>,
    hung: Cell<u32>,
    /// The last answer on a connection that had given one before.
    last_answer: Cell<Option<Instant>>,
}

/// How an attempt to connect ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialled {
    Connected,
    /// With a failure other than silence.
    Failed,
    TimedOut,
}

impl ConntrackSuspicion {
    /// An established connection went on.
    pub(crate) fn answered(&self, now: Instant) {
        self.last_answer.set(Some(now));
    }

    /// Counts an attempt to connect, and says whether a table looks full now.
    pub(crate) fn dialled(&self, dialled: Dialled, began: Instant, now: Instant) -> bool {
        if self.attempts.get() == WINDOW {
            self.attempts.set(WINDOW / 2);
            self.hung.set(self.hung.get() / 2);
        }
        self.attempts.set(self.attempts.get() + 1);
        // An answer from the first moments of the attempt may be from before the whole site went silent.
        let half_way = began + (now - began) / 2;
        let others_went_on = self.last_answer.get().is_some_and(|last| last >= half_way);
        if dialled == Dialled::TimedOut && others_went_on {
            self.hung.set(self.hung.get() + 1);
        }
        self.hung.get() >= ENOUGH && self.hung.get() * SHARE >= self.attempts.get()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    /// The verdict after `hanging` attempts of `PATIENCE` each that begin at the same time.
    fn hang(suspicion: &ConntrackSuspicion, hanging: u32, began: Instant) -> bool {
        let verdicts = (0..hanging).map(|_| suspicion.dialled(Dialled::TimedOut, began, began + PATIENCE));
        verdicts.last().expect("an attempt")
    }

    #[test]
    fn new_connections_that_hang_while_others_go_on_are_suspicious() {
        let (suspicion, began) = (ConntrackSuspicion::default(), Instant::now());
        suspicion.answered(began + PATIENCE / 2);
        assert!(!hang(&suspicion, ENOUGH - 1, began));
        assert!(hang(&suspicion, 1, began));
    }

    #[test]
    fn a_site_that_went_silent_is_not() {
        let (suspicion, began) = (ConntrackSuspicion::default(), Instant::now());
        assert!(!hang(&suspicion, 2 * WINDOW, began));
        suspicion.answered(began + PATIENCE / 4);
        assert!(!hang(&suspicion, 2 * WINDOW, began));
    }

    #[test]
    fn a_few_among_many_are_loss() {
        let (suspicion, now) = (ConntrackSuspicion::default(), Instant::now());
        for _ in 0..20 * WINDOW {
            for _ in 0..9 {
                assert!(!suspicion.dialled(Dialled::Connected, now, now));
            }
            suspicion.answered(now);
            assert!(!suspicion.dialled(Dialled::TimedOut, now, now));
        }
    }
}
