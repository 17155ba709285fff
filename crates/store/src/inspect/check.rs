//! Reading everything back, and opening again what is damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::Path;

use v6kit_base::{Code, Hint};
use v6kit_model::{Counts, Ordinals, VisitOrder};

use crate::inspect::reading::{ReadError, for_each_line, is_replaced, visit_order};
use crate::job_directory::JobDirectory;
use crate::ledger::{BoxError, Catalog, CommittedFrame, FramePlace, LedgerError};
use crate::line::LineHead;
use crate::segment::{SegmentSink, SegmentStore};
use crate::storage::Format;

/// How often a check begins anew because frames were merged meanwhile.
const MOST_TIMES: u32 = 10;

/// Bytes that a repair copies at once.
const COPIED_AT_ONCE: u64 = 8 << 20;

/// Why a check or a repair does not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The ledger cannot be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What is whole cannot be copied from beside what is damaged.
    #[error("{segment} cannot be repaired")]
    Copy {
        /// The segment, in words.
        segment: String,
        /// What the system said.
        #[source]
        source: BoxError,
    },
}

impl Hint for CheckError {
    fn code(&self) -> Code {
        match self {
            Self::Ledger(error) => error.code(),
            Self::Copy { .. } => Code::DiskFull,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Ledger(error) => error.hint(),
            Self::Copy { .. } => Some("nothing was changed; make room on the disk and repeat".to_owned()),
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct Check {
    /// Frames that were read.
    pub frames: u64,
    /// Items whose records were found as the ledger has them.
    pub items: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// What is wrong.
    pub damages: Vec<Damage>,
}

/// A frame that is not as the ledger has it.
#[derive(Debug, Clone)]
pub struct Damage {
    /// The segment, in words.
    pub segment: String,
    /// The frame.
    pub place: FramePlace,
    /// Where in the segment the damage begins, as far as that can be told; otherwise where the frame does.
    pub at: u64,
    /// How many items have their records in it.
    pub items: u64,
    /// What is wrong.
    pub what: String,
}

/// Reads every committed record in `directory` and compares it with the ledger. A crawl may be running.
///
/// # Errors
/// [`CheckError`].
pub fn check(directory: &Path) -> Result<Check, CheckError> {
    check_all(&JobDirectory::read(directory)?)
}

/// [`check`], after which the items of damaged frames are open again. The other frames of their segments
/// are copied to new ones.
///
/// # Errors
/// [`CheckError`]. No record has been changed then.
pub fn repair(directory: &Path) -> Result<Check, CheckError> {
    let job = JobDirectory::reopen(directory)?;
    let JobDirectory {
        ledger,
        segments: store,
    } = &job;
    let found = check_all(&job)?;
    let lost: Vec<FramePlace> = found.damages.iter().map(|damage| damage.place).collect();
    if lost.is_empty() {
        return Ok(found);
    }
    let segments: BTreeSet<u64> = lost.iter().map(|place| place.segment).collect();
    let mut whole: BTreeMap<u64, Vec<FramePlace>> = BTreeMap::new();
    for (frame, _) in ledger.frames_within(0..u64::MAX)? {
        if segments.contains(&frame.place.segment) && !lost.contains(&frame.place) {
            whole.entry(frame.place.segment).or_default().push(frame.place);
        }
    }
    let foreign = foreign_among(&job, &segments)?;
    let mut moved = Vec::new();
    for (segment, places) in &mut whole {
        places.sort_by_key(|place| place.offset);
        copy(&**store, *segment, places, &mut moved)?;
    }
    ledger.rearrange(&lost, &moved)?;
    for &segment in &segments {
        // No longer in the ledger: the next crawl would set it aside as well.
        // Where no row is whole it may be another's, also where it is too short to compare.
        let _ = if foreign.contains(&segment) || !whole.contains_key(&segment) {
            store.set_aside(segment).map(drop)
        } else {
            store.remove(segment)
        };
    }
    Ok(found)
}

/// Those of `segments` that may be files of others.
fn foreign_among(job: &JobDirectory, segments: &BTreeSet<u64>) -> Result<BTreeSet<u64>, CheckError> {
    let mut known = job.ledger.committed_segments()?;
    known.retain(|number, _| segments.contains(number));
    let mut foreign = BTreeSet::new();
    while let Some(number) = job
        .segments
        .first_foreign(&known)
        .map_err(|source| LedgerError::directory(&job.directory(), source))?
    {
        known.remove(&number);
        foreign.insert(number);
    }
    Ok(foreign)
}

fn check_all(job: &JobDirectory) -> Result<Check, CheckError> {
    job.require_format()?;
    check_once(job, 1)
}

/// Checks all frames for the `times`th time: a crawl that is running may merge some before they were read.
fn check_once(job: &JobDirectory, times: u32) -> Result<Check, CheckError> {
    let JobDirectory { ledger, segments } = job;
    ledger.check()?;
    let (visit_order, description) = visit_order(&**ledger)?;
    let frames = Frames {
        segments: &**segments,
        format: description.format(),
        visit_order,
    };
    let mut found = Check::default();
    for (frame, _) in ledger.frames_within(0..u64::MAX)? {
        if frame.place.is_nowhere() {
            found.frames += 1;
            found.items += frame.counts.sum();
            continue;
        }
        let result = frames.check(&frame);
        if let Err(error) = &result
            && times < MOST_TIMES
            && is_replaced(&**ledger, &frame, error)?
        {
            return check_once(job, times + 1);
        }
        found.frames += 1;
        found.bytes += frame.place.length;
        match result.map_err(|error| words(&error)) {
            Ok(()) => found.items += frame.counts.sum(),
            Err(what) => found.damages.push(Damage {
                segment: segments.name(frame.place.segment),
                place: frame.place,
                at: frame.place.offset + frames.intact_bytes(&frame),
                items: frame.counts.sum(),
                what,
            }),
        }
    }
    Ok(found)
}

/// What is wrong with a frame, whose place is told beside it.
fn words(error: &ReadError) -> String {
    match error {
        ReadError::Frame { source, .. } => source.to_string(),
        error => error.to_string(),
    }
}

/// The frames of a job, and what they should hold.
struct Frames<'a> {
    segments: &'a dyn SegmentStore,
    format: Format,
    visit_order: VisitOrder,
}

impl Frames<'_> {
    fn check(&self, frame: &CommittedFrame) -> Result<(), ReadError> {
        let failed = |source: io::Error| ReadError::Frame {
            segment: self.segments.name(frame.place.segment),
            offset: frame.place.offset,
            source,
        };
        let checksum = self.checksum(frame).map_err(failed)?;
        if checksum != frame.checksum {
            return Err(failed(io::Error::other(
                "its bytes are not those that were written (CRC-32 differs)",
            )));
        }
        let mut ordinals = Vec::new();
        let mut counts = Counts::default();
        let mut unreadable: u64 = 0;
        for_each_line(self.segments, self.format, frame, &mut |line| {
            match LineHead::read(line) {
                Some(head) => {
                    ordinals.push(self.visit_order.ordinal(head.position));
                    counts.add(head.outcome);
                }
                None => unreadable += 1,
            }
            Ok(())
        })?;
        let records = ordinals.len() as u64;
        if unreadable > 0 {
            Err(failed(io::Error::other(format!(
                "{unreadable} records cannot be read"
            ))))
        } else if records != frame.counts.sum()
            || counts != frame.counts
            || Ordinals::from_list(&mut ordinals) != frame.ordinals
        {
            Err(failed(io::Error::other(format!(
                "it holds {records} records, and not the {} that the ledger has",
                frame.counts.sum()
            ))))
        } else {
            Ok(())
        }
    }

    /// How many bytes at the beginning of a row are zstd frames that can be read.
    fn intact_bytes(&self, frame: &CommittedFrame) -> u64 {
        let mut bytes = Vec::new();
        if self.format != Format::Ndjson
            || self
                .segments
                .open(frame.place)
                .and_then(|mut file| file.read_to_end(&mut bytes))
                .is_err()
        {
            return 0;
        }
        let mut at = 0;
        while at < bytes.len()
            && let Ok(length) = zstd::zstd_safe::find_frame_compressed_size(&bytes[at..])
            && zstd::stream::copy_decode(&bytes[at..at + length], io::sink()).is_ok()
        {
            at += length;
        }
        at as u64
    }

    fn checksum(&self, frame: &CommittedFrame) -> io::Result<u32> {
        let mut bytes = self.segments.open(frame.place)?;
        let mut hasher = crc32fast::Hasher::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match bytes.read(&mut buffer)? {
                0 => return Ok(hasher.finalize()),
                read => hasher.update(&buffer[..read]),
            }
        }
    }
}

