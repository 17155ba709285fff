//! The head of an answer: status line and fields (RFC 9112 sections 2.2, 4 and 5).

use std::mem::MaybeUninit;

use bytes::Bytes;
use httparse::{Header, ParserConfig, Response, Status};

use crate::error::Violation;
use crate::fields::trim;
use crate::framing::{Asked, Collected, Doubts, Framing};
use crate::index::Index;
use crate::mend::mend;

/// The largest head that is read, in bytes.
pub(crate) const MAX_HEAD: usize = 256 * 1024;
/// Fields that are read without asking for memory.
const FEW_FIELDS: usize = 64;
/// Blank lines before a status line, in bytes. They are the end of a message before, if anything.
const MAX_BLANK: usize = 16;

/// A version of HTTP, as a status line says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1, and what is read like it.
    Http11,
}

/// A head, whose fields are looked for when they are asked for. It is small to pass on.
#[derive(Debug, Clone)]
pub struct Head(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: u16,
    version: Version,
    raw: Bytes,
    /// The same in lines that anybody can read, where `raw` is not.
    mended: Option<Box<[u8]>>,
    index: Index,
}

impl Head {
    /// A head from its status line to its blank line.
    ///
    /// # Errors
    /// [`Violation`], where `text` is none.
    pub fn parse(text: &[u8]) -> Result<Self, Violation> {
        let read = read(Bytes::copy_from_slice(text), Asked::Head);
        read.map(|(head, _)| head).map_err(|(_, violation)| violation)
    }

    /// The status, from 100 to 999.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The version of HTTP.
    #[must_use]
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// What the status line says behind the status; empty for nothing.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        let line = self
            .text()
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        line.splitn(3, |byte| *byte == b' ').nth(2).unwrap_or_default()
    }

    fn text(&self) -> &[u8] {
        self.0.mended.as_deref().unwrap_or(&self.0.raw)
    }

    /// All that came, from the status line to the blank line.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.0.raw
    }

    /// The fields in the order in which they came. Folded ones are on one line; those whose name or line cannot be
    /// read are only in [`Head::raw`].
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        let text = self.text();
        let first = memchr::memchr(b'\n', text).map_or(text.len(), |at| at + 1);
        Fields(&text[first..])
    }

    /// The value of the first field of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let (text, name, index) = (self.text(), name.as_bytes(), &self.0.index);
        if !index.may_have(name) {
            return None;
        }
        if let Some(from) = index.find(text, name) {
            let value = text.get(from..)?;
            let line = &value[..memchr::memchr(b'\n', value)?];
            return Some(trim(line.strip_suffix(b"\r").unwrap_or(line)));
        }
        if index.is_whole() {
            return None;
        }
        let Fields(mut lines) = self.fields();
        std::iter::from_fn(|| next_field(&mut lines))
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// Names and values, without the white space around.
#[derive(Debug, Clone)]
pub struct Fields<'h>(&'h [u8]);

impl<'h> Iterator for Fields<'h> {
    type Item = (&'h str, &'h [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = next_field(&mut self.0)?;
        Some((std::str::from_utf8(name).unwrap_or_default(), value))
    }
}

/// Takes the next line off.
fn next_field<'h>(lines: &mut &'h [u8]) -> Option<(&'h [u8], &'h [u8])> {
    let end = memchr::memchr(b'\n', lines)?;
    let (line, rest) = lines.split_at(end);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // The blank line has none.
    let colon = memchr::memchr(b':', line)?;
    *lines = &rest[1..];
    Some((&line[..colon], trim(&line[colon + 1..])))
}

/// What is known of a head that has not come to its end.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Where to go on looking for the blank line: a line feed, or the first byte.
    from: usize,
    /// Bytes of blank lines that were there before.
    blank: usize,
}

/// What there is at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// So many bytes that stand for nothing.
    Blank(usize),
    /// A head of so many bytes.
    Head(usize),
    /// Part of a head.
    Part,
}

impl Scan {
    /// Looks for the end of the head that `bytes` begin with: each byte once, whatever pieces they come in.
    ///
    /// # Errors
    /// Whatever more may come, it is no head.
    pub(crate) fn find(&mut self, bytes: &[u8]) -> Result<Found, Violation> {
        let blank = bytes
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        if blank > 0 {
            self.blank += blank;
            return if self.blank > MAX_BLANK {
                Err(Violation::NotHttp)
            } else {
                Ok(Found::Blank(blank))
            };
        }
        const BEGINNING: &[u8] = b"HTTP/";
        let known = bytes.len().min(BEGINNING.len());
        if bytes[..known] != BEGINNING[..known] {
            return Err(Violation::NotHttp);
        }
        while let Some(found) = bytes
            .get(self.from..)
            .and_then(|rest| memchr::memchr(b'\n', rest))
        {
            let feed = self.from + found;
            let end = match &bytes[feed + 1..] {
                [b'\n', ..] => feed + 2,
                [b'\r', b'\n', ..] => feed + 3,
                [] | [b'\r'] => {
                    self.from = feed;
                    return within(bytes.len());
                }
                _ => {
                    self.from = feed + 1;
                    continue;
                }
            };
            within(end)?;
            return Ok(Found::Head(end));
        }
        self.from = bytes.len();
        within(bytes.len())
    }

