//! Why a ledger cannot be used.

use std::error::Error;
use std::io;
use std::path::Path;

use v6kit_base::{Code, Hint};

use crate::description::{Description, Difference};
use crate::storage::{BUILD_WITH_ALL, Format};
use crate::trouble::Trouble;

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
    /// Its records are of a form that this build cannot read.
    #[error(
        "{} holds {format} records, and this build of v6kit lacks the feature `{format}`",
        place
    )]
    NotBuiltIn {
        /// Where it lies, in words.
        place: String,
        /// Their form, which is the name of the feature too.
        format: Format,
    },
    /// The ledger's content makes no sense.
    #[error("the ledger in {} is damaged: {what}", place)]
    Damaged {
        /// Where it lies, in words.
        place: String,
        /// What was found.
        what: String,
    },
    /// A segment is not there, or shorter than what was committed to it.
    #[error("{segment} is missing or cut short: it holds records of this job")]
    SegmentLost {
        /// Where the job lies, in words.
        place: String,
        /// The segment.
        segment: String,
    },
    /// A segment does not hold what was committed to it: one of the two is of another job, or it is damaged.
    #[error("{segment} does not hold the bytes that the ledger tells of")]
    SegmentForeign {
        /// Where the job lies, in words.
        place: String,
        /// The segment.
        segment: String,
    },
    /// The list does not begin with the one that the job began with.
    #[error("the list does not begin with the list of the job in {}", place)]
    NotGrown {
        /// Where it lies, in words.
        place: String,
    },
    /// The order of the items depends on how many there are.
    #[error(
        "the items of the job in {} are visited in a shuffled order, which cannot grow",
        place
    )]
    Shuffled {
        /// Where it lies, in words.
        place: String,
    },
    /// Files of a crawl are there, and the ledger knows nothing.
    #[error(
        "the ledger in {} is empty, and there are files of a crawl beside it, such as {file}",
        place
    )]
    LedgerLost {
        /// Where it lies, in words.
        place: String,
        /// One of them.
        file: String,
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

    /// Whether the disk is full or broken.
    #[must_use]
    pub fn is_disk(&self) -> bool {
        self.trouble().is_some_and(Trouble::is_disk)
    }

    fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Directory { source, .. } | Self::Database { source, .. } => {
                Some(Trouble::of(source.as_ref()))
            }
            _ => None,
        }
    }
}

impl Hint for LedgerError {
    fn code(&self) -> Code {
        match self {
            Self::Directory { source, .. } => Trouble::of(source.as_ref()).code(),
            Self::SegmentLost { .. } | Self::SegmentForeign { .. } => Code::RecordsDamaged,
            Self::LedgerLost { .. } => Code::LedgerDamaged,
            Self::Foreign { .. } => Code::ForeignDirectory,
            Self::Missing { .. } => Code::NoCrawl,
            Self::Locked { .. } => Code::CrawlRunning,
            Self::OtherJob { .. } | Self::NotGrown { .. } | Self::Shuffled { .. } => Code::OtherJob,
            Self::Version { .. } => Code::OtherVersion,
            Self::NotBuiltIn { .. } => Code::NotBuiltIn,
            Self::Damaged { .. } => Code::LedgerDamaged,
            Self::Database { source, .. } => match Trouble::of(source.as_ref()) {
                Trouble::Full => Code::DiskFull,
                _ => Code::Ledger,
            },
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Directory { source, .. } => match Trouble::of(source.as_ref()) {
                trouble @ (Trouble::Full | Trouble::Broken | Trouble::Denied | Trouble::TooManyFiles) => {
                    trouble.hint().to_owned()
                }
                Trouble::ReadOnly | Trouble::Gone | Trouble::Other => "choose another directory (-o DIR)".to_owned(),
            },
            Self::SegmentLost { place, .. } => {
                format!("put the file back, or fetch its items again: `v6kit crawl check {} --repair`", v6kit_base::shell_word(place))
            }
            Self::SegmentForeign { place, .. } => format!(
                "nothing was changed. Put the ledger and the segments of one job back together; or set the file aside and \
                 fetch its items again: `v6kit crawl check {} --repair`",
                v6kit_base::shell_word(place)
            ),
            Self::LedgerLost { .. } => "put ledger.sqlite back with the ledger.sqlite-wal beside it, or choose another \
                                        directory: the segments are as they were, and any reader of their format reads \
                                        them"
                .to_owned(),
            Self::Foreign { .. } => "choose an empty directory, or one that does not exist yet".to_owned(),
            Self::Missing { place } => {
                format!("start one with -o {place}: `v6kit help crawl` shows how")
            }
            Self::Locked { .. } => "wait for it, or interrupt it: it can be resumed".to_owned(),
            Self::NotGrown { .. } => {
                "--append is for lines that were added at the end: put the first lines back as they were, or choose another \
                 directory (-o DIR)"
                    .to_owned()
            }
            Self::Shuffled { .. } => "crawl what was added into another directory (-o DIR)".to_owned(),
            Self::OtherJob { differences, .. }
                if matches!(&differences[..], [Difference { name, .. }] if name == Description::LIST) =>
            {
                "put the list back as it was; or add --append, where lines were added at its end; or choose another \
                 directory"
                    .to_owned()
            }
            Self::OtherJob { .. } => {
                "choose another directory, or repeat the first command to resume it".to_owned()
            }
            Self::NotBuiltIn { .. } => format!("{BUILD_WITH_ALL}; or read the files with any other reader of their format"),
            Self::Version { .. } => "use that version, or crawl into another directory".to_owned(),
            Self::Damaged { .. } => "the segments are as they were: read them directly, with zstdcat or any reader of their format".to_owned(),
            Self::Database { source, .. } => match Trouble::of(source.as_ref()) {
                Trouble::Other => return None,
                trouble => trouble.hint().to_owned(),
            },
        })
    }
}
