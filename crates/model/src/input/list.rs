//! Items from a list: one per line, found by number without holding the list in memory.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use v6kit_net::{Code, Hint};
use xxhash_rust::xxh3::Xxh3;

use crate::input::foreign_form::{ForeignForm, sniff};
use crate::input::request::{Field, RequestSpec};
use crate::outcome::{ErrorKind, Fault};
use crate::url;

/// Where the lines are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListSource {
    /// A file, plain or compressed by gzip or zstd, which its first bytes tell.
    File(PathBuf),
    /// Standard input, of the same forms.
    StandardInput,
}

/// Why a list cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It cannot be opened or read.
    #[error("{what} cannot be read")]
    Read {
        /// The file, or standard input.
        what: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no room to unpack it.
    #[error("{what} cannot be unpacked in {}", directory.display())]
    Unpack {
        /// The file, or standard input.
        what: String,
        /// Where to.
        directory: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is in a form that holds no lines of the kinds that are read.
    #[error("{what} {}", form.is())]
    Form {
        /// The file, or standard input.
        what: String,
        /// What it seems to be.
        form: ForeignForm,
    },
    /// A line that is longer than any item.
    #[error("line {line} of {what} is longer than {LONGEST_LINE} bytes")]
    LongLine {
        /// The file, or standard input.
        what: String,
        /// Its number, from 1.
        line: u64,
    },
    /// No line in it.
    #[error("{what} holds no item")]
    Empty {
        /// The file, or standard input.
        what: String,
    },
}

impl Hint for ListError {
    fn code(&self) -> Code {
        match self {
            Self::Read { .. }
            | Self::Unpack { .. }
            | Self::Form { .. }
            | Self::LongLine { .. }
            | Self::Empty { .. } => Code::BadList,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read { .. } => {
                "give a file with one URL per line, plain or packed with gzip or zstd".to_owned()
            }
            Self::Unpack { .. } => {
                "make room in the output directory, or unpack the list yourself".to_owned()
            }
            Self::Form { what, form } => form.conversion(what),
            Self::LongLine { .. } => "write one item per line".to_owned(),
            Self::Empty { .. } => "write one URL per line, or one JSON object with a \"url\"".to_owned(),
        })
    }
}

/// The lines of a list that are not blank, with an index of every so many of them.
#[derive(Debug, Clone)]
pub struct List {
    file: Arc<File>,
    index: Arc<[Mark]>,
    stride: u64,
    count: u64,
    length: u64,
    digest: u64,
    path: Option<PathBuf>,
}

/// Where a line begins, and its number in the file from 1.
#[derive(Debug, Clone, Copy)]
struct Mark {
    offset: u64,
    line: u64,
}

/// The index has at most so many marks: 16 MiB, for however many lines.
const MARKS: usize = 1 << 20;
const FIRST_STRIDE: u64 = 64;
const BUFFER: usize = 1 << 20;

/// The longest line, in bytes: what a shard holds of a list is bounded by it.
pub const LONGEST_LINE: u64 = 1 << 20;

/// A list of at most so many bytes is copied before it is read, so that what is written to its file later changes
/// no item.
const LARGEST_COPY: u64 = 1 << 30;

/// What the copy of a job's list is called in the job directory.
pub const LIST_COPY: &str = "list.zst";

