//! Content in chunks (RFC 9112 section 7.1), as a client sends it and as it passes.

use std::io::Write;

use super::head::{MAX_FIELDS, MAX_HEAD};
use super::part::{Part, State, Step, Violation, Written};

/// The longest line with a chunk's size. Extensions are rare, and never forwarded.
const MAX_CHUNK_LINE: usize = 256;
/// More digits would overflow, in some readers' signed integers.
const MAX_SIZE_DIGITS: usize = 15;
/// The longest line with a chunk's size that is written: its digits, CR and LF.
pub(super) const WRITTEN_SIZE: usize = MAX_SIZE_DIGITS + 2;

/// The line with the size of a chunk.
pub(super) fn size(bytes: &[u8]) -> Step {
    let searched = &bytes[..bytes.len().min(MAX_CHUNK_LINE)];
    let Some(end) = searched.iter().position(|byte| *byte == b'\n') else {
        return match bytes.len() {
            length if length >= MAX_CHUNK_LINE => Err(Violation::Malformed("a chunk extension is too long")),
            _ => Ok(None),
        };
    };
    let Some((b'\r', line)) = bytes[..end].split_last() else {
        return Err(Violation::Malformed(
            "the line of a chunk's size does not end with CR LF",
        ));
    };
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, extension) = line.split_at(digits);
    let size = std::str::from_utf8(size)
        .ok()
        .filter(|size| size.len() <= MAX_SIZE_DIGITS)
        .and_then(|size| u64::from_str_radix(size, 16).ok())
        .ok_or(Violation::Malformed("a chunk's size is not a number"))?;
    let begins_well = matches!(extension.trim_ascii_start().first(), None | Some(b';'));
    let is_text = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    if !begins_well || !extension.iter().all(is_text) {
        return Err(Violation::Malformed(
            "a chunk's size is followed by something else",
        ));
    }
    let next = match size {
        0 => State::Trailers,
        size => State::Chunk(size),
    };
    Ok(Some(Part {
        used: end + 1,
        next,
        written: Written::Size(size),
    }))
}

/// The end of a chunk.
pub(super) fn end(bytes: &[u8]) -> Step {
    match bytes {
        [b'\r', b'\n', ..] => Ok(Some(Part::as_read(2, State::ChunkSize))),
        [b'\r'] => Ok(None),
        _ => Err(Violation::Malformed("a chunk is longer than its size says")),
    }
}

/// Everything behind the last chunk.
pub(super) fn trailers(bytes: &[u8]) -> Step {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete((used, fields))) if used <= MAX_HEAD => {
            if has_bare_line_feed(&bytes[..used]) {
                return Err(Violation::Malformed("a line of the trailers ends with LF alone"));
            }
            Ok(Some(Part {
                used,
                next: State::Head,
                written: Written::Instead(written_trailers(fields)),
            }))
        }
        Ok(httparse::Status::Partial) if bytes.len() <= MAX_HEAD => Ok(None),
        Ok(_) => Err(Violation::TooLarge),
        Err(httparse::Error::TooManyHeaders) => Err(Violation::TooManyFields),
        Err(_) => Err(Violation::Malformed("the trailers are not well-formed HTTP/1.1")),
    }
}

/// Some readers take a lone LF for the end of a line, others do not (RFC 9112 section 2.2).
fn has_bare_line_feed(bytes: &[u8]) -> bool {
    let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.any(|(at, _)| at.checked_sub(1).is_none_or(|before| bytes[before] != b'\r'))
}

fn written_trailers(fields: &[httparse::Header<'_>]) -> Vec<u8> {
    let mut written = Vec::new();
    for field in fields {
        written.extend_from_slice(field.name.as_bytes());
        written.push(b':');
        written.extend_from_slice(field.value);
        written.extend_from_slice(b"\r\n");
    }
    written.extend_from_slice(b"\r\n");
    written
}

/// A size as it is written.
pub(super) fn size_line(size: u64, line: &mut [u8; WRITTEN_SIZE]) -> &[u8] {
    let mut rest = &mut line[..];
    // The size was read from at most MAX_SIZE_DIGITS digits.
    let _ = write!(rest, "{size:x}\r\n");
    let left = rest.len();
    &line[..WRITTEN_SIZE - left]
}
