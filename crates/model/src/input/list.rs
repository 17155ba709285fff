//! Items from a list: one per line, found by number without holding the list in memory.

mod derived;
mod error;
mod index;
mod unpack;

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::error::ListError;
use self::index::Index;
use self::unpack::unpack;
use crate::input::packing::{Packing, packing};
use crate::input::watched::Watched;
use crate::outcome::{ErrorKind, Fault};

/// Where the lines are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListSource {
    /// A file, plain or compressed by gzip or zstd, which its first bytes tell.
    File(PathBuf),
    /// Standard input, of the same forms.
    StandardInput,
}

/// The lines of a list that are not blank, with an index of every so many of them.
#[derive(Debug, Clone)]
pub struct List {
    file: Arc<File>,
    index: Arc<Index>,
    path: Option<PathBuf>,
    /// What it was like, where it is read from its own file.
    watched: Option<Arc<Watched>>,
}

const BUFFER: usize = 1 << 20;

/// The longest line, in bytes: what a shard holds of a list is bounded by it.
pub const LONGEST_LINE: u64 = 1 << 20;

/// A list of at most so many bytes is copied before it is read, so that what is written to its file later changes
/// no item.
const LARGEST_COPY: u64 = 1 << 30;

/// What the copy of a job's list is called in the job directory.
pub const LIST_COPY: &str = "list.zst";

impl List {
    /// Reads `source` through once. What is packed, or cannot be read twice, is unpacked to a file without
    /// a name in `directory`.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn open(source: &ListSource, directory: &Path) -> Result<Self, ListError> {
        Self::open_copying(source, directory, LARGEST_COPY)
    }

    /// The same, with the size up to which a file is copied.
    fn open_copying(source: &ListSource, directory: &Path, largest: u64) -> Result<Self, ListError> {
        let what = match source {
            ListSource::File(path) => path.display().to_string(),
            ListSource::StandardInput => "standard input".to_owned(),
        };
        let unreadable = |source| ListError::Read {
            what: what.clone(),
            source,
        };
        let mut watched = None;
        let ((file, packing), path) = match source {
            ListSource::File(path) => {
                let file = File::open(path).map_err(unreadable)?;
                let metadata = file.metadata().map_err(unreadable)?;
                let packed = metadata.is_file() && packing(&file).map_err(unreadable)? != Packing::None;
                let path = match metadata.is_file() {
                    true if !packed => Some(path.canonicalize().map_err(unreadable)?),
                    _ => None,
                };
                match path {
                    Some(path) if metadata.len() > largest => {
                        watched = Some(Arc::new(Watched::new(&path, &file).map_err(unreadable)?));
                        ((file, Packing::None), Some(path))
                    }
                    path => (unpack(file, directory, &what, u64::MAX)?, path),
                }
            }
            ListSource::StandardInput => (unpack(io::stdin().lock(), directory, &what, u64::MAX)?, None),
        };
        Self::of(file, &what, packing, path, watched)
    }

    /// Reads a list that comes from somewhere else, called `what` in messages, as it would be read from standard input:
    /// at most `most` bytes of it, unpacked.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn receive(input: impl io::Read, what: &str, directory: &Path, most: u64) -> Result<Self, ListError> {
        let (file, packing) = unpack(input, directory, what, most)?;
        Self::of(file, what, packing, None, None)
    }

    fn of(
        file: File,
        what: &str,
        packing: Packing,
        path: Option<PathBuf>,
        watched: Option<Arc<Watched>>,
    ) -> Result<Self, ListError> {
        let index = Index::read(&file, what, packing)?;
        if index.count == 0 {
            let what = what.to_owned();
            return Err(ListError::Empty { what });
        }
        Ok(Self {
            file: Arc::new(file),
            index: Arc::new(index),
            path,
            watched,
        })
    }

    /// Writes a packed copy of the list into `directory`, where there is none yet, so that the job can be read when
    /// the file has changed or is gone. A list of more than 1 GiB is not copied. The copy is under its name when it
    /// is whole.
    ///
    /// # Errors
    /// What the system said.
    pub fn keep(&self, directory: &Path) -> io::Result<()> {
        let copy = directory.join(LIST_COPY);
        if self.index.length > LARGEST_COPY || copy.try_exists()? {
            return Ok(());
        }
        match self.pack(directory)?.persist_noclobber(&copy) {
            Ok(_) => File::open(directory)?.sync_all(),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error.error),
        }
    }

    /// The same in the place of the copy that is there.
    ///
    /// # Errors
    /// What the system said.
    pub fn replace_copy(&self, directory: &Path) -> io::Result<()> {
        let copy = directory.join(LIST_COPY);
        if self.index.length > LARGEST_COPY {
            return match std::fs::remove_file(copy) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let packed = self.pack(directory)?;
        packed.persist(&copy).map_err(|error| error.error)?;
        File::open(directory)?.sync_all()
    }

    /// A packed copy in a file of `directory` that has no name of its own yet.
    fn pack(&self, directory: &Path) -> io::Result<tempfile::NamedTempFile> {
        let mut packed = zstd::Encoder::new(tempfile::NamedTempFile::new_in(directory)?, 1)?;
        let mut buffer = vec![0; BUFFER];
        let mut offset = 0;
        while offset < self.index.length {
            let read = self.file.read_at(&mut buffer, offset)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            packed.write_all(&buffer[..read])?;
            offset += read as u64;
        }
        let file = packed.finish()?;
        file.as_file().sync_all()?;
        // Readable by whoever may read the ledger and the segments.
        file.as_file()
            .set_permissions(std::fs::Permissions::from_mode(0o644))?;
        Ok(file)
    }

    /// The number of items.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.index.count
    }

    /// What tells this list from another one.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{} bytes, xxh3 {:016x}", self.index.length, self.index.digest)
    }

    /// The file, where the list is one that can be read again.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The file of a list that is too large to be copied, once it was seen to be another than at the start.
    #[must_use]
    pub fn changed(&self) -> Option<&Path> {
        self.watched.as_ref()?.changed()
    }

    fn require_as_it_was(&self) -> io::Result<()> {
        match &self.watched {
            Some(watched) if !watched.is_as_it_was(&self.file) => {
                Err(io::Error::other("the list was changed while it was being read"))
            }
            _ => Ok(()),
        }
    }

    fn block(&self, number: u64) -> io::Result<(Vec<u8>, u64)> {
        let (range, line) = self.index.block(number);
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.file.read_exact_at(&mut bytes, range.start)?;
        self.require_as_it_was()?;
        Ok((bytes, line))
    }
}

