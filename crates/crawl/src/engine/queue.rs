//! What a shard's slots do next.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use v6kit_model::{Item, Ordinals};
use v6kit_store::{HeldLeases, Leased, Ledger, LedgerError};

use crate::site::drain::Drain;

/// The bounds of a chunk, in items.
const CHUNK: Range<u64> = 100..1_000_000;

/// How much work a chunk is worth at the present rate.
const CHUNK_TIME: Duration = Duration::from_secs(30);

/// Items that wait for another attempt are held in memory: so many for each that is under way.
const PUT_OFF_PER_SLOT: usize = 8;

/// Items that wait until their destination is found, which may be many of few destinations.
const MOST_UNFOUND: usize = 10_000;

/// How long such an item waits before it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Hands out items: those whose pause is over first, then new ones from the leased chunk.
pub(crate) struct Queue {
    chunk: RefCell<Ordinals>,
    retries: RefCell<BinaryHeap<Reverse<(Instant, Item)>>>,
    /// Items whose destination is being looked up, in the order in which they are due.
    unfound: RefCell<VecDeque<(Instant, Item)>>,
    /// No ordinal is open any more.
    exhausted: Cell<bool>,
    /// A lease has been asked for.
    asked: Cell<bool>,
    hungry: Notify,
    supplied: Notify,
    drain: Drain,
    /// How many items may be put off before no new one is begun.
    most_put_off: usize,
    /// Slots that wait for an item.
    waiting: Cell<usize>,
}

impl Queue {
    pub(crate) fn new(drain: Drain, slots: usize) -> Self {
        Self {
            chunk: RefCell::default(),
            retries: RefCell::default(),
            unfound: RefCell::default(),
            exhausted: Cell::new(false),
            asked: Cell::new(false),
            hungry: Notify::new(),
            supplied: Notify::new(),
            drain,
            most_put_off: PUT_OFF_PER_SLOT * slots,
            waiting: Cell::new(0),
        }
    }

    /// The next item, or `None` when there is none left for this slot or the crawl is being stopped.
    pub(crate) async fn next(&self) -> Option<Item> {
        loop {
            if self.drain.is_cancelled() {
                return None;
            }
            if let Some(item) = self.due_retry().or_else(|| self.new_item()) {
                return Some(item);
            }
            let pause = self.next_due();
            let only_old = self.exhausted.get() || self.has_put_off_enough();
            match (only_old, pause) {
                // Whoever puts an item off afterwards is there to take it up again.
                (true, None) => return None,
                // One for each that is put off is enough.
                (true, Some(_)) if self.exhausted.get() && self.waiting.get() >= self.put_off() => {
                    return None;
                }
                (true, Some(due)) => {
                    let _waiting = Waiting::new(&self.waiting);
                    self.drain
                        .run_until_cancelled(tokio::time::sleep_until(due.into()))
                        .await;
                }
                (false, pause) => {
                    let _waiting = Waiting::new(&self.waiting);
                    self.wait_for_supply(pause).await;
                }
            }
        }
    }

