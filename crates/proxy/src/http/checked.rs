//! A client's connection, from which only checked requests are read.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::framing::{Framing, Violation};
use crate::stream::Begun;

/// Read in place of a head that was refused. Whoever answers it finds the [`Verdict`].
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nHost: refused\r\n\r\n";

/// What is read at a time to complete a head.
const PIECE: usize = 4096;

/// Why nothing more is read from a connection. An upgraded connection has to be `Send`, and so has this.
pub(super) type Verdict = Arc<OnceLock<Violation>>;

/// Passes on a head when it is complete and checked, and content as it comes.
#[derive(Debug)]
pub(super) struct Checked {
    begun: Begun,
    /// How many of the bytes that were read may pass.
    cleared: usize,
    framing: Framing,
    verdict: Verdict,
}

impl Checked {
    pub(super) fn new(begun: Begun, verdict: Verdict) -> Self {
        Self {
            begun,
            cleared: 0,
            framing: Framing::default(),
            verdict,
        }
    }

    pub(super) fn is_refused(&self) -> bool {
        self.verdict.get().is_some()
    }

    /// The connection, with what nobody has read yet.
    pub(super) fn into_inner(self) -> Begun {
        self.begun
    }

    fn check_read(&mut self) {
        match self.framing.accept(&self.begun.read) {
            Ok(cleared) => self.cleared = cleared,
            Err(violation) => self.refuse(violation),
        }
    }

    /// Hands the violation to whoever answers the stand-in, or breaks off the content that has begun.
    fn refuse(&mut self, violation: Violation) {
        // The first one stays.
        let _ = self.verdict.set(violation);
        self.begun.read.clear();
        self.cleared = 0;
        if self.framing.is_between_requests() {
            self.begun.read.extend_from_slice(STAND_IN);
            self.cleared = STAND_IN.len();
        }
    }

    fn pass_cleared(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.cleared.min(buf.remaining());
        buf.put_slice(&self.begun.read[..count]);
        self.begun.read.drain(..count);
        self.cleared -= count;
        if self.begun.read.is_empty() {
            self.begun.read = Vec::new();
        }
    }
}

impl AsyncRead for Checked {
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
            if !this.begun.read.is_empty() {
                this.check_read();
                if this.cleared > 0 || this.is_refused() {
                    continue;
                }
                let mut more = [0; PIECE];
                let mut more = ReadBuf::new(&mut more);
                ready!(Pin::new(&mut this.begun.stream).poll_read(cx, &mut more))?;
                if more.filled().is_empty() {
                    // The end amid a head or a line: as if nothing of it had come.
                    return Poll::Ready(Ok(()));
                }
                this.begun.read.extend_from_slice(more.filled());
                continue;
            }
            // Mostly a read is a whole message, which passes without a copy.
            let start = buf.filled().len();
            ready!(Pin::new(&mut this.begun.stream).poll_read(cx, buf))?;
            let new = &buf.filled()[start..];
            if new.is_empty() {
                return Poll::Ready(Ok(()));
            }
            match this.framing.accept(new) {
                Ok(passed) => {
                    this.begun.read.extend_from_slice(&new[passed..]);
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

impl AsyncWrite for Checked {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.begun).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.begun).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.begun.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.begun).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.begun).poll_shutdown(cx)
    }
}
