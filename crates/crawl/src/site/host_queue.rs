//! Items whose destination has its share of slots wait here, so that others go on.
//!
//! Used where the items have different destinations. A slot that comes upon an item of a destination that
//! has its share of the slots already parks the item with the destination and goes on with the next one.
//! Whoever is done with an item of the destination takes the next parked one. While anything is parked with
//! a destination, at least one slot serves it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use v6kit_model::Item;

/// Items that one shard parks at most, 24 bytes each. Beyond it slots wait for their destination themselves.
const MOST: usize = 100_000;

/// What a shard keeps about all destinations.
#[derive(Debug, Default)]
pub(crate) struct HostQueues {
    /// Items that are parked.
    parked: Cell<usize>,
    /// Destinations that are being served.
    served: Cell<usize>,
    /// Destinations with parked items, that with the fewest slots first; the address of each tells it from the others.
    waited_at: RefCell<BTreeMap<(usize, usize), Rc<HostQueue>>>,
}

/// What a shard keeps about one destination.
#[derive(Debug, Default)]
pub(crate) struct HostQueue {
    /// Slots that serve it, waiting for its pace or for its answer.
    slots: Cell<usize>,
    parked: RefCell<VecDeque<Item>>,
}

/// A slot at a destination.
#[derive(Debug)]
pub(crate) struct SlotGuard<'a> {
    queues: &'a HostQueues,
    host: &'a Rc<HostQueue>,
}

/// Whether an item was parked before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It has just been taken up.
    New,
    /// It was parked, and its time has come.
    Resumed,
}

impl HostQueues {
    /// Items that are parked.
    pub(crate) fn parked(&self) -> usize {
        self.parked.get()
    }

    /// How many of `slots` one destination may have: its share, and never the last one while others are
    /// free, so that somebody looks at what comes behind it.
    fn share(&self, slots: usize) -> usize {
        (slots.saturating_sub(1) / self.served.get().max(1)).max(1)
    }

    /// A slot at `host`, or `None` when the item was parked there instead.
    pub(crate) fn enter<'a>(
        &'a self,
        host: &'a Rc<HostQueue>,
        item: Item,
        arrival: Arrival,
        slots: usize,
    ) -> Option<SlotGuard<'a>> {
        let crowded = host.slots.get() >= self.share(slots) && host.slots.get() > 0;
        if arrival == Arrival::New && crowded && self.parked.get() < MOST {
            self.change(host, || host.parked.borrow_mut().push_back(item));
            self.parked.set(self.parked.get() + 1);
            return None;
        }
        self.change(host, || host.slots.set(host.slots.get() + 1));
        if host.slots.get() == 1 {
            self.served.set(self.served.get() + 1);
        }
        Some(SlotGuard { queues: self, host })
    }

    /// The next item that is parked at `host`.
    fn call(&self, host: &Rc<HostQueue>) -> Option<Item> {
        let item = self.change(host, || host.parked.borrow_mut().pop_front())?;
        self.parked.set(self.parked.get() - 1);
        Some(item)
    }

    /// An item that is parked at the destination with the fewest slots.
    pub(crate) fn most_neglected(&self) -> Option<Item> {
        let host = self
            .waited_at
            .borrow()
            .first_key_value()
            .map(|(_, host)| Rc::clone(host))?;
        self.call(&host)
    }

    /// Changes the slots or the parked items of `host`, which keeps its place among the others.
    fn change<T>(&self, host: &Rc<HostQueue>, change: impl FnOnce() -> T) -> T {
        let key = || (host.slots.get(), Rc::as_ptr(host).addr());
        if host.is_waited_at() {
            self.waited_at.borrow_mut().remove(&key());
        }
        let changed = change();
        if host.is_waited_at() {
            self.waited_at.borrow_mut().insert(key(), Rc::clone(host));
        }
        changed
    }
}

impl HostQueue {
    /// Whether anything is parked.
    pub(crate) fn is_waited_at(&self) -> bool {
        !self.parked.borrow().is_empty()
    }
}

impl SlotGuard<'_> {
    /// Leaves, and takes the next parked item along, unless the destination has more than its share.
    pub(crate) fn leave(self, slots: usize) -> Option<Item> {
        let (queues, host) = (self.queues, self.host);
        drop(self);
        let last = host.slots.get() == 0;
        (last || host.slots.get() < queues.share(slots))
            .then(|| queues.call(host))
            .flatten()
    }
}