    /// Whether no new item will come.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.exhausted.get() && self.chunk.borrow().is_empty()
    }

    /// Slots that wait for an item.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.get()
    }

    /// How many items there are for slots that have none; `None` while others may come.
    pub(crate) fn held(&self) -> Option<usize> {
        self.is_exhausted().then(|| self.put_off())
    }

    fn put_off(&self) -> usize {
        self.retries.borrow().len() + self.unfound.borrow().len()
    }

    /// Puts an item off.
    pub(crate) fn retry(&self, item: Item, pause: Duration) {
        self.retries
            .borrow_mut()
            .push(Reverse((Instant::now() + pause, item)));
    }

    /// Puts an item off until its destination may have been found.
    pub(crate) fn wait_for_name(&self, item: Item) {
        self.unfound
            .borrow_mut()
            .push_back((Instant::now() + LOOK_AGAIN, item));
    }

    fn next_due(&self) -> Option<Instant> {
        let retry = self.retries.borrow().peek().map(|Reverse((due, _))| *due);
        let unfound = self.unfound.borrow().front().map(|(due, _)| *due);
        retry.into_iter().chain(unfound).min()
    }

    fn due_retry(&self) -> Option<Item> {
        // The clock is asked only where something is put off.
        let now = self.next_due().map(|due| (due, Instant::now()));
        let (_, now) = now.filter(|(due, now)| due <= now)?;
        let mut unfound = self.unfound.borrow_mut();
        if unfound.front().is_some_and(|(due, _)| *due <= now) {
            return unfound.pop_front().map(|(_, item)| item);
        }
        self.retries.borrow_mut().pop().map(|Reverse((_, item))| item)
    }

    fn has_put_off_enough(&self) -> bool {
        self.retries.borrow().len() >= self.most_put_off || self.unfound.borrow().len() >= MOST_UNFOUND
    }

    fn new_item(&self) -> Option<Item> {
        if self.has_put_off_enough() {
            return None;
        }
        let ordinal = self.chunk.borrow_mut().pop()?;
        Some(Item {
            ordinal,
            attempts: 0,
            refusals: 0,
        })
    }

    async fn wait_for_supply(&self, pause: Option<Instant>) {
        let supplied = self.supplied.notified();
        self.ask();
        let woken = async {
            match pause {
                Some(due) => drop(tokio::time::timeout_at(due.into(), supplied).await),
                None => supplied.await,
            }
        };
        self.drain.run_until_cancelled(woken).await;
    }

    fn ask(&self) {
        if !self.asked.replace(true) {
            self.hungry.notify_one();
        }
    }

    /// Leases ordinals, each time a little before those of the lease before are used up, until nothing is open, and
    /// keeps what is leased from running out for as long as it is polled.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub(crate) async fn supply(&self, from: Supply<'_>) -> Result<Infallible, LedgerError> {
        let started = Instant::now();
        let mut open = from.open;
        loop {
            tokio::select! {
                () = self.hungry.notified(), if !self.exhausted.get() => {
                    let rate = from.finished.get() as f64 / started.elapsed().as_secs_f64().max(0.001);
                    self.lease(&from, wanted(rate, from.slots, from.shards, open), &mut open).await?;
                }
                () = moment(from.leases.due()) => {
                    let (ledger, leases) = (Arc::clone(from.ledger), from.leases.clone());
                    blocking(move || leases.renew(&*ledger, Instant::now())).await?;
                }
            }
        }
    }

    async fn lease(&self, from: &Supply<'_>, want: u64, open: &mut u64) -> Result<(), LedgerError> {
        let ledger = Arc::clone(from.ledger);
        match blocking(move || ledger.lease(want)).await? {
            Leased::Lease(lease) => {
                tracing::debug!(items = lease.ordinals.count(), open = lease.open_after, "leased");
                *open = lease.open_after;
                self.chunk.replace(lease.ordinals.clone());
                from.leases.add(lease);
            }
            Leased::Later(when) => {
                tokio::time::sleep_until(when.into()).await;
                self.hungry.notify_one();
                return Ok(());
            }
            Leased::Done => self.exhausted.set(true),
        }
        self.asked.set(false);
        self.supplied.notify_waiters();
        Ok(())
    }
}

/// Where a queue's ordinals come from.
pub(crate) struct Supply<'a> {
    pub(crate) ledger: &'a Arc<dyn Ledger>,
    /// What this shard has leased.
    pub(crate) leases: &'a HeldLeases,
    pub(crate) shards: u64,
    /// How many items this shard fetches at once.
    pub(crate) slots: u64,
    /// Items that were open when the crawl began.
    pub(crate) open: u64,
    /// How many items this shard has finished so far.
    pub(crate) finished: &'a Cell<u64>,
}

/// A slot that waits for an item.
struct Waiting<'a>(&'a Cell<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// How many ordinals are worth a lease at `rate` items per second, of `open` ones that so many shards share. Towards
/// the end one shard takes no more than leaves others their part, down to one item for each of its slots.
fn wanted(rate: f64, slots: u64, shards: u64, open: u64) -> u64 {
    let worth = (rate * CHUNK_TIME.as_secs_f64()) as u64;
    let least = if shards > 1 {
        slots.clamp(1, CHUNK.start)
    } else {
        CHUNK.start
    };
    worth
        .clamp(CHUNK.start.max(4 * slots), CHUNK.end)
        .min(open / (2 * shards))
        .max(least)
}

