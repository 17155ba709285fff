//! What a crawl keeps: records as lines, WARC or tables, segments of them on the disk, and the ledger that says which
//! items are done. [`cat`], [`check`], [`status`], [`missing`] and [`retry`] read a job directory back.
//!
//! Everything here blocks; nothing here knows the network or prints.

#![warn(clippy::too_many_lines)]

#[doc(hidden)]
pub mod bench;
mod description;
mod disk;
mod durable;
mod encoder;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod inspect;
mod job_directory;
mod ledger;
mod line;
mod memory;
mod record;
mod segment;
mod storage;
#[cfg(feature = "parquet")]
mod table;
#[cfg(not(feature = "parquet"))]
#[path = "no_table.rs"]
mod table;
mod trouble;
mod warc;
mod writer;

pub use description::{Description, Difference};
pub use disk::{Disk, DiskLow, KeepFree};
pub use frame::{Fill, Frame, Mark, OpenFrame, Pushed};
pub use inspect::cat::{Selection, cat};
pub use inspect::check::{Check, CheckError, Damage, check, repair};
pub use inspect::reading::ReadError;
pub use inspect::retry::{reopen_items, retry};
pub use inspect::status::{Forecast, Missing, MissingError, Status, missing, status};
pub use job_directory::JobDirectory;
#[cfg(any(test, feature = "contract"))]
pub use ledger::contract;
pub use ledger::{
    BoxError, Catalog, Commit, CommittedFrame, Extent, Fence, FramePlace, HeldLeases, Invocation, Known,
    Lease, Leased, Ledger, LedgerError, RecentPace, Renewal, SqliteLedger, Standing,
};
pub use memory::MemoryBudget;
pub use record::{Hop, Payload, Record, Sent, Timing, Way};
pub use segment::{Room, SegmentDirectory, SegmentSink, SegmentStore};
pub use storage::{
    BUILD_WITH_ALL, Compression, Content, FailedBody, FieldPath, Format, NotAPath, Reach, Storage,
};
pub use writer::{Archive, Committed, StoreError, small_files};