/// What stands at the beginning of a text and is no part of it (RFC 3629 section 6).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl List {
    /// Reads `source` through once. What is packed, or cannot be read twice, is unpacked to a file without
    /// a name in `directory`.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn open(source: &ListSource, directory: &Path) -> Result<Self, ListError> {
        let what = match source {
            ListSource::File(path) => path.display().to_string(),
            ListSource::StandardInput => "standard input".to_owned(),
        };
        let unreadable = |source| ListError::Read {
            what: what.clone(),
            source,
        };
        let (file, path) = match source {
            ListSource::File(path) => {
                let file = File::open(path).map_err(unreadable)?;
                let metadata = file.metadata().map_err(unreadable)?;
                let packed = metadata.is_file() && packing(&file).map_err(unreadable)? != Packing::None;
                let path = match metadata.is_file() {
                    true if !packed => Some(path.canonicalize().map_err(unreadable)?),
                    _ => None,
                };
                if path.is_some() && metadata.len() > LARGEST_COPY {
                    (file, path)
                } else {
                    (unpack(file, directory, &what)?, path)
                }
            }
            ListSource::StandardInput => (unpack(io::stdin().lock(), directory, &what)?, None),
        };
        let list = Self::scan(file, path, &what)?;
        if list.count == 0 {
            Err(ListError::Empty { what })
        } else {
            Ok(list)
        }
    }

    fn scan(file: File, path: Option<PathBuf>, what: &str) -> Result<Self, ListError> {
        let mut scan = Scan::default();
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = file.read_at(&mut buffer, scan.offset);
            let read = read.map_err(|source| ListError::Read {
                what: what.to_owned(),
                source,
            })?;
            if read == 0 {
                break;
            }
            if scan.offset == 0
                && let Some(form) = sniff(&buffer[..read])
            {
                let what = what.to_owned();
                return Err(ListError::Form { what, form });
            }
            scan.add(&buffer[..read]);
            if scan.longest > LONGEST_LINE || scan.offset - scan.line_start > LONGEST_LINE {
                return Err(ListError::LongLine {
                    what: what.to_owned(),
                    line: scan.longest_line.unwrap_or(scan.line),
                });
            }
        }
        scan.end_line();
        Ok(Self {
            file: Arc::new(file),
            index: scan.marks.into(),
            stride: scan.stride,
            count: scan.count,
            length: scan.offset,
            digest: scan.hasher.digest(),
            path,
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
        if self.length > LARGEST_COPY || copy.try_exists()? {
            return Ok(());
        }
        let mut packed = zstd::Encoder::new(tempfile::NamedTempFile::new_in(directory)?, 1)?;
        let mut buffer = vec![0; BUFFER];
        let mut offset = 0;
        while offset < self.length {
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
        match file.persist_noclobber(&copy) {
            Ok(_) => File::open(directory)?.sync_all(),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error.error),
        }
    }

    /// The number of items.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What tells this list from another one.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{} bytes, xxh3 {:016x}", self.length, self.digest)
    }

    /// The file, where the list is one that can be read again.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    fn block(&self, number: u64) -> io::Result<(Vec<u8>, Mark)> {
        let index = number as usize;
        let start = self.index[index];
        let end = self.index.get(index + 1).map_or(self.length, |mark| mark.offset);
        let mut bytes = vec![0; (end - start.offset) as usize];
        self.file.read_exact_at(&mut bytes, start.offset)?;
        Ok((bytes, start))
    }
}

/// Two lists are the same when they say the same.
impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        (self.length, self.digest) == (other.length, other.digest)
    }
}

impl Eq for List {}

/// The state of reading through a list.
struct Scan {
    marks: Vec<Mark>,
    stride: u64,
    count: u64,
    offset: u64,
    hasher: Xxh3,
    line_start: u64,
    line: u64,
    blank: bool,
    /// The length of the longest line so far, and the number of the first that is too long.
    longest: u64,
    longest_line: Option<u64>,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            marks: Vec::new(),
            stride: FIRST_STRIDE,
            count: 0,
            offset: 0,
            hasher: Xxh3::new(),
            line_start: 0,
            line: 1,
            blank: true,
            longest: 0,
            longest_line: None,
        }
    }
}

