//! Records on their way to the disk.

use std::cell::RefCell;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use v6kit_model::Ordinals;

use crate::record::{Record, RecordWriter};
use crate::storage::{Format, Storage};
use crate::warc::WarcWriter;
use v6kit_model::Counts;

/// Room behind the limit for the record that reaches it.
const LAST_RECORD: usize = 64 << 10;

/// Records that will be committed together, uncompressed.
#[derive(Debug)]
pub struct Frame {
    /// Lines of JSON, or records of WARC.
    pub(crate) records: Vec<u8>,
    /// Where each record of WARC ends.
    pub(crate) members: Vec<usize>,
    ordinals: Vec<u64>,
    /// How they ended.
    pub counts: Counts,
    /// When the first of them came: since then it waits.
    since: Option<Instant>,
    /// The same, in milliseconds since 1970.
    pub(crate) began: u64,
}

impl Frame {
    /// Memory that is never written to costs nothing, and buffers that grow leave holes behind.
    fn new(limit: usize) -> Self {
        Self::with_buffers(Vec::with_capacity(limit + LAST_RECORD), Vec::new())
    }

    fn with_buffers(records: Vec<u8>, ordinals: Vec<u64>) -> Self {
        Self {
            records,
            members: Vec::new(),
            ordinals,
            counts: Counts::default(),
            since: None,
            began: 0,
        }
    }

    /// The ordinals that are recorded in it.
    pub(crate) fn ordinals(&mut self) -> Ordinals {
        Ordinals::from_list(&mut self.ordinals)
    }
}

/// Writes records in the form that frames are encoded from.
#[derive(Debug)]
enum Writer {
    /// For ndjson and for tables.
    Lines(RecordWriter),
    Warc(WarcWriter),
}

impl Writer {
    fn new(storage: &Storage, seed: u64) -> Self {
        match storage.format {
            Format::Ndjson | Format::Parquet => Self::Lines(RecordWriter::new(storage)),
            Format::Warc => Self::Warc(WarcWriter::new(Xoshiro256PlusPlus::seed_from_u64(seed))),
        }
    }

    fn write(&mut self, record: &Record<'_>, frame: &mut Frame) {
        match self {
            Self::Lines(writer) => writer.write(record, &mut frame.records),
            Self::Warc(writer) => writer.write(record, &mut frame.records, &mut frame.members),
        }
    }
}

/// The one open frame of a shard.
///
/// It takes whatever record comes next, whichever chunk its item belongs to: so no item that takes long
/// keeps others from the disk, and memory holds one frame however many items are under way.
#[derive(Debug)]
pub struct OpenFrame {
    frame: RefCell<Frame>,
    spare: RefCell<Vec<Frame>>,
    writer: RefCell<Writer>,
    limit: usize,
}

impl OpenFrame {
    /// `limit` is the size in bytes at which a frame counts as full; `seed` makes the names of WARC records.
    #[must_use]
    pub fn new(storage: &Storage, limit: usize, seed: u64) -> Self {
        Self {
            frame: RefCell::new(Frame::new(limit)),
            spare: RefCell::default(),
            writer: RefCell::new(Writer::new(storage, seed)),
            limit,
        }
    }

    /// Adds the record of `ordinal` and says whether the frame is full now, and how many bytes came.
    pub fn push(&self, ordinal: u64, record: &Record<'_>) -> (Fill, u64) {
        let mut frame = self.frame.borrow_mut();
        let before = frame.records.len();
        self.writer.borrow_mut().write(record, &mut frame);
        frame.ordinals.push(ordinal);
        frame.counts.add(record.outcome());
        if frame.since.is_none() {
            frame.since = Some(Instant::now());
            frame.began = now_milliseconds();
        }
        let fill = if frame.records.len() >= self.limit {
            Fill::Full
        } else {
            Fill::Room
        };
        (fill, (frame.records.len() - before) as u64)
    }

    /// Since when the oldest record waits.
    #[must_use]
    pub fn since(&self) -> Option<Instant> {
        self.frame.borrow().since
    }

    /// Takes the frame out and opens another, on used buffers where there are some.
    #[must_use]
    pub fn take(&self) -> Frame {
        let spare = self.spare.borrow_mut().pop();
        self.frame
            .replace(spare.unwrap_or_else(|| Frame::new(self.limit)))
    }

    /// Gives the buffers of a written frame back.
    pub fn recycle(&self, frame: Frame) {
        let Frame {
            mut records,
            mut ordinals,
            ..
        } = frame;
        // One large body must not be paid for until the end.
        if records.capacity() <= self.limit + LAST_RECORD {
            records.clear();
            ordinals.clear();
            self.spare
                .borrow_mut()
                .push(Frame::with_buffers(records, ordinals));
        }
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a frame is worth writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// More records fit.
    Room,
    /// It is.
    Full,
}