/// Two lists are the same when they say the same.
impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        (self.index.length, self.index.digest) == (other.index.length, other.index.digest)
    }
}

impl Eq for List {}

/// Reads items of a list one after another, a block at a time. Each shard has its own.
#[derive(Debug, Default)]
pub struct Cursor {
    block: Option<u64>,
    bytes: Vec<u8>,
    /// The lines of the block that are not blank, with their numbers in the file.
    lines: Vec<(Range<usize>, u64)>,
}

impl Cursor {
    /// The line of item `position`, without white space around it, and its number in the file.
    ///
    /// # Errors
    /// [`ErrorKind::BadItem`] when the list cannot be read any more.
    pub(crate) fn line(&mut self, list: &List, position: u64) -> Result<(&[u8], u64), Fault> {
        let block = position / list.index.stride;
        if self.block != Some(block) {
            self.load(list, block).map_err(|error| {
                Fault::new(ErrorKind::BadItem, format!("the list cannot be read: {error}"))
            })?;
        }
        let Some((range, number)) = self.lines.get((position % list.index.stride) as usize) else {
            return Err(Fault::new(
                ErrorKind::BadItem,
                "the list was changed while it was being crawled",
            ));
        };
        Ok((self.bytes[range.clone()].trim_ascii(), *number))
    }

    fn load(&mut self, list: &List, block: u64) -> io::Result<()> {
        let (bytes, first) = list.block(block)?;
        self.lines.clear();
        let mut from = 0;
        for (number, line) in (first..).zip(bytes.split(|&byte| byte == b'\n')) {
            if !line.trim_ascii().is_empty() {
                self.lines.push((from..from + line.len(), number));
            }
            from += line.len() + 1;
        }
        self.bytes = bytes;
        self.block = Some(block);
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::input) fn list(text: &[u8]) -> (tempfile::TempDir, List) {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("list");
        std::fs::write(&path, text).unwrap();
        let list = List::open(&ListSource::File(path), scratch.path()).unwrap();
        (scratch, list)
    }

    pub(in crate::input) fn lines(list: &List) -> Vec<(String, u64)> {
        let mut cursor = Cursor::default();
        (0..list.count())
            .map(|position| {
                let (line, number) = cursor.line(list, position).unwrap();
                (String::from_utf8(line.to_vec()).unwrap(), number)
            })
            .collect()
    }

    #[test]
    fn blank_lines_are_no_items_and_numbers_are_those_of_the_file() {
        let (_scratch, list) = list(b"a\r\n\n  \n b \n\nc");
        assert_eq!(
            lines(&list),
            [("a".to_owned(), 1), ("b".to_owned(), 4), ("c".to_owned(), 6)]
        );
    }

    #[test]
    fn many_lines_are_found_in_any_order() {
        let text: String = (0..10_000)
            .map(|number| format!("{}{number}\n", if number % 3 == 0 { "\n" } else { "" }))
            .collect();
        let (_scratch, list) = list(text.as_bytes());
        assert_eq!(list.count(), 10_000);
        let mut cursor = Cursor::default();
        for position in [9_999, 0, 64, 63, 5_000, 5_001] {
            assert_eq!(
                cursor.line(&list, position).unwrap().0,
                position.to_string().as_bytes()
            );
        }
    }