/// Copies frames of one segment to a new one, and notes where each has gone.
fn copy(
    store: &dyn SegmentStore,
    segment: u64,
    places: &[FramePlace],
    moved: &mut Vec<(FramePlace, FramePlace)>,
) -> Result<(), CheckError> {
    copy_frames(store, places, moved).map_err(|source| CheckError::Copy {
        segment: store.name(segment),
        source: source.into(),
    })
}

fn copy_frames(
    store: &dyn SegmentStore,
    places: &[FramePlace],
    moved: &mut Vec<(FramePlace, FramePlace)>,
) -> io::Result<()> {
    let mut sink = store.create()?;
    let number = sink.number();
    let copied = copy_to(store, places, &mut *sink, moved).and_then(|()| sink.seal());
    if copied.is_err() {
        // Nothing in it is committed, and its room may be what is missing.
        let _ = store.remove(number);
    }
    copied
}

fn copy_to(
    store: &dyn SegmentStore,
    places: &[FramePlace],
    sink: &mut dyn SegmentSink,
    moved: &mut Vec<(FramePlace, FramePlace)>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut rest = places;
    while !rest.is_empty() {
        // As many as fit are written at once, and one at least.
        bytes.clear();
        let mut taken = 0;
        while let Some(place) = rest.get(taken)
            && (taken == 0 || bytes.len() as u64 + place.length <= COPIED_AT_ONCE)
        {
            store.open(*place)?.read_to_end(&mut bytes)?;
            taken += 1;
        }
        let mut to = sink.append(&bytes)?;
        for &place in &rest[..taken] {
            to.length = place.length;
            moved.push((place, to));
            to.offset += place.length;
        }
        rest = &rest[taken..];
    }
    Ok(())
}
