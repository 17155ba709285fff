//! Small files that become larger ones, which readers of tables are made for.

use std::io::{self, Read as _};

use super::{Archive, StoreError};
use crate::ledger::{CommittedFrame, FramePlace, LedgerError, SqliteLedger};
use crate::segment::SegmentSink;
use crate::storage::Format;

/// When small files become one.
#[derive(Debug, Clone, Copy)]
pub(super) struct MergeAt {
    /// With so many records together: the least that readers of Parquet are made for in a row group.
    pub(super) records: u64,
    /// With so many bytes together, which are in memory then.
    bytes: u64,
}

impl MergeAt {
    const RECORDS: u64 = 100_000;
    const BYTES: u64 = 64 << 20;

    /// How many of `loose` make one file.
    fn reached(&self, loose: &[CommittedFrame], until: Until) -> Option<usize> {
        let (mut records, mut bytes) = (0, 0);
        for (index, frame) in loose.iter().enumerate() {
            records += frame.counts.sum();
            bytes += frame.place.length;
            if records >= self.records || bytes >= self.bytes {
                return Some(index + 1);
            }
        }
        (until == Until::Empty && loose.len() > 1).then_some(loose.len())
    }
}

impl Default for MergeAt {
    fn default() -> Self {
        Self {
            records: Self::RECORDS,
            bytes: Self::BYTES,
        }
    }
}

/// How far files are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// As long as they make files of the right size.
    Full,
    /// Whatever there is.
    Empty,
}

/// The files of a frame each that a crawl in `ledger` left, to be merged with others.
///
/// # Errors
/// [`LedgerError`].
pub fn small_files(ledger: &SqliteLedger, format: Format) -> Result<Vec<CommittedFrame>, LedgerError> {
    if format != Format::Parquet {
        return Ok(Vec::new());
    }
    ledger.small_frames(MergeAt::RECORDS, MergeAt::BYTES)
}

/// One frame with the records of `small`.
fn joined(small: &[CommittedFrame], segment: u64, length: u64, checksum: u32) -> CommittedFrame {
    let mut merged = CommittedFrame::at(FramePlace {
        segment,
        offset: 0,
        length,
    });
    merged.checksum = checksum;
    let began = small.iter().map(|frame| frame.span.start).min();
    let ended = small.iter().map(|frame| frame.span.end).max();
    merged.span = began.unwrap_or(0)..ended.unwrap_or(0);
    for frame in small {
        merged.ordinals.add(&frame.ordinals);
        merged.counts.add_all(&frame.counts);
    }
    merged
}

/// A segment that is written in parts, with the sum of its bytes.
struct SummedSink {
    sink: Box<dyn SegmentSink>,
    checksum: crc32fast::Hasher,
}

impl SummedSink {
    fn new(sink: Box<dyn SegmentSink>) -> Self {
        Self {
            sink,
            checksum: crc32fast::Hasher::new(),
        }
    }
}

impl io::Write for SummedSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.append(bytes)?;
        self.checksum.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Archive {
    /// Small files of earlier runs, which become larger ones with those of this run.
    pub fn adopt(&mut self, small: Vec<CommittedFrame>) {
        self.loose.splice(..0, small);
    }

    /// Nothing more comes: what is left of small files becomes larger ones.
    pub fn close(&mut self) {
        while self.merge(Until::Full) {}
        self.merge(Until::Empty);
    }

    /// Makes one file of those that are large enough together, or of all; whether there were such. What is committed
    /// stays so, whatever becomes of it: a failure is told, and the small files stay.
    pub(super) fn merge(&mut self, until: Until) -> bool {
        let Some(count) = self.merge_at.reached(&self.loose, until) else {
            return false;
        };
        let small: Vec<CommittedFrame> = self.loose.drain(..count).collect();
        // One that is large enough by itself stays as it is.
        if small.len() > 1
            && let Err(error) = self.merge_frames(&small)
        {
            tracing::warn!("segments in {} are not merged: {error}", self.segments.place());
        }
        true
    }

    fn merge_frames(&mut self, small: &[CommittedFrame]) -> Result<(), StoreError> {
        let failed = |source| StoreError::segment(&*self.segments, source);
        let mut files = Vec::with_capacity(small.len());
        for frame in small {
            let mut file = Vec::with_capacity(frame.place.length as usize);
            let mut bytes = self.segments.open(frame.place).map_err(failed)?;
            bytes.read_to_end(&mut file).map_err(failed)?;
            files.push(file.into());
        }
        let mut merged = SummedSink::new(self.segments.create().map_err(failed)?);
        let number = merged.sink.number();
        self.encoder.merge(files, &mut merged).map_err(failed)?;
        let (length, checksum) = (merged.sink.length(), merged.checksum.finalize());
        merged.sink.seal().map_err(failed)?;
        let merged = joined(small, number, length, checksum);
        let old: Vec<FramePlace> = small.iter().map(|frame| frame.place).collect();
        let replaced = self.ledger.replace(&old, &merged);
        let needless = match &replaced {
            Ok(true) => old.iter().map(|place| place.segment).collect(),
            Ok(false) | Err(_) => vec![number],
        };
        for number in needless {
            // The ledger has its records elsewhere or not at all; the next crawl would set it aside.
            let _ = self.segments.remove(number);
        }
        replaced.map(drop).map_err(StoreError::from)
    }
}
