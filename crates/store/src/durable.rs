//! What makes the names of files outlive a loss of power, for segments and for the ledger.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes the names in `directory` durable.
///
/// # Errors
/// Those of open(2) and fsync(2).
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
