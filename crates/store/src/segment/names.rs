//! Names of files.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// `path` with `.ending` behind it.
pub(super) fn with_ending(path: PathBuf, ending: &str) -> PathBuf {
    let mut path = path.into_os_string();
    path.push(format!(".{ending}"));
    path.into()
}

/// Renames `from` to `to`, which no file has as its name: it would be somebody else's.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // Not every file system has links.
        Err(_) if !to.try_exists()? => fs::rename(from, to),
        Err(error) => Err(error),
    }
}
