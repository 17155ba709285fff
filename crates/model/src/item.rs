//! An item between two attempts.

/// An item on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Its place in the order of visiting.
    pub ordinal: u64,
    /// Attempts that have failed.
    pub attempts: u32,
    /// How many of them the site refused because it was asked too often.
    pub refusals: u32,
}
