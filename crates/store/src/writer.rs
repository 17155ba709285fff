//! From full frames to committed ones.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use v6kit_net::{Code, Hint};

use crate::disk::{Disk, DiskLow};
use crate::encoder::Encoder;
use crate::frame::{Frame, now_milliseconds};
use crate::ledger::{CommittedFrame, FramePlace, Ledger, LedgerError, is_disk};
use crate::segment::Segment;
use crate::storage::{Compression, Format};

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
    fn code(&self) -> Code {
        match self {
            Self::Segment { .. } => Code::DiskFull,
            Self::Runtime { .. } => Code::Thread,
            Self::Ledger(error) => error.code(),
        }
    }

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

/// Segments are rolled at this many bytes.
const SEGMENT_BYTES: u64 = 256 << 20;

/// Encodes frames, appends them to the shard's segment, and commits them. Blocks on the disk.
#[derive(Debug)]
pub struct Archive {
    ledger: Arc<dyn Ledger>,
    directory: PathBuf,
    format: Format,
    encoder: Encoder,
    segment: Option<Segment>,
    disk: Disk,
    encoded: Vec<u8>,
    /// A segment is not added to beyond this length.
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
    /// Writes to new segments of `directory`, and tells `ledger`.
    #[must_use]
    pub fn new(
        ledger: Arc<dyn Ledger>,
        format: Format,
        compression: Compression,
        directory: PathBuf,
        disk: Disk,
    ) -> Self {
        Self {
            ledger,
            directory,
            format,
            encoder: Encoder::new(format, compression),
            segment: None,
            disk,
            encoded: Vec::new(),
            roll_at: SEGMENT_BYTES,
        }
    }

    /// Commits a frame: first the data on the disk, then the ledger that says so.
    ///
    /// # Errors
    /// [`StoreError`]; the frame is not committed then.
    pub fn commit(&mut self, frame: &mut Frame) -> Result<Committed, StoreError> {
        let (place, low) = self.write(frame).map_err(|source| StoreError::Segment {
            directory: self.directory.clone(),
            source,
        })?;
        self.ledger.commit(&CommittedFrame {
            place,
            ordinals: frame.ordinals(),
            counts: frame.counts,
            span: frame.began..now_milliseconds().max(frame.began),
            checksum: crc32fast::hash(&self.encoded),
        })?;
        Ok(Committed {
            bytes: place.length,
            low,
        })
    }

    fn write(&mut self, frame: &Frame) -> io::Result<(FramePlace, Option<DiskLow>)> {
        self.encoder.encode(frame, &mut self.encoded)?;
        let place = match self.format {
            Format::Parquet => {
                let number = self.ledger.next_segment();
                Segment::write_whole(&self.directory, number, self.format, &self.encoded)?
            }
            Format::Ndjson | Format::Warc => self.segment_with_room()?,
        };
        Ok((place, self.disk.check()?.err()))
    }

    /// Appends what is encoded to the present segment, or to a new one when that is full.
    fn segment_with_room(&mut self) -> io::Result<FramePlace> {
        let length = self.encoded.len() as u64;
        self.segment
            .take_if(|segment| segment.length() + length > self.roll_at);
        let segment = match &mut self.segment {
            Some(segment) => segment,
            vacant => {
                self.encoded.splice(..0, self.encoder.preamble()?);
                let number = self.ledger.next_segment();
                vacant.insert(Segment::create(&self.directory, number, self.format)?)
            }
        };
        segment.append(&self.encoded)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::frame::OpenFrame;
    use crate::ledger::{Extent, SqliteLedger};
    use crate::record::Record;
    use crate::{Check, KeepFree, Reach, Selection, Storage, cat, check};
    use v6kit_model::{ErrorKind, Fault};

    const COMPRESSION: Compression = Compression {
        level: 3,
        reach: Reach::OfLevel,
    };

    /// Commits ten frames of one record each, with segments rolled at `roll_at` bytes.
    fn store_ten(directory: &std::path::Path, format: Format, compression: Compression, roll_at: u64) {
        let description = serde_json::json!({ "format": format.as_str() });
        let description = serde_json::from_value(description).unwrap();
        let extent = Extent {
            items: 10,
            visited: 10,
        };
        let ledger = Arc::new(SqliteLedger::open(directory, &description, extent).unwrap());
        let disk = Disk::new(directory, KeepFree::Bytes(0), 0);
        let mut archive = Archive::new(ledger, format, compression, directory.to_owned(), disk);
        archive.roll_at = roll_at;
        let open = OpenFrame::new(
            &Storage {
                format,
                ..Storage::default()
            },
            1,
            7,
        );
        let fault = Fault::new(ErrorKind::Dns, "no such name");
        for ordinal in 0..10 {
            let record = Record {
                position: ordinal,
                id: None,
                url: "http://h/",
                status: None,
                from: None,
                at: SystemTime::now(),
                took: Duration::ZERO,
                attempts: 1,
                final_url: None,
                sent: None,
                answer: None,
                fault: Some(&fault),
            };
            open.push(ordinal, &record);
            archive.commit(&mut open.take()).unwrap();
        }
    }

    fn lines(directory: &std::path::Path) -> usize {
        let mut out = Vec::new();
        cat(directory, &Selection::default(), &mut out).unwrap();
        out.iter().filter(|&&byte| byte == b'\n').count()
    }

    #[test]
    fn a_full_segment_is_followed_by_another() {
        for format in [Format::Ndjson, Format::Warc] {
            for (roll_at, segments) in [(1 << 20, 1), (1, 10)] {
                let directory = tempfile::tempdir().unwrap();
                store_ten(directory.path(), format, COMPRESSION, roll_at);
                let found = (1..20)
                    .filter(|&number| Segment::path(directory.path(), number, format).exists())
                    .count();
                assert_eq!(found, segments, "{format}");
                assert_eq!(lines(directory.path()), 10);
                let Check { items, damages, .. } = check(directory.path()).unwrap();
                assert_eq!((items, damages.len()), (10, 0));
            }
        }
    }

    #[test]
    fn every_level_and_reach_is_read_again() {
        for (level, reach) in [(1, Reach::OfLevel), (3, Reach::Long), (22, Reach::Long)] {
            let directory = tempfile::tempdir().unwrap();
            store_ten(
                directory.path(),
                Format::Ndjson,
                Compression { level, reach },
                1 << 20,
            );
            assert_eq!(lines(directory.path()), 10, "{level} {reach:?}");
        }
    }
}
