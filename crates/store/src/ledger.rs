//! Which items are done, and where their records lie.

mod accounts;
mod sqlite;

use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use v6kit_model::{Counts, Ordinals};
use v6kit_net::{Code, Hint};

pub use self::sqlite::SqliteLedger;
use crate::description::Difference;

/// The table of a job's work, behind which one machine or many may share it.
///
/// A *chunk* is a set of ordinals that one shard has leased; a *frame* is a run of records that are written
/// and committed together, of whatever chunks. An ordinal is open, leased, or committed. Committed ordinals stay
/// so; leased ones become open again when they are given back, or when the crawl that leased them is gone.
///
/// What makes a frame final is one transaction of [`Ledger::commit`]: the ordinals and the counts together. A
/// ledger that many machines share gives each lease an expiry and a fencing token (the greatest that was
/// given out for those ordinals), keeps the tokens of what the caller has leased, and refuses in `commit` what
/// another has leased since; [`SqliteLedger`] needs neither, because a lock on the directory is its fence.
///
/// None of the calls is made on the way of a request, and all of them may block.
pub trait Ledger: Debug + Send + Sync {
    /// Leases up to `want` open ordinals, the lowest there are. `None` when none is open.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn lease(&self, want: u64) -> Result<Option<Chunk>, LedgerError>;

    /// Records a frame that is on the disk, in the present generation. Either all of it is done afterwards or, on an error, nothing.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn commit(&self, frame: &CommittedFrame) -> Result<(), LedgerError>;

    /// Opens leased ordinals again.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn give_back(&self, ordinals: &Ordinals) -> Result<(), LedgerError>;

    /// What is committed and what is not.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn standing(&self) -> Result<Standing, LedgerError>;

    /// Reserves the number of a segment that does not exist yet.
    fn next_segment(&self) -> u64;
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Whose items they are.
    pub ordinals: Ordinals,
    /// How many ordinals are still open, for a fair size of the next lease.
    pub open_after: u64,
}

/// Where a frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramePlace {
    /// The segment.
    pub segment: u64,
    /// The first byte.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
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

/// Why a job directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The directory cannot be made, read or written.
    #[error("{} cannot be used", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It holds files that no crawl has left.
    #[error("{} holds other files and no crawl", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// There is no ledger in it.
    #[error("{} holds no crawl", path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// Another crawl runs in it.
    #[error("another crawl is running in {}", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// It holds another job.
    #[error("{} holds another crawl: {}", path.display(), list(differences))]
    OtherJob {
        /// The directory.
        path: PathBuf,
        /// In what they differ.
        differences: Vec<Difference>,
    },
    /// It was written by another version.
    #[error("{} was written by another version of v6kit (format {found})", path.display())]
    Version {
        /// The directory.
        path: PathBuf,
        /// The number of its format.
        found: i64,
    },
    /// The ledger's content makes no sense.
    #[error("the ledger in {} is damaged: {what}", path.display())]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// SQLite failed.
    #[error("the ledger in {} failed", path.display())]
    Sqlite {
        /// The directory.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
}

fn list(differences: &[Difference]) -> String {
    differences
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

impl LedgerError {
    /// Whether the disk is what failed: full, broken or gone.
    #[must_use]
    pub fn is_disk(&self) -> bool {
        use rusqlite::ErrorCode::{DiskFull, SystemIoFailure};
        match self {
            Self::Directory { source, .. } => is_disk(source),
            Self::Sqlite { source, .. } => {
                matches!(source.sqlite_error_code(), Some(DiskFull | SystemIoFailure))
            }
            _ => false,
        }
    }
}

/// Whether `error` means that the disk is full, broken or gone.
pub(crate) fn is_disk(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOSPC | libc::EDQUOT | libc::EIO | libc::ENODEV | libc::ESTALE)
    )
}

impl Hint for LedgerError {
    fn code(&self) -> Code {
        match self {
            Self::Directory { .. } => Code::JobDirectory,
            Self::Foreign { .. } => Code::ForeignDirectory,
            Self::Missing { .. } => Code::NoCrawl,
            Self::Locked { .. } => Code::CrawlRunning,
            Self::OtherJob { .. } => Code::OtherJob,
            Self::Version { .. } => Code::OtherVersion,
            Self::Damaged { .. } => Code::LedgerDamaged,
            Self::Sqlite { .. } => Code::Ledger,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Directory { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "choose a directory that you may write to (-o DIR)".to_owned()
            }
            Self::Directory { .. } => "choose another directory (-o DIR)".to_owned(),
            Self::Foreign { .. } => "choose an empty directory, or one that does not exist yet".to_owned(),
            Self::Missing { path } => {
                format!(
                    "start one: `v6kit crawl 'https://…/{{1..1000}}' -o {}`",
                    path.display()
                )
            }
            Self::Locked { .. } => "wait for it, or interrupt it: it can be resumed".to_owned(),
            Self::OtherJob { .. } => {
                "choose another directory, or repeat the first command to resume it".to_owned()
            }
            Self::Version { .. } => "use that version, or crawl into another directory".to_owned(),
            Self::Damaged { .. } => "the segments are as they were: read them directly, with zstdcat or any reader of their format".to_owned(),
            Self::Sqlite { .. } if self.is_disk() => {
                "make room on the disk, then repeat the command".to_owned()
            }
            Self::Sqlite { .. } => return None,
        })
    }
}
