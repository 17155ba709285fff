//! Segments as files of the job directory.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::statvfs::statvfs;

use super::leftover::{self, Named};
use super::names::{rename_new, with_ending};
use super::{Room, SegmentSink, SegmentStore};
use crate::durable::sync_directory;
use crate::ledger::{FramePlace, Known};
use crate::storage::Format;

/// What a file is called until it is whole.
const UNFINISHED: &str = "part";

/// The segments of one format in a directory. Numbers of new ones follow on those that are there.
#[derive(Debug)]
pub struct SegmentDirectory {
    directory: PathBuf,
    format: Format,
    next: AtomicU64,
    /// What is in the names of unfinished files: the job's own number, so that they are told from others.
    owner: String,
    /// Told the number of a segment before its file is made.
    reserve: Option<Reserve>,
}

/// Notes that a segment belongs to the job.
#[derive(Clone)]
pub(crate) struct Reserve(pub(crate) Arc<dyn Fn(u64) -> io::Result<()> + Send + Sync>);

impl std::fmt::Debug for Reserve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reserve")
    }
}

impl SegmentDirectory {
    /// The segments of `format` in `directory`.
    #[must_use]
    pub fn new(directory: &Path, format: Format) -> Self {
        Self {
            directory: directory.to_owned(),
            format,
            next: AtomicU64::new(1),
            owner: String::new(),
            reserve: None,
        }
    }

    /// The same for the job that is known as `owner`, where `reserve` is told of every new segment first.
    pub(crate) fn reserving(self, owner: String, reserve: Reserve) -> Self {
        Self {
            owner,
            reserve: Some(reserve),
            ..self
        }
    }

    /// The file of segment `number`.
    pub(crate) fn path(&self, number: u64) -> PathBuf {
        self.directory
            .join(format!("{number:06}.{}", self.format.extension()))
    }

    /// The number of a file that is called like a segment of this format, and which of its names that is.
    fn number_of(&self, path: &Path) -> Option<(u64, Named)> {
        let number = path.file_name()?.to_str()?.split('.').next()?.parse().ok()?;
        let whole = self.path(number);
        let named = if path == whole {
            Named::Whole
        } else if !self.owner.is_empty() && path == self.unfinished(number) {
            Named::UnfinishedByThisJob
        } else if path == with_ending(whole, UNFINISHED) {
            Named::Unfinished
        } else {
            return None;
        };
        Some((number, named))
    }

    fn unfinished(&self, number: u64) -> PathBuf {
        with_ending(self.path(number), &format!("{}.{UNFINISHED}", self.owner))
    }
}

impl SegmentStore for SegmentDirectory {
    fn create(&self) -> io::Result<Box<dyn SegmentSink>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(Reserve(reserve)) = &self.reserve {
            reserve(number)?;
        }
        if self.format == Format::Parquet {
            return Ok(Box::new(WholeFile {
                number,
                path: self.path(number),
                unfinished: self.unfinished(number),
                directory: self.directory.clone(),
                file: None,
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

    fn discard_uncommitted(&self, known: &BTreeMap<u64, Known>) -> io::Result<()> {
        // A number that was given out and has no file may be given out again.
        let kept = known
            .iter()
            .filter(|(_, known)| matches!(known, Known::Committed { .. }));
        let mut last = kept.map(|(number, _)| *number).max().unwrap_or(0);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if let Some((number, named)) = self.number_of(&path) {
                last = last.max(number);
                found.push((number, named, path));
            }
        }
        for (number, named, path) in found {
            leftover::discard(&path, named, known.get(&number).copied(), self.format)?;
        }
        self.next.store(last + 1, Ordering::Relaxed);
        Ok(())
    }

    fn first_foreign(&self, known: &BTreeMap<u64, Known>) -> io::Result<Option<u64>> {
        for (&number, &known) in known {
            if leftover::is_foreign(&self.path(number), known, self.format)? {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    fn set_aside(&self, number: u64) -> io::Result<String> {
        let aside = leftover::set_aside(&self.path(number))?;
        Ok(aside.display().to_string())
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
        let written = self
            .file
            .write_all(frame)
            .and_then(|()| self.file.sync_data())
            .and_then(|()| require_name(&self.file));
        if let Err(error) = written {
            // What was not committed must not stay in front of what is appended later.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        Ok(appended(self.number, &mut self.length, frame))
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

/// The place of a frame behind the `length` bytes that a segment had, which it now is a part of.
fn appended(segment: u64, length: &mut u64, frame: &[u8]) -> FramePlace {
    let place = FramePlace {
        segment,
        offset: *length,
        length: frame.len() as u64,
    };
    *length += place.length;
    place
}

/// A file of one frame that cannot be added to, written in parts or at once. It is under its name once it is sealed.
#[derive(Debug)]
struct WholeFile {
    number: u64,
    path: PathBuf,
    unfinished: PathBuf,
    directory: PathBuf,
    /// There is none until something is written.
    file: Option<File>,
    length: u64,
    is_sealed: bool,
}

impl SegmentSink for WholeFile {
    fn append(&mut self, frame: &[u8]) -> io::Result<FramePlace> {
        let file = match &mut self.file {
            Some(file) => file,
            vacant => vacant.insert(
                OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .open(&self.unfinished)?,
            ),
        };
        file.write_all(frame)?;
        Ok(appended(self.number, &mut self.length, frame))
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn seal(mut self: Box<Self>) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_data)?;
        rename_new(&self.unfinished, &self.path)?;
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

/// A file that has been removed takes writes, and keeps nothing.
fn require_name(file: &File) -> io::Result<()> {
    if file.metadata()?.nlink() == 0 {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the segment was removed while it was being written",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_told_from_other_files() {
        let segments = SegmentDirectory {
            owner: "f00d".to_owned(),
            ..SegmentDirectory::new(Path::new("/job"), Format::Ndjson)
        };
        for (name, number) in [
            ("000001.ndjson.zst", Some((1, Named::Whole))),
            ("1234567.ndjson.zst", Some((1_234_567, Named::Whole))),
            ("000002.ndjson.zst.part", Some((2, Named::Unfinished))),
            (
                "000002.ndjson.zst.f00d.part",
                Some((2, Named::UnfinishedByThisJob)),
            ),
            ("000002.ndjson.zst.beef.part", None),
            ("000002.ndjson.zst.aside", None),
            ("1.ndjson.zst", None),
            ("2024.parquet", None),
            ("000001.parquet", None),
            ("000002.ndjson.zst.bak", None),
            ("ledger.sqlite", None),
        ] {
            assert_eq!(
                segments.number_of(&Path::new("/job").join(name)),
                number,
                "{name}"
            );
        }
    }

    #[test]
    fn a_segment_that_was_removed_takes_no_frame() {
        let directory = tempfile::tempdir().unwrap();
        let segments = SegmentDirectory::new(directory.path(), Format::Ndjson);
        let mut sink = segments.create().unwrap();
        sink.append(b"frame").unwrap();
        fs::remove_file(segments.path(1)).unwrap();
        assert_eq!(sink.append(b"frame").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
