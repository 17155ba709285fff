//! Why it cannot be told what is set up.

use v6kit_net::{Code, Hint, Prefix};

use super::JournalError;
use crate::state_dir::StateDirError;
use crate::summary::SummaryError;

/// Why it cannot be told what is set up.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(JournalError),
    /// The summary, which stands for a journal of a later version, cannot be used.
    #[error(transparent)]
    Summary(SummaryError),
    /// The state directory is behind a symbolic link whose target is not there.
    #[error(transparent)]
    Away(StateDirError),
    /// The only setup was cut off before its end.
    #[error("the setup of {prefix} was cut off before its end")]
    CutOff {
        /// The prefix.
        prefix: Prefix,
    },
}

impl Hint for ReadError {
    fn code(&self) -> Code {
        match self {
            Self::Journal(error) => error.code(),
            Self::Summary(error) => error.code(),
            Self::Away(error) => error.code(),
            Self::CutOff { .. } => Code::Drifted,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Journal(error) => error.hint(),
            Self::Summary(error) => error.hint(),
            Self::Away(error) => error.hint(),
            Self::CutOff { prefix } => Some(format!(
                "run that setup again, or take back what it did: `sudo v6kit teardown --prefix {prefix}`"
            )),
        }
    }
}