    /// Whether something stood before the head that was no part of it.
    pub(crate) fn had_blank(&self) -> bool {
        self.blank > 0
    }
}

fn within(length: usize) -> Result<Found, Violation> {
    if length > MAX_HEAD {
        return Err(Violation::HeadTooLarge { limit: MAX_HEAD });
    }
    Ok(Found::Part)
}

/// Reads a whole head.
///
/// # Errors
/// [`Violation`]; with the status, where that could be read.
pub(crate) fn read(raw: Bytes, asked: Asked) -> Result<(Head, Framing), (Option<u16>, Violation)> {
    let mut index = Index::default();
    let (parsed, mended, doubts) = match parse(&raw, &mut index) {
        Some(parsed) => (parsed, None, Doubts::default()),
        None => {
            let (text, doubts) = mend(&raw).map_err(|violation| (None, violation))?;
            let parsed = parse(&text, &mut index).ok_or((None, Violation::StatusLine))?;
            (parsed, Some(text.into_boxed_slice()), doubts)
        }
    };
    let Parsed {
        status,
        version,
        collected,
    } = parsed;
    if !(100..=999).contains(&status) {
        return Err((None, Violation::StatusLine));
    }
    let framing = collected
        .framing(asked, status, version == Version::Http10, &doubts)
        .map_err(|violation| (Some(status), violation))?;
    let head = Head(Box::new(Inner {
        status,
        version,
        raw,
        mended,
        index,
    }));
    Ok((head, framing))
}

/// What the lines of a head say.
struct Parsed {
    status: u16,
    version: Version,
    collected: Collected,
}

/// A head that is written as it should be, or `None`. `index` is told where its fields stand.
fn parse(text: &[u8], index: &mut Index) -> Option<Parsed> {
    let mut few = [const { MaybeUninit::uninit() }; FEW_FIELDS];
    match parse_with(text, &mut few, index) {
        Err(httparse::Error::TooManyHeaders) => {
            let lines = memchr::memchr_iter(b'\n', text).count();
            let mut many = vec![MaybeUninit::uninit(); lines];
            parse_with(text, &mut many, index).ok().flatten()
        }
        parsed => parsed.ok().flatten(),
    }
}

