//! Where each request of a connection ends (RFC 9112 sections 6 and 7), checked before anybody acts on it.
//!
//! Two programs that see the end of a request in different places are what request smuggling lives on. So
//! whatever could be read in two ways is refused, although a more lenient reader could make sense of it.

use http::Method;

use super::head::{MAX_FIELDS, MAX_HEAD};
use crate::data::refusal::Refusal;

/// The longest line with a chunk's size. Extensions are rare, and never forwarded.
const MAX_CHUNK_LINE: usize = 256;
/// More digits would overflow, in some readers' signed integers.
const MAX_SIZE_DIGITS: usize = 15;

/// Follows the requests of one connection.
#[derive(Debug, Default)]
pub struct Framing {
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// That many bytes of content are to come.
    Content(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    /// A CONNECT request was seen: what follows may be anything.
    Tunnel,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A head, or trailers, of too many bytes or fields.
    #[error("too many fields")]
    TooLarge,
    /// Everything else.
    #[error("{0}")]
    Malformed(&'static str),
}

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::TooLarge => Self::HeadTooLarge { limit: MAX_HEAD },
            Violation::Malformed(why) => Self::BadRequest { why },
        }
    }
}

/// What may pass, and where the connection stands then. `None` asks for more bytes.
type Step = Result<Option<(usize, State)>, Violation>;

impl Framing {
    /// How many of `bytes`, from the first on, may pass. What is left is to be shown again, with what
    /// comes behind it: heads and lines pass as a whole.
    ///
    /// # Errors
    /// [`Violation`], after which nothing more may pass.
    pub fn accept(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let mut passed = 0;
        while passed < bytes.len() {
            let rest = &bytes[passed..];
            match self.state.step(rest) {
                Ok(Some((used, next))) => {
                    passed += used;
                    self.state = next;
                }
                Ok(None) => break,
                // What is good passes first.
                Err(_) if passed > 0 => break,
                Err(violation) => return Err(violation),
            }
        }
        Ok(passed)
    }

    /// Whether the next byte belongs to another request.
    #[must_use]
    pub fn is_between_requests(&self) -> bool {
        self.state == State::Head
    }
}

impl State {
    fn step(self, bytes: &[u8]) -> Step {
        match self {
            Self::Head => head(bytes),
            Self::Content(left) => Ok(Some(content(bytes, left, Self::Content, Self::Head))),
            Self::ChunkSize => chunk_size(bytes),
            Self::Chunk(left) => Ok(Some(content(bytes, left, Self::Chunk, Self::ChunkEnd))),
            Self::ChunkEnd => chunk_end(bytes),
            Self::Trailers => trailers(bytes),
            Self::Tunnel => Ok(Some((bytes.len(), Self::Tunnel))),
        }
    }
}

fn content(bytes: &[u8], left: u64, more: fn(u64) -> State, done: State) -> (usize, State) {
    let here = bytes.len() as u64;
    match left.checked_sub(here) {
        Some(left @ 1..) => (bytes.len(), more(left)),
        _ => (left as usize, done),
    }
}

fn head(bytes: &[u8]) -> Step {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(used)) if used <= MAX_HEAD => {
            let next = content_of(&request)?;
            Ok(Some((used, next)))
        }
        Ok(httparse::Status::Partial) if bytes.len() <= MAX_HEAD => Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Err(Violation::TooLarge),
        Err(_) => Err(Violation::Malformed("the request is not well-formed HTTP/1.1")),
    }
}

