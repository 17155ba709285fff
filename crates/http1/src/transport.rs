//! What bytes go over.

use std::io;
use std::task::{Context, Poll};

/// A connection to a server, plain or encrypted.
///
/// One that hands its bytes to the kernel for the time of an operation, as with io_uring, keeps buffers of its
/// own: neither function holds on to what it was given.
pub trait Transport {
    /// Appends what has arrived to `buffer`: `most` bytes at most, and no more than its spare capacity. 0 is the
    /// orderly end of what the server says; over TLS only behind close_notify.
    ///
    /// # Errors
    /// What the system said; [`io::ErrorKind::UnexpectedEof`] for an end that is not orderly.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
        most: usize,
    ) -> Poll<io::Result<usize>>;

    /// Sends the beginning of `bytes`, and says how much of them.
    ///
    /// # Errors
    /// What the system said.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Moves what was written and is still held on to, as records of TLS are.
    ///
    /// # Errors
    /// What the system said.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// What has arrived by now, asked of the kernel and not of what it told last. Does not wait, and takes nothing
    /// that [`Transport::poll_read`] would bring.
    fn look(&mut self) -> Look;
}

/// What is to be read from a connection that should be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Nothing.
    Silent,
    /// Something that the server said.
    Bytes,
    /// Its end, or an error.
    End,
}

/// Whether a connection may serve another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Ready,
    /// It has ended.
    Ended,
    /// The server said something behind its last answer. So it is not known whether that was the answer to the last
    /// request, or to one before (RFC 9112 section 9.3.2: nothing but the order tells).
    Doubtful,
}
