//! What a ledger does, wherever it lies.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;
use std::time::Instant;

use v6kit_model::Ordinals;

use super::{CommittedFrame, Extent, FramePlace, LedgerError, RecentPace, Standing};
use crate::description::Description;

/// The table of a job's items, behind which one machine or many may share it.
///
/// A *lease* is a set of ordinals that one worker may fetch; a *frame* is a run of records that are written and
/// committed together, of whatever leases. An ordinal is open, leased, or committed. Committed ordinals stay so;
/// leased ones become open again when they are released, when the lease runs out, or when the crawl that leased
/// them is gone.
///
/// What makes a frame final is one call of [`Ledger::commit`]: its records and its counts become true together, or
/// not at all. A lease carries a *fence*, which no later lease repeats; a commit names the fences under which its
/// records were fetched, and is refused once another worker has leased one of their ordinals since.
///
/// None of the calls is made on the way of a request, and all of them may block: they are called from the thread
/// that writes. [`contract`](super::contract) is what every implementation has to pass.
pub trait Ledger: Debug + Send + Sync {
    /// Leases up to `want` open ordinals, the lowest there are.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn lease(&self, want: u64) -> Result<Leased, LedgerError>;

    /// Keeps a lease from running out.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn renew(&self, fence: Fence) -> Result<Renewal, LedgerError>;

    /// Gives a lease back: what of it is not committed is open again. An unknown fence changes nothing.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn release(&self, fence: Fence) -> Result<(), LedgerError>;

    /// Records a frame that is on the disk, in the present generation, with records of ordinals that were leased
    /// under `fences`. Either all of it is done afterwards or, on an error, nothing.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn commit(&self, frame: &CommittedFrame, fences: &[Fence]) -> Result<Commit, LedgerError>;

    /// Records that `merged`, which is on the disk, holds the records of the frames at `old` from now on, which must
    /// be of one generation: either all of it is done afterwards, or nothing. Whether it is: not where one of the old
    /// ones is not there.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn replace(&self, old: &[FramePlace], merged: &CommittedFrame) -> Result<bool, LedgerError>;

    /// What is committed and what is not.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn standing(&self) -> Result<Standing, LedgerError>;
}

/// What tells a lease from all others of the job, earlier and later: a number that only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub u64);

/// Ordinals that one worker may fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose items they are.
    pub ordinals: Ordinals,
    /// What a commit of their records has to name.
    pub fence: Fence,
    /// When others may lease them; `None` for as long as this process holds the ledger.
    pub until: Option<Instant>,
    /// How many ordinals are still open, for a fair size of the next lease.
    pub open_after: u64,
}

/// What a worker that asks for a lease is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leased {
    /// These.
    Lease(Lease),
    /// Nothing is open, but what others hold may be again by then.
    Later(Instant),
    /// Nothing is open, and nothing will be.
    Done,
}

/// What became of a lease that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// It lasts until then; `None` for as long as this process holds the ledger.
    Until(Option<Instant>),
    /// It is gone: others may have its ordinals.
    Lost,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// The frame counts now.
    Recorded,
    /// It counted before: the same call had gone through already.
    Already,
    /// Nothing has changed: its records are of ordinals that the fences no longer hold.
    Fenced,
}

/// What is known about a job and its committed frames: what reading a job back needs.
pub trait Catalog: Debug + Send + Sync {
    /// The job.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn description(&self) -> Result<Description, LedgerError>;

    /// The size of the job.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn extent(&self) -> Result<Extent, LedgerError>;

    /// The words of the command that crawled last; empty when none is known.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn invocation(&self) -> Result<Vec<String>, LedgerError>;

    /// The committed frames with records of the ordinals in `hull`, in the order of their first ordinal. Items may
    /// have records of several generations: each frame comes with those of its ordinals whose records are not the
    /// newest.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn frames_within(&self, hull: Range<u64>) -> Result<Vec<(CommittedFrame, Ordinals)>, LedgerError>;

    /// The committed length of every segment, in bytes by number.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn segment_lengths(&self) -> Result<BTreeMap<u64, u64>, LedgerError>;

    /// Ordinals that no record is committed of.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn missing(&self) -> Result<Ordinals, LedgerError>;

    /// Ordinals that are to be fetched, for the first time or again.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn open_ordinals(&self) -> Result<Ordinals, LedgerError>;

    /// How fast records came lately.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn recent_pace(&self) -> Result<RecentPace, LedgerError>;

    /// Reads all that the catalogue is made of.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] with what was found.
    fn check(&self) -> Result<(), LedgerError>;
}
