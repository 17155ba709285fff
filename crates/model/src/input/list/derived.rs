//! Lists that come of others: without what is there twice, and with more than there was.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use std::sync::Arc;

use super::index::{BYTE_ORDER_MARK, Index};
use super::{BUFFER, List, ListError};
use crate::input::packing::Packing;
use crate::input::unique::{Sorter, repeated};

impl List {
    /// The same list, where blank lines stand for those that were there before, so that the others keep their numbers.
    /// It lies in a file without a name in `directory`; finding out takes as much room there, and little memory.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn unique(self, directory: &Path) -> Result<Self, ListError> {
        let failed = |source| ListError::Unpack {
            what: "the list".to_owned(),
            directory: directory.to_owned(),
            source,
        };
        let unique = self.without_repeated(directory).map_err(failed)?;
        let index = Index::read(&unique, "the list", Packing::None)?;
        Ok(Self {
            file: Arc::new(unique),
            index: Arc::new(index),
            path: None,
            watched: None,
        })
    }

    fn without_repeated(&self, directory: &Path) -> io::Result<File> {
        let mut sorter = Sorter::new(directory);
        self.for_each_line(|position, line| match position {
            Some(position) => sorter.push(line.trim_ascii(), position),
            None => Ok(()),
        })?;
        let mut repeated = repeated(sorter)?;
        let mut next = repeated.next()?;
        let mut unique = BufWriter::with_capacity(BUFFER, tempfile::tempfile_in(directory)?);
        self.for_each_line(|position, line| {
            if let (Some((_, number)), Some(position)) = (&next, position)
                && *number == position
            {
                next = repeated.next()?;
                return unique.write_all(b"\n");
            }
            unique.write_all(line)
        })?;
        unique.into_inner().map_err(io::IntoInnerError::into_error)
    }

    /// Gives every line with its line break, and the position of those that are items.
    fn for_each_line(&self, mut take: impl FnMut(Option<u64>, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut lines = BufReader::with_capacity(BUFFER, ReadAt::new(&self.file, self.index.length));
        let (mut line, mut position) = (Vec::new(), 0);
        let mut is_first = true;
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line)? == 0 {
                return self.require_as_it_was();
            }
            let mark = if std::mem::take(&mut is_first) && line.starts_with(BYTE_ORDER_MARK) {
                BYTE_ORDER_MARK.len()
            } else {
                0
            };
            if line[mark..].trim_ascii().is_empty() {
                take(None, &line[mark..])?;
            } else {
                take(Some(position), &line[mark..])?;
                position += 1;
            }
        }
    }

    /// Whether the list begins with another, of which this `identity` is known: whole lines of it, one and all.
    ///
    /// # Errors
    /// What the system said.
    pub fn begins_with(&self, identity: &str) -> io::Result<bool> {
        let Some((length, digest)) =
            read_identity(identity).filter(|(length, _)| *length <= self.index.length)
        else {
            return Ok(false);
        };
        let mut hasher = Xxh3::new();
        let mut beginning = ReadAt::new(&self.file, length);
        let mut buffer = vec![0; BUFFER];
        let mut last = b'\n';
        loop {
            let read = beginning.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            last = buffer[read - 1];
        }
        let mut next = [b'\n'];
        if length < self.index.length {
            self.file.read_exact_at(&mut next, length)?;
        }
        self.require_as_it_was()?;
        // The last line may have lacked its end.
        Ok(hasher.digest() == digest && (last == b'\n' || next[0] == b'\n' || next[0] == b'\r'))
    }
}

/// The length and the digest in what [`List::identity`] says.
fn read_identity(identity: &str) -> Option<(u64, u64)> {
    let (length, digest) = identity.split_once(" bytes, xxh3 ")?;
    Some((length.parse().ok()?, u64::from_str_radix(digest, 16).ok()?))
}

/// The first bytes of a file, from wherever others read in it.
struct ReadAt<'a> {
    file: &'a File,
    offset: u64,
    end: u64,
}

impl<'a> ReadAt<'a> {
    fn new(file: &'a File, end: u64) -> Self {
        Self { file, offset: 0, end }
    }
}

impl Read for ReadAt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..most], self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use crate::input::list::tests::{lines, list};

    #[test]
    fn lines_that_were_there_before_are_no_items_and_the_others_keep_their_numbers() {
        let (scratch, list) = list(b"\xef\xbb\xbfa\n\nb\n a \r\nc\nb\na");
        let unique = list.unique(scratch.path()).unwrap();
        assert_eq!(
            lines(&unique),
            [("a".to_owned(), 1), ("b".to_owned(), 3), ("c".to_owned(), 5)]
        );
    }

    #[test]
    fn a_list_that_has_grown_begins_with_what_it_was() {
        let (_scratch, before) = list(b"http://h/1\nhttp://h/2");
        for (text, expected) in [
            (&b"http://h/1\nhttp://h/2"[..], true),
            (b"http://h/1\nhttp://h/2\nhttp://h/3\n", true),
            (b"http://h/1\nhttp://h/2\r\nhttp://h/3\n", true),
            (b"http://h/1\nhttp://h/22\nhttp://h/3\n", false),
            (b"http://h/0\nhttp://h/2\nhttp://h/3\n", false),
            (b"http://h/1\n", false),
        ] {
            let (_scratch, grown) = list(text);
            assert_eq!(grown.begins_with(&before.identity()).unwrap(), expected);
        }
        assert!(!before.begins_with("none").unwrap());
    }
}
