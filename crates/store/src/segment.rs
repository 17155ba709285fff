//! Where the bytes of frames lie.

mod directory;
mod leftover;
mod names;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Read};

pub(crate) use self::directory::Reserve;
pub use self::directory::SegmentDirectory;
use crate::ledger::{FramePlace, Known};

/// A store of segments: numbered runs of bytes that grow by whole frames.
///
/// It knows nothing of what is committed: that is the ledger's. All of the calls may block.
pub trait SegmentStore: Debug + Send + Sync {
    /// A new segment, whose number none had before.
    ///
    /// # Errors
    /// What the system said.
    fn create(&self) -> io::Result<Box<dyn SegmentSink>>;

    /// The bytes of a frame, all of which are there.
    ///
    /// # Errors
    /// What the system said, or [`io::ErrorKind::UnexpectedEof`].
    fn open(&self, place: FramePlace) -> io::Result<Box<dyn Read>>;

    /// Cuts segments back to their committed lengths, and removes those whose records others have by now. What may hold
    /// records that no ledger has is set aside under another name, and what is not as it is `known` stays as it is.
    ///
    /// # Errors
    /// What the system said.
    fn discard_uncommitted(&self, known: &BTreeMap<u64, Known>) -> io::Result<()>;

    /// The first of the `known` segments that does not hold the bytes that were committed last, as far as they can be
    /// compared at once. Nothing is said of those that are missing or too short.
    ///
    /// # Errors
    /// What the system said.
    fn first_foreign(&self, known: &BTreeMap<u64, Known>) -> io::Result<Option<u64>>;

    /// Gives a segment a name that no crawl uses, and says which.
    ///
    /// # Errors
    /// What the system said.
    fn set_aside(&self, number: u64) -> io::Result<String>;

    /// Removes a segment that holds nothing committed.
    ///
    /// # Errors
    /// What the system said.
    fn remove(&self, number: u64) -> io::Result<()>;

    /// How much more fits; `None` where there is no limit.
    ///
    /// # Errors
    /// What the system said.
    fn room(&self) -> io::Result<Option<Room>>;

    /// What a person calls a segment.
    fn name(&self, number: u64) -> String;

    /// What a person calls the store.
    fn place(&self) -> String;
}

/// A segment that is being written.
pub trait SegmentSink: Debug + Send {
    /// Appends a frame, which is durable then; or a part of the one that there is, which is durable after
    /// [`SegmentSink::seal`], where the format has files that are whole at once.
    ///
    /// # Errors
    /// What the system said; the segment is as it was.
    fn append(&mut self, frame: &[u8]) -> io::Result<FramePlace>;

    /// Its number.
    fn number(&self) -> u64;

    /// Its length in bytes.
    fn length(&self) -> u64;

    /// Nothing will be added.
    ///
    /// # Errors
    /// What the system said.
    fn seal(self: Box<Self>) -> io::Result<()>;
}

/// The room of a store, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What is free.
    pub free: u64,
    /// What there is in all.
    pub size: u64,
}
