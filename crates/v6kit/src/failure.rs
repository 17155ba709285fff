//! Exit codes, and what a user reads when a command fails.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use serde::Serialize;
pub(crate) use v6kit_net::chain;
use v6kit_net::{Code, Hint};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything that was asked for.
    Done,
    /// A check failed, or some items did.
    Failed,
    /// Wrong usage or configuration.
    Usage,
    /// Stopped before the disk was full.
    DiskFull,
    /// A capability or permission is missing.
    NotPermitted,
    /// Stopped because the site is refusing.
    Refused,
    /// Ended because nothing is reached from this host; can be resumed (EX_TEMPFAIL, sysexits(3)).
    OutOfService,
    /// Interrupted; can be resumed.
    Interrupted,
    /// The command of `-- CMD` did not run (env(1)).
    NotRun,
    /// The status of a command that was run for the user.
    Child(u8),
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::DiskFull => 3,
            Self::NotPermitted => 4,
            Self::Refused => 18,
            Self::OutOfService => 75,
            Self::NotRun => 125,
            Self::Interrupted => 130,
            Self::Child(code) => code,
        }
    }

    /// The entry of the catalogue for a failure that brings none of its own.
    fn catalogued(self) -> Code {
        match self {
            Self::Usage => Code::Usage,
            Self::DiskFull => Code::DiskFull,
            Self::NotPermitted => Code::NotPermitted,
            Self::Refused => Code::SiteRefused,
            Self::OutOfService => Code::OutOfService,
            Self::Interrupted => Code::Interrupted,
            Self::Done | Self::Failed | Self::NotRun | Self::Child(_) => Code::System,
        }
    }

    /// How the process ends when a file cannot be read or written.
    pub(crate) fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::NotPermitted,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                Self::Usage
            }
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// One line of what failed, one of why, one of what to do.
#[derive(Debug, Serialize, thiserror::Error)]
#[error("{}", self.on_one_line())]
pub(crate) struct Failure {
    #[serde(serialize_with = "exit_code")]
    pub(crate) exit: Exit,
    pub(crate) what: String,
    pub(crate) why: Option<String>,
    pub(crate) hint: Option<String>,
    /// Where the catalogue says more.
    pub(crate) code: Code,
}

fn exit_code<S: serde::Serializer>(exit: &Exit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(exit.code())
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            why: None,
            hint: None,
            code: exit.catalogued(),
        }
    }

    /// `what` failed because of `error`, which brings its own advice.
    pub(crate) fn because<E: Error + Hint>(exit: Exit, what: impl Into<String>, error: &E) -> Self {
        Self {
            exit,
            what: what.into(),
            why: Some(chain(error)),
            hint: error.hint(),
            code: error.code(),
        }
    }

    /// What a user reads of an error that commands passed through: the failure in its chain, or the chain itself.
    pub(crate) fn of(error: anyhow::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(failure) => return failure,
            Err(error) => error,
        };
        let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
        let failure = Self::new(io.map_or(Exit::Failed, Exit::of_io), error.to_string());
        match error.source() {
            Some(cause) => failure.why(chain(cause)),
            None => failure,
        }
    }

    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    pub(crate) fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// All of it for a log.
    pub(crate) fn on_one_line(&self) -> String {
        let Self { what, why, hint, .. } = self;
        let parts = [why.as_deref(), hint.as_deref()];
        parts
            .into_iter()
            .flatten()
            .fold(what.clone(), |line, part| format!("{line}: {part}"))
    }
}
