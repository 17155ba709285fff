//! From full frames to committed ones, behind the back of the slots.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::Hint;
use crate::frame::Frame;
use crate::ledger::{CommittedFrame, Ledger, LedgerError, is_disk};
use crate::segment::Segment;

/// Frames that may wait for the disk before slots wait too.
pub(crate) const QUEUE: usize = 2;

/// Why records cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A segment cannot be written.
    #[error("cannot write to {}", directory.display())]
    Segment {
        /// The job directory.
        directory: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The shard's runtime cannot be built.
    #[error("a shard cannot be started")]
    Runtime {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The ledger cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl StoreError {
    /// Whether the disk is full, broken or gone.
    #[must_use]
    pub fn is_disk(&self) -> bool {
        match self {
            Self::Segment { source, .. } => is_disk(source),
            Self::Runtime { .. } => false,
            Self::Ledger(error) => error.is_disk(),
        }
    }
}

impl Hint for StoreError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Segment { .. } => {
                Some("make room on the disk, then repeat the command to go on".to_owned())
            }
            Self::Runtime { .. } => Some("raise the limit on open files, or use fewer --threads".to_owned()),
            Self::Ledger(error) => error.hint(),
        }
    }
}

/// The frames of a shard that wait for the disk.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    frames: RefCell<VecDeque<Frame>>,
    closed: Cell<bool>,
    arrived: Notify,
    room: Notify,
    failed: Notify,
}

impl Backlog {
    /// Adds a frame.
    pub(crate) fn push(&self, frame: Frame) {
        self.frames.borrow_mut().push_back(frame);
        self.arrived.notify_one();
    }

    /// No frame will follow.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.arrived.notify_one();
    }

    /// Nothing more can be written.
    pub(crate) fn fail(&self) {
        self.failed.notify_one();
    }

    /// Waits until nothing more can be written.
    pub(crate) async fn failed(&self) {
        self.failed.notified().await;
    }

    /// Waits while the disk is behind.
    pub(crate) async fn room(&self) {
        while self.frames.borrow().len() > QUEUE {
            self.room.notified().await;
        }
    }

    /// The next frame, or `None` after the last.
    pub(crate) async fn next(&self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.frames.borrow_mut().pop_front() {
                self.room.notify_waiters();
                return Some(frame);
            }
            if self.closed.get() {
                return None;
            }
            self.arrived.notified().await;
        }
    }
}

/// Compresses frames, appends them to the shard's segment, and commits them. Blocks on the disk.
#[derive(Debug)]
pub(crate) struct Archive {
    ledger: Arc<dyn Ledger>,
    directory: PathBuf,
    level: i32,
    compressor: Option<Compressor>,
    segment: Option<Segment>,
    compressed: Vec<u8>,
}

/// A zstd context, which is large enough to be kept.
struct Compressor(zstd::bulk::Compressor<'static>);

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Compressor")
    }
}

impl Archive {
    pub(crate) fn new(ledger: Arc<dyn Ledger>, directory: PathBuf, level: i32) -> Self {
        Self {
            ledger,
            directory,
            level,
            compressor: None,
            segment: None,
            compressed: Vec::new(),
        }
    }

    /// Commits a frame: first the data on the disk, then the ledger that says so. Returns the bytes stored.
    pub(crate) fn commit(&mut self, frame: &mut Frame) -> Result<u64, StoreError> {
        let failed = |source| StoreError::Segment {
            directory: self.directory.clone(),
            source,
        };
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            vacant => vacant.insert(Compressor::new(self.level).map_err(failed)?),
        };
        compressor
            .compress(&frame.records, &mut self.compressed)
            .map_err(failed)?;
        let segment = match &mut self.segment {
            Some(segment) => segment,
            vacant => {
                vacant.insert(Segment::create(&self.directory, self.ledger.next_segment()).map_err(failed)?)
            }
        };
        let place = segment.append(&self.compressed).map_err(failed)?;
        self.ledger.commit(&CommittedFrame {
            place,
            turns: frame.turns(),
            counts: frame.counts,
        })?;
        Ok(place.length)
    }
}

impl Compressor {
    fn new(level: i32) -> io::Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(level)?;
        compressor.include_checksum(true)?;
        Ok(Self(compressor))
    }

    fn compress(&mut self, records: &[u8], compressed: &mut Vec<u8>) -> io::Result<()> {
        compressed.clear();
        compressed.reserve(zstd::zstd_safe::compress_bound(records.len()));
        self.0.compress_to_buffer(records, compressed).map(drop)
    }
}
