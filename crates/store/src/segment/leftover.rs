//! What lies in a job directory when a crawl begins.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::names::{rename_new, with_ending};
use crate::durable::sync_directory;
use crate::ledger::{FramePlace, Known};
use crate::storage::Format;

/// What the name of a file ends with that is set aside: no reader of segments takes it for one.
const ASIDE: &str = "aside";

/// Rows of at most so many bytes are compared at each start: that is a millisecond for each segment.
const COMPARED: u64 = 1 << 20;

/// By which of its names a segment was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// The one under which it is read.
    Whole,
    /// The one that this job gives to what is not finished.
    UnfinishedByThisJob,
    /// The one that jobs of earlier releases gave, and that other programs give.
    Unfinished,
}

/// Does with the file at `path` what [`discard_uncommitted`](super::SegmentStore::discard_uncommitted) says.
pub(super) fn discard(path: &Path, named: Named, known: Option<Known>, format: Format) -> io::Result<()> {
    match (named, known) {
        (Named::UnfinishedByThisJob, _) => fs::remove_file(path),
        (Named::Whole, Some(Known::Reserved)) => discard_reserved(path),
        (Named::Whole, Some(Known::Committed { last, checksum })) => cut(path, last, checksum, format),
        (Named::Whole, Some(Known::Superseded { length, checksum }))
            if is_at(path, place(0, length), checksum)? && length_of(path)? == length =>
        {
            fs::remove_file(path)
        }
        _ => {
            tracing::warn!(
                "{} may be of another program or job: it is left as it is",
                path.display()
            );
            Ok(())
        }
    }
}

