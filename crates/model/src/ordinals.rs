//! Sets of ordinals.

use std::collections::VecDeque;
use std::ops::Range;

/// A set of ordinals, kept as sorted ranges that neither touch nor overlap.
///
/// An *ordinal* is an item's place in the order of visiting, from 0. Ordinals are what the ledger counts;
/// [`Order`](crate::Order) maps them to positions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ordinals(VecDeque<Range<u64>>);

/// A text of bytes that encodes no set of ordinals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an encoded set of ordinals")]
pub struct NotOrdinals;

impl Ordinals {
    /// All ordinals of `range`.
    #[must_use]
    pub fn from_range(range: Range<u64>) -> Self {
        Self((!range.is_empty()).then_some(range).into_iter().collect())
    }

    /// The ordinals of `list`, which is sorted on the way.
    #[must_use]
    pub fn from_list(list: &mut [u64]) -> Self {
        list.sort_unstable();
        Self::from_sorted(list.iter().map(|&ordinal| ordinal..ordinal + 1))
    }

    /// The ordinals of all of `ranges`, which may touch and overlap, in any order.
    #[must_use]
    pub fn from_ranges(mut ranges: Vec<Range<u64>>) -> Self {
        ranges.retain(|range| !range.is_empty());
        ranges.sort_unstable_by_key(|range| range.start);
        Self::from_sorted(ranges)
    }