fn parse_with<'t>(
    text: &'t [u8],
    room: &mut [MaybeUninit<Header<'t>>],
    index: &mut Index,
) -> Result<Option<Parsed>, httparse::Error> {
    let mut response = Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, text, room)?;
    let (Status::Complete(length), Some(status), Some(minor)) = (parsed, response.code, response.version)
    else {
        return Ok(None);
    };
    if length != text.len() {
        return Ok(None);
    }
    let mut collected = Collected::default();
    let beginning = text.as_ptr().addr();
    for field in response.headers.iter() {
        index.add(field.name.as_ptr().addr() - beginning, field.name.as_bytes());
        collected.add(field.name, trim(field.value));
    }
    let version = if minor == 0 {
        Version::Http10
    } else {
        Version::Http11
    };
    Ok(Some(Parsed {
        status,
        version,
        collected,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::Length;

    fn read_text(text: &[u8]) -> Result<(Head, Framing), Violation> {
        read(Bytes::copy_from_slice(text), Asked::Other).map_err(|(_, violation)| violation)
    }

    fn values(head: &Head, name: &str) -> Vec<String> {
        head.fields()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    /// The length of the head at the beginning of `bytes`, found as they come in pieces of `size`.
    fn found(bytes: &[u8], size: usize) -> Result<Option<usize>, Violation> {
        let (mut scan, mut start, mut end) = (Scan::default(), 0, 0);
        loop {
            match scan.find(&bytes[start..end])? {
                Found::Head(length) => return Ok(Some(start + length)),
                Found::Blank(length) => start += length,
                Found::Part if end == bytes.len() => return Ok(None),
                Found::Part => end = bytes.len().min(end + size),
            }
        }
    }

    #[test]
    fn a_head_ends_at_its_first_blank_line_however_it_comes() {
        for (text, length) in [
            ("HTTP/1.1 200 OK\r\n\r\nbody", Some(19)),
            ("HTTP/1.1 200 OK\n\nbody", Some(17)),
            ("HTTP/1.1 200 OK\nA: b\r\n\nbody", Some(23)),
            ("\r\nHTTP/1.1 200 OK\r\n\r\n", Some(21)),
            ("HTTP/1.1 200 OK\r\nA: b\r\n", None),
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r", None),
            ("HTTP/1.1 200 OK\r\nA: b\r\n \r\n", None),
        ] {
            for size in 1..=text.len() {
                assert_eq!(
                    found(text.as_bytes(), size),
                    Ok(length),
                    "{text:?} in pieces of {size}"
                );
            }
        }
    }

    #[test]
    fn what_does_not_begin_like_an_answer_is_refused_at_its_first_byte() {
        for (text, refused_at) in [
            ("SSH-2.0", 1),
            ("HTP/1.1", 3),
            ("http/1.1", 1),
            ("\0", 1),
            (" HTTP", 1),
        ] {
            assert_eq!(
                found(&text.as_bytes()[..refused_at], 1),
                Err(Violation::NotHttp),
                "{text}"
            );
        }
        assert_eq!(found("\r\n".repeat(9).as_bytes(), 1), Err(Violation::NotHttp));
        let endless = format!("HTTP/1.1 200 {}", "x".repeat(MAX_HEAD));
        for size in [1000, endless.len()] {
            assert_eq!(
                found(endless.as_bytes(), size),
                Err(Violation::HeadTooLarge { limit: MAX_HEAD })
            );
        }
    }

    #[test]
    fn a_plain_head_is_kept_as_it_came() {
        let text = b"HTTP/1.1 200 Fine\r\nX-Key:  a b \r\nx-kEY: c\r\nContent-Length: 7\r\n\r\n";
        let (head, framing) = read_text(text).unwrap();
        assert_eq!((head.status(), head.version()), (200, Version::Http11));
        assert_eq!(&head.raw()[..], text);
        assert_eq!(values(&head, "x-key"), ["a b", "c"]);
        assert_eq!(head.get("CONTENT-length"), Some(&b"7"[..]));
        for absent in ["absent", "", "x-kez", "content-lengtH-"] {
            assert_eq!(head.get(absent), None);
        }
        assert_eq!((framing.length, framing.persists), (Length::Exact(7), true));
        let names: Vec<&str> = head.fields().map(|(name, _)| name).collect();
        assert_eq!(names, ["X-Key", "x-kEY", "Content-Length"]);
    }

    #[test]
    fn any_number_of_fields_is_read_and_the_last_one_counts() {
        for count in [FEW_FIELDS - 1, FEW_FIELDS, 101, 5000] {
            let text = format!(
                "HTTP/1.1 200 OK\r\n{}Connection: close\r\n\r\n",
                "X-A: b\r\n".repeat(count)
            );
            let (head, framing) = read_text(text.as_bytes()).unwrap();
            assert_eq!(head.fields().count(), count + 1);
            assert!(!framing.persists);
        }
    }

    #[test]
    fn status_lines_that_curl_reads_are_read() {
        for (line, status, persists) in [
            ("HTTP/1.1 200 OK", 200, true),
            ("HTTP/1.1 200", 200, true),
            ("HTTP/1.1 200 ", 200, true),
            ("HTTP/1.1 404 Gr\u{f6}\u{df}e", 404, true),
            ("HTTP/1.0 200 OK", 200, false),
            ("HTTP/1.1  200  OK", 200, false),
            ("HTTP/2 200", 200, false),
            ("HTTP/2 200 OK", 200, false),
            ("HTTP/2.0 403 Forbidden", 403, false),
            ("HTTP/3 200", 200, false),
            ("HTTP/1.2 200 OK", 200, false),
            ("HTTP/1.1 200OK", 200, false),
            ("HTTP/1.1 200 a\x01b", 200, false),
        ] {
            let (head, framing) =
                read_text(format!("{line}\r\nContent-Length: 7\r\n\r\n").as_bytes()).unwrap();
            assert_eq!((head.status(), framing.persists), (status, persists), "{line}");
            assert_eq!(framing.length, Length::Exact(7), "{line}");
            assert_eq!(head.get("content-length"), Some(&b"7"[..]), "{line}");
        }
        for line in [
            "HTTP/1.1",
            "HTTP/1.1 ",
            "HTTP/1.1 20",
            "HTTP/1.1 2000",
            "HTTP/1.1 abc",
            "HTTP/0.9 200",
            "HTTP/ 200",
            "HTTP/1.1 099",
            "HTTP/1.1 -20",
            "HTTP/x 200",
            "HTTP/1. 200",
        ] {
            assert!(read_text(format!("{line}\r\n\r\n").as_bytes()).is_err(), "{line}");
        }
    }
}
