//! Why nothing was arranged for the next boot.

use std::io;
use std::path::{Path, PathBuf};

use v6kit_net::{Code, Hint, shell_path};

use super::HOST_FILE;
use crate::state_dir::StateDirError;

/// Why nothing was arranged for the next boot.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A file cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written or removed.
    #[error("{} cannot be written", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file that is there is not TOML.
    #[error("{HOST_FILE} is not TOML: {message}")]
    NotToml {
        /// Where and how.
        message: String,
    },
    /// The tables of the file are something else.
    #[error("`setup` in {HOST_FILE} is not a list of tables")]
    NotTables,
    /// The record is damaged.
    #[error("{} is damaged", .path.display())]
    Damaged {
        /// The record.
        path: PathBuf,
        /// Where and how.
        #[source]
        source: serde_json::Error,
    },
    /// The running binary is no place for a service.
    #[error("{} is no program for a service: {why}", .path.display())]
    Binary {
        /// The binary.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// SELinux keeps services from running the binary.
    #[error("{} has the SELinux label {label}, and services may not run what is labelled so", .path.display())]
    Label {
        /// The binary.
        path: PathBuf,
        /// Its label: user, role, type and level.
        label: String,
    },
    /// A unit of the same name is there already.
    #[error("{} is there already and not ours", .path.display())]
    ForeignUnit {
        /// The unit.
        path: PathBuf,
    },
    /// systemd refused.
    #[error("`systemctl {words}` failed: {said}")]
    Systemctl {
        /// What was asked.
        words: String,
        /// What it said.
        said: String,
    },
    /// The state directory.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
}

impl BootError {
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }
}

impl Hint for BootError {
    fn code(&self) -> Code {
        match self {
            Self::StateDir(error) => error.code(),
            _ => Code::AtBoot,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read { .. } => "run it as root: `sudo v6kit …`".to_owned(),
            Self::Write { path, .. } => {
                let directory = path.parent().unwrap_or(path);
                format!("check the disk and the permissions of {}", directory.display())
            }
            Self::NotToml { .. } | Self::NotTables => {
                format!(
                    "mend {HOST_FILE}, or move it away; `v6kit setup --config {HOST_FILE} --dry-run` checks it"
                )
            }
            Self::Damaged { path, .. } => format!(
                "it holds what {HOST_FILE} was before setup: read it there, then remove {}",
                path.display()
            ),
            Self::Binary { path, .. } => format!(
                "install it first: `sudo install {} /usr/local/bin/v6kit`, then run that",
                shell_path(path)
            ),
            Self::Label { path, .. } => format!("`sudo restorecon {}`", shell_path(path)),
            Self::ForeignUnit { path } => {
                format!(
                    "enable it by hand with `sudo systemctl enable --now v6kit-setup.service`, or remove {}",
                    path.display()
                )
            }
            Self::Systemctl { .. } => {
                "`systemctl status v6kit-setup.service` and `journalctl -u v6kit-setup` say more".to_owned()
            }
            Self::StateDir(error) => return error.hint(),
        })
    }
}
