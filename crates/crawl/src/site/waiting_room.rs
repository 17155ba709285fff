//! Items whose destination has its share of slots wait here, so that others go on.
//!
//! Used where the items have different destinations. A slot that comes upon an item of a destination that
//! has its share of the slots already parks the item with the destination and goes on with the next one.
//! Whoever is done with an item of the destination takes the next parked one. While anything is parked with
//! a destination, at least one slot serves it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use v6kit_model::Item;

/// Items that one shard parks at most, 24 bytes each. Beyond it slots wait for their destination themselves.
const MOST: usize = 100_000;

/// What a shard keeps about all destinations.
#[derive(Debug, Default)]
pub(crate) struct WaitingRoom {
    parked: Cell<usize>,
    /// Destinations that are being served.
    served: Cell<usize>,
}

/// What a shard keeps about one destination.
#[derive(Debug, Default)]
pub(crate) struct Bench {
    /// Slots that serve it, waiting for its pace or for its answer.
    slots: Cell<usize>,
    parked: RefCell<VecDeque<Item>>,
}

/// A slot at a destination.
#[derive(Debug)]
pub(crate) struct Seat<'a> {
    room: &'a WaitingRoom,
    bench: &'a Bench,
}

/// Whether an item was parked before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It has just been taken up.
    New,
    /// It was parked, and its turn has come.
    Called,
}

impl WaitingRoom {
    /// Items that are parked.
    pub(crate) fn parked(&self) -> usize {
        self.parked.get()
    }

    /// How many of `slots` one destination may have: its share, and never the last one while others are
    /// free, so that somebody looks at what comes behind it.
    fn share(&self, slots: usize) -> usize {
        (slots.saturating_sub(1) / self.served.get().max(1)).max(1)
    }

    /// A seat at `bench`, or `None` when the item was parked there instead.
    pub(crate) fn enter<'a>(
        &'a self,
        bench: &'a Bench,
        item: Item,
        arrival: Arrival,
        slots: usize,
    ) -> Option<Seat<'a>> {
        let crowded = bench.slots.get() >= self.share(slots) && bench.slots.get() > 0;
        if arrival == Arrival::New && crowded && self.parked.get() < MOST {
            bench.parked.borrow_mut().push_back(item);
            self.parked.set(self.parked.get() + 1);
            return None;
        }
        if bench.slots.replace(bench.slots.get() + 1) == 0 {
            self.served.set(self.served.get() + 1);
        }
        Some(Seat { room: self, bench })
    }

    /// The next item that is parked at `bench`.
    pub(crate) fn call(&self, bench: &Bench) -> Option<Item> {
        let item = bench.parked.borrow_mut().pop_front()?;
        self.parked.set(self.parked.get() - 1);
        Some(item)
    }
}

impl Bench {
    /// Whether anything is parked.
    pub(crate) fn is_waited_at(&self) -> bool {
        !self.parked.borrow().is_empty()
    }

    /// Slots that serve the destination.
    pub(crate) fn slots(&self) -> usize {
        self.slots.get()
    }
}

impl Seat<'_> {
    /// Leaves, and takes the next parked item along, unless the destination has more than its share.
    pub(crate) fn leave(self, slots: usize) -> Option<Item> {
        let (room, bench) = (self.room, self.bench);
        drop(self);
        let last = bench.slots.get() == 0;
        (last || bench.slots.get() < room.share(slots))
            .then(|| room.call(bench))
            .flatten()
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let slots = self.bench.slots.get() - 1;
        self.bench.slots.set(slots);
        if slots == 0 {
            self.room.served.set(self.room.served.get() - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(turn: u64) -> Item {
        Item {
            turn,
            attempts: 0,
            refusals: 0,
        }
    }

    #[test]
    fn one_destination_never_gets_the_last_slot_and_two_share() {
        let (room, slow, other) = (WaitingRoom::default(), Bench::default(), Bench::default());
        let seats: Vec<Seat<'_>> = (0..9)
            .map_while(|turn| room.enter(&slow, item(turn), Arrival::New, 8))
            .collect();
        assert_eq!((seats.len(), room.parked()), (7, 1));
        let busy = room.enter(&other, item(100), Arrival::New, 8).unwrap();
        // Seven are more than its share now: those that are done go elsewhere.
        let mut seats = seats.into_iter();
        let called: Vec<Option<Item>> = seats.by_ref().take(4).map(|seat| seat.leave(8)).collect();
        assert_eq!(called, [None, None, None, None]);
        assert_eq!(seats.next().unwrap().leave(8), Some(item(7)));
        drop(busy);
    }

    #[test]
    fn whoever_is_last_at_a_destination_takes_up_what_is_parked_there() {
        let (room, bench) = (WaitingRoom::default(), Bench::default());
        let others: Vec<Bench> = (0..5).map(|_| Bench::default()).collect();
        let _busy: Vec<_> = others
            .iter()
            .map(|other| room.enter(other, item(9), Arrival::New, 2))
            .collect();
        let seat = room.enter(&bench, item(0), Arrival::New, 2).unwrap();
        for turn in 1..4 {
            assert!(room.enter(&bench, item(turn), Arrival::New, 2).is_none());
        }
        let mut served = Vec::new();
        let mut next = seat.leave(2);
        while let Some(item) = next {
            served.push(item.turn);
            next = room.enter(&bench, item, Arrival::Called, 2).unwrap().leave(2);
        }
        assert_eq!((served, room.parked()), (vec![1, 2, 3], 0));
    }

    #[test]
    fn a_single_slot_parks_nothing() {
        let (room, bench) = (WaitingRoom::default(), Bench::default());
        for turn in 0..5 {
            assert!(room.enter(&bench, item(turn), Arrival::New, 1).is_some());
        }
        assert_eq!(room.parked(), 0);
    }

    #[test]
    fn a_full_room_makes_slots_wait_instead() {
        let (room, bench) = (WaitingRoom::default(), Bench::default());
        let _seat = room.enter(&bench, item(0), Arrival::New, 1).unwrap();
        let parked = (1..)
            .take_while(|turn| room.enter(&bench, item(*turn), Arrival::New, 1).is_none())
            .count();
        assert_eq!(parked, MOST);
    }
}
