//! The open files that every command needs.

use v6kit_net::{Code, FileLimit, file_limit, raise_file_limit};

use crate::failure::{Exit, Failure};

/// With fewer, commands fail in the middle, wherever the limit is met, and say something else of it.
const LEAST: u64 = 32;

/// Raises the limit of this process where it is too low to begin with.
///
/// # Errors
/// It cannot be raised far enough.
pub(crate) fn require() -> Result<(), Failure> {
    // A limit that cannot be read is met where it is met.
    let Ok(limit) = file_limit() else { return Ok(()) };
    match limit {
        FileLimit { soft, .. } if soft >= LEAST => Ok(()),
        FileLimit { hard, .. } => match raise_file_limit(LEAST.max(hard)) {
            Ok(FileLimit { soft, .. }) if soft >= LEAST => Ok(()),
            _ => Err(Failure::new(Exit::Failed, "nothing was begun")
                .why(format!("this process may have {hard} files open, and needs {LEAST} at least"))
                .hint("raise the limit: `ulimit -n 1024`, LimitNOFILE= of the unit, or `--ulimit nofile=1024` of the container")
                .code(Code::OpenFiles)),
        },
    }
}
