//! The bytes under HTTP, counted.

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::BufMut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use v6kit_http1::Look;

/// What has passed over a connection, above TLS.
#[derive(Debug)]
pub(crate) struct Meter {
    read: Cell<u64>,
    written: Cell<u64>,
    last_read: Cell<Instant>,
    /// When the first byte came since a request was sent.
    first_read: Cell<Option<Instant>>,
    told: Cell<(u64, u64)>,
    /// Since when nothing is read although something may have come, and how long that was so before.
    paused: Cell<Option<Instant>>,
    held: Cell<Duration>,
}

impl Meter {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self::start(Instant::now()))
    }

    /// A meter that begins `now`, and that [`Meter::beat`] moves.
    pub(crate) fn start(now: Instant) -> Self {
        Self {
            read: Cell::new(0),
            written: Cell::new(0),
            last_read: Cell::new(now),
            first_read: Cell::new(None),
            told: Cell::new((0, 0)),
            paused: Cell::new(None),
            held: Cell::new(Duration::ZERO),
        }
    }

    /// A sign of life.
    pub(crate) fn beat(&self) {
        self.count_read(1);
    }

    fn count_read(&self, bytes: usize) {
        let now = Instant::now();
        self.read.set(self.read.get() + bytes as u64);
        self.last_read.set(now);
        if self.first_read.get().is_none() {
            self.first_read.set(Some(now));
        }
    }

    /// Nothing is read for want of memory, or something is again. The clock is asked where that changes.
    pub(crate) fn pause(&self, is_paused: bool) {
        match (self.paused.get(), is_paused) {
            (None, true) => self.paused.set(Some(Instant::now())),
            (Some(since), false) => {
                let now = Instant::now();
                self.held
                    .set(self.held.get() + now.saturating_duration_since(since));
                self.last_read.set(now);
                self.paused.set(None);
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    /// Whether nothing is read for want of memory.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.get().is_some()
    }

    /// For how long nothing was read for want of memory.
    pub(crate) fn held(&self) -> Duration {
        self.held.get()
    }

    /// A request is sent: what was before says nothing of its answer.
    pub(crate) fn begin(&self) {
        self.paused.set(None);
        self.held.set(Duration::ZERO);
        self.first_read.set(None);
    }

    /// Bytes read and written since this was asked last.
    pub(crate) fn news(&self) -> (u64, u64) {
        let now = (self.read.get(), self.written.get());
        let (read, written) = self.told.replace(now);
        (now.0 - read, now.1 - written)
    }

    /// When the first byte was read since a request was sent.
    pub(crate) fn first_read(&self) -> Option<Instant> {
        self.first_read.get()
    }

    /// When the last byte was read.
    pub(crate) fn last_read(&self) -> Instant {
        self.last_read.get()
    }
}

/// TCP or TLS over TCP.
pub(crate) struct Stream {
    transport: Transport,
    meter: Rc<Meter>,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(crate) fn plain(tcp: TcpStream, meter: Rc<Meter>) -> Self {
        Self {
            transport: Transport::Plain(tcp),
            meter,
        }
    }

    pub(crate) fn tls(tls: TlsStream<TcpStream>, meter: Rc<Meter>) -> Self {
        Self {
            transport: Transport::Tls(Box::new(tls)),
            meter,
        }
    }
}

impl Stream {
    /// The connection itself, where it is not encrypted.
    pub(crate) fn into_tcp(self) -> Option<TcpStream> {
        match self.transport {
            Transport::Plain(tcp) => Some(tcp),
            Transport::Tls(_) => None,
        }
    }
}

impl v6kit_http1::Transport for Stream {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let room = most.min(buffer.capacity() - buffer.len());
        tokio_util::io::poll_read_buf(Pin::new(self), cx, &mut buffer.limit(room))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(self), cx, bytes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(self), cx)
    }

    fn look(&mut self) -> Look {
        match &mut self.transport {
            Transport::Plain(tcp) => peek(tcp),
            Transport::Tls(tls) => look_through(tls),
        }
    }
}

/// Asks the kernel itself: the reactor has the news of the last turn, which is too old at full speed.
fn peek(tcp: &TcpStream) -> Look {
    loop {
        return match SockRef::from(tcp).peek(&mut [MaybeUninit::uninit()]) {
            Ok(0) => Look::End,
            Ok(_) => Look::Bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Look::Silent,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => Look::End,
        };
    }
}

/// Late tickets and key updates (RFC 8446 section 4.6) say nothing: only what stands behind them counts.
fn look_through(tls: &mut TlsStream<TcpStream>) -> Look {
    let (tcp, session) = tls.get_mut();
    loop {
        match session.process_new_packets() {
            Ok(state) if state.plaintext_bytes_to_read() > 0 => return Look::Bytes,
            Ok(state) if state.peer_has_closed() => return Look::End,
            Ok(_) => {}
            Err(_) => return Look::End,
        }
        match peek(tcp) {
            Look::Bytes => {}
            nothing => return nothing,
        }
        match session.read_tls(&mut &*SockRef::from(&*tcp)) {
            Ok(0) => return Look::End,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Look::Silent,
            Err(_) => return Look::End,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Transport::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        };
        let read = buffer.filled().len() - before;
        if read > 0 {
            self.meter.count_read(read);
        }
        result
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Transport::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        };
        self.count_written(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Transport::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        };
        self.count_written(result)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(tcp) => tcp.is_write_vectored(),
            Transport::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

impl Stream {
    fn count_written(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(written)) = &result {
            self.meter.written.set(self.meter.written.get() + *written as u64);
        }
        result
    }
}
