//! The files that records lie in.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::ledger::FramePlace;

/// An append-only file of zstd frames. Frames concatenate (RFC 8878 section 3), so that the file can be
/// read by `zstdcat` at every moment, up to the frame that is being written.
#[derive(Debug)]
pub(crate) struct Segment {
    number: u64,
    file: File,
    length: u64,
}

impl Segment {
    /// The file of segment `number`.
    pub(crate) fn path(directory: &Path, number: u64) -> PathBuf {
        directory.join(format!("{number:06}.ndjson.zst"))
    }

    /// The number of a file that is a segment.
    pub(crate) fn number_of(path: &Path) -> Option<u64> {
        path.file_name()?
            .to_str()?
            .strip_suffix(".ndjson.zst")?
            .parse()
            .ok()
    }

    /// Creates segment `number`, which must not exist, and makes its name durable.
    pub(crate) fn create(directory: &Path, number: u64) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(Self::path(directory, number))?;
        File::open(directory)?.sync_all()?;
        Ok(Self {
            number,
            file,
            length: 0,
        })
    }

    /// Appends one compressed frame and waits until it is on the disk.
    pub(crate) fn append(&mut self, frame: &[u8]) -> io::Result<FramePlace> {
        let written = self.file.write_all(frame).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // What was not committed must not stay in front of what is appended later.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        let place = FramePlace {
            segment: self.number,
            offset: self.length,
            length: frame.len() as u64,
        };
        self.length += place.length;
        Ok(place)
    }

    /// Cuts a segment back to what was committed.
    pub(crate) fn cut(path: &Path, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        if file.metadata()?.len() > length {
            file.set_len(length)?;
            file.sync_all()?;
        }
        Ok(())
    }
}
