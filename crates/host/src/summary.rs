//! What is set up, for commands without privileges.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use v6kit_net::{Code, Hint, Prefix};

/// The file beside the journal.
pub(crate) const FILE: &str = "summary.json";
/// Written first and renamed, so that a reader never sees half a summary.
const NEW_FILE: &str = "summary.json.new";

/// What is set up on this host: a world-readable digest of the journal.
///
/// ```json
/// {"setups":[{"prefix":"2001:db8:1:2::/64","device":"eth0","route_device":"lo","boot_id":"…"}]}
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The prefixes that are set up, the latest first.
    pub setups: Vec<SetUp>,
    /// How many lines the journal had when this was written, by which one that was cut is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_lines: Option<u64>,
}

/// One prefix that is set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetUp {
    /// The prefix.
    pub prefix: Prefix,
    /// The device that the prefix is routed to.
    pub device: String,
    /// The index of that device, which stays when it is renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_index: Option<u32>,
    /// The device that carries the local route, mostly `lo`.
    pub route_device: String,
    /// /proc/sys/kernel/random/boot_id at the time. After another boot only files are left of it.
    pub boot_id: String,
    /// Whether it is undone when the last command that uses it has ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_programs: bool,
}

/// Why there is no summary to read or write.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    /// The file exists and cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("{} cannot be written", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not what setup writes.
    #[error("{} is damaged", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and how.
        #[source]
        source: serde_json::Error,
    },
}

impl Hint for SummaryError {
    fn code(&self) -> Code {
        match self {
            Self::Read { .. } | Self::Write { .. } | Self::Damaged { .. } => Code::Summary,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read { path, .. } => {
                format!("give --prefix, or check the permissions of {}", path.display())
            }
            Self::Write { path, .. } => format!("check the directory of {}", path.display()),
            Self::Damaged { .. } => "give --prefix, or run setup again, which writes it anew".to_owned(),
        })
    }
}

impl SetUp {
    /// Whether it was done since this host was booted.
    #[must_use]
    pub fn is_of_this_boot(&self) -> bool {
        crate::place::boot_id().is_ok_and(|boot| boot == self.boot_id)
    }
}

impl Summary {
    /// What the file says.
    pub(crate) fn of_file(state_dir: &Path) -> Result<Option<Self>, SummaryError> {
        let path = state_dir.join(FILE);
        let text = match crate::regular::read(&path) {
            Ok(text) => text,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(SummaryError::Read { path, source }),
        };
        let summary: Self =
            serde_json::from_slice(&text).map_err(|source| SummaryError::Damaged { path, source })?;
        Ok(Some(summary).filter(|summary| !summary.setups.is_empty()))
    }

    /// The prefix that was set up last.
    #[must_use]
    pub fn latest(&self) -> Option<&SetUp> {
        self.setups.first()
    }

    /// Replaces the summary in `state_dir`, or removes it when nothing is set up.
    pub(crate) fn write(&self, state_dir: &Path) -> Result<(), SummaryError> {
        let path = state_dir.join(FILE);
        if self.setups.is_empty() {
            return remove(&state_dir.join(NEW_FILE)).and_then(|()| remove(&path));
        }
        self.replace(state_dir, &path)
            .map_err(|source| SummaryError::Write { path, source })
    }

    fn replace(&self, state_dir: &Path, path: &Path) -> io::Result<()> {
        let new = state_dir.join(NEW_FILE);
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        // A leftover of a killed run may have other permissions.
        fs::remove_file(&new).or_else(ignore_missing)?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&new)?;
        file.write_all(&text)?;
        // The umask of whoever runs setup does not decide who may read it.
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.sync_data()?;
        fs::rename(&new, path)
    }
}

fn remove(path: &Path) -> Result<(), SummaryError> {
    fs::remove_file(path)
        .or_else(ignore_missing)
        .map_err(|source| SummaryError::Write {
            path: path.to_owned(),
            source,
        })
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_up(prefix: &str) -> SetUp {
        SetUp {
            prefix: prefix.parse().unwrap(),
            device: "eth0".to_owned(),
            device_index: Some(2),
            route_device: "lo".to_owned(),
            boot_id: "b".to_owned(),
            for_programs: false,
        }
    }

    #[test]
    fn a_summary_is_read_as_it_was_written_and_readable_by_all() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Summary::of_file(dir.path()).unwrap(), None);
        let summary = Summary {
            setups: vec![set_up("2001:db8:2::/64"), set_up("2001:db8:1::/64")],
            journal_lines: None,
        };
        summary.write(dir.path()).unwrap();
        assert_eq!(Summary::of_file(dir.path()).unwrap().as_ref(), Some(&summary));
        assert_eq!(summary.latest(), summary.setups.first());
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o644);
    }

    #[test]
    fn an_empty_summary_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let summary = Summary {
            setups: vec![set_up("2001:db8::/64")],
            journal_lines: None,
        };
        summary.write(dir.path()).unwrap();
        Summary::default().write(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        Summary::default().write(dir.path()).unwrap();
    }

    #[test]
    fn a_damaged_summary_is_named_and_not_taken_for_none() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "{\"setups\":[{").unwrap();
        assert!(matches!(
            Summary::of_file(dir.path()),
            Err(SummaryError::Damaged { .. })
        ));
    }
}
