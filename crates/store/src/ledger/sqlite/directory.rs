//! The job directory: made, recognised and locked.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::ledger::LedgerError;
use crate::segment::sync_directory;

pub(super) const FILE: &str = "ledger.sqlite";
const LOCK: &str = "lock";

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

/// A directory with files and no ledger belongs to somebody else.
pub(super) fn refuse_foreign(directory: &Path) -> Result<(), LedgerError> {
    let failed = |source| LedgerError::directory(directory, source);
    if directory.join(FILE).exists() {
        return Ok(());
    }
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name != LOCK {
            return Err(LedgerError::Foreign {
                place: directory.display().to_string(),
            });
        }
    }
    Ok(())
}

/// Locks the directory until the result goes.
pub(super) fn lock(directory: &Path) -> Result<Flock<File>, LedgerError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join(LOCK))
        .map_err(|source| LedgerError::directory(directory, source))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        nix::errno::Errno::EWOULDBLOCK => LedgerError::Locked {
            place: directory.display().to_string(),
        },
        errno => LedgerError::directory(directory, errno.into()),
    })
}
