//! The job directory: made, recognised and locked.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::durable::sync_directory;
use crate::ledger::LedgerError;

pub(super) const FILE: &str = "ledger.sqlite";
const LOCK: &str = "lock";

/// What the ledger is called until it is whole; what SQLite puts beside it begins so, too.
pub(super) const UNFINISHED: &str = "ledger.sqlite.new";

/// Makes `directory` where there is none, so that its name survives a power cut.
pub(super) fn make_durable(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    let Some(parent) = directory.canonicalize()?.parent().map(Path::to_owned) else {
        return Ok(());
    };
    match sync_directory(&parent) {
        // One may write to it and not read it: then its own writing back has to do.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// The ledger's file, which must be there.
pub(super) fn require_ledger(directory: &Path) -> Result<PathBuf, LedgerError> {
    let path = directory.join(FILE);
    if path.exists() {
        Ok(path)
    } else {
        Err(LedgerError::Missing {
            place: directory.display().to_string(),
        })
    }
}

/// A ledger without a job is refused where files of a crawl lie beside it: its content was lost.
pub(super) fn refuse_lost_ledger(directory: &Path) -> Result<(), LedgerError> {
    let failed = |source| LedgerError::directory(directory, source);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let name = name.to_string_lossy();
        if name != LOCK && !name.starts_with(FILE) {
            return Err(LedgerError::LedgerLost {
                place: directory.display().to_string(),
                file: name.into_owned(),
            });
        }
    }
    Ok(())
}

/// A directory with files and no ledger belongs to somebody else.
pub(super) fn refuse_foreign(directory: &Path) -> Result<(), LedgerError> {
    let failed = |source| LedgerError::directory(directory, source);
    if directory.join(FILE).exists() {
        return Ok(());
    }
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name != LOCK && !name.to_string_lossy().starts_with(UNFINISHED) {
            return Err(LedgerError::Foreign {
                place: directory.display().to_string(),
            });
        }
    }
    Ok(())
}

/// A directory that is locked until this goes: the kernel releases what is locked with the last descriptor, however
/// the process ends.
#[derive(Debug)]
pub(super) struct Locked {
    _file: File,
    /// The directory itself, whose lock cannot be removed.
    _directory: Option<File>,
}

/// Locks `directory`.
pub(super) fn lock(directory: &Path) -> Result<Locked, LedgerError> {
    let failed = |source| LedgerError::directory(directory, source);
    let running = || LedgerError::Locked {
        place: directory.display().to_string(),
    };
    // A link that somebody else made is not followed.
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(directory.join(LOCK))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(running()),
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    // Some network file systems lock no directories: there the file has to do.
    let itself = File::open(directory).map_err(failed)?;
    let itself = match itself.try_lock() {
        Ok(()) => Some(itself),
        Err(TryLockError::WouldBlock) => return Err(running()),
        Err(TryLockError::Error(_)) => None,
    };
    Ok(Locked {
        _file: file,
        _directory: itself,
    })
}
