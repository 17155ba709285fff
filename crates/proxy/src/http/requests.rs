//! A client's connection, from which only requests that were read whole and in one way come through.

use std::cell::{Cell, OnceCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::framing::{Framing, Passed, Violation};
use crate::data::stream::Sniffed;

/// Read in place of a head that was refused. Whoever answers it finds the [`Violation`].
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nHost: refused\r\n\r\n";

/// What is read at a time to complete a head.
const PIECE: usize = 4096;

/// What the reader of a connection's requests and whoever answers them tell each other.
#[derive(Debug, Default)]
pub(super) struct Control {
    /// Why nothing more is read.
    violation: OnceCell<Violation>,
    /// Heads that have come through.
    heads: Cell<u64>,
    /// Requests that somebody has begun to answer, and those whose answer has ended.
    begun: Cell<u64>,
    answered: Cell<u64>,
    /// Whether the last head asks for another protocol and has no answer yet.
    switching: Cell<bool>,
}

impl Control {
    /// Why a request was refused.
    pub(super) fn violation(&self) -> Option<Violation> {
        self.violation.get().copied()
    }

    /// A request is being answered until what is returned is dropped.
    pub(super) fn begin_answer(self: &Rc<Self>) -> Answering {
        self.begun.set(self.begun.get() + 1);
        Answering(Rc::clone(self))
    }

    /// Whether the request that is being answered asks for WebSocket, so that what follows is held back.
    pub(super) fn is_switching(&self) -> bool {
        self.switching.get() && self.begun.get() == self.heads.get()
    }

    /// Lets the requests go on that follow one that asked for another protocol in vain.
    pub(super) fn decline_switch(&self) {
        if self.is_switching() {
            self.switching.set(false);
        }
    }
}

/// An answer that has not ended.
#[derive(Debug)]
pub(super) struct Answering(Rc<Control>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered.set(self.0.answered.get() + 1);
    }
}

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From one request to the next.
    pub(super) idle: Duration,
    /// From the first byte of a head to its last.
    pub(super) head: Duration,
}

/// Passes on a head when it is complete and was understood, and content as it comes.
#[derive(Debug)]
pub(super) struct Requests {
    sniffed: Sniffed,
    /// How many of the bytes that were read may pass.
    cleared: usize,
    framing: Framing,
    control: Rc<Control>,
    patience: Patience,
    wait: Wait,
}

impl Requests {
    pub(super) fn new(sniffed: Sniffed, control: Rc<Control>, patience: Patience) -> Self {
        Self {
            sniffed,
            cleared: 0,
            framing: Framing::default(),
            control,
            patience,
            wait: Wait::default(),
        }
    }

    pub(super) fn is_refused(&self) -> bool {
        self.control.violation.get().is_some()
    }

    /// The connection, with what nobody has read yet.
    pub(super) fn into_inner(self) -> Sniffed {
        self.sniffed
    }

    /// Reads the requests in `bytes`, or refuses what they are.
    fn pass(&mut self, bytes: &mut [u8]) -> Option<Passed> {
        let passed = self.framing.pass(bytes);
        self.control.heads.set(self.framing.heads());
        self.control.switching.set(self.framing.is_switching());
        passed.map_err(|violation| self.refuse(violation)).ok()
    }

    fn check_read(&mut self) {
        let mut read = std::mem::take(&mut self.sniffed.read);
        if let Some(Passed { read: used, written }) = self.pass(&mut read) {
            read.drain(written..used);
            self.cleared = written;
            self.sniffed.read = read;
        }
    }

    /// Hands the violation to whoever answers the stand-in, or breaks off the content that has begun.
    fn refuse(&mut self, violation: Violation) {
        // The first one stays.
        let _ = self.control.violation.set(violation);
        self.sniffed.read.clear();
        self.cleared = 0;
        if self.framing.is_between_requests() {
            self.sniffed.read.extend_from_slice(STAND_IN);
            self.cleared = STAND_IN.len();
        }
    }

    fn pass_cleared(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.cleared.min(buf.remaining());
        buf.put_slice(&self.sniffed.read[..count]);
        self.sniffed.read.drain(..count);
        self.cleared -= count;
        if self.sniffed.read.is_empty() {
            self.sniffed.read = Vec::new();
        }
    }

