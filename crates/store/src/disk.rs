//! How much room there is, and how much must stay.

use std::io;
use std::sync::Arc;

use v6kit_base::{Code, Hint};

use crate::segment::{Room, SegmentStore};

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
    place,
    free >> 20,
    kept >> 20,
    needed >> 20
)]
pub struct DiskLow {
    /// Where records are kept.
    pub place: String,
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

/// The room of a store of segments.
#[derive(Debug, Clone)]
pub struct Disk {
    segments: Arc<dyn SegmentStore>,
    keep_free: KeepFree,
    /// Bytes that records in memory may need at most.
    reserve: u64,
}

impl Disk {
    /// The room of `segments`, with `reserve` bytes in memory that may have to go there.
    #[must_use]
    pub fn new(segments: Arc<dyn SegmentStore>, keep_free: KeepFree, reserve: u64) -> Self {
        Self {
            segments,
            keep_free,
            reserve,
        }
    }

    /// What is too little, where what is in memory would not fit beside what must stay free.
    ///
    /// # Errors
    /// What the system said.
    pub fn low(&self) -> io::Result<Option<DiskLow>> {
        if self.keep_free == KeepFree::Bytes(0) {
            return Ok(None);
        }
        let Some(Room { free, size }) = self.segments.room()? else {
            return Ok(None);
        };
        let kept = match self.keep_free {
            KeepFree::Share { of, at_least } => ((size as f64 * of) as u64).max(at_least),
            KeepFree::Bytes(bytes) => bytes,
        };
        if free >= kept.saturating_add(self.reserve) {
            return Ok(None);
        }
        Ok(Some(DiskLow {
            place: self.segments.place(),
            free,
            kept,
            needed: self.reserve,
        }))
    }
}
