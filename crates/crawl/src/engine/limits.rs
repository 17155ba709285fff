//! Who may have how many slots: a bound over all shards, which goes to those that have items.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The part of `all` that falls to `index` of `parts`, one more for the first ones.
pub(crate) fn share(all: usize, parts: usize, index: usize) -> usize {
    all / parts + usize::from(index < all % parts)
}

/// The slots of all shards. Read for each item, which takes one load; divided anew when a shard wants more or less.
#[derive(Debug, Clone)]
pub(crate) struct Limits(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    all: AtomicUsize,
    /// Slots that run.
    running: AtomicUsize,
    /// How many each shard may have.
    limits: Box<[AtomicUsize]>,
    /// For how many each has items.
    wanted: Mutex<Box<[usize]>>,
}

/// A slot that runs, within the bound over all shards.
#[derive(Debug)]
pub(crate) struct RunningSlot(Arc<Shared>);

impl Drop for RunningSlot {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Limits {
    /// `all` slots for so many shards, each of which may have items for all of them.
    pub(crate) fn new(all: usize, shards: usize) -> Self {
        Self(Arc::new(Shared {
            all: AtomicUsize::new(all),
            running: AtomicUsize::new(0),
            limits: (0..shards)
                .map(|index| AtomicUsize::new(share(all, shards, index)))
                .collect(),
            wanted: Mutex::new(vec![usize::MAX; shards].into()),
        }))
    }

    /// How many slots a shard may have.
    pub(crate) fn of(&self, shard: usize) -> usize {
        self.0.limits[shard].load(Ordering::Relaxed)
    }

    /// How many slots all shards may have.
    pub(crate) fn all(&self) -> usize {
        self.0.all.load(Ordering::Relaxed)
    }

    /// Changes how many slots all shards may have.
    pub(crate) fn set(&self, all: usize) {
        let wanted = self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.all.store(all, Ordering::Relaxed);
        self.divide(&wanted);
    }

    /// A shard has items for `slots` slots. What it has no use for goes to the others.
    pub(crate) fn want(&self, shard: usize, slots: usize) {
        let mut wanted = self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted[shard] != slots {
            wanted[shard] = slots;
            self.divide(&wanted);
        }
    }

    /// Room for another slot, unless as many run as may. Where a shard may have more than before, others may still
    /// have too many.
    pub(crate) fn start(&self) -> Option<RunningSlot> {
        let Shared { all, running, .. } = &*self.0;
        let most = all.load(Ordering::Relaxed);
        running
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |running| {
                (running < most).then_some(running + 1)
            })
            .ok()
            .map(|_before| RunningSlot(Arc::clone(&self.0)))
    }

    fn divide(&self, wanted: &[usize]) {
        for (limit, part) in self.0.limits.iter().zip(divide(self.all(), wanted)) {
            limit.store(part, Ordering::Relaxed);
        }
    }
}

/// Max-min fair shares of `all`: who wants less than an equal share gets that, and the others share the rest. What
/// nobody wants is shared out as well, for what turns up later.
fn divide(all: usize, wanted: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|shard| wanted[*shard]);
    let mut parts = vec![0; wanted.len()];
    let mut left = all;
    for (done, shard) in order.iter().copied().enumerate() {
        let others = wanted.len() - done;
        // The last of those that want most get one more, so that nothing is left.
        parts[shard] = wanted[shard].min(left / others);
        left -= parts[shard];
    }
    let spare = left;
    for (index, part) in parts.iter_mut().enumerate() {
        *part += share(spare, wanted.len(), index);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: usize = usize::MAX;

    #[test]
    fn slots_go_to_those_that_have_items() {
        assert_eq!(divide(100, &[ALL, ALL]), [50, 50]);
        assert_eq!(divide(100, &[0, ALL]), [0, 100]);
        assert_eq!(divide(100, &[10, ALL, ALL]), [10, 45, 45]);
        assert_eq!(divide(100, &[30, 90]), [30, 70]);
        assert_eq!(divide(4, &[3, 3, 3]), [1, 1, 2]);
        assert_eq!(divide(100, &[1, 3]), [49, 51], "nobody wants the rest");
        assert_eq!(divide(2, &[ALL, ALL, ALL]).iter().sum::<usize>(), 2);
    }

    #[test]
    fn whatever_is_wanted_all_slots_are_given_and_nobody_with_items_has_none() {
        for all in 1..40 {
            for wanted in (0..7usize.pow(4)).map(|n| [n % 7, n / 7 % 7, n / 49 % 7, n / 343 * 9]) {
                let parts = divide(all, &wanted);
                assert_eq!(parts.iter().sum::<usize>(), all, "{all} {wanted:?} {parts:?}");
                let enough = all >= wanted.len();
                for (part, wanted) in parts.iter().zip(wanted) {
                    assert!(!enough || wanted == 0 || *part > 0, "{all} {wanted:?} {parts:?}");
                }
            }
        }
    }

    #[test]
    fn no_more_slots_run_than_may_while_some_go_from_one_shard_to_another() {
        let limits = Limits::new(4, 2);
        let mut first: Vec<_> = (0..2).map_while(|_| limits.start()).collect();
        let second: Vec<_> = (0..2).map_while(|_| limits.start()).collect();
        assert_eq!((first.len(), second.len()), (2, 2));
        limits.want(0, 1);
        assert_eq!((limits.of(0), limits.of(1)), (1, 3));
        assert!(limits.start().is_none());
        first.pop();
        assert!(limits.start().is_some());
        limits.set(2);
        assert!(limits.start().is_none());
    }
}
