//! How much room there is, and how much must stay.

use std::io;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use v6kit_net::{Code, Hint};

/// How much of the file system is left to others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum KeepFree {
    /// This share of it, and at least so many bytes.
    Share {
        /// Of 1.
        of: f64,
        /// In bytes.
        at_least: u64,
    },
    /// So many bytes. 0 goes on until the disk is full.
    Bytes(u64),
}

impl Default for KeepFree {
    /// 5 %, and at least 1 GiB.
    fn default() -> Self {
        Self::Share {
            of: 0.05,
            at_least: 1 << 30,
        }
    }
}

/// Too little room is left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} has {} MiB free, of which {} are to be kept and {} may be needed for what is in memory",
    directory.display(),
    free >> 20,
    kept >> 20,
    needed >> 20
)]
pub struct DiskLow {
    /// The job directory.
    pub directory: PathBuf,
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that must stay so.
    pub kept: u64,
    /// Bytes that records in memory may need.
    pub needed: u64,
}

impl Hint for DiskLow {
    fn code(&self) -> Code {
        Code::DiskFull
    }

    fn hint(&self) -> Option<String> {
        Some("make room, or lower --keep-free; then repeat the command to go on".to_owned())
    }
}

/// The file system of a job directory.
#[derive(Debug, Clone)]
pub struct Disk {
    directory: PathBuf,
    keep_free: KeepFree,
    /// Bytes that records in memory may need at most.
    reserve: u64,
}

impl Disk {
    /// The file system of `directory`, with `reserve` bytes in memory that may have to go there.
    #[must_use]
    pub fn new(directory: &Path, keep_free: KeepFree, reserve: u64) -> Self {
        Self {
            directory: directory.to_owned(),
            keep_free,
            reserve,
        }
    }

    /// Whether what is in memory still fits beside what must stay free.
    ///
    /// # Errors
    /// What statvfs(3) said.
    pub fn check(&self) -> io::Result<Result<(), DiskLow>> {
        if self.keep_free == KeepFree::Bytes(0) {
            return Ok(Ok(()));
        }
        let disk = statvfs(&self.directory)?;
        let free = disk.blocks_available().saturating_mul(disk.fragment_size());
        let size = disk.blocks().saturating_mul(disk.fragment_size());
        let kept = match self.keep_free {
            KeepFree::Share { of, at_least } => ((size as f64 * of) as u64).max(at_least),
            KeepFree::Bytes(bytes) => bytes,
        };
        if free >= kept.saturating_add(self.reserve) {
            return Ok(Ok(()));
        }
        Ok(Err(DiskLow {
            directory: self.directory.clone(),
            free,
            kept,
            needed: self.reserve,
        }))
    }
}

/// Bytes that are free where `directory` lies.
///
/// # Errors
/// What statvfs(3) said.
pub(crate) fn free_space(directory: &Path) -> io::Result<u64> {
    let disk = statvfs(directory)?;
    Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
}
