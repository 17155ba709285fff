//! Why the journal cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use v6kit_net::{Code, Hint, Prefix, shell_path};

use crate::netlink::PROTOCOL;
use crate::summary;

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
    /// It is shorter than it was when setup finished.
    #[error("the journal {} was emptied, cut or removed: setup of {} had written more", .path.display(), listed(.prefixes))]
    Cut {
        /// The file.
        path: PathBuf,
        /// What the summary beside it says is set up.
        prefixes: Vec<Prefix>,
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
            Self::Read { .. } | Self::Write { .. } | Self::Damaged { .. } | Self::Cut { .. } => Code::Journal,
            Self::OtherNamespace { .. } => Code::OtherNamespace,
            Self::OtherVersion { .. } => Code::OtherVersion,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotADirectory => {
                "name a directory: --state-dir DIR".to_owned()
            }
            Self::Read { source, .. } if source.kind() == io::ErrorKind::InvalidData => {
                "put back the file that setup wrote, which says what was there before it; or move away what is there now".to_owned()
            }
            Self::Read { .. } => "run it as root: `sudo v6kit …`".to_owned(),
            Self::Write { path, .. } => format!("check the disk and the permissions of {}", path.display()),
            Self::Damaged { path, .. } => format!(
                "the values before setup are in what is left of {}; {}",
                path.display(),
                without_journal(path)
            ),
            Self::Cut { path, .. } => without_journal(path),
            Self::OtherNamespace { is_held: true, .. } => {
                "run v6kit in that namespace, or use another --state-dir".to_owned()
            }
            Self::OtherNamespace { path, .. } => format!(
                "run v6kit in that namespace, or use another --state-dir; whether it is still there cannot be seen from here, and if it is not: `{}`",
                removal(path)
            ),
            Self::OtherVersion { known, .. } => format!(
                "use the v6kit that set this host up, or a later one: this is {} and knows formats up to {known}",
                env!("CARGO_PKG_VERSION")
            ),
        })
    }
}

fn listed(prefixes: &[Prefix]) -> String {
    if prefixes.is_empty() {
        return "a prefix that cannot be told any more".to_owned();
    }
    let texts: Vec<String> = prefixes.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

/// The command that takes the files of a setup away. The journal alone knows what was there before: it is kept beside.
fn removal(journal: &Path) -> String {
    let mut kept = journal.as_os_str().to_owned();
    kept.push(".old");
    format!(
        "sudo mv -f {} {}; sudo rm -f {} {}",
        shell_path(journal),
        shell_path(Path::new(&kept)),
        shell_path(&journal.with_file_name(summary::FILE)),
        crate::limits::FILE
    )
}

/// What is left to do where nobody knows any more what setup changed.
fn without_journal(path: &Path) -> String {
    format!(
        "this removes its routes, its firewall table and its files but for the journal, which is kept under another name, after which setup can be run again (sysctls stay as they are until the next boot): `sudo ip -6 route flush table all proto {PROTOCOL}; sudo nft 'add table inet v6kit; delete table inet v6kit'; {}`",
        removal(path)
    )
}