/// What follows a head. Refuses what two readers could see differently (RFC 9112 sections 3.2, 6.1 and 6.3).
fn content_of(request: &httparse::Request<'_, '_>) -> Result<State, Violation> {
    let mut coding = None;
    let mut length = None;
    let mut hosts = 0;
    for field in request.headers.iter() {
        let is = |name| field.name.eq_ignore_ascii_case(name);
        if is("transfer-encoding") {
            if coding.replace(field.value).is_some() {
                return Err(Violation::Malformed("Transfer-Encoding occurs twice"));
            }
        } else if is("content-length") {
            if length.replace(field.value).is_some() {
                return Err(Violation::Malformed("Content-Length occurs twice"));
            }
        } else if is("host") {
            hosts += 1;
        }
    }
    let next = match (coding, length.map(number)) {
        (None, None) => State::Head,
        (None, Some(None)) => return Err(Violation::Malformed("Content-Length is not one number")),
        (None, Some(Some(0))) => State::Head,
        (None, Some(Some(length))) => State::Content(length),
        (Some(_), Some(_)) => {
            return Err(Violation::Malformed(
                "Transfer-Encoding and Content-Length exclude each other",
            ));
        }
        (Some(_), None) if request.version == Some(0) => {
            return Err(Violation::Malformed("HTTP/1.0 has no Transfer-Encoding"));
        }
        (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => State::ChunkSize,
        (Some(_), None) => return Err(Violation::Malformed("Transfer-Encoding is not just `chunked`")),
    };
    match hosts {
        0 if request.version == Some(1) => return Err(Violation::Malformed("the Host field is missing")),
        0 | 1 => {}
        _ => return Err(Violation::Malformed("the Host field occurs twice")),
    }
    match request.method {
        Some(method) if method == Method::CONNECT.as_str() && next == State::Head => Ok(State::Tunnel),
        Some(method) if method == Method::CONNECT.as_str() => {
            Err(Violation::Malformed("a CONNECT request has no content"))
        }
        Some(method) if method == Method::TRACE.as_str() && next != State::Head => {
            Err(Violation::Malformed("a TRACE request has no content"))
        }
        _ => Ok(next),
    }
}

/// Digits only, and few enough for every reader's integers.
fn number(value: &[u8]) -> Option<u64> {
    const MAX_DIGITS: usize = 18;
    if value.is_empty() || value.len() > MAX_DIGITS || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn chunk_size(bytes: &[u8]) -> Step {
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
    Ok(Some((end + 1, next)))
}

fn chunk_end(bytes: &[u8]) -> Step {
    match bytes {
        [b'\r', b'\n', ..] => Ok(Some((2, State::ChunkSize))),
        [b'\r'] => Ok(None),
        _ => Err(Violation::Malformed("a chunk is longer than its size says")),
    }
}

fn trailers(bytes: &[u8]) -> Step {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete((used, _))) if used <= MAX_HEAD => Ok(Some((used, State::Head))),
        Ok(httparse::Status::Partial) if bytes.len() <= MAX_HEAD => Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Err(Violation::TooLarge),
        Err(_) => Err(Violation::Malformed("the trailers are not well-formed HTTP/1.1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "POST http://a/ HTTP/1.1\r\nHost: a\r\n";

    /// Shows `bytes` in pieces of `size`, as a connection would.
    fn in_pieces(bytes: &[u8], size: usize) -> Result<Framing, Violation> {
        let mut framing = Framing::default();
        let mut shown = Vec::new();
        for piece in bytes.chunks(size) {
            shown.extend_from_slice(piece);
            while !shown.is_empty() {
                let passed = framing.accept(&shown)?;
                shown.drain(..passed);
                if passed == 0 {
                    break;
                }
            }
        }
        Ok(framing)
    }

    #[track_caller]
    fn assert_ends(request: &str) {
        for size in [1, 2, 3, 7, request.len()] {
            let framing =
                in_pieces(request.as_bytes(), size).unwrap_or_else(|error| panic!("{request:?}: {error}"));
            assert!(framing.is_between_requests(), "{request:?} in pieces of {size}");
        }
    }

    #[track_caller]
    fn assert_refused(request: &str) {
        for size in [1, 2, 3, 7, request.len()] {
            assert!(
                in_pieces(request.as_bytes(), size).is_err(),
                "{request:?} in pieces of {size}"
            );
        }
    }

    #[test]
    fn requests_end_where_they_say() {
        for content in [
            "\r\n",
            "Content-Length: 0\r\n\r\n",
            "Content-Length: 5\r\n\r\nhello",
            "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00A;x=\"y\"\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1 ;a\r\nx\r\n0\r\n\r\n",
        ] {
            assert_ends(&format!("{LINE}{content}"));
            assert_ends(&format!("{LINE}{content}{LINE}{content}"));
        }
        assert_ends("GET http://a/ HTTP/1.0\r\n\r\n");
    }

    #[test]
    fn a_request_is_not_at_its_end_before_the_last_byte() {
        for request in [
            format!("{LINE}Content-Length: 5\r\n\r\nhell"),
            format!("{LINE}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r"),
            format!("{LINE}Transfer-Encoding: chunked\r\n\r\n"),
        ] {
            assert!(
                !in_pieces(request.as_bytes(), 1).unwrap().is_between_requests(),
                "{request:?}"
            );
        }
    }

    #[test]
    fn requests_with_two_possible_ends_are_refused() {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: 5 5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length : 5\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Transfer-Encoding:\x0bchunked\r\n",
            "Transfer-Encoding:\r\n chunked\r\n",
            "X: a\r\n folded\r\n",
            "X: a\rContent-Length: 5\r\n",
            "X: a\0b\r\n",
            "X\0: a\r\n",
            "Host: b\r\n",
        ] {
            assert_refused(&format!("{LINE}{fields}\r\n"));
        }
        assert_refused("POST http://a/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        assert_refused("GET http://a/ HTTP/1.1\r\n\r\n");
        assert_refused("GET  http://a/ HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_refused("TRACE http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        assert_refused("CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    }

    #[test]
    fn chunks_that_are_not_what_they_say_are_refused() {
        let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(300));
        for chunks in [
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "+5\r\nhello\r\n0\r\n\r\n",
            "-5\r\nhello\r\n0\r\n\r\n",
            "\r\nhello\r\n0\r\n\r\n",
            ";a\r\nhello\r\n0\r\n\r\n",
            "5 5\r\nhello\r\n0\r\n\r\n",
            "5\r5\r\nhello\r\n0\r\n\r\n",
            "5;a\rb\r\nhello\r\n0\r\n\r\n",
            "5;a\0b\r\nhello\r\n0\r\n\r\n",
            "10000000000000005\r\nhello\r\n0\r\n\r\n",
            "0\r\n folded\r\n\r\n",
            "0\r\nX : y\r\n\r\n",
            &long,
        ] {
            assert_refused(&format!("{LINE}Transfer-Encoding: chunked\r\n\r\n{chunks}"));
        }
    }

    #[test]
    fn what_grows_without_an_end_is_refused() {
        let mut framing = Framing::default();
        let head = format!("{LINE}X: {}", "x".repeat(MAX_HEAD));
        assert_eq!(framing.accept(head.as_bytes()), Err(Violation::TooLarge));
        let many = format!("{LINE}{}\r\n", "X: y\r\n".repeat(MAX_FIELDS));
        assert_eq!(
            Framing::default().accept(many.as_bytes()),
            Err(Violation::TooLarge)
        );
    }

    #[test]
    fn what_follows_a_connect_is_nobodys_business() {
        let mut framing = Framing::default();
        let bytes = b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n\x16\x03\x01\0\0";
        assert_eq!(framing.accept(bytes), Ok(bytes.len()));
        assert_eq!(framing.accept(b"\0\r\n"), Ok(3));
    }
}
