//! Bytes from socket to socket through a pipe, without a copy (splice(2)).

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

use crate::data::stream::ClientStream;

/// What a pipe is asked to hold. The kernel may give less to a user with many pipes (pipe(7)).
const PIPE_BYTES: usize = 512 * 1024;
/// Pipes that a thread keeps for the next tunnel, at most.
const SPARE_PIPES: usize = 32;

thread_local! {
    static SPARE: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
    static KEPT: Cell<usize> = const { Cell::new(SPARE_PIPES) };
}

/// Lets this thread keep so many pipes for the next tunnel, and no more than makes sense: each is two descriptors.
pub(crate) fn keep_pipes(count: usize) {
    KEPT.set(count.clamp(1, SPARE_PIPES));
}

/// A socket that the kernel can splice from and to.
#[derive(Clone, Copy)]
pub(crate) enum Raw<'a> {
    Tcp(&'a TcpStream),
    Unix(&'a UnixStream),
}

/// An end of a relay, which may be a bare socket.
pub(crate) trait SpliceEnd {
    /// The socket, unless something such as TLS lies between it and the bytes.
    fn raw(&self) -> Option<Raw<'_>>;
}

impl SpliceEnd for TcpStream {
    fn raw(&self) -> Option<Raw<'_>> {
        Some(Raw::Tcp(self))
    }
}

impl SpliceEnd for ClientStream {
    fn raw(&self) -> Option<Raw<'_>> {
        match self {
            Self::Tcp(stream) => Some(Raw::Tcp(stream)),
            Self::Unix(stream) => Some(Raw::Unix(stream)),
            Self::Tls(_) => None,
        }
    }
}

impl Raw<'_> {
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
        }
    }

    /// Whether the peer's orderly end is known to have arrived, behind whatever is still to be read. A reset is
    /// no such end: only reading on tells of it.
    pub(crate) fn is_read_closed(&self) -> bool {
        let interest = Interest::READABLE | Interest::ERROR;
        let ready = match self {
            Self::Tcp(stream) => stream.ready(interest).now_or_never(),
            Self::Unix(stream) => stream.ready(interest).now_or_never(),
        };
        matches!(ready, Some(Ok(ready)) if ready.is_read_closed() && !ready.is_error())
    }

    /// Sends what a shutdown follows: the kernel puts both into one segment.
    pub(crate) fn poll_send_last(&self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let flags = libc::MSG_MORE | libc::MSG_NOSIGNAL;
        loop {
            ready!(self.poll_write_ready(cx))?;
            let sent = self.try_io(Interest::WRITABLE, |socket| {
                SockRef::from(&socket).send_with_flags(bytes, flags)
            });
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    fn try_io<T>(
        &self,
        interest: Interest,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        match self {
            Self::Tcp(stream) => stream.try_io(interest, || call(stream.as_fd())),
            Self::Unix(stream) => stream.try_io(interest, || call(stream.as_fd())),
        }
    }
}

/// A pipe and how many bytes are in it.
#[derive(Debug)]
pub(crate) struct Pipe {
    /// `None` once it was given back.
    ends: Option<Ends>,
    held: usize,
}

#[derive(Debug)]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    /// A spare pipe of this thread, or a new one.
    pub(crate) fn take() -> io::Result<Self> {
        if let Some(ends) = SPARE.with_borrow_mut(Vec::pop) {
            return Ok(Self {
                ends: Some(ends),
                held: 0,
            });
        }
        let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // Not being given more than the default is no error.
        let _ = fcntl(&write, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES as i32));
        Ok(Self {
            ends: Some(Ends { read, write }),
            held: 0,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes bytes out of a socket, 0 at its end. To be called on an empty pipe.
    pub(crate) fn fill_from(&mut self, from: &Raw<'_>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(ends) = &self.ends else {
            return Poll::Ready(Ok(0));
        };
        loop {
            ready!(from.poll_read_ready(cx))?;
            match from.try_io(Interest::READABLE, |socket| {
                move_bytes(socket, ends.write.as_fd(), PIPE_BYTES)
            }) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) => {
                    self.held += count;
                    return Poll::Ready(Ok(count));
                }
            }
        }
    }

    /// Puts bytes into a socket.
    pub(crate) fn drain_to(&mut self, to: &Raw<'_>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(ends) = &self.ends else {
            return Poll::Ready(Ok(0));
        };
        loop {
            ready!(to.poll_write_ready(cx))?;
            match to.try_io(Interest::WRITABLE, |socket| {
                move_bytes(ends.read.as_fd(), socket, self.held)
            }) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.held -= count;
                    return Poll::Ready(Ok(count));
                }
            }
        }
    }
}

/// How many pipes this thread keeps.
#[cfg(test)]
pub(super) fn spare_pipes() -> usize {
    SPARE.with_borrow(Vec::len)
}

fn move_bytes(from: BorrowedFd<'_>, to: BorrowedFd<'_>, count: usize) -> io::Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    Ok(splice(from, None, to, None, count, flags)?)
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // A pipe with bytes in it belongs to a tunnel that was torn off, and is closed.
        if self.held > 0 {
            return;
        }
        let Some(ends) = self.ends.take() else { return };
        // The thread may be ending.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < KEPT.get() {
                spare.push(ends);
            }
        });
    }
}
