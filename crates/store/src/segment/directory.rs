//! Segments as files of the job directory.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::statvfs::statvfs;

use super::{Room, SegmentSink, SegmentStore};
use crate::ledger::FramePlace;
use crate::storage::Format;

/// What a file is called until it is whole.
const UNFINISHED: &str = "part";

/// The segments of one format in a directory. Numbers of new ones follow on those that are there.
#[derive(Debug)]
pub struct SegmentDirectory {
    directory: PathBuf,
    format: Format,
    next: AtomicU64,
}

impl SegmentDirectory {
    /// The segments of `format` in `directory`.
    #[must_use]
    pub fn new(directory: &Path, format: Format) -> Self {
        Self {
            directory: directory.to_owned(),
            format,
            next: AtomicU64::new(1),
        }
    }

    /// The file of segment `number`.
    pub(crate) fn path(&self, number: u64) -> PathBuf {
        self.directory
            .join(format!("{number:06}.{}", self.format.extension()))
    }

    fn unfinished(&self, number: u64) -> PathBuf {
        let mut path = self.path(number).into_os_string();
        path.push(format!(".{UNFINISHED}"));
        path.into()
    }
}

impl SegmentStore for SegmentDirectory {
    fn create(&self) -> io::Result<Box<dyn SegmentSink>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if self.format == Format::Parquet {
            return Ok(Box::new(WholeFile {
                number,
                path: self.path(number),
                unfinished: self.unfinished(number),
                directory: self.directory.clone(),
                length: 0,
                is_sealed: false,
            }));
        }
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(self.path(number))?;
        sync_directory(&self.directory)?;
        Ok(Box::new(GrowingFile {
            number,
            file,
            length: 0,
        }))
    }

    fn open(&self, place: FramePlace) -> io::Result<Box<dyn Read>> {
        let mut file = File::open(self.path(place.segment))?;
        let length = file.metadata()?.len();
        if length < place.offset + place.length {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!(
                    "the file ends at byte {length} and should reach to {}",
                    place.offset + place.length
                ),
            ));
        }
        file.seek(SeekFrom::Start(place.offset))?;
        Ok(Box::new(file.take(place.length)))
    }

    fn discard_uncommitted(&self, committed: &BTreeMap<u64, u64>) -> io::Result<()> {
        let mut last = committed.keys().last().copied().unwrap_or(0);
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let Some(number) = number_of(&path) else {
                continue;
            };
            last = last.max(number);
            match committed.get(&number) {
                Some(&length) => cut(&path, length)?,
                None => fs::remove_file(&path)?,
            }
        }
        self.next.store(last + 1, Ordering::Relaxed);
        Ok(())
    }

    fn remove(&self, number: u64) -> io::Result<()> {
        fs::remove_file(self.path(number))
    }

    fn room(&self) -> io::Result<Option<Room>> {
        let disk = statvfs(&self.directory)?;
        Ok(Some(Room {
            free: disk.blocks_available().saturating_mul(disk.fragment_size()),
            size: disk.blocks().saturating_mul(disk.fragment_size()),
        }))
    }

    fn name(&self, number: u64) -> String {
        self.path(number).display().to_string()
    }

    fn place(&self) -> String {
        self.directory.display().to_string()
    }
}

/// An append-only file of frames: zstd frames (RFC 8878 section 3) and gzip members (RFC 1952 section 2.2)
/// concatenate, so that the file can be read at every moment, up to the frame that is being written.
#[derive(Debug)]
struct GrowingFile {
    number: u64,
    file: File,
    length: u64,
}

impl SegmentSink for GrowingFile {
    fn append(&mut self, frame: &[u8]) -> io::Result<FramePlace> {
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

    fn number(&self) -> u64 {
        self.number
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn seal(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

/// A file of one frame that cannot be added to. It is under its name once it is sealed.
#[derive(Debug)]
struct WholeFile {
    number: u64,
    path: PathBuf,
    unfinished: PathBuf,
    directory: PathBuf,
    length: u64,
    is_sealed: bool,
}

impl SegmentSink for WholeFile {
    fn append(&mut self, frame: &[u8]) -> io::Result<FramePlace> {
        if self.length > 0 {
            return Err(io::Error::other("a segment of this format holds one frame"));
        }
        File::create(&self.unfinished)
            .and_then(|mut file| file.write_all(frame).and_then(|()| file.sync_data()))?;
        self.length = frame.len() as u64;
        Ok(FramePlace {
            segment: self.number,
            offset: 0,
            length: self.length,
        })
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn seal(mut self: Box<Self>) -> io::Result<()> {
        fs::rename(&self.unfinished, &self.path)?;
        self.is_sealed = true;
        sync_directory(&self.directory)
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.is_sealed {
            // Its room may be what the ledger needs.
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

/// The number of a file that is a segment, finished or not.
fn number_of(path: &Path) -> Option<u64> {
    let (number, extension) = path.file_name()?.to_str()?.split_once('.')?;
    let is_segment = Format::ALL.iter().any(|format| {
        extension
            .strip_prefix(format.extension())
            .is_some_and(|rest| rest.is_empty() || rest.strip_prefix('.') == Some(UNFINISHED))
    });
    is_segment.then(|| number.parse().ok())?
}

/// Cuts a segment back to what was committed.
fn cut(path: &Path, length: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    if file.metadata()?.len() > length {
        file.set_len(length)?;
        file.sync_all()?;
    }
    Ok(())
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
            assert_eq!(number_of(Path::new(name)), number, "{name}");
        }
    }
}
