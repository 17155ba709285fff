//! The client's side of a connection, whatever carries it.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

/// How long and how much is read from a client after it was refused, so that the answer is not lost to a
/// reset.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// A connection from a client.
#[derive(Debug)]
pub(crate) enum ClientStream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Who a client is to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Tcp(IpAddr),
    Unix,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

impl ClientStream {
    /// The address at which the client reached us, for TCP.
    pub(crate) fn local_ip(&self) -> Option<IpAddr> {
        self.tcp()?.local_addr().ok().map(|address| address.ip())
    }

    /// The address that the client comes from, for TCP.
    pub(crate) fn peer_ip(&self) -> Option<IpAddr> {
        self.tcp()?.peer_addr().ok().map(|address| address.ip())
    }

    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Tls(stream) => Some(stream.get_ref().0),
            Self::Unix(_) => None,
        }
    }
}

macro_rules! with_stream {
    ($self:expr, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            ClientStream::Tcp($stream) => $call,
            ClientStream::Unix($stream) => $call,
            ClientStream::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        with_stream!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        with_stream!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with_stream!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_stream!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_stream!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

/// A client's connection whose first bytes were read already.
#[derive(Debug)]
pub(crate) struct Sniffed {
    /// What was read, and not yet used.
    pub(crate) read: Vec<u8>,
    pub(crate) stream: ClientStream,
}

impl Sniffed {
    pub(crate) fn new(stream: ClientStream) -> Self {
        Self {
            read: Vec::new(),
            stream,
        }
    }

    /// Reads what has arrived, or waits for something. 0 at the end.
    pub(crate) async fn read_more(&mut self) -> io::Result<usize> {
        self.read.reserve(512);
        self.stream.read_buf(&mut self.read).await
    }

    /// Drops the line ends at the front (RFC 9112 section 2.2).
    pub(crate) fn skip_empty_lines(&mut self) {
        let empty = self.read.iter().take_while(|byte| b"\r\n".contains(byte)).count();
        if empty > 0 {
            self.read.drain(..empty);
        }
    }

    /// Sends a last answer and closes so that the client gets to read it.
    pub(crate) async fn say_goodbye(&mut self, answer: &[u8]) {
        let goodbye = async {
            self.stream.write_all(answer).await?;
            self.stream.shutdown().await
        };
        // Whoever does not listen misses it.
        if matches!(timeout(LINGER, goodbye).await, Ok(Ok(()))) {
            self.linger().await;
        }
    }

    /// Reads on after the last answer, for a while: a close with bytes unread would be a reset, which can
    /// overtake the answer.
    pub(crate) async fn linger(&mut self) {
        let reading = async {
            // Not in the future, which every connection carries with it.
            let mut rest = vec![0; 4096];
            let mut read = 0;
            while read < LINGER_BYTES {
                match self.stream.read(&mut rest).await? {
                    0 => break,
                    count => read += count,
                }
            }
            Ok::<(), io::Error>(())
        };
        // The answer is out: nothing is lost by an error.
        let _ = timeout(LINGER, reading).await;
    }
}