    /// Whether a request that asked for another protocol still waits for its answer.
    fn holds_back(&mut self) -> bool {
        if !self.framing.is_switching() {
            return false;
        }
        if !self.control.switching.get() {
            self.framing.decline_switch();
        }
        self.framing.is_switching()
    }

    /// Whether the client has taken too long for what it is to send now.
    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<TooSlow> {
        if !self.framing.is_between_requests() {
            return Poll::Pending;
        }
        let (what, time) = if !self.sniffed.read.is_empty() {
            (TooSlow::Head, self.patience.head)
        } else if self.control.answered.get() == self.control.heads.get() {
            (TooSlow::NextRequest, self.patience.idle)
        } else {
            // The client waits for an answer.
            return Poll::Pending;
        };
        ready!(self.wait.poll((what, self.framing.heads()), time, cx));
        Poll::Ready(what)
    }
}

/// What a client has not sent in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TooSlow {
    Head,
    NextRequest,
}

/// Waits with one timer for one thing after another.
#[derive(Debug, Default)]
struct Wait {
    /// What is waited for, and until when.
    current: Option<((TooSlow, u64), Instant)>,
    /// Set no later than that. It is not set anew for each request: it looks when it is over.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Wait {
    /// Ready when `what` has been waited for longer than `time`.
    fn poll(&mut self, what: (TooSlow, u64), time: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let until = match self.current {
            Some((waited_for, until)) if waited_for == what => until,
            _ => {
                let until = Instant::now() + time;
                self.current = Some((what, until));
                until
            }
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if timer.deadline() > until {
            timer.as_mut().reset(until);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= until {
                return Poll::Ready(());
            }
            timer.as_mut().reset(until);
        }
        Poll::Pending
    }
}

impl AsyncRead for Requests {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.cleared > 0 {
                this.pass_cleared(buf);
                return Poll::Ready(Ok(()));
            }
            if this.is_refused() {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            if this.holds_back() {
                // Read again when the answer is out.
                return Poll::Pending;
            }
            if !this.sniffed.read.is_empty() {
                this.check_read();
                if this.cleared > 0 || this.is_refused() {
                    continue;
                }
            }
            let read = if this.sniffed.read.is_empty() {
                // Mostly a read is a whole message, which passes without a copy.
                this.poll_straight(cx, buf)
            } else {
                this.poll_more(cx)
            };
            match read {
                Poll::Ready(Ok(Progress::Goes)) => {}
                Poll::Ready(Ok(Progress::Passed)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => match ready!(this.poll_too_slow(cx)) {
                    TooSlow::Head => this.refuse(Violation::TooSlow),
                    // As if the client had left.
                    TooSlow::NextRequest => return Poll::Ready(Ok(())),
                },
            }
        }
    }
}

/// What a read came to.
enum Progress {
    /// More has to be read or passed.
    Goes,
    /// Bytes have passed, or the client has ended.
    Passed,
}

impl Requests {
    /// Reads into the reader's own buffer.
    fn poll_straight(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<Progress>> {
        let start = buf.filled().len();
        ready!(Pin::new(&mut self.sniffed.stream).poll_read(cx, buf))?;
        let new = &mut buf.filled_mut()[start..];
        if new.is_empty() {
            return Poll::Ready(Ok(Progress::Passed));
        }
        let Some(Passed { read, written }) = self.pass(new) else {
            buf.set_filled(start);
            return Poll::Ready(Ok(Progress::Goes));
        };
        self.sniffed.read.extend_from_slice(&new[read..]);
        buf.set_filled(start + written);
        Poll::Ready(Ok(match written {
            0 => Progress::Goes,
            _ => Progress::Passed,
        }))
    }

    /// Reads more of a head or a line that is not complete.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Progress>> {
        let mut more = [0; PIECE];
        let mut more = ReadBuf::new(&mut more);
        ready!(Pin::new(&mut self.sniffed.stream).poll_read(cx, &mut more))?;
        if more.filled().is_empty() {
            // The end amid a head or a line: as if nothing of it had come.
            return Poll::Ready(Ok(Progress::Passed));
        }
        self.sniffed.read.extend_from_slice(more.filled());
        Poll::Ready(Ok(Progress::Goes))
    }
}

impl AsyncWrite for Requests {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.sniffed.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.sniffed.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.sniffed.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.sniffed.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.sniffed.stream).poll_shutdown(cx)
    }
}
