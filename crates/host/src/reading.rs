//! What is set up, as every command reads it.

use std::path::Path;

use crate::error::{JournalError, ReadError};
use crate::journal::Journal;
use crate::state_dir;
use crate::summary::Summary;

impl Summary {
    /// What is set up according to the journal in `state_dir`, by which every command judges. `None` when nothing
    /// is set up. Needs no privileges.
    ///
    /// # Errors
    /// [`ReadError`] when there is a journal that cannot be understood, or a setup that was cut off.
    pub fn read(state_dir: &Path) -> Result<Option<Self>, ReadError> {
        let state = match Journal::state_in(state_dir) {
            Ok(Some(state)) => state,
            Ok(None) => {
                state_dir::require_target(state_dir).map_err(ReadError::Away)?;
                return Ok(None);
            }
            // What a later version says of it is good for this one, and so is what may be read.
            Err(JournalError::OtherVersion { .. } | JournalError::Read { .. }) => {
                return Self::of_file(state_dir).map_err(ReadError::Summary);
            }
            Err(error) => return Err(ReadError::Journal(error)),
        };
        let summary = state.summary();
        if !summary.setups.is_empty() {
            return Ok(Some(summary));
        }
        match state.prefixes().into_iter().find(|prefix| !prefix.is_this_host()) {
            Some(prefix) => Err(ReadError::CutOff { prefix }),
            None => Ok(None),
        }
    }
}