impl Drop for SlotGuard<'_> {
    fn drop(&mut self) {
        let slots = &self.host.slots;
        self.queues.change(self.host, || slots.set(slots.get() - 1));
        if slots.get() == 0 {
            self.queues.served.set(self.queues.served.get() - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(ordinal: u64) -> Item {
        Item {
            ordinal,
            attempts: 0,
            refusals: 0,
        }
    }

    #[test]
    fn one_destination_never_gets_the_last_slot_and_two_share() {
        let (queues, slow, other) = (HostQueues::default(), Rc::default(), Rc::default());
        let guards: Vec<SlotGuard<'_>> = (0..9)
            .map_while(|ordinal| queues.enter(&slow, item(ordinal), Arrival::New, 8))
            .collect();
        assert_eq!((guards.len(), queues.parked.get()), (7, 1));
        let busy = queues.enter(&other, item(100), Arrival::New, 8).unwrap();
        // Seven are more than its share now: those that are done go elsewhere.
        let mut guards = guards.into_iter();
        let called: Vec<Option<Item>> = guards.by_ref().take(4).map(|slot| slot.leave(8)).collect();
        assert_eq!(called, [None, None, None, None]);
        assert_eq!(guards.next().unwrap().leave(8), Some(item(7)));
        drop(busy);
    }

    #[test]
    fn whoever_is_last_at_a_destination_takes_up_what_is_parked_there() {
        let (queues, host) = (HostQueues::default(), Rc::default());
        let others: Vec<Rc<HostQueue>> = (0..5).map(|_| Rc::default()).collect();
        let _busy: Vec<_> = others
            .iter()
            .map(|other| queues.enter(other, item(9), Arrival::New, 2))
            .collect();
        let slot = queues.enter(&host, item(0), Arrival::New, 2).unwrap();
        for ordinal in 1..4 {
            assert!(queues.enter(&host, item(ordinal), Arrival::New, 2).is_none());
        }
        let mut served = Vec::new();
        let mut next = slot.leave(2);
        while let Some(item) = next {
            served.push(item.ordinal);
            next = queues.enter(&host, item, Arrival::Resumed, 2).unwrap().leave(2);
        }
        assert_eq!((served, queues.parked.get()), (vec![1, 2, 3], 0));
    }

    #[test]
    fn a_single_slot_parks_nothing() {
        let (queues, host) = (HostQueues::default(), Rc::default());
        for ordinal in 0..5 {
            assert!(queues.enter(&host, item(ordinal), Arrival::New, 1).is_some());
        }
        assert_eq!(queues.parked.get(), 0);
    }

    #[test]
    fn a_full_room_makes_slots_wait_instead() {
        let (queues, host) = (HostQueues::default(), Rc::default());
        let _seat = queues.enter(&host, item(0), Arrival::New, 1).unwrap();
        let parked = (1..)
            .take_while(|ordinal| queues.enter(&host, item(*ordinal), Arrival::New, 1).is_none())
            .count();
        assert_eq!(parked, MOST);
    }
    #[test]
    fn the_destination_with_the_fewest_slots_is_served_first_and_none_is_looked_through() {
        let queues = HostQueues::default();
        let hosts: Vec<Rc<HostQueue>> = (0..3).map(|_| Rc::default()).collect();
        let mut guards = Vec::new();
        for (host, slots) in hosts.iter().zip([3, 1, 2]) {
            for _ in 0..slots {
                guards.extend(queues.enter(host, item(0), Arrival::Resumed, 1));
            }
            let ordinal = slots as u64;
            assert!(queues.enter(host, item(ordinal), Arrival::New, 1).is_none());
            assert!(queues.enter(host, item(10 + ordinal), Arrival::New, 1).is_none());
        }
        let served: Vec<u64> = std::iter::from_fn(|| queues.most_neglected())
            .map(|item| item.ordinal)
            .collect();
        assert_eq!(served, [1, 11, 2, 12, 3, 13]);
        drop(guards);
        assert_eq!((queues.parked.get(), queues.waited_at.borrow().len()), (0, 0));
    }
}