/// Whether the file at `path` is there, as long as it should be or longer, and another than the ledger tells of.
pub(super) fn is_foreign(path: &Path, known: Known, format: Format) -> io::Result<bool> {
    let Known::Committed { last, checksum } = known else {
        return Ok(false);
    };
    let committed = last.offset + last.length;
    match length_of(path) {
        Ok(length) if length < committed => Ok(false),
        // A table is written as a whole.
        Ok(length) if length > committed && format == Format::Parquet => Ok(true),
        Ok(length) if length > committed || last.length <= COMPARED => Ok(!is_at(path, last, checksum)?),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Renames the file at `path`, and says to what.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1;
    loop {
        let aside = aside(path, number);
        match rename_new(path, &aside) {
            Ok(()) => return Ok(aside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

fn aside(path: &Path, number: u32) -> PathBuf {
    let ending = match number {
        1 => ASIDE.to_owned(),
        _ => format!("{ASIDE}.{number}"),
    };
    with_ending(path.to_owned(), &ending)
}

/// A file whose number was given out and of which nothing is committed: it may be of a ledger that is gone.
fn discard_reserved(path: &Path) -> io::Result<()> {
    if length_of(path)? == 0 {
        return fs::remove_file(path);
    }
    let aside = set_aside(path)?;
    tell(path, &aside);
    Ok(())
}

fn tell(path: &Path, aside: &Path) {
    tracing::warn!(
        "{} held what the ledger does not know: it is set aside as {}, and its items are fetched again",
        path.display(),
        aside.display()
    );
}

/// Cuts a segment back to what was committed, if that is what it holds. Whole frames behind it, which a newer ledger
/// may have had, are set aside before.
fn cut(path: &Path, last: FramePlace, checksum: u32, format: Format) -> io::Result<()> {
    let committed = last.offset + last.length;
    if length_of(path)? <= committed || format == Format::Parquet || !is_at(path, last, checksum)? {
        return Ok(());
    }
    let mut tail = open(path)?;
    tail.seek(SeekFrom::Start(committed))?;
    if begins_with_a_frame(&tail, format) {
        tail.seek(SeekFrom::Start(committed))?;
        tell(path, &copy_aside(path, &mut tail)?);
    }
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    file.set_len(committed)?;
    file.sync_all()
}

/// Writes what is left of `tail` to a file beside `path`.
fn copy_aside(path: &Path, tail: &mut File) -> io::Result<PathBuf> {
    let mut number = 1;
    let (mut copy, aside) = loop {
        let aside = aside(path, number);
        match OpenOptions::new().write(true).create_new(true).open(&aside) {
            Ok(file) => break (file, aside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    };
    let copied = io::copy(tail, &mut copy).and_then(|_| copy.sync_all());
    if let Err(error) = copied {
        // What it was copied from is as it was.
        let _ = fs::remove_file(&aside);
        return Err(error);
    }
    sync_directory(path.parent().unwrap_or(Path::new(".")))?;
    Ok(aside)
}

/// Whether a whole frame of zstd (RFC 8878 section 3) or member of gzip (RFC 1952 section 2.2) comes first.
fn begins_with_a_frame(bytes: &File, format: Format) -> bool {
    let read = match format {
        Format::Ndjson => zstd::stream::read::Decoder::new(bytes)
            .and_then(|decoder| io::copy(&mut decoder.single_frame(), &mut io::sink())),
        Format::Warc => io::copy(
            &mut flate2::bufread::GzDecoder::new(BufReader::new(bytes)),
            &mut io::sink(),
        ),
        Format::Parquet => return false,
    };
    read.is_ok()
}

/// Whether the bytes at `place` of the file have this CRC-32: not where there are fewer.
fn is_at(path: &Path, place: FramePlace, checksum: u32) -> io::Result<bool> {
    let mut file = open(path)?;
    file.seek(SeekFrom::Start(place.offset))?;
    let mut bytes = file.take(place.length);
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    let mut left = place.length;
    loop {
        match bytes.read(&mut buffer)? {
            0 => return Ok(left == 0 && hasher.finalize() == checksum),
            read => {
                left -= read as u64;
                hasher.update(&buffer[..read]);
            }
        }
    }
}

fn place(offset: u64, length: u64) -> FramePlace {
    FramePlace {
        segment: 0,
        offset,
        length,
    }
}

/// Opens a regular file. A link in its place is not followed, and nobody is waited for at the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} is no regular file", path.display()),
        ))
    }
}

fn length_of(path: &Path) -> io::Result<u64> {
    Ok(open(path)?.metadata()?.len())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{SegmentDirectory, SegmentStore as _};
    use super::*;

    fn committed(bytes: &[u8], from: usize) -> Known {
        Known::Committed {
            last: place(from as u64, (bytes.len() - from) as u64),
            checksum: crc32fast::hash(&bytes[from..]),
        }
    }

    fn names(directory: &Path) -> BTreeMap<String, Vec<u8>> {
        fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read(entry.path()).unwrap())
            })
            .collect()
    }

    fn frame(format: Format, text: &str) -> Vec<u8> {
        match format {
            Format::Ndjson => zstd::bulk::compress(text.as_bytes(), 1).unwrap(),
            _ => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    #[test]
    fn a_torn_end_is_cut_and_whole_frames_are_set_aside() {
        for format in [Format::Ndjson, Format::Warc] {
            let [first, second] = ["one", "two"].map(|text| frame(format, text));
            let directory = tempfile::tempdir().unwrap();
            let segments = SegmentDirectory::new(directory.path(), format);
            let known = BTreeMap::from([(1, committed(&first, 0)), (2, committed(&first, 2))]);
            let torn = &second[..second.len() - 1];
            fs::write(segments.path(1), [&first, torn].concat()).unwrap();
            fs::write(segments.path(2), [&first[..], &second, torn].concat()).unwrap();
            for _ in 0..2 {
                segments.discard_uncommitted(&known).unwrap();
            }
            let expected = BTreeMap::from([
                (format!("000001.{}", format.extension()), first.clone()),
                (format!("000002.{}", format.extension()), first.clone()),
                (
                    format!("000002.{}.aside", format.extension()),
                    [&second[..], torn].concat(),
                ),
            ]);
            assert_eq!(names(directory.path()), expected);
            assert_eq!(segments.first_foreign(&known).unwrap(), None);
        }
    }

    #[test]
    fn what_is_not_as_the_ledger_has_it_is_neither_cut_nor_removed() {
        for format in Format::ALL {
            let directory = tempfile::tempdir().unwrap();
            let segments = SegmentDirectory::new(directory.path(), format);
            let path = |number| segments.path(number);
            for number in 1..=5 {
                fs::write(path(number), [1; 30]).unwrap();
            }
            let part = with_ending(path(6), "part");
            fs::write(&part, [1; 30]).unwrap();
            let known = BTreeMap::from([
                (1, committed(&[2; 20], 0)),
                (2, Known::Reserved),
                (
                    3,
                    Known::Superseded {
                        length: 30,
                        checksum: 7,
                    },
                ),
                (5, committed(&[1; 30], 10)),
                (6, Known::Reserved),
            ]);
            fs::write(with_ending(path(2), "aside"), "of yesterday").unwrap();
            segments.discard_uncommitted(&known).unwrap();
            let found = names(directory.path());
            assert_eq!(found.values().filter(|bytes| bytes.len() == 30).count(), 6);
            assert!(path(1).exists() && !path(2).exists() && part.exists());
            assert!(with_ending(path(2), "aside.2").exists());
            assert_eq!(segments.first_foreign(&known).unwrap(), Some(1));
            assert_eq!(segments.create().unwrap().number(), 7);
        }
    }

    #[test]
    fn what_others_have_by_now_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let segments = SegmentDirectory::new(directory.path(), Format::Parquet);
        fs::write(segments.path(1), "small").unwrap();
        fs::write(segments.path(2), "").unwrap();
        let superseded = Known::Superseded {
            length: 5,
            checksum: crc32fast::hash(b"small"),
        };
        let known = BTreeMap::from([(1, superseded), (2, Known::Reserved)]);
        segments.discard_uncommitted(&known).unwrap();
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn a_link_or_a_pipe_in_the_place_of_a_segment_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("target");
        fs::write(&target, [1; 30]).unwrap();
        let segments = SegmentDirectory::new(directory.path(), Format::Ndjson);
        let known = BTreeMap::from([(1, committed(&[1; 20], 0))]);
        std::os::unix::fs::symlink(&target, segments.path(1)).unwrap();
        assert!(segments.discard_uncommitted(&known).is_err());
        assert_eq!(fs::metadata(target).unwrap().len(), 30);
        fs::remove_file(segments.path(1)).unwrap();
        nix::unistd::mkfifo(&segments.path(1), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(segments.discard_uncommitted(&known).is_err());
    }
}