    fn from_sorted(ranges: impl IntoIterator<Item = Range<u64>>) -> Self {
        let mut merged: VecDeque<Range<u64>> = VecDeque::new();
        for range in ranges {
            match merged.back_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push_back(range),
            }
        }
        Self(merged)
    }

    /// How many ordinals there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `ordinal` is one of them.
    #[must_use]
    pub fn contains(&self, ordinal: u64) -> bool {
        let after = self.0.partition_point(|range| range.start <= ordinal);
        after > 0 && ordinal < self.0[after - 1].end
    }

    /// The ranges in ascending order.
    pub fn ranges(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().cloned()
    }

    /// How many ranges there are.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.0.len()
    }

    /// From the first ordinal to behind the last.
    #[must_use]
    pub fn hull(&self) -> Option<Range<u64>> {
        Some(self.0.front()?.start..self.0.back()?.end)
    }

    /// Adds all ordinals of `other`.
    pub fn add(&mut self, other: &Self) {
        match (self.hull(), other.hull()) {
            (_, None) => {}
            (None, Some(_)) => *self = other.clone(),
            (Some(mine), Some(theirs)) if mine.end < theirs.start => self.0.extend(other.ranges()),
            _ => *self = Self::from_ranges(self.0.drain(..).chain(other.ranges()).collect()),
        }
    }

    /// Those ordinals of `within` that are not in this set.
    #[must_use]
    pub fn complement(&self, within: Range<u64>) -> Self {
        Self::from_range(within).without(self)
    }

    /// The ordinals that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = VecDeque::new();
        let (mut mine, mut theirs) = (self.ranges().peekable(), other.ranges().peekable());
        while let (Some(left), Some(right)) = (mine.peek(), theirs.peek()) {
            let shared = left.start.max(right.start)..left.end.min(right.end);
            if left.end < right.end {
                mine.next();
            } else {
                theirs.next();
            }
            if !shared.is_empty() {
                both.push_back(shared);
            }
        }
        Self(both)
    }

    /// Whether there is an ordinal in both sets.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (few, many) = if self.0.len() < other.0.len() {
            (self, other)
        } else {
            (other, self)
        };
        few.ranges().any(|range| {
            let after = many.0.partition_point(|other| other.end <= range.start);
            many.0.get(after).is_some_and(|other| other.start < range.end)
        })
    }

    /// The ordinals of this set that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut left = VecDeque::new();
        let mut gone = other.ranges().peekable();
        for range in self.ranges() {
            let mut from = range.start;
            while let Some(next) = gone.next_if(|next| next.end <= range.end) {
                if from < next.start {
                    left.push_back(from..next.start);
                }
                from = from.max(next.end);
            }
            let end = gone.peek().map_or(range.end, |next| next.start.min(range.end));
            if from < end {
                left.push_back(from..end);
            }
        }
        Self(left)
    }

    /// Takes out the lowest ordinal.
    pub fn pop(&mut self) -> Option<u64> {
        let first = self.0.front_mut()?;
        let ordinal = first.start;
        first.start += 1;
        if first.is_empty() {
            self.0.pop_front();
        }
        Some(ordinal)
    }

    /// Takes out the `want` lowest ordinals, or all when there are fewer.
    pub fn take(&mut self, want: u64) -> Self {
        let mut taken = VecDeque::new();
        let mut missing = want;
        while missing > 0
            && let Some(first) = self.0.front_mut()
        {
            let part = first.start..first.end.min(first.start.saturating_add(missing));
            missing -= part.end - part.start;
            first.start = part.end;
            if first.is_empty() {
                self.0.pop_front();
            }
            taken.push_back(part);
        }
        Self(taken)
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

    /// The set that [`Ordinals::encode`] wrote.
    ///
    /// # Errors
    /// [`NotOrdinals`].
    pub fn decode(mut bytes: &[u8]) -> Result<Self, NotOrdinals> {
        let mut ranges = VecDeque::<Range<u64>>::new();
        let mut last: u64 = 0;
        while !bytes.is_empty() {
            let start = last.checked_add(pull_number(&mut bytes)?).ok_or(NotOrdinals)?;
            let end = start.checked_add(pull_number(&mut bytes)?).ok_or(NotOrdinals)?;
            if end == start {
                return Err(NotOrdinals);
            }
            match ranges.back_mut() {
                Some(Range { end: before, .. }) if *before == start => *before = end,
                _ => ranges.push_back(start..end),
            }
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

fn pull_number(bytes: &mut &[u8]) -> Result<u64, NotOrdinals> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(NotOrdinals)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(NotOrdinals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(list: &[u64]) -> Ordinals {
        Ordinals::from_list(&mut list.to_vec())
    }

    #[test]
    fn a_list_becomes_ranges_whatever_its_order() {
        let ordinals = set(&[7, 1, 3, 2, 9, 8, 2]);
        assert_eq!(ordinals.ranges().collect::<Vec<_>>(), [1..4, 7..10]);
        assert_eq!((ordinals.count(), ordinals.hull()), (6, Some(1..10)));
        assert!(
            ordinals.contains(3) && !ordinals.contains(4) && ordinals.contains(7) && !ordinals.contains(10)
        );
        assert!(!ordinals.contains(0), "below the first");
        assert_eq!((ordinals.range_count(), ordinals.is_empty()), (2, false));
        assert_eq!((set(&[]).range_count(), set(&[]).is_empty()), (0, true));
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for ordinals in [
            set(&[]),
            set(&[0]),
            set(&[128]),
            set(&[5, 6, 900, 1_000_000_000_000]),
            Ordinals::from_range(0..u64::MAX),
        ] {
            assert_eq!(Ordinals::decode(&ordinals.encode()), Ok(ordinals));
        }
        assert_eq!(Ordinals::decode(&[0x80]), Err(NotOrdinals));
        assert_eq!(Ordinals::decode(&[1, 0]), Err(NotOrdinals));
        assert_eq!(Ordinals::decode(&[0, 1, 0, 2]), Ok(Ordinals::from_range(0..3)));
    }

    #[test]
    fn a_set_and_its_complement_are_everything() {
        let ordinals = set(&[0, 3, 4, 8]);
        let mut open = ordinals.complement(0..9);
        assert_eq!(open.ranges().collect::<Vec<_>>(), [1..3, 5..8]);
        open.add(&ordinals);
        assert_eq!(open, Ordinals::from_range(0..9));
        assert!(open.complement(0..9).is_empty());
        assert_eq!(Ordinals::default().complement(2..4), Ordinals::from_range(2..4));
    }

    #[test]
    fn taking_goes_from_low_to_high() {
        let mut open = set(&[1, 2, 3, 7]);
        assert_eq!(open.take(2), set(&[1, 2]));
        open.add(&set(&[2]));
        assert_eq!(open.take(2), set(&[2, 3]));
        assert_eq!(open.pop(), Some(7));
        assert_eq!((open.pop(), open.take(9)), (None, Ordinals::default()));
    }

    #[test]
    fn differences_and_intersections_are_those_of_sets() {
        use std::collections::BTreeSet;
        let mut state = 7u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..500 {
            let size = draw(40);
            let mine: BTreeSet<u64> = (0..size).map(|_| draw(50)).collect();
            let theirs: BTreeSet<u64> = (0..draw(40)).map(|_| draw(50)).collect();
            let as_ordinals = |of: BTreeSet<u64>| set(&of.into_iter().collect::<Vec<_>>());
            let (left, right) = (as_ordinals(mine.clone()), as_ordinals(theirs.clone()));
            assert_eq!(left.without(&right), as_ordinals(&mine - &theirs));
            assert_eq!(left.intersection(&right), as_ordinals(&mine & &theirs));
            assert_eq!(left.overlaps(&right), !mine.is_disjoint(&theirs));
            let mut sum = left.clone();
            sum.add(&right);
            assert_eq!(sum, as_ordinals(&mine | &theirs));
        }
    }
}
