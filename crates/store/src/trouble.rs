//! What is wrong where a job directory lies, and what to do about it.

use std::error::Error;
use std::io;

use v6kit_base::Code;

/// Why the system refuses to read or write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No room, or none for this user, or a limit on the size of files (errno(3): ENOSPC, EDQUOT, EFBIG).
    Full,
    /// The file system takes no writes.
    ReadOnly,
    /// The directory or a file in it is no longer there.
    Gone,
    /// The device reports errors, or is gone.
    Broken,
    /// Not permitted.
    Denied,
    /// The process may open no more files.
    TooManyFiles,
    /// Something else.
    Other,
}

impl Trouble {
    /// By what the system or SQLite said, wherever in the chain of causes that stands.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            match Self::of_one(error) {
                Self::Other => cause = error.source(),
                trouble => return trouble,
            }
        }
        Self::Other
    }

    fn of_one(error: &(dyn Error + 'static)) -> Self {
        use rusqlite::ErrorCode;
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return match error.raw_os_error() {
                Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => Self::Full,
                Some(libc::EROFS) => Self::ReadOnly,
                Some(libc::ENOENT | libc::ENOTDIR | libc::ESTALE) => Self::Gone,
                Some(libc::EIO | libc::ENODEV | libc::ENXIO) => Self::Broken,
                Some(libc::EACCES | libc::EPERM) => Self::Denied,
                Some(libc::EMFILE | libc::ENFILE) => Self::TooManyFiles,
                None if error.kind() == io::ErrorKind::NotFound => Self::Gone,
                _ => Self::Other,
            };
        }
        let code = error
            .downcast_ref::<rusqlite::Error>()
            .and_then(rusqlite::Error::sqlite_error_code);
        match code {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::SystemIoFailure) => Self::Broken,
            Some(ErrorCode::PermissionDenied) => Self::Denied,
            _ => Self::Other,
        }
    }

    /// Whether the disk is full or broken: nothing can be kept until somebody has looked after it.
    pub(crate) fn is_disk(self) -> bool {
        matches!(self, Self::Full | Self::Broken)
    }

    pub(crate) fn code(self) -> Code {
        match self {
            Self::Full => Code::DiskFull,
            _ => Code::JobDirectory,
        }
    }

    /// What to do before the command is repeated.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Full => "make room on the disk, then repeat the command to go on",
            Self::ReadOnly => {
                "the file system takes no writes: `dmesg` says why; make it writable again, then repeat the command \
                 to go on"
            }
            Self::Gone => {
                "the directory or a file in it was moved or removed: put it back, then repeat the command to go on"
            }
            Self::Broken => {
                "the disk reports errors: see `dmesg`, copy the directory to another disk, then repeat the command to \
                 go on"
            }
            Self::Denied => "choose a directory that you may write to (-o DIR)",
            Self::TooManyFiles => {
                "raise the limit of open files with `ulimit -n`, then repeat the command to go on"
            }
            Self::Other => "what was committed is safe: repeat the command to go on",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_found_below_what_wraps_it() {
        let full =
            rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None);
        let ledger = crate::ledger::LedgerError::Database {
            place: "job".to_owned(),
            source: full.into(),
        };
        assert_eq!(Trouble::of(&io::Error::other(ledger)), Trouble::Full);
    }

    #[test]
    fn only_a_full_disk_is_full() {
        for (errno, trouble) in [
            (libc::ENOSPC, Trouble::Full),
            (libc::EDQUOT, Trouble::Full),
            (libc::EFBIG, Trouble::Full),
            (libc::EROFS, Trouble::ReadOnly),
            (libc::ENOENT, Trouble::Gone),
            (libc::EIO, Trouble::Broken),
            (libc::EMFILE, Trouble::TooManyFiles),
            (libc::EINVAL, Trouble::Other),
        ] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(Trouble::of(&error), trouble, "{error}");
            assert_eq!(trouble.hint().contains("make room"), trouble == Trouble::Full);
        }
    }
}
