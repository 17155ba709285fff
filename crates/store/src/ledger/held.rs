//! The leases of one worker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use v6kit_model::Ordinals;

use super::{Fence, Lease, Ledger, LedgerError, Renewal};

/// So long before it runs out a lease is renewed.
const AHEAD: Duration = Duration::from_secs(10);

/// The leases that a worker holds, shared by whoever leases and whoever commits. Touched per frame, never per
/// request.
#[derive(Debug, Clone, Default)]
pub struct HeldLeases(Arc<Mutex<Vec<Lease>>>);

impl HeldLeases {
    /// One more.
    pub fn add(&self, lease: Lease) {
        self.all().push(lease);
    }

    /// What a commit names.
    #[must_use]
    pub fn fences(&self) -> Vec<Fence> {
        self.all().iter().map(|lease| lease.fence).collect()
    }

    /// `committed` need no lease any more. One without ordinals is forgotten.
    pub fn settle(&self, committed: &Ordinals) {
        self.all().retain_mut(|lease| {
            if lease.ordinals.overlaps(committed) {
                lease.ordinals = lease.ordinals.without(committed);
            }
            !lease.ordinals.is_empty()
        });
    }

    /// When [`HeldLeases::renew`] has something to do next; `None` for never.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let ends = self.all().iter().filter_map(|lease| lease.until).min();
        ends.map(|until| until.checked_sub(AHEAD).unwrap_or(until))
    }

    /// Renews what runs out soon, and forgets what is lost.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn renew(&self, ledger: &dyn Ledger, now: Instant) -> Result<(), LedgerError> {
        let soon = |lease: &Lease| lease.until.is_some_and(|until| until <= now + AHEAD);
        let due: Vec<Fence> = {
            let all = self.all();
            all.iter()
                .filter(|lease| soon(lease))
                .map(|lease| lease.fence)
                .collect()
        };
        for fence in due {
            let renewal = ledger.renew(fence)?;
            let mut all = self.all();
            match renewal {
                Renewal::Lost => all.retain(|lease| lease.fence != fence),
                Renewal::Until(until) => {
                    let lease = all.iter_mut().find(|lease| lease.fence == fence);
                    lease.into_iter().for_each(|lease| lease.until = until);
                }
            }
        }
        Ok(())
    }

    fn all(&self) -> MutexGuard<'_, Vec<Lease>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Commit, CommittedFrame, FramePlace, Leased, Standing};

    /// A ledger that knows one lease, and renews it for a minute.
    #[derive(Debug)]
    struct OneLease(Instant);

    impl Ledger for OneLease {
        fn lease(&self, _want: u64) -> Result<Leased, LedgerError> {
            Ok(Leased::Done)
        }

        fn renew(&self, fence: Fence) -> Result<Renewal, LedgerError> {
            Ok(match fence {
                Fence(1) => Renewal::Until(Some(self.0 + Duration::from_secs(60))),
                Fence(_) => Renewal::Lost,
            })
        }

        fn release(&self, _fence: Fence) -> Result<(), LedgerError> {
            Ok(())
        }

        fn commit(&self, _frame: &CommittedFrame, _fences: &[Fence]) -> Result<Commit, LedgerError> {
            Ok(Commit::Fenced)
        }

        fn replace(&self, _old: &[FramePlace], _merged: &CommittedFrame) -> Result<bool, LedgerError> {
            Ok(false)
        }

        fn standing(&self) -> Result<Standing, LedgerError> {
            Ok(Standing::default())
        }
    }

    fn lease(fence: u64, until: Option<Instant>) -> Lease {
        Lease {
            ordinals: Ordinals::from_range(fence * 10..fence * 10 + 10),
            fence: Fence(fence),
            until,
            open_after: 0,
        }
    }

    #[test]
    fn leases_are_renewed_before_they_run_out_and_lost_ones_forgotten() {
        let now = Instant::now();
        let held = HeldLeases::default();
        held.add(lease(0, None));
        assert_eq!(held.due(), None, "it never runs out");
        held.add(lease(1, Some(now + AHEAD)));
        held.add(lease(2, Some(now + AHEAD)));
        assert_eq!(held.due(), Some(now));
        held.renew(&OneLease(now), now).unwrap();
        assert_eq!(held.fences(), [Fence(0), Fence(1)]);
        assert_eq!(held.due(), Some(now + Duration::from_secs(60) - AHEAD));
    }

    #[test]
    fn a_lease_is_forgotten_with_the_last_of_its_ordinals() {
        let held = HeldLeases::default();
        held.add(lease(1, None));
        held.settle(&Ordinals::from_range(0..19));
        assert_eq!(held.fences(), [Fence(1)]);
        held.settle(&Ordinals::from_range(19..30));
        assert!(held.fences().is_empty());
    }
}
