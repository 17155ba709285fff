//! Whatever a server says, an answer is the same however it is cut, it is what hyper reads where both read one, and
//! it keeps the rules of RFC 9112 also where both could break them alike.
//!
//! The first byte of an input chooses what is asked, and how the connection ends; the rest is what the server says.
#![no_main]

use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::rt::{Read, ReadBufCursor, Write};
use libfuzzer_sys::fuzz_target;
use v6kit_http1::{Answer, Block, Buffers, Connection, Look, Request, Transport};

const LIMIT: u64 = 1 << 20;

/// What a server says, in pieces.
struct Said {
    pieces: VecDeque<Vec<u8>>,
    /// The connection ends in an orderly way behind them; else it is reset.
    ends: bool,
}

impl Said {
    fn new(bytes: &[u8], size: usize, ends: bool) -> Self {
        let pieces = bytes.chunks(size.max(1)).map(<[u8]>::to_vec).collect();
        Self { pieces, ends }
    }

    fn next(&mut self, most: usize) -> io::Result<Vec<u8>> {
        match self.pieces.front_mut() {
            None if self.ends => Ok(Vec::new()),
            None => Err(io::ErrorKind::ConnectionReset.into()),
            Some(piece) => {
                let rest = piece.split_off(most.min(piece.len()));
                let now = std::mem::replace(piece, rest);
                if piece.is_empty() {
                    self.pieces.pop_front();
                }
                Ok(now)
            }
        }
    }
}

impl Transport for Said {
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut Vec<u8>, most: usize) -> Poll<io::Result<usize>> {
        let room = most.min(buffer.capacity() - buffer.len());
        assert!(room > 0);
        let piece = self.next(room)?;
        buffer.extend_from_slice(&piece);
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn look(&mut self) -> Look {
        // Its end is not looked for: the pieces are over before.
        if self.pieces.is_empty() { Look::Silent } else { Look::Bytes }
    }
}

impl Read for Said {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let piece = self.next(buffer.remaining())?;
        buffer.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl Write for Said {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Polls until it is ready. Nothing here waits for long.
fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}

struct Ours {
    answer: Answer,
    /// Another request may follow, also after looking.
    goes_on: bool,
}

/// What the crate makes of it, in pieces of `size`.
fn ours(method: &str, said: &[u8], size: usize, ends: bool) -> Option<Ours> {
    let fields = Block::new();
    let body = Bytes::new();
    let request = Request {
        method,
        target: "/",
        host: b"h",
        fields: &fields,
        more: None,
        body: &body,
    };
    let mut connection = Connection::new(Said::new(said, size, ends), Buffers::new());
    connection.begin(&request, LIMIT).expect("a request that can be written");
    assert!(!connection.is_open());
    let answer = finish(connection.answer());
    if answer.is_err() {
        assert!(!connection.is_open());
    }
    let goes_on = connection.look() == v6kit_http1::Standing::Ready;
    answer.ok().map(|answer| Ours { answer, goes_on })
}

struct Theirs {
    status: u16,
    body: Bytes,
}

/// What hyper makes of it, in one piece.
fn theirs(method: &str, said: &[u8], ends: bool) -> Option<Theirs> {
    let builder = hyper::client::conn::http1::Builder::new();
    let said = Said::new(said, said.len(), ends);
    let (mut sender, connection) = finish(builder.handshake::<_, Empty<Bytes>>(said)).ok()?;
    let request = hyper::Request::builder().method(method).uri("/").header("host", "h");
    let request = request.body(Empty::<Bytes>::new()).expect("a request");
    let mut connection = Box::pin(connection);
    let mut cx = Context::from_waker(Waker::noop());
    let mut answering = pin!(async {
        let response = sender.send_request(request).await.ok()?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some((head.status.as_u16(), body))
    });
    let mut has_ended = false;
    // As many turns as there are bytes, and some for each state between.
    for _ in 0..100_000 {
        if let Poll::Ready(answer) = answering.as_mut().poll(&mut cx) {
            let (status, body) = answer?;
            return Some(Theirs { status, body });
        }
        has_ended = has_ended || connection.as_mut().poll(&mut cx).is_ready();
    }
    None
}

/// The lines of a head that nobody has to guess at.
fn plain_lines(raw: &[u8]) -> Option<Vec<(String, String)>> {
    let text = std::str::from_utf8(raw).ok()?;
    if text.replace("\r\n", "").contains(['\r', '\n']) {
        return None;
    }
    let mut lines = Vec::new();
    for line in text.split("\r\n").skip(1).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty() || !name.chars().all(is_name) || value.chars().any(|c| c.is_control()) {
            return None;
        }
        lines.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_ascii_lowercase()));
    }
    Some(lines)
}

