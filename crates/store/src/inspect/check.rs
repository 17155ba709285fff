//! Reading everything back, and opening again what is damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use v6kit_model::{Counts, Ordinals, VisitOrder};
use v6kit_net::{Code, Hint};

use crate::inspect::reading::{ReadError, for_each_line, open, visit_order};
use crate::ledger::{CommittedFrame, FramePlace, Ledger, LedgerError, SqliteLedger};
use crate::line::LineHead;
use crate::segment::{Segment, sync_directory};
use crate::storage::Format;

/// Why a check or a repair does not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The ledger cannot be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What is whole cannot be copied from beside what is damaged.
    #[error("{} cannot be repaired", path.display())]
    Copy {
        /// The segment.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
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
    /// The segment.
    pub path: PathBuf,
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
    check_all(&SqliteLedger::read(directory)?)
}

/// [`check`], after which the items of damaged frames are open again. The other frames of their segments
/// are copied to new ones.
///
/// # Errors
/// [`CheckError`]. Nothing has been changed then.
pub fn repair(directory: &Path) -> Result<Check, CheckError> {
    let ledger = SqliteLedger::reopen(directory)?;
    let found = check_all(&ledger)?;
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
    let mut moved = Vec::new();
    for (segment, places) in &mut whole {
        places.sort_by_key(|place| place.offset);
        copy(&ledger, *segment, places, &mut moved)?;
    }
    ledger.rearrange(&lost, &moved)?;
    for &segment in &segments {
        // No longer in the ledger: the next crawl would remove it as well.
        let _ = fs::remove_file(Segment::path(directory, segment, ledger.format()));
    }
    Ok(found)
}

fn check_all(ledger: &SqliteLedger) -> Result<Check, CheckError> {
    ledger.check()?;
    let (visit_order, _) = visit_order(ledger)?;
    let mut found = Check::default();
    for (frame, _) in ledger.frames_within(0..u64::MAX)? {
        found.frames += 1;
        found.bytes += frame.place.length;
        match check_frame(ledger, &visit_order, &frame) {
            Ok(()) => found.items += frame.counts.sum(),
            Err(what) => found.damages.push(Damage {
                path: ledger.segment_path(frame.place),
                place: frame.place,
                at: frame.place.offset + intact_bytes(ledger, &frame),
                items: frame.counts.sum(),
                what,
            }),
        }
    }
    Ok(found)
}

fn check_frame(
    ledger: &SqliteLedger,
    visit_order: &VisitOrder,
    frame: &CommittedFrame,
) -> Result<(), String> {
    let checksum = checksum(ledger, frame).map_err(|error| error.to_string())?;
    if checksum != frame.checksum {
        return Err("its bytes are not those that were written (CRC-32 differs)".to_owned());
    }
    let mut ordinals = Vec::new();
    let mut counts = Counts::default();
    let mut unreadable: u64 = 0;
    for_each_line(ledger, frame, &mut |line| {
        match LineHead::read(line) {
            Some(head) => {
                ordinals.push(visit_order.ordinal(head.position));
                counts.add(head.outcome);
            }
            None => unreadable += 1,
        }
        Ok(())
    })
    .map_err(|error| match error {
        ReadError::Frame { source, .. } => source.to_string(),
        error => error.to_string(),
    })?;
    let records = ordinals.len() as u64;
    if unreadable > 0 {
        Err(format!("{unreadable} records cannot be read"))
    } else if records != frame.counts.sum()
        || counts != frame.counts
        || Ordinals::from_list(&mut ordinals) != frame.ordinals
    {
        Err(format!(
            "it holds {records} records, and not the {} that the ledger has",
            frame.counts.sum()
        ))
    } else {
        Ok(())
    }
}

/// How many bytes at the beginning of a row are zstd frames that can be read.
fn intact_bytes(ledger: &SqliteLedger, frame: &CommittedFrame) -> u64 {
    let mut bytes = Vec::new();
    if ledger.format() != Format::Ndjson
        || open(ledger, frame)
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

fn checksum(ledger: &SqliteLedger, frame: &CommittedFrame) -> io::Result<u32> {
    let mut bytes = open(ledger, frame)?;
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match bytes.read(&mut buffer)? {
            0 => return Ok(hasher.finalize()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// Copies frames of one segment to a new one, and notes where each has gone.
fn copy(
    ledger: &SqliteLedger,
    segment: u64,
    places: &[FramePlace],
    moved: &mut Vec<(FramePlace, FramePlace)>,
) -> Result<(), CheckError> {
    let directory = ledger.directory();
    let number = ledger.next_segment();
    let path = Segment::path(directory, number, ledger.format());
    let copied = copy_frames(ledger, places, number, &path, moved).and_then(|()| sync_directory(directory));
    copied.map_err(|source| {
        let _ = fs::remove_file(&path);
        CheckError::Copy {
            path: Segment::path(directory, segment, ledger.format()),
            source,
        }
    })
}

fn copy_frames(
    ledger: &SqliteLedger,
    places: &[FramePlace],
    number: u64,
    path: &Path,
    moved: &mut Vec<(FramePlace, FramePlace)>,
) -> io::Result<()> {
    let mut file: File = OpenOptions::new().append(true).create_new(true).open(path)?;
    let mut offset = 0;
    for &place in places {
        io::copy(&mut open(ledger, &CommittedFrame::at(place))?, &mut file)?;
        let to = FramePlace {
            segment: number,
            offset,
            length: place.length,
        };
        offset += place.length;
        moved.push((place, to));
    }
    file.sync_all()
}