impl Scan {
    fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        let mut rest = 0;
        if self.offset == 0 && bytes.starts_with(BYTE_ORDER_MARK) {
            rest = BYTE_ORDER_MARK.len();
            self.line_start = rest as u64;
        }
        for end in memchr::memchr_iter(b'\n', bytes) {
            self.see(&bytes[rest..end]);
            self.end_line();
            let next = self.offset + end as u64 + 1;
            self.longest = self.longest.max(next - self.line_start);
            if self.longest > LONGEST_LINE {
                self.longest_line.get_or_insert(self.line);
            }
            self.line += 1;
            self.line_start = next;
            rest = end + 1;
        }
        self.see(&bytes[rest..]);
        self.offset += bytes.len() as u64;
    }

    fn see(&mut self, part: &[u8]) {
        self.blank &= part.trim_ascii().is_empty();
    }

    fn end_line(&mut self) {
        if !std::mem::replace(&mut self.blank, true) {
            if self.count.is_multiple_of(self.stride) {
                self.mark();
            }
            self.count += 1;
        }
    }

    fn mark(&mut self) {
        self.marks.push(Mark {
            offset: self.line_start,
            line: self.line,
        });
        if self.marks.len() >= MARKS {
            let mut keep = false;
            self.marks.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride *= 2;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    /// By the magic number (RFC 1952 section 2.3.1, RFC 8878 section 3.1.1).
    fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Self::Zstd,
            _ => Self::None,
        }
    }
}

fn packing(file: &File) -> io::Result<Packing> {
    let mut start = [0; 4];
    let read = file.read_at(&mut start, 0)?;
    Ok(Packing::of(&start[..read]))
}

fn unpack(mut input: impl Read, directory: &Path, what: &str) -> Result<File, ListError> {
    let unreadable = |source| ListError::Read {
        what: what.to_owned(),
        source,
    };
    let failed = |source| ListError::Unpack {
        what: what.to_owned(),
        directory: directory.to_owned(),
        source,
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let mut spool = tempfile::tempfile_in(directory).map_err(failed)?;
    let mut start = Vec::new();
    (&mut input).take(4).read_to_end(&mut start).map_err(unreadable)?;
    let packing = Packing::of(&start);
    let whole = BufReader::with_capacity(BUFFER, io::Cursor::new(start).chain(input));
    let mut unpacked: Box<dyn Read> = match packing {
        Packing::None => Box::new(whole),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(whole).map_err(unreadable)?),
    };
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = unpacked.read(&mut buffer).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        spool.write_all(&buffer[..read]).map_err(failed)?;
    }
    spool.rewind().map_err(failed)?;
    Ok(spool)
}

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
        let block = position / list.stride;
        if self.block != Some(block) {
            self.load(list, block).map_err(|error| {
                Fault::new(ErrorKind::BadItem, format!("the list cannot be read: {error}"))
            })?;
        }
        let Some((range, number)) = self.lines.get((position % list.stride) as usize) else {
            return Err(Fault::new(
                ErrorKind::BadItem,
                "the list was changed while it was being crawled",
            ));
        };
        Ok((self.bytes[range.clone()].trim_ascii(), *number))
    }

    fn load(&mut self, list: &List, block: u64) -> io::Result<()> {
        let (bytes, start) = list.block(block)?;
        self.lines.clear();
        let mut from = 0;
        for (number, line) in (start.line..).zip(bytes.split(|&byte| byte == b'\n')) {
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

/// What a line may say beside its URL.
#[derive(Debug, Default)]
pub struct Overrides {
    /// The method, where the line names one.
    pub method: Option<Method>,
    /// Headers that replace those of the job.
    pub headers: Vec<Field>,
    /// The body, where it is not that of the job.
    pub body: Option<Bytes>,
    /// JSON that goes into the record as it is.
    pub id: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLine {
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    body: Option<Box<RawValue>>,
    id: Option<Box<RawValue>>,
}

/// Reads a line: a URL, or a JSON object with `url` and perhaps `method`, `headers`, `body` and `id`.
/// The URL is appended to `out`.
///
/// # Errors
/// [`ErrorKind::BadItem`] with the number of the line, which stands in for the URL then.
pub(crate) fn read_line(line: &[u8], number: u64, out: &mut String) -> Result<Overrides, Fault> {
    let text = url::text_of(line);
    let before = out.len();
    interpret(&text, out).map_err(|why| {
        out.truncate(before);
        url::push_shown(out, &url::without_credentials(&text));
        Fault::new(ErrorKind::BadItem, format!("line {number}: {why}"))
    })
}

fn interpret(text: &str, url: &mut String) -> Result<Overrides, Box<dyn std::error::Error>> {
    if !text.starts_with('{') {
        push_encoded(text, url)?;
        return Ok(Overrides::default());
    }
    let json: JsonLine = serde_json::from_str(text).map_err(|error| error_in_line(&error))?;
    push_encoded(&json.url, url)?;
    let headers = json
        .headers
        .iter()
        .map(|(name, value)| RequestSpec::parse_header(&format!("{name}:{value}")));
    Ok(Overrides {
        method: json
            .method
            .as_deref()
            .map(RequestSpec::parse_method)
            .transpose()?,
        headers: headers.collect::<Result<_, _>>()?,
        body: json.body.map(|body| body_of(&body)),
        id: json.id,
    })
}

/// What is wrong with the JSON of a line; the number that serde_json gives is that within the line.
fn error_in_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) if error.column() > 0 => format!("{what} at column {}", error.column()),
        _ => text,
    }
}

