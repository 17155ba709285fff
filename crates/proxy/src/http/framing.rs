//! Where each request of a connection ends (RFC 9112 sections 6 and 7), read before anybody acts on it.
//!
//! Two programs that see the end of a request in different places are what request smuggling lives on. So
//! whatever could be read in two ways is refused, although a more lenient reader could make sense of it; and what
//! passes of chunked content is written anew in its one plainest form, so that whoever decodes it has nothing left
//! to understand in another way.

use http::{Method, Uri};

use super::chunked::{self, WRITTEN_SIZE, size_line};
use super::head::{MAX_FIELDS, MAX_HEAD};
use super::part::{Part, State, Step, Written};

pub use super::part::Violation;

/// Follows the requests of one connection.
#[derive(Debug, Default)]
pub struct Framing {
    state: State,
    heads: u64,
}

/// How much was taken of bytes that were shown, and how much of it passes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Bytes that were read. What is left is to be shown again, with what comes behind it.
    pub read: usize,
    /// Bytes that stand at the front now and pass. Never more than were read.
    pub written: usize,
}

impl Framing {
    /// Reads `bytes` from the first on and writes what may pass in their place: heads and lines as a whole.
    ///
    /// # Errors
    /// [`Violation`], after which nothing more may pass.
    pub fn pass(&mut self, bytes: &mut [u8]) -> Result<Passed, Violation> {
        let mut passed = Passed::default();
        while passed.read < bytes.len() {
            match self.state.step(&bytes[passed.read..]) {
                Ok(Some(part)) => {
                    self.heads += u64::from(self.state == State::Head);
                    self.state = part.next;
                    passed.written += write(bytes, passed, &part);
                    passed.read += part.used;
                }
                Ok(None) => break,
                // What is good passes first.
                Err(_) if passed.read > 0 => break,
                Err(violation) => return Err(violation),
            }
        }
        Ok(passed)
    }

    /// How many heads have passed.
    #[must_use]
    pub fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether the last head asked for another protocol, and nothing passes until that is answered.
    #[must_use]
    pub fn is_switching(&self) -> bool {
        self.state == State::Switch
    }

    /// The other protocol was not agreed on: requests go on.
    pub fn decline_switch(&mut self) {
        if self.is_switching() {
            self.state = State::Head;
        }
    }

    /// Whether the next byte belongs to another request.
    #[must_use]
    pub fn is_between_requests(&self) -> bool {
        self.state == State::Head
    }
}

/// Puts what passes of `part` behind what has passed, and tells how much that is.
fn write(bytes: &mut [u8], passed: Passed, part: &Part) -> usize {
    let mut size = [0; WRITTEN_SIZE];
    let written: &[u8] = match &part.written {
        Written::AsRead => {
            let read = passed.read..passed.read + part.used;
            if passed.read != passed.written {
                bytes.copy_within(read, passed.written);
            }
            return part.used;
        }
        Written::Size(chunk) => size_line(*chunk, &mut size),
        Written::Instead(bytes) => bytes,
    };
    bytes[passed.written..passed.written + written.len()].copy_from_slice(written);
    written.len()
}

impl State {
    fn step(self, bytes: &[u8]) -> Step {
        match self {
            Self::Head => head(bytes),
            Self::Content(left) => Ok(Some(content(bytes, left, Self::Content, Self::Head))),
            Self::ChunkSize => chunked::size(bytes),
            Self::Chunk(left) => Ok(Some(content(bytes, left, Self::Chunk, Self::ChunkEnd))),
            Self::ChunkEnd => chunked::end(bytes),
            Self::Trailers => chunked::trailers(bytes),
            Self::Tunnel => Ok(Some(Part::as_read(bytes.len(), Self::Tunnel))),
            Self::Switch => Ok(None),
        }
    }
}

fn content(bytes: &[u8], left: u64, more: fn(u64) -> State, done: State) -> Part {
    let here = bytes.len() as u64;
    match left.checked_sub(here) {
        Some(left @ 1..) => Part::as_read(bytes.len(), more(left)),
        _ => Part::as_read(left as usize, done),
    }
}

fn head(bytes: &[u8]) -> Step {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(used)) if used <= MAX_HEAD => {
            check_target(request.path.unwrap_or_default())?;
            let next = content_of(&request)?;
            Ok(Some(Part::as_read(used, next)))
        }
        Ok(httparse::Status::Partial) if bytes.len() <= MAX_HEAD => Ok(None),
        Ok(_) => Err(Violation::TooLarge),
        Err(httparse::Error::TooManyHeaders) => Err(Violation::TooManyFields),
        Err(_) => Err(Violation::Malformed("the request is not well-formed HTTP/1.1")),
    }
}

/// Refuses, in words, the request targets that hyper refuses without one.
fn check_target(target: &str) -> Result<(), Violation> {
    if Uri::try_from(target).is_ok() {
        return Ok(());
    }
    let is_unsafe = |byte: u8| !byte.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&byte);
    Err(Violation::Malformed(if target.bytes().any(is_unsafe) {
        "the URL holds a character that has to be percent-encoded (RFC 3986 section 2.1)"
    } else {
        "the request target is not a URL"
    }))
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
        Some(method)
            if method == Method::GET.as_str() && next == State::Head && asks_for_websocket(request) =>
        {
            Ok(State::Switch)
        }
        _ => Ok(next),
    }
}

/// Whether a request asks for WebSocket (RFC 6455 section 4.1).
fn asks_for_websocket(request: &httparse::Request<'_, '_>) -> bool {
    let lists = |name: &str, token: &str| {
        request
            .headers
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name))
            .flat_map(|field| field.value.split(|byte| *byte == b','))
            .any(|value| value.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    };
    request.version == Some(1) && lists("upgrade", "websocket") && lists("connection", "upgrade")
}

/// Digits only, and few enough for every reader's integers.
fn number(value: &[u8]) -> Option<u64> {
    const MAX_DIGITS: usize = 18;
    if value.is_empty() || value.len() > MAX_DIGITS || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
