//! Records on their way to the disk.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use v6kit_model::Ordinals;

use crate::record::{Record, RecordWriter};
use crate::storage::{Content, Format, Storage};
use crate::warc::WarcWriter;
use v6kit_model::{Counts, Outcome};

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
    /// Where records stand that are not to be kept.
    retracted: Vec<Range<usize>>,
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
            retracted: Vec::new(),
            counts: Counts::default(),
            since: None,
            began: 0,
        }
    }

    /// Takes out what was retracted.
    fn compact(&mut self) {
        self.retracted.sort_by_key(|range| std::cmp::Reverse(range.start));
        for range in std::mem::take(&mut self.retracted) {
            self.records.drain(range.clone());
            self.members.retain(|end| *end <= range.start || *end > range.end);
            for end in self.members.iter_mut().filter(|end| **end > range.end) {
                *end -= range.len();
            }
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
    /// Where nothing is kept.
    Nothing,
}

impl Writer {
    fn new(storage: &Storage, seed: u64) -> Self {
        if storage.content == Content::Nothing {
            return Self::Nothing;
        }
        match storage.format {
            Format::Ndjson | Format::Parquet => Self::Lines(RecordWriter::new(storage)),
            Format::Warc => Self::Warc(WarcWriter::new(storage, Xoshiro256PlusPlus::seed_from_u64(seed))),
        }
    }

    fn write(&mut self, record: &Record<'_>, frame: &mut Frame) {
        match self {
            Self::Lines(writer) => writer.write(record, &mut frame.records),
            Self::Warc(writer) => writer.write(record, &mut frame.records, &mut frame.members),
            Self::Nothing => {}
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
    /// Frames that were taken out.
    taken: Cell<u64>,
}

/// Where a record stands, for as long as its frame is open.
#[derive(Debug, Clone)]
pub struct Mark {
    frame: u64,
    place: Range<usize>,
    ordinal: u64,
    outcome: Outcome,
}

/// What became of a record when it was added.
#[derive(Debug)]
pub struct Pushed {
    /// Whether the frame is full now.
    pub fill: Fill,
    /// How many bytes came.
    pub bytes: u64,
    /// Where it stands.
    pub mark: Mark,
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
            taken: Cell::new(0),
        }
    }

    /// Adds the record of `ordinal`.
    pub fn push(&self, ordinal: u64, record: &Record<'_>) -> Pushed {
        let mut frame = self.frame.borrow_mut();
        let before = frame.records.len();
        if let Some(answer) = &record.answer
            && answer.body.len() > LAST_RECORD
        {
            // Base64 takes a third more. A buffer that grows by itself would be there twice meanwhile.
            frame
                .records
                .reserve_exact(answer.body.len() / 3 * 4 + LAST_RECORD);
        }
        self.writer.borrow_mut().write(record, &mut frame);
        frame.ordinals.push(ordinal);
        frame.counts.add(record.outcome());
        if frame.since.is_none() {
            frame.since = Some(Instant::now());
            frame.began = now_milliseconds();
        }
        let size = frame.records.len() + size_of_val(frame.ordinals.as_slice());
        let fill = if size >= self.limit {
            Fill::Full
        } else {
            Fill::Room
        };
        let place = before..frame.records.len();
        Pushed {
            fill,
            bytes: place.len() as u64,
            mark: Mark {
                frame: self.taken.get(),
                place,
                ordinal,
                outcome: record.outcome(),
            },
        }
    }

    /// Takes a record back, as if it had never come, and says whether it could: not when its frame was taken out.
    pub fn retract(&self, mark: Mark) -> Option<Outcome> {
        let mut frame = self.frame.borrow_mut();
        if mark.frame != self.taken.get() {
            return None;
        }
        let at = frame
            .ordinals
            .iter()
            .rposition(|ordinal| *ordinal == mark.ordinal)?;
        frame.ordinals.swap_remove(at);
        // It was counted when it came.
        frame.counts.subtract_all(&Counts::of_one(mark.outcome, 1))?;
        frame.retracted.push(mark.place);
        if frame.ordinals.is_empty() {
            frame.compact();
            frame.since = None;
        }
        Some(mark.outcome)
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
        self.taken.set(self.taken.get() + 1);
        let mut frame = self
            .frame
            .replace(spare.unwrap_or_else(|| Frame::new(self.limit)));
        frame.compact();
        frame
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn record(position: u64) -> Record<'static> {
        Record {
            position,
            id: None,
            url: "http://h/",
            status: None,
            from: None,
            at: SystemTime::now(),
            took: Duration::ZERO,
            attempts: 1,
            timing: crate::record::Timing::default(),
            final_url: None,
            way: crate::record::Way::default(),
            sent: None,
            answer: None,
            fault: None,
        }
    }

    fn positions(frame: &Frame) -> Vec<u64> {
        let lines = frame.records.split(|byte| *byte == b'\n');
        lines
            .filter(|line| !line.is_empty())
            .map(|line| {
                serde_json::from_slice::<serde_json::Value>(line).unwrap()["pos"]
                    .as_u64()
                    .unwrap()
            })
            .collect()
    }

    #[test]
    fn a_frame_is_full_at_its_limit_and_knows_its_ordinals_whatever_their_order() {
        let bytes = OpenFrame::new(&Storage::default(), 1 << 20, 7)
            .push(1, &record(1))
            .bytes
            + 8;
        let open = OpenFrame::new(&Storage::default(), 2 * bytes as usize + 1, 7);
        assert!(open.since().is_none());
        let fills = [5, 3, 4].map(|n| open.push(n, &record(n)).fill);
        assert_eq!(fills, [Fill::Room, Fill::Room, Fill::Full]);
        let mut frame = open.take();
        assert_eq!(frame.ordinals(), Ordinals::from_range(3..6));
        assert_eq!((frame.counts.of(Outcome::Ok), frame.counts.sum()), (3, 3));
        assert!(open.since().is_none(), "another one is open");
    }

    #[test]
    fn buffers_are_used_again_unless_a_large_body_has_made_them_large() {
        let open = OpenFrame::new(&Storage::default(), 200, 7);
        open.push(0, &record(0));
        open.recycle(open.take());
        assert_eq!(open.spare.borrow().len(), 1);
        assert!(open.take().records.is_empty());
        let url = "u".repeat(LAST_RECORD * 2);
        open.push(
            0,
            &Record {
                url: &url,
                ..record(0)
            },
        );
        open.recycle(open.take());
        assert_eq!(open.spare.borrow().len(), 0);
    }

    #[test]
    fn a_record_that_is_taken_back_was_never_there() {
        let open = OpenFrame::new(&Storage::default(), 1 << 20, 7);
        let mut marks: Vec<Option<Mark>> = (0..6).map(|n| Some(open.push(n, &record(n)).mark)).collect();
        for taken_back in [4, 1, 0] {
            assert_eq!(open.retract(marks[taken_back].take().unwrap()), Some(Outcome::Ok));
        }
        open.push(4, &record(4));
        let mut frame = open.take();
        assert_eq!(positions(&frame), [2, 3, 5, 4]);
        assert_eq!((frame.counts.sum(), frame.ordinals().count()), (4, 4));
        assert_eq!(
            open.retract(marks[5].take().unwrap()),
            None,
            "its frame is on its way to the disk"
        );
        let mark = open.push(9, &record(9)).mark;
        open.retract(mark);
        assert!(open.since().is_none() && open.take().records.is_empty());
    }

    #[test]
    fn where_nothing_is_kept_items_are_counted_and_their_numbers_fill_the_frame() {
        let storage = Storage {
            content: Content::Nothing,
            ..Storage::default()
        };
        let open = OpenFrame::new(&storage, 24, 7);
        let mut pushed = [5, 3, 4].map(|n| open.push(n, &record(n)));
        assert_eq!(pushed.each_ref().map(|pushed| pushed.bytes), [0; 3]);
        assert_eq!(
            pushed.each_ref().map(|pushed| pushed.fill),
            [Fill::Room, Fill::Room, Fill::Full]
        );
        let [.., last] = &mut pushed;
        assert_eq!(open.retract(last.mark.clone()), Some(Outcome::Ok));
        let mut frame = open.take();
        assert_eq!((frame.counts.sum(), frame.records.len()), (2, 0));
        let mut expected = vec![3, 5];
        assert_eq!(frame.ordinals(), Ordinals::from_list(&mut expected));
    }

    #[test]
    fn members_of_warc_stay_whole() {
        let storage = Storage {
            format: Format::Warc,
            ..Storage::default()
        };
        let open = OpenFrame::new(&storage, 1 << 20, 7);
        let marks: Vec<Mark> = (0..4).map(|n| open.push(n, &record(n)).mark).collect();
        open.retract(marks[1].clone());
        let frame = open.take();
        assert_eq!(frame.members.last(), Some(&frame.records.len()));
        let mut start = 0;
        for end in &frame.members {
            assert!(
                frame.records[start..*end].starts_with(b"WARC/1.1\r\n"),
                "{start}..{end}"
            );
            start = *end;
        }
    }
}
