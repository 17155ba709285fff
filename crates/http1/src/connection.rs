//! One exchange after another on a connection.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::buffer::{Buffers, Input};
use crate::chunked::Decoder;
use crate::error::{Error, Part, Violation};
use crate::framing::{Asked, Coding, Framing, KeepAlive, Length};
use crate::head::{self, Found, Head, Scan};
use crate::limit::Limit;
use crate::output::Output;
use crate::request::{Request, RequestError};
use crate::transport::{Look, Standing, Transport};

/// All interim answers before an answer, in bytes.
const MAX_INTERIM: usize = 256 * 1024;
/// Reads before others have their turn: a server that never pauses must not keep the caller from looking at its
/// deadlines.
const READS_AT_ONCE: usize = 32;
/// What is read at once while it is not known what comes. Content of a known length is read into its own place from
/// there on, and not copied.
const FIRST_READ: usize = 16 * 1024;
/// What a body may grow by before more of it came.
const FIRST_GROWTH: usize = 8 * 1024;
/// Content of a known length has room for so many times what came of it.
const GROWTH: usize = 4;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// Status line and fields.
    pub head: Head,
    /// All of the content, with only the chunks undone.
    pub body: Bytes,
    /// The transfer codings that the content still has, in the order in which they were applied.
    pub codings: Vec<Coding>,
    /// The server said more behind the end. So the connection has ended, and where it served before, it is not known
    /// whether this was the answer to the last request, or to one before.
    pub is_doubtful: bool,
}

/// A client's connection, on which one request is answered before the next.
#[derive(Debug)]
pub struct Connection<T> {
    transport: T,
    buffers: Rc<Buffers>,
    input: Input,
    output: Output,
    asked: Asked,
    limit: Limit,
    phase: Phase,
    /// Another request may be sent.
    is_open: bool,
    served: u64,
    keep_alive: KeepAlive,
    /// The status of the answer that is being read.
    status: Option<u16>,
}

/// How far the reading of an answer has come.
#[derive(Debug)]
enum Phase {
    Idle,
    Head { scan: Scan, interim: usize },
    Body(Box<Reading>),
}

/// An answer whose head was read.
#[derive(Debug)]
struct Reading {
    head: Head,
    framing: Framing,
    decoder: Decoder,
    body: Vec<u8>,
}

/// The room for content of that length of which so many bytes came, which are fewer. A length is only a promise.
fn room_for(length: u64, came: usize) -> usize {
    let grown = came.saturating_mul(GROWTH).max(came + FIRST_GROWTH);
    // The first read is a little less than a power of two, as its head was in it.
    let grown = grown.checked_next_power_of_two().unwrap_or(grown);
    usize::try_from(length).map_or(grown, |length| length.min(grown))
}

impl<T: Transport> Connection<T> {
    /// A connection that has served nothing yet.
    pub fn new(transport: T, buffers: Rc<Buffers>) -> Self {
        Self {
            transport,
            buffers,
            input: Input::default(),
            output: Output::default(),
            asked: Asked::Other,
            limit: Limit::AtMost(0),
            phase: Phase::Idle,
            is_open: true,
            served: 0,
            keep_alive: KeepAlive::default(),
            status: None,
        }
    }

    /// What bytes go over.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// What bytes go over, to be set up in another way.
    pub fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// What bytes go over, and what has been read of them beyond the last answer.
    pub fn into_parts(self) -> (T, Bytes) {
        (self.transport, Bytes::copy_from_slice(self.input.unread()))
    }

    /// Whether another request may be sent, as far as the last answer tells. [`Connection::look`] tells more.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// How many requests it has answered.
    pub fn served(&self) -> u64 {
        self.served
    }

    /// What the last answer said about how long the server keeps the connection.
    pub fn keep_alive(&self) -> KeepAlive {
        self.keep_alive
    }

    /// Whether a byte of the last request was sent.
    pub fn has_sent(&self) -> bool {
        self.output.sent > 0
    }

    /// The status of the answer that was begun last, where its head was read.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Looks, before another request, at what the server has said meanwhile. Anything ends the connection.
    pub fn look(&mut self) -> Standing {
        if !self.is_open {
            return Standing::Ended;
        }
        let standing = match self.transport.look() {
            Look::Silent => Standing::Ready,
            Look::End => Standing::Ended,
            Look::Bytes => Standing::Doubtful,
        };
        self.is_open = standing == Standing::Ready;
        standing
    }

    /// Begins an exchange, of whose answer so much content is read. The connection is not open before its
    /// answer is whole.
    ///
    /// # Errors
    /// [`RequestError`]; then nothing has changed.
    pub fn begin(&mut self, request: &Request<'_>, limit: impl Into<Limit>) -> Result<(), RequestError> {
        self.output.clear();
        self.output.rest = request.write(&mut self.output.first)?;
        self.asked = request.asked();
        self.limit = limit.into();
        self.status = None;
        self.phase = Phase::Head {
            scan: Scan::default(),
            interim: 0,
        };
        self.is_open = false;
        Ok(())
    }

