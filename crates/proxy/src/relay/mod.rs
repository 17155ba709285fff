//! Bytes between a client and a destination, both ways at once.
//!
//! No buffer belongs to a tunnel: small amounts pass through one buffer of the thread, and what the
//! receiver does not take at once waits in a buffer just as large. Bulk passes through a pipe of the
//! kernel without being copied (splice(2)). An idle tunnel therefore holds two sockets and no buffer.

mod aging;
mod splice;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::data::refusal::Refusal;
use crate::data::stream::ClientStream;
use aging::Aging;
pub(crate) use splice::keep_pipes;
use splice::{Pipe, Raw, SpliceEnd};

/// What passes through user space at a time.
const SCRATCH: usize = 64 * 1024;
/// A read or splice of at least this much calls for splicing what follows.
const BULK: usize = 32 * 1024;
/// How often a half-closed tunnel's share of the idle time-out goes into it.
const HALF_CLOSED_SHARE: u32 = 5;

thread_local! {
    static SCRATCH_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// How a relay ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Both sides closed.
    Closed,
    /// The client's side failed.
    Client(io::Error),
    /// The destination's side failed.
    Destination(io::Error),
    /// Nothing moved for too long.
    Idle,
    /// It was old enough to be ended.
    Aged,
    /// The user has had enough.
    Refused(Refusal),
}

/// Told how many bytes moved. May end the relay.
pub(crate) trait Meter {
    /// Bytes from the client to the destination, and back.
    fn moved(&self, up: u64, down: u64) -> Result<(), Refusal>;
}

/// What was read before the relay began, and goes out first.
#[derive(Debug, Default)]
pub(crate) struct Early {
    /// From the client.
    pub(crate) up: Vec<u8>,
    /// From the destination.
    pub(crate) down: Vec<u8>,
}

/// How long a relay may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// While nothing moves.
    pub(crate) idle: Duration,
    /// In all, for it to be ended at the next quiet moment.
    pub(crate) age: Option<Duration>,
}

/// Relays until both sides have closed, one fails, nothing moves for the idle time, or it is old enough.
///
/// A side's half-close is passed on to the other; a failure as
/// a reset, so that a torn-off transfer does not look complete.
pub(crate) async fn relay(
    client: &mut ClientStream,
    upstream: &mut TcpStream,
    early: Early,
    Lifetime { idle, age }: Lifetime,
    meter: &impl Meter,
) -> End {
    let mut aging = age.map(Aging::new);
    let mut up = Direction::new(early.up);
    let mut down = Direction::new(early.down);
    let mut tick = pin!(sleep(idle / 2));
    let mut quiet = false;
    let end = poll_fn(|cx| {
        let first = up
            .poll(client, upstream, down.is_closed(), cx)
            .map_err(|failed| match failed {
                Failed::Read(error) => End::Client(error),
                Failed::Write(error) => End::Destination(error),
            });
        let second = down
            .poll(upstream, client, up.is_closed(), cx)
            .map_err(|failed| match failed {
                Failed::Read(error) => End::Destination(error),
                Failed::Write(error) => End::Client(error),
            });
        let (moved_up, moved_down) = (up.take_moved(), down.take_moved());
        if moved_up + moved_down > 0 {
            quiet = false;
            if let Err(refusal) = meter.moved(moved_up, moved_down) {
                return Poll::Ready(End::Refused(refusal));
            }
        }
        let (first, second) = match (first, second) {
            (Poll::Ready(Err(end)), _) | (_, Poll::Ready(Err(end))) => return Poll::Ready(end),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(End::Closed),
            (first, second) => (first.is_ready(), second.is_ready()),
        };
        if let Some(aging) = &mut aging
            && aging.poll(moved_up + moved_down > 0, cx).is_ready()
        {
            return Poll::Ready(End::Aged);
        }
        while tick.as_mut().poll(cx).is_ready() {
            if quiet {
                return Poll::Ready(End::Idle);
            }
            quiet = true;
            let patience = if first || second {
                idle / HALF_CLOSED_SHARE
            } else {
                idle
            };
            tick.as_mut().reset(Instant::now() + patience / 2);
        }
        Poll::Pending
    })
    .await;
    if matches!(
        end,
        End::Client(_) | End::Destination(_) | End::Idle | End::Refused(_)
    ) {
        reset(client, upstream);
    }
    end
}

/// Makes the coming close a reset.
fn reset(client: &ClientStream, upstream: &TcpStream) {
    // Fails only on a socket that is gone already.
    let _ = upstream.set_zero_linger();
    match client {
        ClientStream::Tcp(stream) => drop(stream.set_zero_linger()),
        ClientStream::Tls(stream) => drop(stream.get_ref().0.set_zero_linger()),
        ClientStream::Unix(_) => {}
    }
}

