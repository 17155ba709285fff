//! Exchanges over memory, for whoever counts instructions: `exchanges N` does N of them on one connection.

use std::io;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use v6kit_http1::{Block, Buffers, Connection, Look, Request, Standing, Transport};

/// A small answer, as an API gives it.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    Content-Type: application/json\r\nContent-Length: 320\r\nConnection: keep-alive\r\n\r\n";

/// Answers each request at once.
struct Server {
    answer: Vec<u8>,
    is_asked: bool,
}

impl Transport for Server {
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut Vec<u8>, _: usize) -> Poll<io::Result<usize>> {
        if !std::mem::take(&mut self.is_asked) {
            return Poll::Pending;
        }
        buffer.extend_from_slice(&self.answer);
        Poll::Ready(Ok(self.answer.len()))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.is_asked = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn look(&mut self) -> Look {
        Look::Silent
    }
}

fn main() -> ExitCode {
    let count: Option<u64> = std::env::args().nth(1).and_then(|count| count.parse().ok());
    let (Some(count), Some(fields)) = (count, fields()) else {
        return ExitCode::from(2);
    };
    let mut answer = ANSWER.to_vec();
    answer.resize(answer.len() + 320, b'x');
    let server = Server {
        answer,
        is_asked: false,
    };
    let mut connection = Connection::new(server, Buffers::new());
    let request = Request {
        method: "GET",
        target: "/items/1234567",
        host: b"api.example.org",
        fields: &fields,
        more: None,
        body: &Bytes::new(),
    };
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..count {
        let is_ready = connection.look() == Standing::Ready && connection.begin(&request, 1 << 20).is_ok();
        let is_answered =
            matches!(connection.poll_answer(&mut cx), Poll::Ready(Ok(answer)) if answer.body.len() == 320);
        if !is_ready || !is_answered {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn fields() -> Option<Block> {
    let mut fields = Block::new();
    for (name, value) in [
        ("User-Agent", "v6kit"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "gzip, br, zstd, deflate"),
    ] {
        fields.push(name, value.as_bytes()).ok()?;
    }
    Some(fields)
}
