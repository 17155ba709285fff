//! Which items are done, and where their records lie.

mod accounts;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod error;
mod held;
mod sqlite;
mod traits;

use std::ops::Range;

use v6kit_model::{Counts, Ordinals};

pub use self::error::{BoxError, LedgerError};
pub use self::held::HeldLeases;
pub use self::sqlite::{Invocation, SqliteLedger};
pub use self::traits::{Catalog, Commit, Fence, Lease, Leased, Ledger, Renewal};

/// Where a frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramePlace {
    /// The segment. They are numbered from 1; 0 is none, for a frame of which nothing is kept.
    pub segment: u64,
    /// The first byte, or the first ordinal of a frame of which nothing is kept.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

impl FramePlace {
    /// The place in the ledger of a frame of which nothing is kept, whose first ordinal is `first`.
    #[must_use]
    pub fn nowhere(first: u64) -> Self {
        Self {
            segment: 0,
            offset: first,
            length: 0,
        }
    }

    /// Whether nothing is kept of the frame.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        self.segment == 0
    }
}

/// What a ledger knows of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Its number was given out, and nothing in it is committed.
    Reserved,
    /// It ends with a committed row of the ledger.
    Committed {
        /// Where that row lies.
        last: FramePlace,
        /// CRC-32 of its bytes.
        checksum: u32,
    },
    /// Another segment has its records by now.
    Superseded {
        /// Its length in bytes.
        length: u64,
        /// CRC-32 of its bytes.
        checksum: u32,
    },
}

/// A frame that is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedFrame {
    /// Where.
    pub place: FramePlace,
    /// Whose records it holds.
    pub ordinals: Ordinals,
    /// How they ended.
    pub counts: Counts,
    /// When its first record came and when it was committed, in milliseconds since 1970.
    pub span: Range<u64>,
    /// CRC-32 of its bytes.
    pub checksum: u32,
}

impl CommittedFrame {
    /// A frame without records.
    #[must_use]
    pub fn at(place: FramePlace) -> Self {
        Self {
            place,
            ordinals: Ordinals::default(),
            counts: Counts::default(),
            span: 0..0,
            checksum: 0,
        }
    }
}

/// The size of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// All items.
    pub items: u64,
    /// Those that are to be visited.
    pub visited: u64,
}

/// What is committed, and what is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// All items of the job.
    pub total: u64,
    /// Items whose newest record is committed and stands, per outcome.
    pub done: Counts,
    /// Items that are to be fetched again although they have a record.
    pub retrying: u64,
    /// Frames.
    pub frames: u64,
    /// Segments.
    pub segments: u64,
    /// Bytes of committed frames.
    pub bytes: u64,
}

/// How fast records came lately.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RecentPace {
    /// Records.
    pub records: u64,
    /// The time in which they came, without the time in which no crawl ran.
    pub seconds: f64,
}

impl Standing {
    /// Items that are still to be fetched.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.total.saturating_sub(self.done.sum())
    }
}
