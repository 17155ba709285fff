//! Records on their way to the disk.

use std::cell::RefCell;
use std::time::Instant;

use crate::ledger::Counts;
use crate::record::{Record, RecordWriter};
use crate::turns::Turns;

/// Records that will be committed together, uncompressed.
#[derive(Debug)]
pub(crate) struct Frame {
    /// ndjson.
    pub(crate) records: Vec<u8>,
    turns: Vec<u64>,
    /// How they ended.
    pub(crate) counts: Counts,
    /// When the first of them came.
    since: Option<Instant>,
}

impl Frame {
    fn with_buffers(records: Vec<u8>, turns: Vec<u64>) -> Self {
        Self {
            records,
            turns,
            counts: Counts::default(),
            since: None,
        }
    }

    /// The turns that are recorded in it.
    pub(crate) fn turns(&mut self) -> Turns {
        Turns::from_list(&mut self.turns)
    }
}

/// The one open frame of a shard.
///
/// It takes whatever record comes next, whichever chunk its item belongs to: so no item that takes long
/// keeps others from the disk, and memory holds one frame however many items are under way.
#[derive(Debug)]
pub(crate) struct OpenFrame {
    frame: RefCell<Frame>,
    spare: RefCell<Vec<Frame>>,
    writer: RefCell<RecordWriter>,
    limit: usize,
}

impl OpenFrame {
    /// `limit` is the size in bytes at which a frame counts as full.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            frame: RefCell::new(Frame::with_buffers(Vec::new(), Vec::new())),
            spare: RefCell::default(),
            writer: RefCell::default(),
            limit,
        }
    }

    /// Adds the record of `turn` and says whether the frame is full now, and how many bytes came.
    pub(crate) fn push(&self, turn: u64, record: &Record<'_>) -> (Fill, u64) {
        let mut frame = self.frame.borrow_mut();
        let before = frame.records.len();
        self.writer.borrow_mut().write(record, &mut frame.records);
        frame.turns.push(turn);
        frame.counts.add(record.outcome());
        if frame.since.is_none() {
            frame.since = Some(Instant::now());
        }
        let fill = if frame.records.len() >= self.limit {
            Fill::Full
        } else {
            Fill::Room
        };
        (fill, (frame.records.len() - before) as u64)
    }

    /// Since when the oldest record waits.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.frame.borrow().since
    }

    /// Takes the frame out and opens another, on used buffers where there are some.
    pub(crate) fn take(&self) -> Frame {
        let next = self
            .spare
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Frame::with_buffers(Vec::new(), Vec::new()));
        self.frame.replace(next)
    }

    /// Gives the buffers of a written frame back.
    pub(crate) fn recycle(&self, frame: Frame) {
        let Frame {
            mut records,
            mut turns,
            ..
        } = frame;
        // One large body must not be paid for until the end.
        if records.capacity() <= 2 * self.limit {
            records.clear();
            turns.clear();
            self.spare.borrow_mut().push(Frame::with_buffers(records, turns));
        }
    }
}

/// Whether a frame is worth writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// More records fit.
    Room,
    /// It is.
    Full,
}
