//! Why a program did not run, or was ended.

use std::io;

use nix::errno::Errno;
use v6kit_net::{Code, Hint};

/// Why a program did not run, or was ended.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The system refused something that always works otherwise.
    #[error("cannot {call}")]
    System {
        /// What was tried.
        call: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The program cannot be served.
    #[error("cannot {call}")]
    NotServed {
        /// What was tried.
        call: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The supervisor died, and the program was ended with it.
    #[error(
        "the supervisor ended before the program: all connections failed from then on, and what it served was ended"
    )]
    SupervisorGone,
}

impl ExecError {
    pub(crate) fn system(call: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::System {
            call,
            source: errno.into(),
        }
    }
}

impl Hint for ExecError {
    fn code(&self) -> Code {
        match self {
            Self::System { .. } | Self::NotServed { .. } => Code::System,
            Self::SupervisorGone => Code::SupervisorGone,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::System { .. } | Self::NotServed { .. } => None,
            Self::SupervisorGone => Some(
                "look in the kernel's log (`dmesg`) for a process that was killed for want of memory; nothing left from \
                 another address"
                    .to_owned(),
            ),
        }
    }
}