/// The side on which a direction failed.
enum Failed {
    Read(io::Error),
    Write(io::Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Closing,
    Closed,
}

/// One way of a tunnel.
#[derive(Debug)]
struct Direction {
    phase: Phase,
    /// What the receiver did not take at once.
    held: Vec<u8>,
    /// What is spliced, while it moves.
    pipe: Option<Pipe>,
    bulk: bool,
    unflushed: bool,
    moved: u64,
}

impl Direction {
    fn new(held: Vec<u8>) -> Self {
        Self {
            phase: Phase::Open,
            held,
            pipe: None,
            bulk: false,
            unflushed: false,
            moved: 0,
        }
    }

    fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    fn take_moved(&mut self) -> u64 {
        std::mem::take(&mut self.moved)
    }

    /// Moves what can be moved. Ready when the reader's end was passed on to the writer.
    ///
    /// `last` says that the other way has ended: the end of this one is passed on by closing the socket.
    fn poll<R, W>(
        &mut self,
        from: &mut R,
        to: &mut W,
        last: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failed>>
    where
        R: AsyncRead + SpliceEnd + Unpin,
        W: AsyncWrite + SpliceEnd + Unpin,
    {
        loop {
            ready!(self.deliver(to, cx))?;
            match self.phase {
                Phase::Open => {}
                Phase::Closing if last && to.raw().is_some() => {
                    self.phase = Phase::Closed;
                    continue;
                }
                Phase::Closing => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx)).map_err(Failed::Write)?;
                    self.phase = Phase::Closed;
                    continue;
                }
                Phase::Closed => return Poll::Ready(Ok(())),
            }
            let taken = match (from.raw(), to.raw()) {
                (Some(raw), Some(_)) if self.bulk => self.splice_in(&raw, cx),
                _ => self.copy(from, to, cx),
            };
            match taken {
                Poll::Ready(Ok(0)) => {
                    self.phase = Phase::Closing;
                    self.pipe = None;
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(failed)) => return Poll::Ready(Err(failed)),
                Poll::Pending => {
                    // A tunnel that waits holds no pipe.
                    self.pipe = None;
                    if self.unflushed {
                        ready!(Pin::new(to).poll_flush(cx)).map_err(Failed::Write)?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// Hands on what is held back, in memory or in the pipe.
    fn deliver<W: AsyncWrite + SpliceEnd + Unpin>(
        &mut self,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failed>> {
        while !self.held.is_empty() {
            let count = ready!(Pin::new(&mut *to).poll_write(cx, &self.held)).map_err(Failed::Write)?;
            self.moved += count as u64;
            self.held.drain(..count);
            if self.held.is_empty() {
                self.held = Vec::new();
                self.unflushed = true;
            }
        }
        while let (Some(pipe), Some(raw)) = (&mut self.pipe, to.raw()) {
            if pipe.is_empty() {
                break;
            }
            let count = ready!(pipe.drain_to(&raw, cx)).map_err(Failed::Write)?;
            self.moved += count as u64;
        }
        Poll::Ready(Ok(()))
    }

    fn copy<R: AsyncRead + SpliceEnd + Unpin, W: AsyncWrite + SpliceEnd + Unpin>(
        &mut self,
        from: &mut R,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, Failed>> {
        // Mostly there is nothing, which is known without asking the kernel or for the end.
        if let Some(raw) = from.raw() {
            ready!(raw.poll_read_ready(cx)).map_err(Failed::Read)?;
        }
        SCRATCH_BUFFER.with_borrow_mut(|scratch| {
            // Asked before the read: what arrived together with the end is read together with it.
            let ends = from.raw().is_some_and(|raw| raw.is_read_closed());
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(from).poll_read(cx, &mut buffer)).map_err(Failed::Read)?;
            let room = buffer.remaining();
            let read = buffer.filled();
            if read.is_empty() {
                return Poll::Ready(Ok(0));
            }
            self.bulk = read.len() >= BULK;
            let written = match (to.raw(), ends && room > 0) {
                (Some(raw), true) => {
                    self.phase = Phase::Closing;
                    raw.poll_send_last(read, cx)
                }
                _ => Pin::new(to).poll_write(cx, read),
            };
            let written = match written {
                Poll::Ready(written) => written.map_err(Failed::Write)?,
                Poll::Pending => 0,
            };
            self.moved += written as u64;
            self.unflushed = true;
            self.held = read[written..].to_vec();
            Poll::Ready(Ok(read.len()))
        })
    }

    fn splice_in(&mut self, from: &Raw<'_>, cx: &mut Context<'_>) -> Poll<Result<usize, Failed>> {
        if self.pipe.is_none() {
            match Pipe::take() {
                Ok(pipe) => self.pipe = Some(pipe),
                Err(error) => {
                    // Without descriptors to spare the bytes are copied.
                    tracing::debug!("no pipe: {error}");
                    self.bulk = false;
                    return Poll::Ready(Ok(1));
                }
            }
        }
        let Some(pipe) = &mut self.pipe else {
            return Poll::Ready(Ok(1));
        };
        let count = ready!(pipe.fill_from(from, cx)).map_err(Failed::Read)?;
        self.bulk = count >= BULK;
        Poll::Ready(Ok(count))
    }
}

#[cfg(test)]
mod tests;