/// A string stands for its text, everything else for its JSON.
fn body_of(body: &RawValue) -> Bytes {
    match serde_json::from_str::<String>(body.get()) {
        Ok(text) => text.into(),
        Err(_not_a_string) => Bytes::copy_from_slice(body.get().as_bytes()),
    }
}

fn push_encoded(text: &str, url: &mut String) -> Result<(), url::UrlError> {
    let (origin, path) = url::split(text)?;
    url::Origin::parse(origin)?;
    url.push_str(origin);
    url.push_str(&url::encode(path));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &[u8]) -> (tempfile::TempDir, List) {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("list");
        std::fs::write(&path, text).unwrap();
        let list = List::open(&ListSource::File(path), scratch.path()).unwrap();
        (scratch, list)
    }

    fn lines(list: &List) -> Vec<(String, u64)> {
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
    fn an_empty_or_missing_list_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("list");
        std::fs::write(&path, "\n\n").unwrap();
        let open = |path: &Path| List::open(&ListSource::File(path.to_owned()), scratch.path()).unwrap_err();
        assert!(matches!(open(&path), ListError::Empty { .. }));
        assert!(matches!(open(Path::new("/nonexistent")), ListError::Read { .. }));
    }

    #[test]
    fn lines_are_urls_or_json() {
        let mut url = String::new();
        read_line(b"https://H/a b?x=\xc3\xbc", 1, &mut url).unwrap();
        assert_eq!(url, "https://H/a%20b?x=%C3%BC");
        let mut url = String::new();
        let line = br#"{"url":"http://h/","method":"PUT","headers":{"X-A":"1"},"body":{"k": 1},"id":[7]}"#;
        let overrides = read_line(line, 1, &mut url).unwrap();
        assert_eq!((url.as_str(), overrides.method), ("http://h/", Some(Method::PUT)));
        assert_eq!(overrides.body.unwrap(), &b"{\"k\": 1}"[..]);
        assert_eq!(overrides.id.unwrap().get(), "[7]");
        let text = read_line(br#"{"url":"http://h/","body":"a\nb"}"#, 1, &mut String::new()).unwrap();
        assert_eq!(text.body.unwrap(), &b"a\nb"[..]);
        let mut url = String::new();
        read_line(b"http://h/caf\xe9", 1, &mut url).unwrap();
        assert_eq!(url, "http://h/caf%E9");
    }

    #[test]
    fn a_bad_line_is_told_with_its_number_and_kept() {
        for line in [
            "h/x",
            "ftp://h/",
            "{\"url\":1}",
            "{",
            "{\"url\":\"http://h/\",\"methd\":\"GET\"}",
            "http://192.0.2.1/",
        ] {
            let mut url = String::new();
            let fault = read_line(line.as_bytes(), 17, &mut url).unwrap_err();
            assert!(fault.message.starts_with("line 17: "), "{fault}");
            assert_eq!((url.as_str(), fault.kind), (line, ErrorKind::BadItem));
        }
    }
}