/// Waits for a moment, or for ever.
async fn moment(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

#[cfg(test)]
mod tests {
    use v6kit_store::{Description, Extent, JobDirectory};

    use super::*;

    fn item(ordinal: u64, attempts: u32) -> Item {
        Item {
            ordinal,
            attempts,
            refusals: 0,
        }
    }

    /// What a queue hands out for a job of `items`, until it has nothing left.
    async fn handed_out(queue: &Queue, items: u64) -> Vec<Item> {
        let directory = tempfile::tempdir().unwrap();
        let extent = Extent {
            items,
            visited: items,
        };
        let job = JobDirectory::open(&directory.path().join("job"), &Description::new([]), extent).unwrap();
        let ledger: Arc<dyn Ledger> = job.ledger;
        let (leases, finished) = (HeldLeases::default(), Cell::new(0));
        let supply = queue.supply(Supply {
            ledger: &ledger,
            leases: &leases,
            shards: 1,
            slots: 1,
            open: items,
            finished: &finished,
        });
        let take = async {
            let mut items = Vec::new();
            while let Some(item) = queue.next().await {
                items.push(item);
            }
            items
        };
        tokio::select! {
            supplied = supply => panic!("the supply ended: {supplied:?}"),
            items = take => items,
        }
    }

    #[tokio::test]
    async fn every_item_is_handed_out_once_over_several_leases() {
        let queue = Queue::new(Drain::default(), 1);
        let items = handed_out(&queue, 250).await;
        assert_eq!(
            items,
            (0..250).map(|ordinal| item(ordinal, 0)).collect::<Vec<_>>()
        );
        assert!(queue.is_exhausted());
    }

    #[tokio::test]
    async fn an_item_whose_pause_is_over_goes_before_new_ones() {
        let queue = Queue::new(Drain::default(), 1);
        queue.chunk.replace(Ordinals::from_range(0..1));
        queue.retry(item(7, 1), Duration::ZERO);
        queue.wait_for_name(item(8, 0));
        assert_eq!(queue.next().await, Some(item(7, 1)));
        assert_eq!(queue.next().await, Some(item(0, 0)));
        assert_eq!(
            queue.next().await,
            Some(item(8, 0)),
            "it is looked at again a little later"
        );
    }

    #[tokio::test]
    async fn no_new_item_is_begun_while_too_many_are_put_off() {
        let queue = Queue::new(Drain::default(), 1);
        queue.chunk.replace(Ordinals::from_range(0..1));
        for ordinal in 0..PUT_OFF_PER_SLOT as u64 {
            queue.retry(item(10 + ordinal, 1), Duration::ZERO);
        }
        assert_eq!(queue.new_item(), None);
        assert_eq!(queue.next().await, Some(item(10, 1)));
        assert_eq!(queue.new_item(), Some(item(0, 0)));
    }

    #[tokio::test]
    async fn a_drained_queue_hands_nothing_out() {
        let drain = Drain::default();
        let queue = Queue::new(drain.clone(), 1);
        queue.chunk.replace(Ordinals::from_range(0..9));
        queue.retry(item(7, 1), Duration::from_secs(3600));
        drain.cancel();
        assert_eq!(queue.next().await, None);
    }

    #[test]
    fn a_lease_is_half_a_minute_of_work_and_shrinks_towards_the_end() {
        assert_eq!(wanted(0.0, 1, 1, u64::MAX), 100);
        assert_eq!(wanted(0.0, 100, 2, u64::MAX), 400, "four for each slot at least");
        assert_eq!(wanted(1000.0, 1, 2, u64::MAX), 30_000);
        assert_eq!(wanted(1e9, 1, 2, u64::MAX), 1_000_000);
        assert_eq!(wanted(1000.0, 1, 2, 2800), 700);
        assert_eq!(wanted(1000.0, 1, 1, 3), 100);
    }

    #[test]
    fn no_shard_takes_the_items_that_the_slots_of_others_are_for() {
        for (items, slots, shards) in [
            (200, 100, 2),
            (12, 4, 2),
            (100, 100, 2),
            (7, 8, 4),
            (1000, 64, 16),
        ] {
            let slots = slots / shards;
            let mut open = items;
            let mut busy = 0;
            for _ in 0..shards {
                let lease = wanted(0.0, slots, shards, open).min(open);
                open -= lease;
                busy += lease.min(slots);
            }
            let most = items.min(slots * shards);
            assert_eq!(busy, most, "{items} items, {slots} slots on each of {shards}");
        }
    }

    #[tokio::test]
    async fn one_slot_for_each_item_that_is_put_off_waits_for_it() {
        let queue = Queue::new(Drain::default(), 4);
        queue.exhausted.set(true);
        queue.retry(item(1, 1), Duration::from_millis(20));
        queue.retry(item(2, 1), Duration::from_millis(20));
        assert_eq!(queue.held(), Some(2));
        let (first, second, third) = tokio::join!(queue.next(), queue.next(), queue.next());
        assert_eq!(third, None);
        // Whichever woke first.
        let mut taken = [first, second].map(|item| item.map(|item| item.ordinal));
        taken.sort_unstable();
        assert_eq!(taken, [Some(1), Some(2)]);
        assert_eq!((queue.held(), queue.waiting()), (Some(0), 0));
    }
}
