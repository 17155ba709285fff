//! A server of which every byte is written down: a transport in memory.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use v6kit_http1::{Answer, Block, Buffers, Connection, Error, Look, Request, Transport};

/// What a server does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// It says this in one segment.
    Says(Vec<u8>),
    /// It ends what it says, over TLS with close_notify.
    Ends,
    /// The connection ends without close_notify.
    Cuts,
    Resets,
}

/// A server that goes through its steps, whatever it is sent.
#[derive(Debug, Default)]
pub(crate) struct Script {
    steps: VecDeque<Step>,
    /// A segment is there when it is asked for the second time.
    has_paused: bool,
    /// How much may be written before it takes no more.
    pub(crate) takes: usize,
    /// What writing fails with, instead of taking nothing.
    pub(crate) refuses: Option<io::ErrorKind>,
    pub(crate) written: Vec<u8>,
    /// The sizes of the writes.
    pub(crate) writes: Vec<usize>,
    pub(crate) reads: usize,
}

impl Script {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            takes: usize::MAX,
            ..Self::default()
        }
    }

    pub(crate) fn saying(text: impl AsRef<[u8]>) -> Self {
        Self::new([Step::Says(text.as_ref().to_vec())])
    }

    /// Adds what is said later.
    pub(crate) fn then(&mut self, step: Step) {
        self.steps.push_back(step);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.steps.is_empty()
    }
}

impl Transport for Script {
    fn poll_read(
        &mut self,
        _: &mut Context<'_>,
        buffer: &mut Vec<u8>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        if !std::mem::replace(&mut self.has_paused, true) {
            return Poll::Pending;
        }
        let room = most.min(buffer.capacity() - buffer.len());
        assert!(room > 0, "there is no room to read into");
        self.reads += 1;
        match self.steps.front_mut() {
            None => Poll::Pending,
            Some(Step::Says(bytes)) => {
                let count = room.min(bytes.len());
                buffer.extend(bytes.drain(..count));
                if bytes.is_empty() {
                    self.steps.pop_front();
                    self.has_paused = false;
                }
                Poll::Ready(Ok(count))
            }
            Some(Step::Ends) => Poll::Ready(Ok(0)),
            Some(Step::Cuts) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Some(Step::Resets) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = self.takes.min(bytes.len());
        match (count, self.refuses) {
            (0, Some(kind)) => Poll::Ready(Err(kind.into())),
            (0, None) => Poll::Pending,
            _ => {
                self.takes -= count;
                self.written.extend_from_slice(&bytes[..count]);
                self.writes.push(count);
                Poll::Ready(Ok(count))
            }
        }
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn look(&mut self) -> Look {
        match self.steps.front() {
            None => Look::Silent,
            Some(Step::Says(_)) => Look::Bytes,
            Some(Step::Ends | Step::Cuts | Step::Resets) => Look::End,
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Status, content, whether the connection goes on, whether the answer is in doubt.
    Whole(u16, Vec<u8>, bool, bool),
    /// The error, in the words of its variants.
    Failed(String),
    /// The server says nothing more, and nothing has come to its end.
    Waits,
}

impl End {
    pub(crate) fn is_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

pub(crate) const LIMIT: u64 = 1_000_000;

pub(crate) fn connection(script: Script) -> Connection<Script> {
    Connection::new(script, Buffers::new())
}

/// Asks once, with `method`.
pub(crate) fn ask_for(
    connection: &mut Connection<Script>,
    method: &str,
    body: &Bytes,
) -> Result<Option<Answer>, Error> {
    let fields = Block::new();
    let request = Request {
        method,
        target: "/",
        host: b"h",
        fields: &fields,
        more: None,
        body,
    };
    connection.begin(&request, LIMIT).unwrap();
    go_on(connection)
}

/// Polls until there is an answer, or nothing more to come.
pub(crate) fn go_on(connection: &mut Connection<Script>) -> Result<Option<Answer>, Error> {
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        let is_over = connection.transport().is_over();
        match connection.poll_answer(&mut cx) {
            Poll::Ready(answer) => return answer.map(Some),
            Poll::Pending if is_over => return Ok(None),
            Poll::Pending => {}
        }
    }
}

pub(crate) fn end_of(connection: &Connection<Script>, answer: &Result<Option<Answer>, Error>) -> End {
    match answer {
        Ok(Some(answer)) => End::Whole(
            answer.head.status(),
            answer.body.to_vec(),
            connection.is_open(),
            answer.is_doubtful,
        ),
        Ok(None) => End::Waits,
        Err(error) => End::Failed(format!("{error:?}")),
    }
}

/// What becomes of one request with `method` on a new connection.
pub(crate) fn ask(method: &str, script: Script) -> End {
    let mut connection = connection(script);
    let answer = ask_for(&mut connection, method, &Bytes::new());
    end_of(&connection, &answer)
}
