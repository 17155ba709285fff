//! From full frames to committed ones.

mod merge;

use std::io;
use std::path::Path;
use std::sync::Arc;

use v6kit_base::{Code, Hint};

pub use self::merge::small_files;
use self::merge::{MergeAt, Until};
use crate::disk::{Disk, DiskLow};
use crate::encoder::Encoder;
use crate::frame::{Frame, now_milliseconds};
use crate::ledger::{BoxError, Commit, CommittedFrame, FramePlace, HeldLeases, Ledger, LedgerError};
use crate::segment::{SegmentSink, SegmentStore};
use crate::storage::{Compression, Content, Format, Storage};
use crate::trouble::Trouble;

/// Why records cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A segment cannot be written.
    #[error("cannot write to {place}")]
    Segment {
        /// Where the segments lie, in words.
        place: String,
        /// What the system said.
        #[source]
        source: BoxError,
    },
    /// Another worker has leased what was fetched.
    #[error("another worker has taken over items that were fetched here")]
    Fenced,
    /// The ledger cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl StoreError {
    /// `segments` cannot be written.
    #[must_use]
    pub fn segment(segments: &dyn SegmentStore, source: io::Error) -> Self {
        Self::Segment {
            place: segments.place(),
            source: source.into(),
        }
    }

    /// Whether the disk is full or broken.
    #[must_use]
    pub fn is_disk(&self) -> bool {
        match self {
            Self::Segment { source, .. } => Trouble::of(source.as_ref()).is_disk(),
            Self::Fenced => false,
            Self::Ledger(error) => error.is_disk(),
        }
    }
}

impl Hint for StoreError {
    fn code(&self) -> Code {
        match self {
            Self::Segment { source, .. } => Trouble::of(source.as_ref()).code(),
            Self::Fenced => Code::Ledger,
            Self::Ledger(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Segment { source, .. } => Some(Trouble::of(source.as_ref()).hint().to_owned()),
            Self::Fenced => Some("repeat the command to go on".to_owned()),
            Self::Ledger(error) => error.hint(),
        }
    }
}

/// Segments are rolled when they have this many bytes.
const SEGMENT_BYTES: u64 = 256 << 20;

/// Encodes frames, appends them to the shard's segment, and commits them. Blocks on the disk.
#[derive(Debug)]
pub struct Archive {
    ledger: Arc<dyn Ledger>,
    segments: Arc<dyn SegmentStore>,
    leases: HeldLeases,
    format: Format,
    content: Content,
    encoder: Encoder,
    segment: Option<Box<dyn SegmentSink>>,
    disk: Disk,
    encoded: Vec<u8>,
    /// What the present segment begins with, until it is there.
    preamble: Vec<u8>,
    /// Files of a frame each that are to become one.
    loose: Vec<CommittedFrame>,
    merge_at: MergeAt,
    /// A segment of this length is not added to.
    roll_at: u64,
}

/// What a commit came to.
#[derive(Debug)]
pub struct Committed {
    /// Bytes on the disk.
    pub bytes: u64,
    /// Too little room is left for more.
    pub low: Option<DiskLow>,
}

impl Archive {
    /// Writes to new segments of `segments`, and tells `ledger`, under the `leases` that are held.
    #[must_use]
    pub fn new(
        ledger: Arc<dyn Ledger>,
        segments: Arc<dyn SegmentStore>,
        leases: HeldLeases,
        disk: Disk,
        storage: &Storage,
        compression: Compression,
    ) -> Self {
        let &Storage { format, content, .. } = storage;
        Self {
            ledger,
            segments,
            leases,
            format,
            content,
            encoder: Encoder::new(format, compression),
            segment: None,
            disk,
            encoded: Vec::new(),
            preamble: Vec::new(),
            loose: Vec::new(),
            merge_at: MergeAt::default(),
            roll_at: SEGMENT_BYTES,
        }
    }

    /// Commits a frame: first the data on the disk, then the ledger that says so.
    ///
    /// # Errors
    /// [`StoreError`]; the frame is not committed then.
    pub fn commit(&mut self, frame: &mut Frame) -> Result<Committed, StoreError> {
        let ordinals = frame.ordinals();
        let written = match self.content {
            Content::Nothing => {
                let first = ordinals.hull().map_or(0, |hull| hull.start);
                self.disk.low().map(|low| (FramePlace::nowhere(first), low))
            }
            Content::Meta | Content::Body | Content::BodyAndHeaders => self.write(frame),
        };
        let (place, low) = written.map_err(|source| StoreError::segment(&*self.segments, source))?;
        let frame = CommittedFrame {
            place,
            ordinals,
            counts: frame.counts,
            span: frame.began..now_milliseconds().max(frame.began),
            checksum: crc32fast::hash(&self.encoded),
        };
        match self.ledger.commit(&frame, &self.leases.fences())? {
            Commit::Recorded | Commit::Already => self.leases.settle(&frame.ordinals),
            Commit::Fenced => return Err(StoreError::Fenced),
        }
        if self.format == Format::Parquet && !place.is_nowhere() {
            self.loose.push(frame);
            if low.is_none() {
                self.merge(Until::Full);
            }
        }
        Ok(Committed {
            bytes: place.length,
            low,
        })
    }

    fn write(&mut self, frame: &Frame) -> io::Result<(FramePlace, Option<DiskLow>)> {
        let place = match self.format {
            Format::Parquet => {
                self.encoder.encode(frame, &mut self.encoded)?;
                let mut segment = self.segments.create()?;
                let place = segment.append(&self.encoded)?;
                segment.seal()?;
                place
            }
            Format::Ndjson | Format::Warc => self.append(frame)?,
        };
        Ok((place, self.disk.low()?))
    }

    /// Appends `frame` to the present segment, or to a new one when that is full. Records may name the file that they
    /// lie in, so that this is known before they are encoded.
    fn append(&mut self, frame: &Frame) -> io::Result<FramePlace> {
        let full = self.segment.take_if(|segment| segment.length() >= self.roll_at);
        if let Some(full) = full {
            full.seal()?;
        }
        let segment = match &mut self.segment {
            Some(segment) => segment,
            vacant => {
                let segment = vacant.insert(self.segments.create()?);
                let name = self.segments.name(segment.number());
                let file = Path::new(&name).file_name().unwrap_or_default();
                self.preamble = self.encoder.preamble(&file.to_string_lossy())?;
                segment
            }
        };
        self.encoder.encode(frame, &mut self.encoded)?;
        self.encoded.splice(..0, self.preamble.iter().copied());
        let place = segment.append(&self.encoded)?;
        // Until there it is missing, however often that fails.
        self.preamble.clear();
        Ok(place)
    }
}

#[cfg(test)]
mod tests;
