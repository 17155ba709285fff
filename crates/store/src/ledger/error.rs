//! Why a ledger cannot be used.

use std::error::Error;
use std::io;
use std::path::Path;

use v6kit_net::{Code, Hint};

use crate::description::Difference;

/// What a store or a ledger failed by, whatever it is built on.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a job directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The directory cannot be made, read or written.
    #[error("{} cannot be used", place)]
    Directory {
        /// Where it lies, in words.
        place: String,
        /// What the system said.
        #[source]
        source: BoxError,
    },
    /// It holds files that no crawl has left.
    #[error("{} holds other files and no crawl", place)]
    Foreign {
        /// Where it lies, in words.
        place: String,
    },
    /// There is no ledger in it.
    #[error("{} holds no crawl", place)]
    Missing {
        /// Where it lies, in words.
        place: String,
    },
    /// Another crawl runs in it.
    #[error("another crawl is running in {}", place)]
    Locked {
        /// Where it lies, in words.
        place: String,
    },
    /// It holds another job.
    #[error("{} holds another crawl: {}", place, list(differences))]
    OtherJob {
        /// Where it lies, in words.
        place: String,
        /// In what they differ.
        differences: Vec<Difference>,
    },
    /// It was written by another version.
    #[error("{} was written by another version of v6kit (format {found})", place)]
    Version {
        /// Where it lies, in words.
        place: String,
        /// The number of its format.
        found: i64,
    },
    /// The ledger's content makes no sense.
    #[error("the ledger in {} is damaged: {what}", place)]
    Damaged {
        /// Where it lies, in words.
        place: String,
        /// What was found.
        what: String,
    },
    /// The database failed.
    #[error("the ledger in {} failed", place)]
    Database {
        /// Where it lies, in words.
        place: String,
        /// What the database said.
        #[source]
        source: BoxError,
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
    /// `place` cannot be used.
    pub(crate) fn directory(place: &Path, source: io::Error) -> Self {
        Self::Directory {
            place: place.display().to_string(),
            source: source.into(),
        }
    }

    /// Whether the disk is what failed: full, broken or gone.
    #[must_use]
    pub fn is_disk(&self) -> bool {
        match self {
            Self::Directory { source, .. } | Self::Database { source, .. } => is_disk(source.as_ref()),
            _ => false,
        }
    }
}

/// Whether `error` means that the disk is full, broken or gone.
pub(crate) fn is_disk(error: &(dyn Error + 'static)) -> bool {
    use rusqlite::ErrorCode::{DiskFull, SystemIoFailure};
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return matches!(
            error.raw_os_error(),
            Some(libc::ENOSPC | libc::EDQUOT | libc::EIO | libc::ENODEV | libc::ESTALE)
        );
    }
    let code = error
        .downcast_ref::<rusqlite::Error>()
        .and_then(rusqlite::Error::sqlite_error_code);
    matches!(code, Some(DiskFull | SystemIoFailure))
}

fn is_denied(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
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
            Self::Database { .. } => Code::Ledger,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Directory { source, .. } if is_denied(source.as_ref()) => {
                "choose a directory that you may write to (-o DIR)".to_owned()
            }
            Self::Directory { .. } => "choose another directory (-o DIR)".to_owned(),
            Self::Foreign { .. } => "choose an empty directory, or one that does not exist yet".to_owned(),
            Self::Missing { place } => {
                format!("start one with -o {place}: `v6kit help crawl` shows how")
            }
            Self::Locked { .. } => "wait for it, or interrupt it: it can be resumed".to_owned(),
            Self::OtherJob { .. } => {
                "choose another directory, or repeat the first command to resume it".to_owned()
            }
            Self::Version { .. } => "use that version, or crawl into another directory".to_owned(),
            Self::Damaged { .. } => "the segments are as they were: read them directly, with zstdcat or any reader of their format".to_owned(),
            Self::Database { .. } if self.is_disk() => {
                "make room on the disk, then repeat the command".to_owned()
            }
            Self::Database { .. } => return None,
        })
    }
}
