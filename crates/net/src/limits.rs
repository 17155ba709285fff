//! The limit on open files of this process.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// RLIMIT_NOFILE in file descriptors (getrlimit(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimit {
    /// What is enforced.
    pub soft: u64,
    /// How far an unprivileged process may raise it.
    pub hard: u64,
}

/// What is in force.
///
/// # Errors
/// What getrlimit(2) failed with.
pub fn file_limit() -> io::Result<FileLimit> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(FileLimit { soft, hard })
}

/// How much address space this process may have, in bytes (RLIMIT_AS, getrlimit(2)); `None` where there is no limit.
#[must_use]
pub fn address_space() -> Option<u64> {
    let (soft, _) = getrlimit(Resource::RLIMIT_AS).ok()?;
    // rlim_t is as wide as that everywhere v6kit runs.
    (soft != nix::sys::resource::RLIM_INFINITY).then_some(soft)
}

/// Raises the soft limit on open files to the hard one, and the hard one to `wanted` where this
/// process may (CAP_SYS_RESOURCE), and returns what is in force. Nothing is ever lowered.
///
/// # Errors
/// What getrlimit(2) or setrlimit(2) failed with; not being allowed to raise the hard limit is no error.
pub fn raise_file_limit(wanted: u64) -> io::Result<FileLimit> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if wanted > hard && setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted).is_ok() {
        return Ok(FileLimit {
            soft: wanted,
            hard: wanted,
        });
    }
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(FileLimit { soft: hard, hard })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_follows_the_hard_one() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let limit = raise_file_limit(0).unwrap();
        assert_eq!(limit, FileLimit { soft: hard, hard });
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
    }
}