/// RFC 9112 sections 6.3, 9.3 and 9.6, said in another way than the crate does.
fn keeps_the_rules(method: &str, said: &[u8], ends: bool, ours: &Ours) {
    let answer = &ours.answer;
    let status = answer.head.status();
    assert!((200..1000).contains(&status), "an interim answer is no answer");
    let raw = answer.head.raw();
    assert!(raw.ends_with(b"\n\n") || raw.ends_with(b"\n\r\n"));
    assert!(answer.body.len() as u64 <= LIMIT);
    let at = said.windows(raw.len()).position(|part| part == raw).expect("it was said");
    let behind = &said[at + raw.len()..];
    let has_no_body = method == "HEAD" || matches!(status, 204 | 304);
    assert!(!has_no_body || answer.body.is_empty());
    let Some(lines) = plain_lines(raw) else {
        return;
    };
    let all = |name: &str| -> Vec<&str> {
        lines.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    };
    let closes = all("connection").iter().flat_map(|value| value.split(',')).any(|token| token.trim() == "close");
    assert!(!(closes && ours.goes_on), "close wins on any line");
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    assert!(!(ours.goes_on && !lengths.is_empty() && !codings.is_empty() && !has_no_body), "a length beside a coding");
    assert!(!(ours.goes_on && raw.starts_with(b"HTTP/1.0") && all("connection").is_empty()));
    if has_no_body {
        assert!(!(ours.goes_on && !behind.is_empty()), "bytes behind the end");
        return;
    }
    if !codings.is_empty() {
        let last = codings.last().and_then(|value| value.rsplit(',').map(str::trim).find(|token| !token.is_empty()));
        if last == Some("chunked") {
            let (body, used) = chunks(behind).expect("whole chunks");
            assert_eq!(body, answer.body);
            assert!(!(ours.goes_on && used < behind.len()), "bytes behind the end");
        } else {
            assert!(ends && !ours.goes_on);
        }
    } else if lengths.is_empty() {
        assert!(ends && !ours.goes_on, "until the end");
        assert_eq!(behind, &answer.body[..]);
    } else {
        for number in lengths.iter().flat_map(|value| value.split(',')) {
            let number = number.trim_matches([' ', '\t']);
            assert!(!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
            let number = number.trim_start_matches('0');
            let expected = answer.body.len().to_string();
            assert_eq!(number, expected.trim_start_matches('0'), "all lines say the same");
        }
        assert_eq!(&behind[..answer.body.len()], &answer.body[..]);
        assert!(!(ours.goes_on && answer.body.len() < behind.len()), "bytes behind the end");
    }
}

/// RFC 9112 section 7.1 by regular lines: the content, and the length of all of it.
fn chunks(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut at, mut body) = (0, Vec::new());
    let line = |at: usize| -> Option<&[u8]> {
        let end = bytes[at..].windows(2).position(|pair| pair == b"\r\n")?;
        Some(&bytes[at..at + end])
    };
    loop {
        let text = line(at)?;
        at += text.len() + 2;
        if text.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return None;
        }
        let size = text.split(|byte| *byte == b';').next()?;
        let size = std::str::from_utf8(size).ok()?.trim_end_matches([' ', '\t']);
        if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let size = usize::try_from(u128::from_str_radix(size.trim_start_matches('0'), 16).unwrap_or(0)).ok()?;
        if size == 0 {
            break;
        }
        body.extend_from_slice(bytes.get(at..at.checked_add(size)?)?);
        at += size;
        if bytes.get(at..at + 2)? != b"\r\n" {
            return None;
        }
        at += 2;
    }
    loop {
        let text = line(at)?;
        at += text.len() + 2;
        if text.is_empty() {
            return Some((body, at));
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, said)) = input.split_first() else {
        return;
    };
    let method = ["GET", "HEAD", "POST"][usize::from(choice % 3)];
    let ends = choice & 64 == 0;
    let whole = ours(method, said, said.len(), ends);
    for size in [1, 2, 7, usize::from(*choice) + 1] {
        let cut = ours(method, said, size, ends);
        let brief = |ours: &Option<Ours>| {
            ours.as_ref().map(|ours| (ours.answer.head.status(), ours.answer.body.clone(), ours.goes_on))
        };
        assert_eq!(brief(&cut), brief(&whole), "in pieces of {size}");
    }
    let Some(whole) = whole else {
        return;
    };
    keeps_the_rules(method, said, ends, &whole);
    // Where hyper reads an answer, it is this one.
    if let Some(theirs) = theirs(method, said, ends) {
        assert_eq!(theirs.status, whole.answer.head.status());
        assert_eq!(theirs.body, whole.answer.body);
    }
});
