//! Why the journal cannot be used.

use std::io;
use std::path::PathBuf;

use v6kit_net::{Code, Hint};

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It exists and cannot be read.
    #[error("the journal {} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("the journal {} cannot be written", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line in the middle is no event.
    #[error("line {line} of the journal {} is damaged", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Where and how.
        #[source]
        source: serde_json::Error,
    },
    /// It was written in another network namespace of this boot.
    #[error("{} belongs to another network namespace{}", .path.display(), if *.is_held { ", which is still there" } else { "" })]
    OtherNamespace {
        /// The file.
        path: PathBuf,
        /// Whether something holds that namespace; false where that cannot be seen from here.
        is_held: bool,
    },
    /// A later v6kit wrote it.
    #[error("{} was written by another version of v6kit (format {version})", .path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// The format of the line that is not known here.
        version: u32,
        /// The latest that is.
        known: u32,
    },
}

impl Hint for JournalError {
    fn code(&self) -> Code {
        match self {
            Self::Read { .. } | Self::Write { .. } | Self::Damaged { .. } => Code::Journal,
            Self::OtherNamespace { .. } => Code::OtherNamespace,
            Self::OtherVersion { .. } => Code::OtherVersion,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotADirectory => {
                "name a directory: --state-dir DIR".to_owned()
            }
            Self::Read { .. } => "run it as root: `sudo v6kit …`".to_owned(),
            Self::Write { path, .. } => format!("check the disk and the permissions of {}", path.display()),
            Self::Damaged { path, .. } => format!(
                "it holds the original values: read them there, put them back by hand, then remove {}",
                path.display()
            ),
            Self::OtherNamespace { is_held: true, .. } => {
                "run v6kit in that namespace, or use another --state-dir".to_owned()
            }
            Self::OtherNamespace { path, .. } => format!(
                "run v6kit in that namespace, or use another --state-dir; whether it is still there cannot be seen from here, and if it is not: `sudo rm -f {} {}`",
                path.display(),
                crate::limits::FILE
            ),
            Self::OtherVersion { known, .. } => format!(
                "use the v6kit that set this host up, or a later one: this is {} and knows formats up to {known}",
                env!("CARGO_PKG_VERSION")
            ),
        })
    }
}
