//! The files that records lie in.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::ledger::FramePlace;
use crate::storage::Format;

/// What a file is called until it is whole.
const UNFINISHED: &str = "part";

/// An append-only file of frames: zstd frames (RFC 8878 section 3) and gzip members (RFC 1952 section 2.2)
/// concatenate, so that the file can be read at every moment, up to the frame that is being written.
#[derive(Debug)]
pub(crate) struct Segment {
    number: u64,
    file: File,
    length: u64,
}

impl Segment {
    /// The file of segment `number`.
    pub(crate) fn path(directory: &Path, number: u64, format: Format) -> PathBuf {
        directory.join(format!("{number:06}.{}", format.extension()))
    }

    /// The number of a file that is a segment, finished or not.
    pub(crate) fn number_of(path: &Path) -> Option<u64> {
        let (number, extension) = path.file_name()?.to_str()?.split_once('.')?;
        let is_segment = Format::ALL.iter().any(|format| {
            extension
                .strip_prefix(format.extension())
                .is_some_and(|rest| rest.is_empty() || rest.strip_prefix('.') == Some(UNFINISHED))
        });
        is_segment.then(|| number.parse().ok())?
    }

    /// Creates segment `number`, which must not exist, and makes its name durable.
    pub(crate) fn create(directory: &Path, number: u64, format: Format) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(Self::path(directory, number, format))?;
        sync_directory(directory)?;
        Ok(Self {
            number,
            file,
            length: 0,
        })
    }

    /// Writes a segment of one frame that cannot be added to. It is under its name when it is whole.
    pub(crate) fn write_whole(
        directory: &Path,
        number: u64,
        format: Format,
        frame: &[u8],
    ) -> io::Result<FramePlace> {
        let path = Self::path(directory, number, format);
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(format!(".{UNFINISHED}"));
        let unfinished = PathBuf::from(unfinished);
        let written = File::create(&unfinished)
            .and_then(|mut file| file.write_all(frame).and_then(|()| file.sync_data()))
            .and_then(|()| fs::rename(&unfinished, &path))
            .and_then(|()| sync_directory(directory));
        if let Err(error) = written {
            // Its room may be what the ledger needs.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        Ok(FramePlace {
            segment: number,
            offset: 0,
            length: frame.len() as u64,
        })
    }

    /// Appends one frame and waits until it is on the disk.
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

    /// Its length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
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

/// Makes the names in `directory` durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_told_from_other_files() {
        for (name, number) in [
            ("000001.ndjson.zst", Some(1)),
            ("1234567.warc.gz", Some(1_234_567)),
            ("000002.parquet.part", Some(2)),
            ("000002.parquet.bak", None),
            ("notes.parquet", None),
            ("ledger.sqlite", None),
        ] {
            assert_eq!(Segment::number_of(Path::new(name)), number, "{name}");
        }
    }
}