    /// [`Connection::poll_answer`] until it is ready.
    ///
    /// # Errors
    /// [`Error`]; the connection has ended.
    pub async fn answer(&mut self) -> Result<Answer, Error> {
        std::future::poll_fn(|cx| self.poll_answer(cx)).await
    }

    /// Sends what is to be sent, and reads the answer meanwhile. It counts whether or not all was sent.
    ///
    /// # Errors
    /// [`Error`]; the connection has ended.
    pub fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Error>> {
        self.poll_answer_within(cx, &mut |_, _| Poll::Ready(()))
    }

    /// [`Connection::poll_answer`], where content is read only when `room` is ready for so many bytes of it altogether.
    /// While it is not, nothing is read, and the server is held up by the window of TCP. `room` wakes the task.
    ///
    /// # Errors
    /// [`Error`]; the connection has ended.
    pub fn poll_answer_within(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut dyn FnMut(&mut Context<'_>, usize) -> Poll<()>,
    ) -> Poll<Result<Answer, Error>> {
        for _ in 0..READS_AT_ONCE {
            self.output.poll(&mut self.transport, cx);
            if let Some(bytes) = self.wanted()
                && room(cx, bytes).is_pending()
            {
                self.input.rest(&self.buffers);
                return Poll::Pending;
            }
            let read = ready!(self.poll_read(cx));
            let answer = match read {
                Ok(0) => self.end().map(Some),
                Ok(_) => self.advance(),
                Err(error) => Err(self.torn(error)),
            };
            match answer {
                Ok(None) => {}
                Ok(Some(answer)) => return Poll::Ready(Ok(answer)),
                Err(error) => {
                    self.phase = Phase::Idle;
                    return Poll::Ready(Err(error));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// How much content there may be in memory after the next read. A length is only a promise.
    fn wanted(&self) -> Option<usize> {
        let Phase::Body(reading) = &self.phase else {
            return None;
        };
        let body = &reading.body;
        Some(match reading.framing.length {
            Length::Empty => 0,
            Length::Exact(length) if body.len() == body.capacity() => room_for(length, body.len()),
            Length::Exact(_) => body.capacity(),
            // A buffer that grows doubles.
            Length::Chunked | Length::UntilClose => (body.len() + FIRST_GROWTH).next_power_of_two(),
        })
    }

    /// Reads into the buffer or, where it is known how much is content, into the body.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Phase::Body(reading) = &mut self.phase
            && let Length::Exact(length) = reading.framing.length
        {
            let body = &mut reading.body;
            let left = usize::try_from(length).unwrap_or(usize::MAX) - body.len();
            if body.len() == body.capacity() {
                body.reserve_exact(room_for(length, body.len()) - body.len());
            }
            let read = self.transport.poll_read(cx, body, left);
            if read.is_pending() {
                self.input.rest(&self.buffers);
            }
            return read;
        }
        let most = match self.phase {
            Phase::Head { .. } => FIRST_READ,
            Phase::Body(_) | Phase::Idle => usize::MAX,
        };
        let room = self.input.room(&self.buffers);
        let read = self.transport.poll_read(cx, room, most);
        if read.is_pending() {
            self.input.rest(&self.buffers);
        }
        read
    }

    /// Goes through what was read. `None` asks for more.
    fn advance(&mut self) -> Result<Option<Answer>, Error> {
        while let Phase::Head { scan, interim } = &mut self.phase {
            match scan.find(self.input.unread())? {
                Found::Part => return Ok(None),
                Found::Blank(length) => self.input.consume(length),
                Found::Head(length) => {
                    let raw = Bytes::copy_from_slice(&self.input.unread()[..length]);
                    self.input.consume(length);
                    let had_blank = scan.had_blank();
                    let (head, mut framing) =
                        head::read(raw, self.asked).map_err(|(status, violation)| {
                            self.status = status;
                            violation
                        })?;
                    match head.status() {
                        101 => return Err(Violation::Switched.into()),
                        100..=199 => {
                            let interim = *interim + length;
                            if interim > MAX_INTERIM {
                                return Err(Violation::InterimTooLarge { limit: MAX_INTERIM }.into());
                            }
                            let scan = Scan::default();
                            self.phase = Phase::Head { scan, interim };
                        }
                        status => {
                            self.status = Some(status);
                            framing.persists &= !had_blank;
                            return self.begin_body(head, framing);
                        }
                    }
                }
            }
        }
        match &mut self.phase {
            Phase::Body(_) => self.advance_body(),
            Phase::Head { .. } | Phase::Idle => Ok(None),
        }
    }

    fn begin_body(&mut self, head: Head, mut framing: Framing) -> Result<Option<Answer>, Error> {
        if let (Limit::First(limit), Length::Exact(length)) = (self.limit, framing.length)
            && length > limit
        {
            // As if there were no more; what follows is nobody's.
            framing.length = Length::Exact(limit);
            framing.persists = false;
            framing.is_cut = true;
        }
        let limit = self.limit.bytes();
        let whole = match framing.length {
            Length::Empty => Some(0),
            Length::Exact(length) if length > limit => return Err(Error::TooLarge { limit }),
            Length::Exact(length) => usize::try_from(length)
                .ok()
                .filter(|length| *length <= self.input.unread().len()),
            Length::Chunked | Length::UntilClose => None,
        };
        if let Some(length) = whole {
            let body = if length == 0 {
                Bytes::new()
            } else {
                self.input.split(length)
            };
            return Ok(Some(self.finish(head, framing, body)));
        }
        self.phase = Phase::Body(Box::new(Reading {
            head,
            framing,
            decoder: Decoder::new(),
            body: Vec::new(),
        }));
        self.advance_body()
    }

    fn advance_body(&mut self) -> Result<Option<Answer>, Error> {
        let Phase::Body(reading) = &mut self.phase else {
            return Ok(None);
        };
        let (body, limit) = (&mut reading.body, self.limit.bytes());
        let is_first = matches!(self.limit, Limit::First(_));
        let unread = self.input.unread();
        let (used, is_whole) = match reading.framing.length {
            Length::Chunked if is_first => {
                let used = reading.decoder.decode(unread, body, u64::MAX)?;
                reading.framing.is_cut = body.len() as u64 >= limit;
                (used, reading.decoder.is_done() || reading.framing.is_cut)
            }
            Length::Chunked => {
                let used = reading.decoder.decode(unread, body, limit)?;
                (used, reading.decoder.is_done())
            }
            // Only the first of it comes by way of the buffer, and that is less than all.
            Length::Exact(length) => {
                if !unread.is_empty() {
                    body.reserve_exact(room_for(length, unread.len()));
                    body.extend_from_slice(unread);
                }
                (unread.len(), body.len() as u64 == length)
            }
            Length::Empty | Length::UntilClose if is_first => {
                body.extend_from_slice(unread);
                reading.framing.is_cut = body.len() as u64 >= limit;
                (unread.len(), reading.framing.is_cut)
            }
            Length::Empty | Length::UntilClose => {
                if unread.len() as u64 > limit.saturating_sub(body.len() as u64) {
                    return Err(Error::TooLarge { limit });
                }
                body.extend_from_slice(unread);
                (unread.len(), false)
            }
        };
        if reading.framing.is_cut {
            // What was read with it may be more.
            body.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            reading.framing.persists = false;
        }
        self.input.consume(used);
        Ok(is_whole.then(|| self.finish_body()).flatten())
    }

    fn finish_body(&mut self) -> Option<Answer> {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Body(reading) => {
                let Reading {
                    head, framing, body, ..
                } = *reading;
                Some(self.finish(head, framing, body.into()))
            }
            Phase::Head { .. } | Phase::Idle => None,
        }
    }

    fn finish(&mut self, head: Head, framing: Framing, body: Bytes) -> Answer {
        self.phase = Phase::Idle;
        let is_behind = !self.input.unread().is_empty();
        self.is_open =
            framing.persists && self.output.is_sent() && !is_behind && self.asked != Asked::Connect;
        self.served += 1;
        self.keep_alive = framing.keep_alive;
        if !is_behind {
            self.input.rest(&self.buffers);
        }
        Answer {
            head,
            body,
            codings: framing.codings,
            is_doubtful: is_behind && self.asked != Asked::Connect && !framing.is_cut,
        }
    }

    /// The server has ended the connection in an orderly way.
    fn end(&mut self) -> Result<Answer, Error> {
        match &self.phase {
            Phase::Body(reading) if reading.framing.length == Length::UntilClose => {
                self.finish_body().ok_or(Error::Incomplete(Part::Body))
            }
            Phase::Body(_) => Err(Error::Incomplete(Part::Body)),
            Phase::Head { interim, scan } if *interim > 0 || scan.had_blank() || self.has_part() => {
                Err(Error::Incomplete(Part::Head))
            }
            // What was sent may have met a connection that had gone.
            Phase::Head { .. } | Phase::Idle => Err(match self.output.failed.take() {
                Some(error) => Error::Broken(error),
                None => Error::Closed,
            }),
        }
    }

    fn torn(&mut self, error: io::Error) -> Error {
        let is_cut = error.kind() == io::ErrorKind::UnexpectedEof;
        let part = match &self.phase {
            Phase::Body(_) => Part::Body,
            Phase::Head { interim, scan } if *interim > 0 || scan.had_blank() || self.has_part() => {
                Part::Head
            }
            Phase::Head { .. } | Phase::Idle if is_cut => return Error::Closed,
            Phase::Head { .. } | Phase::Idle => return Error::Broken(error),
        };
        if is_cut {
            Error::Incomplete(part)
        } else {
            Error::Torn(part, error)
        }
    }

    fn has_part(&self) -> bool {
        !self.input.unread().is_empty()
    }
}
