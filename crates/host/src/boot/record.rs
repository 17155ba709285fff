//! What was there before the wish, on disk before anything of it is written.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use v6kit_net::Prefix;

use super::units::Unit;
use super::{BootError, file};

/// The file in the state directory.
const FILE: &str = "at-boot.json";

/// What `setup --persist` changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The text of the wish's file before; `None`: there was none.
    pub(super) before: Option<String>,
    /// The text that was, or was about to be, written.
    pub(super) after: String,
    /// The prefixes that were wished for.
    pub(super) prefixes: Vec<Prefix>,
    /// The units that were written.
    pub(super) units: Vec<Unit>,
    /// Whether the directory of the file was made.
    pub(super) made_directory: bool,
    /// Whether all was written and enabled.
    pub(super) complete: bool,
}

impl Record {
    pub(super) fn path(state_dir: &Path) -> PathBuf {
        state_dir.join(FILE)
    }

    pub(super) fn read(state_dir: &Path) -> Result<Option<Self>, BootError> {
        let path = Self::path(state_dir);
        file::read(&path)?
            .map(|text| serde_json::from_str(&text).map_err(|source| BootError::Damaged { path, source }))
            .transpose()
    }

    pub(super) fn write(&self, state_dir: &Path) -> Result<(), BootError> {
        let path = Self::path(state_dir);
        let text = serde_json::to_string(self).map_err(|source| BootError::Damaged {
            path: path.clone(),
            source,
        })?;
        file::replace(&path, &format!("{text}\n"))
    }
}
