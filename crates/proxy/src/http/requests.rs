//! A client's connection, from which only checked requests are read.

use std::cell::OnceCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::framing::{Framing, Violation};
use crate::data::stream::Sniffed;

/// Read in place of a head that was refused. Whoever answers it finds the [`Verdict`].
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nHost: refused\r\n\r\n";

/// What is read at a time to complete a head.
const PIECE: usize = 4096;

/// Why nothing more is read from a connection.
pub(super) type Verdict = Rc<OnceCell<Violation>>;

/// Passes on a head when it is complete and checked, and content as it comes.
#[derive(Debug)]
pub(super) struct Requests {
    sniffed: Sniffed,
    /// How many of the bytes that were read may pass.
    cleared: usize,
    framing: Framing,
    verdict: Verdict,
}

impl Requests {
    pub(super) fn new(sniffed: Sniffed, verdict: Verdict) -> Self {
        Self {
            sniffed,
            cleared: 0,
            framing: Framing::default(),
            verdict,
        }
    }

    pub(super) fn is_refused(&self) -> bool {
        self.verdict.get().is_some()
    }

    /// The connection, with what nobody has read yet.
    pub(super) fn into_inner(self) -> Sniffed {
        self.sniffed
    }

    fn check_read(&mut self) {
        match self.framing.accept(&self.sniffed.read) {
            Ok(cleared) => self.cleared = cleared,
            Err(violation) => self.refuse(violation),
        }
    }

    /// Hands the violation to whoever answers the stand-in, or breaks off the content that has sniffed.
    fn refuse(&mut self, violation: Violation) {
        // The first one stays.
        let _ = self.verdict.set(violation);
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
            if !this.sniffed.read.is_empty() {
                this.check_read();
                if this.cleared > 0 || this.is_refused() {
                    continue;
                }
                let mut more = [0; PIECE];
                let mut more = ReadBuf::new(&mut more);
                ready!(Pin::new(&mut this.sniffed.stream).poll_read(cx, &mut more))?;
                if more.filled().is_empty() {
                    // The end amid a head or a line: as if nothing of it had come.
                    return Poll::Ready(Ok(()));
                }
                this.sniffed.read.extend_from_slice(more.filled());
                continue;
            }
            // Mostly a read is a whole message, which passes without a copy.
            let start = buf.filled().len();
            ready!(Pin::new(&mut this.sniffed.stream).poll_read(cx, buf))?;
            let new = &buf.filled()[start..];
            if new.is_empty() {
                return Poll::Ready(Ok(()));
            }
            match this.framing.accept(new) {
                Ok(passed) => {
                    this.sniffed.read.extend_from_slice(&new[passed..]);
                    buf.set_filled(start + passed);
                    if passed > 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
                Err(violation) => {
                    buf.set_filled(start);
                    this.refuse(violation);
                }
            }
        }
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
