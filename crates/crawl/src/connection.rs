//! A connection to a destination from one source address.

pub(crate) mod deadline;
mod http1;
mod stream;
mod tls;

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::time::{Instant, timeout_at};
use v6kit_net::{DialError, dial};

pub(crate) use self::deadline::Timer;
use self::http1::Http1;
pub(crate) use self::stream::Meter;
use self::stream::Stream;
pub use self::tls::TrustError;
pub(crate) use self::tls::{ClientTls, client_tls};
use crate::outcome::{ErrorKind, Fault};
use crate::progress::Progress;

/// The body type of every request.
pub(crate) type RequestBody = Full<Bytes>;

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: http::StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The whole body as it came.
    pub(crate) body: Bytes,
}

/// Why there is no whole answer.
#[derive(Debug)]
pub(crate) struct Failed {
    /// The failure.
    pub(crate) fault: Fault,
    /// The status, where the answer got that far.
    pub(crate) status: Option<http::StatusCode>,
    /// How far the request may have got.
    pub(crate) reach: Reach,
}

/// How far a request may have got that has no whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Nothing of it was sent: the connection had gone before.
    Unsent,
    /// It was sent on a connection that had been idle, which died before a byte of the answer: most
    /// likely the server had hung up before.
    Unanswered,
    /// It arrived, as far as can be told.
    Arrived,
}

impl Failed {
    /// Whether the request can be sent again at once on another connection (RFC 9110 section 9.2.2).
    pub(crate) fn may_repeat(&self, method: &http::Method) -> bool {
        match self.reach {
            Reach::Unsent => true,
            Reach::Unanswered => method.is_idempotent(),
            Reach::Arrived => false,
        }
    }
}

/// Where and how to connect.
pub(crate) struct Target<'a> {
    /// The destination.
    pub(crate) to: SocketAddrV6,
    /// The source address, or the kernel's choice.
    pub(crate) from: Option<Ipv6Addr>,
    /// TLS with this server name, or plain TCP.
    pub(crate) tls: Option<(&'a ClientTls, &'a ServerName<'static>)>,
    /// When to give up.
    pub(crate) deadline: Instant,
}

/// An HTTP connection, not shared: it serves one request at a time.
pub(crate) struct Connection {
    http: Http1,
    from: Ipv6Addr,
    served: u64,
    /// Counts open connections down when this one goes.
    _open: Open,
}

impl Connection {
    /// Dials, shakes hands and is ready for a request.
    ///
    /// # Errors
    /// The failure of the first part that failed.
    pub(crate) async fn open(target: Target<'_>, progress: &Arc<Progress>) -> Result<Box<Self>, Fault> {
        let tcp = dial(target.to, target.from, target.deadline)
            .await
            .map_err(|error| dial_fault(&error))?;
        let from = match target.from {
            Some(from) => from,
            None => local_address(&tcp),
        };
        let meter = Meter::new();
        let stream = match target.tls {
            None => Stream::plain(tcp, Rc::clone(&meter)),
            Some((tls, name)) => {
                let handshake = tls.connect(name.clone(), tcp);
                let tls = timeout_at(target.deadline, handshake)
                    .await
                    .map_err(|_elapsed| {
                        Fault::new(
                            ErrorKind::ConnectTimeout,
                            "the TLS handshake was not done in time",
                        )
                    })?
                    .map_err(|error| tls::fault(&error))?;
                Stream::tls(tls, Rc::clone(&meter))
            }
        };
        let http = Http1::open(TokioIo::new(stream), meter)
            .await
            .map_err(|error| Fault::from_error(ErrorKind::Protocol, &error))?;
        Ok(Box::new(Self {
            http,
            from,
            served: 0,
            _open: Open::count(progress),
        }))
    }

    /// The source address.
    pub(crate) fn from(&self) -> Ipv6Addr {
        self.from
    }

    /// How many requests it has answered.
    pub(crate) fn served(&self) -> u64 {
        self.served
    }

    /// Whether the next request can be sent on it.
    pub(crate) fn is_reusable(&self) -> bool {
        self.http.is_open()
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// [`Failed`]; the connection is of no use afterwards.
    pub(crate) async fn fetch(
        &mut self,
        request: Request<RequestBody>,
        max_body: u64,
        timer: &mut Timer,
    ) -> Result<Answer, Failed> {
        let reused = self.served > 0;
        let result = self.http.exchange(request, max_body, timer).await;
        match result {
            Ok(answer) => {
                self.served += 1;
                Ok(answer)
            }
            // A connection that never served is no idle one, whatever it died of.
            Err(failed) if !reused => Err(Failed {
                reach: Reach::Arrived,
                ..failed
            }),
            Err(failed) => Err(failed),
        }
    }

    /// Bytes read and written so far.
    pub(crate) fn meter(&self) -> &Meter {
        self.http.meter()
    }
}

/// Counts a connection for as long as it lives.
struct Open(Arc<Progress>);

impl Open {
    fn count(progress: &Arc<Progress>) -> Self {
        progress.open_connections.add(1);
        Self(Arc::clone(progress))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open_connections.subtract(1);
    }
}

fn local_address(tcp: &tokio::net::TcpStream) -> Ipv6Addr {
    match tcp.local_addr() {
        Ok(SocketAddr::V6(address)) => *address.ip(),
        Ok(SocketAddr::V4(_)) | Err(_) => Ipv6Addr::UNSPECIFIED,
    }
}

fn dial_fault(error: &DialError) -> Fault {
    let kind = match error {
        DialError::Refused { .. } => ErrorKind::ConnectRefused,
        DialError::TimedOut { .. } => ErrorKind::ConnectTimeout,
        DialError::NoRoute { .. } => ErrorKind::NoRoute,
        DialError::Prohibited { .. } | DialError::Firewall { .. } => ErrorKind::Prohibited,
        DialError::SourceNotLocal { .. } => ErrorKind::SourceAddress,
        DialError::SourcePorts { .. } | DialError::TuplePorts { .. } => ErrorKind::Ports,
        DialError::Reset { .. } => ErrorKind::Reset,
        // The rest is about this host running out of something.
        _ => ErrorKind::Resources,
    };
    Fault::from_error(kind, error)
}
