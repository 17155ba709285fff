//! Items per outcome.

use crate::outcome::Outcome;

/// Items per outcome, in the order of [`Outcome::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; 5]);

impl Counts {
    /// Counts as listed.
    #[must_use]
    pub fn new(counts: [u64; 5]) -> Self {
        Self(counts)
    }

    /// `count` items that ended as `outcome`, and no other.
    #[must_use]
    pub fn of_one(outcome: Outcome, count: u64) -> Self {
        let mut counts = Self::default();
        counts.0[outcome as usize] = count;
        counts
    }

    /// Takes `other` away, unless that is more than there is.
    #[must_use]
    pub fn subtract_all(&mut self, other: &Self) -> Option<()> {
        let mut left = *self;
        for (mine, theirs) in left.0.iter_mut().zip(other.0) {
            *mine = mine.checked_sub(theirs)?;
        }
        *self = left;
        Some(())
    }

    /// How many items ended as `outcome`.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize]
    }

    /// One more.
    pub fn add(&mut self, outcome: Outcome) {
        self.0[outcome as usize] += 1;
    }

    /// All of `other` in addition.
    pub fn add_all(&mut self, other: &Self) {
        self.0
            .iter_mut()
            .zip(other.0)
            .for_each(|(mine, theirs)| *mine += theirs);
    }

    /// All items.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }
}
