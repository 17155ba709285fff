//! What the rows of a ledger come to.

use std::collections::BTreeMap;
use std::ops::Range;

use v6kit_model::{Counts, Ordinals, Outcome};

use super::{CommittedFrame, Standing};

/// Adds up frames and retries.
///
/// A *generation* begins with each retry: the items that are fetched again have their newest record in a
/// frame of a later generation than the others they are in.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    generations: BTreeMap<u32, Generation>,
    retries: Vec<Retry>,
    standing: Standing,
    segments: BTreeMap<u64, ()>,
}

#[derive(Debug, Default)]
struct Generation {
    ranges: Vec<Range<u64>>,
    items: u64,
}

/// Items whose records of one outcome are set aside, from a generation on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Retry {
    pub(super) generation: u32,
    pub(super) outcome: Outcome,
    pub(super) ordinals: Ordinals,
}

/// The sum.
#[derive(Debug, Default)]
pub(super) struct Balance {
    /// Ordinals that are to be fetched, for the first time or again.
    pub(super) open: Ordinals,
    /// Ordinals that have a record, whichever.
    pub(super) recorded: Ordinals,
    /// Ordinals that are committed, by generation.
    pub(super) committed: BTreeMap<u32, Ordinals>,
    /// The present generation.
    pub(super) generation: u32,
    pub(super) standing: Standing,
}

impl Accounts {
    pub(super) fn new(total: u64) -> Self {
        Self {
            standing: Standing {
                total,
                ..Standing::default()
            },
            ..Self::default()
        }
    }

    pub(super) fn add_frame(&mut self, generation: u32, frame: &CommittedFrame) {
        let committed = self.generations.entry(generation).or_default();
        committed.ranges.extend(frame.ordinals.ranges());
        committed.items += frame.counts.sum();
        self.standing.done.add_all(&frame.counts);
        self.standing.frames += 1;
        self.standing.bytes += frame.place.length;
        if !frame.place.is_nowhere() {
            self.segments.insert(frame.place.segment, ());
        }
    }

    pub(super) fn add_retry(&mut self, retry: Retry) {
        self.retries.push(retry);
    }

    /// The sum, or what is wrong with the rows.
    pub(super) fn close(mut self) -> Result<Balance, String> {
        let mut committed = BTreeMap::new();
        for (number, generation) in self.generations {
            let ordinals = Ordinals::from_ranges(generation.ranges);
            if ordinals.count() != generation.items {
                return Err("an item is committed twice".to_owned());
            }
            committed.insert(number, ordinals);
        }
        let mut recorded = Ordinals::default();
        for ordinals in committed.values() {
            recorded.add(ordinals);
        }
        let mut open = recorded.complement(0..self.standing.total);
        let mut generation = 0;
        for retry in &self.retries {
            generation = generation.max(retry.generation);
            let mut pending = retry.ordinals.clone();
            for again in committed.range(retry.generation..).map(|(_, ordinals)| ordinals) {
                pending = pending.without(again);
            }
            open.add(&pending);
            let set_aside = Counts::of_one(retry.outcome, retry.ordinals.count());
            self.standing
                .done
                .subtract_all(&set_aside)
                .ok_or("more records are set aside than there are")?;
            self.standing.retrying += pending.count();
        }
        self.standing.segments = self.segments.len() as u64;
        Ok(Balance {
            open,
            recorded,
            committed,
            generation,
            standing: self.standing,
        })
    }
}

impl Balance {
    /// Ordinals whose records in frames of `generation` are not the newest.
    pub(super) fn stale_in(&self, generation: u32) -> Ordinals {
        let mut stale = Ordinals::default();
        for ordinals in self
            .committed
            .range(generation + 1..)
            .map(|(_, ordinals)| ordinals)
        {
            stale.add(ordinals);
        }
        stale
    }
}

/// Takes the ordinals of a frame that is lost out of the retries that had set its records aside.
pub(super) fn forget(retries: &mut [Retry], generation: u32, frame: &CommittedFrame) {
    retries.sort_by_key(|retry| retry.generation);
    let mut lost = frame.ordinals.clone();
    for retry in retries.iter_mut().filter(|retry| retry.generation > generation) {
        let shared = retry.ordinals.intersection(&lost);
        retry.ordinals = retry.ordinals.without(&shared);
        lost = lost.without(&shared);
    }
}

#[cfg(test)]
mod tests {
    use super::super::FramePlace;
    use super::*;

    fn frame(ordinals: Range<u64>, outcome: Outcome) -> CommittedFrame {
        let counts = Counts::of_one(outcome, ordinals.end - ordinals.start);
        CommittedFrame {
            ordinals: Ordinals::from_range(ordinals),
            counts,
            ..CommittedFrame::at(FramePlace {
                segment: 1,
                offset: 0,
                length: 10,
            })
        }
    }

    fn retry(generation: u32, ordinals: Range<u64>) -> Retry {
        Retry {
            generation,
            outcome: Outcome::Transient,
            ordinals: Ordinals::from_range(ordinals),
        }
    }

    #[test]
    fn retried_items_are_open_until_a_later_generation_has_them() {
        let mut accounts = Accounts::new(30);
        accounts.add_frame(0, &frame(0..10, Outcome::Ok));
        accounts.add_frame(0, &frame(10..20, Outcome::Transient));
        accounts.add_retry(retry(1, 10..20));
        accounts.add_frame(1, &frame(12..15, Outcome::Ok));
        accounts.add_retry(retry(2, 12..13));
        accounts.add_frame(2, &frame(16..20, Outcome::Absent));
        // The record that generation 2 sets aside was counted as transient, whatever it was here.
        accounts.add_frame(0, &frame(29..30, Outcome::Transient));
        let balance = accounts.close().unwrap();
        assert_eq!(
            balance.open.ranges().collect::<Vec<_>>(),
            [10..13, 15..16, 20..29]
        );
        assert_eq!(balance.standing.left(), balance.open.count());
        assert_eq!(balance.standing.retrying, 4);
        assert_eq!(balance.stale_in(0).ranges().collect::<Vec<_>>(), [12..15, 16..20]);
        assert_eq!(balance.stale_in(1), Ordinals::from_range(16..20));
        assert_eq!(balance.generation, 2);
    }

    #[test]
    fn a_lost_frame_no_longer_needs_to_be_set_aside() {
        let lost = frame(10..20, Outcome::Transient);
        let mut retries = [retry(2, 12..16), retry(1, 10..14)];
        forget(&mut retries, 0, &lost);
        let left = |generation| {
            let retry = retries.iter().find(|retry| retry.generation == generation);
            retry.unwrap().ordinals.clone()
        };
        // 10..14 were set aside by the first retry; 12..14 were fetched and set aside once more.
        assert!(left(1).is_empty());
        assert_eq!(left(2), Ordinals::from_range(12..14));
    }

    #[test]
    fn an_item_twice_in_a_generation_is_damage() {
        let mut accounts = Accounts::new(30);
        accounts.add_frame(0, &frame(0..10, Outcome::Ok));
        accounts.add_frame(0, &frame(9..12, Outcome::Ok));
        assert!(accounts.close().is_err());
    }
}
