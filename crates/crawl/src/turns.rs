//! Sets of turns.

use std::ops::Range;

/// A set of turns, kept as sorted ranges that neither touch nor overlap.
///
/// A *turn* is an item's place in the order of visiting, from 0. Turns are what the ledger counts;
/// [`Order`](crate::Order) maps them to positions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turns(Vec<Range<u64>>);

/// A text of bytes that encodes no set of turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an encoded set of turns")]
pub struct NotTurns;

impl Turns {
    /// All turns of `range`.
    #[must_use]
    pub fn from_range(range: Range<u64>) -> Self {
        Self(if range.is_empty() { Vec::new() } else { vec![range] })
    }

    /// The turns of `list`, which is sorted on the way.
    #[must_use]
    pub fn from_list(list: &mut [u64]) -> Self {
        list.sort_unstable();
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for &turn in list.iter() {
            match ranges.last_mut() {
                Some(last) if turn <= last.end => last.end = last.end.max(turn + 1),
                _ => ranges.push(turn..turn + 1),
            }
        }
        Self(ranges)
    }

    /// How many turns there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `turn` is one of them.
    #[must_use]
    pub fn contains(&self, turn: u64) -> bool {
        let after = self.0.partition_point(|range| range.start <= turn);
        after > 0 && turn < self.0[after - 1].end
    }

    /// The ranges in ascending order.
    pub fn ranges(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().cloned()
    }

    /// From the first turn to behind the last.
    #[must_use]
    pub fn hull(&self) -> Option<Range<u64>> {
        Some(self.0.first()?.start..self.0.last()?.end)
    }

    /// Adds all turns of `other`.
    pub fn add(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        let mut all: Vec<Range<u64>> = self.0.drain(..).chain(other.ranges()).collect();
        all.sort_unstable_by_key(|range| range.start);
        for range in all {
            match self.0.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => self.0.push(range),
            }
        }
    }

    /// Those turns of `within` that are not in this set.
    #[must_use]
    pub fn complement(&self, within: Range<u64>) -> Self {
        let mut open = Vec::new();
        let mut from = within.start;
        for range in self.ranges() {
            if from < range.start.min(within.end) {
                open.push(from..range.start.min(within.end));
            }
            from = from.max(range.end);
        }
        if from < within.end {
            open.push(from..within.end);
        }
        Self(open)
    }

    /// Takes out up to `want` consecutive turns, lowest first.
    pub fn take(&mut self, want: u64) -> Option<Range<u64>> {
        let first = self.0.first_mut()?;
        let taken = first.start..first.end.min(first.start.saturating_add(want.max(1)));
        if taken.end == first.end {
            self.0.remove(0);
        } else {
            first.start = taken.end;
        }
        Some(taken)
    }

    /// Gaps and lengths as LEB128 numbers: a few bytes per range.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut last = 0;
        for range in &self.0 {
            push_number(&mut bytes, range.start - last);
            push_number(&mut bytes, range.end - range.start);
            last = range.end;
        }
        bytes
    }

    /// The set that [`Turns::encode`] wrote.
    ///
    /// # Errors
    /// [`NotTurns`].
    pub fn decode(mut bytes: &[u8]) -> Result<Self, NotTurns> {
        let mut ranges = Vec::new();
        let mut last: u64 = 0;
        while !bytes.is_empty() {
            let start = last.checked_add(pull_number(&mut bytes)?).ok_or(NotTurns)?;
            let end = start.checked_add(pull_number(&mut bytes)?).ok_or(NotTurns)?;
            if end == start {
                return Err(NotTurns);
            }
            ranges.push(start..end);
            last = end;
        }
        Ok(Self(ranges))
    }
}

fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn pull_number(bytes: &mut &[u8]) -> Result<u64, NotTurns> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(NotTurns)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(NotTurns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(list: &[u64]) -> Turns {
        Turns::from_list(&mut list.to_vec())
    }

    #[test]
    fn a_list_becomes_ranges_whatever_its_order() {
        let turns = set(&[7, 1, 3, 2, 9, 8, 2]);
        assert_eq!(turns.ranges().collect::<Vec<_>>(), [1..4, 7..10]);
        assert_eq!((turns.count(), turns.hull()), (6, Some(1..10)));
        assert!(turns.contains(3) && !turns.contains(4) && turns.contains(7) && !turns.contains(10));
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for turns in [
            set(&[]),
            set(&[0]),
            set(&[5, 6, 900, 1_000_000_000_000]),
            Turns::from_range(0..u64::MAX),
        ] {
            assert_eq!(Turns::decode(&turns.encode()), Ok(turns));
        }
        assert_eq!(Turns::decode(&[0x80]), Err(NotTurns));
        assert_eq!(Turns::decode(&[1, 0]), Err(NotTurns));
    }

    #[test]
    fn a_set_and_its_complement_are_everything() {
        let turns = set(&[0, 3, 4, 8]);
        let mut open = turns.complement(0..9);
        assert_eq!(open.ranges().collect::<Vec<_>>(), [1..3, 5..8]);
        open.add(&turns);
        assert_eq!(open, Turns::from_range(0..9));
        assert!(open.complement(0..9).is_empty());
        assert_eq!(Turns::default().complement(2..4), Turns::from_range(2..4));
    }

    #[test]
    fn taking_goes_from_low_to_high_and_never_over_a_gap() {
        let mut open = set(&[1, 2, 3, 7]);
        assert_eq!(open.take(2), Some(1..3));
        assert_eq!(open.take(2), Some(3..4));
        open.add(&set(&[2]));
        assert_eq!(open.take(9), Some(2..3));
        assert_eq!(open.take(9), Some(7..8));
        assert_eq!(open.take(9), None);
    }
}