    #[test]
    fn a_list_from_elsewhere_is_unpacked_as_far_as_it_may_be_large() {
        let text = b"http://h/1\nhttp://h/2\n";
        let packed = zstd::encode_all(&text[..], 3).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let receive = |most| List::receive(&packed[..], "http://h/list", scratch.path(), most);
        assert_eq!(lines(&receive(text.len() as u64).unwrap()), lines(&list(text).1));
        let error = receive(text.len() as u64 - 1).unwrap_err();
        assert!(matches!(&error, ListError::TooLarge { most: 21, .. }), "{error}");
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[test]
    fn packed_lists_are_the_same_list() {
        let text = b"http://h/1\nhttp://h/2\n";
        let (scratch, plain) = list(text);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(text).unwrap();
        for packed in [gzip.finish().unwrap(), zstd::encode_all(&text[..], 3).unwrap()] {
            let path = scratch.path().join("packed");
            std::fs::write(&path, packed).unwrap();
            let unpacked = List::open(&ListSource::File(path), scratch.path()).unwrap();
            assert_eq!(unpacked, plain);
            assert_eq!(unpacked.identity(), plain.identity());
            assert_eq!(lines(&unpacked), lines(&plain));
        }
        assert_eq!(
            std::fs::read_dir(scratch.path()).unwrap().count(),
            2,
            "nothing with a name is left"
        );
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        let (_scratch, list) = list(b"\xef\xbb\xbfa\r\nb\n");
        assert_eq!(lines(&list), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
        let (_scratch, list) = self::list(b"\xef\xbb\xbf\nb\n");
        assert_eq!(lines(&list), [("b".to_owned(), 2)]);
    }

    #[test]
    fn a_line_that_is_longer_than_any_item_is_refused_with_its_number() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("list");
        let open = |text: &[u8]| {
            std::fs::write(&path, text).unwrap();
            List::open(&ListSource::File(path.clone()), scratch.path())
        };
        let longest = usize::try_from(LONGEST_LINE).unwrap();
        let mut text = b"http://h/1\n".to_vec();
        text.resize(text.len() + longest - 1, b'x');
        assert_eq!(open(&text).unwrap().count(), 2);
        text.extend_from_slice(b"xx\nhttp://h/3\n");
        assert!(matches!(
            open(&text).unwrap_err(),
            ListError::LongLine { line: 2, .. }
        ));
        text.resize(text.len() + 3 * longest, b'y');
        assert!(matches!(
            open(&text).unwrap_err(),
            ListError::LongLine { line: 2, .. }
        ));
    }

    #[test]
    fn what_is_written_to_the_file_later_changes_no_item() {
        let (scratch, list) = list(b"http://h/1\nhttp://h/2\n");
        std::fs::write(scratch.path().join("list"), b"http://x/1\nhttp://x/2\n").unwrap();
        assert_eq!(lines(&list)[0].0, "http://h/1");
        assert!(list.path().is_some());
    }

    #[test]
    fn a_list_that_is_too_large_to_be_copied_is_read_as_long_as_it_is_as_it_was() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("list");
        let lines: String = (0..1000).map(|n| format!("http://h/{n:03}\n")).collect();
        let open = || {
            std::fs::write(&path, &lines).unwrap();
            List::open_copying(&ListSource::File(path.clone()), scratch.path(), 100).unwrap()
        };
        let written_to = |path: &Path| {
            // As long as before, and as new as can be.
            std::fs::write(path, lines.replace('h', "x")).unwrap();
        };
        let replaced = |path: &Path| {
            std::fs::write(path.with_extension("new"), &lines).unwrap();
            std::fs::rename(path.with_extension("new"), path).unwrap();
        };
        let removed = |path: &Path| std::fs::remove_file(path).unwrap();
        for change in [&written_to as &dyn Fn(&Path), &replaced, &removed] {
            let list = open();
            let mut cursor = Cursor::default();
            assert_eq!(cursor.line(&list, 5).unwrap().0, b"http://h/005");
            assert_eq!(list.changed(), None);
            let clock = path.with_extension("clock");
            let now = || {
                std::fs::write(&clock, "").unwrap();
                std::fs::metadata(&clock).unwrap().modified().unwrap()
            };
            // The file system's clock goes in steps, and what is written within one looks the same.
            let opened = now();
            while now() == opened {}
            change(&path);
            assert!(cursor.line(&list, 900).is_err());
            assert!(list.changed().is_some_and(|changed| changed.ends_with("list")));
            assert!(cursor.line(&list, 500).is_err(), "it is not trusted again");
        }
    }

    #[test]
    fn an_empty_or_missing_list_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("list");
        std::fs::write(&path, "\n\n").unwrap();
        let open = |path: &Path| List::open(&ListSource::File(path.to_owned()), scratch.path()).unwrap_err();
        assert!(matches!(open(&path), ListError::Empty { .. }));
        assert!(matches!(open(Path::new("/nonexistent")), ListError::Read { .. }));
    }
}
