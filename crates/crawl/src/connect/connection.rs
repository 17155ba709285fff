//! A connection to a destination from one source address.

mod body;
pub(crate) mod deadline;
mod http1;
mod http2;
mod proxy;
mod stream;
mod tls;

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;
use v6kit_model::{Answer, Counter, ErrorKind, Fault, Protocol};
use v6kit_net::{DialError, dial_to_speak};

pub use self::deadline::Deadlines;
pub(crate) use self::deadline::Timer;
use self::http1::Http1;
pub(crate) use self::http2::Http2;
use self::http2::Http2Stream;
pub(crate) use self::proxy::{Far, Tunnel};
pub(crate) use self::stream::Meter;
use self::stream::Stream;
pub(crate) use self::tls::{ClientTls, LazyTls, TrustError, client_tls};
pub use self::tls::{Identity, Trust};
use crate::connect::proxy::Proxy;
use crate::connect::source_lease::{LeaseLimits, SourceChoice, SourceLease};

/// The body type of every request.
pub(crate) type RequestBody = Full<Bytes>;

/// Why there is no whole answer.
#[derive(Debug)]
pub(crate) struct Failed {
    /// The failure.
    pub(crate) fault: Fault,
    /// The status, where the answer got that far.
    pub(crate) status: Option<http::StatusCode>,
    /// How far the request may have got.
    pub(crate) delivery: Delivery,
}

/// How far a request may have got that has no whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
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
        match self.delivery {
            Delivery::Unsent => true,
            Delivery::Unanswered => method.is_idempotent(),
            Delivery::Arrived => false,
        }
    }
}

/// Where and how to connect.
pub(crate) struct Target<'a> {
    /// The destination.
    pub(crate) to: SocketAddrV6,
    /// The source address, or the kernel's choice.
    pub(crate) from: SourceChoice,
    /// Whose address `to` is, where it is not the destination's, and what it has to be told.
    pub(crate) proxy: Option<&'a Proxy>,
    pub(crate) tunnel: Option<Tunnel<'a>>,
    /// TLS with this server name, or plain TCP.
    pub(crate) tls: Option<(&'a ClientTls, &'a ServerName<'static>)>,
    /// When to give up.
    pub(crate) deadline: Instant,
    /// What is spoken where the server is not asked: over plain TCP, or when it names nothing.
    pub(crate) otherwise: Protocol,
    /// Is told when a stream of the connection is free again.
    pub(crate) changed: Rc<Notify>,
}

/// A connection that was just made.
pub(crate) enum Opened {
    /// It serves one request at a time.
    Exclusive(Connection),
    /// It serves several.
    Shared(Rc<Http2>),
}

/// What a request is sent on: a connection that serves one at a time, or a stream of a shared one.
pub(crate) struct Connection(Kind);

enum Kind {
    One(Box<One>),
    Two(Http2Stream),
}

struct One {
    http: Http1,
    lease: SourceLease,
    served: u64,
    /// Counts open connections down when this one goes.
    _open: Open,
}

impl Connection {
    /// Dials, shakes hands and is ready for a request.
    ///
    /// What only some connections need is boxed, so that the others do not carry its room about.
    ///
    /// # Errors
    /// The failure of the first part that failed.
    pub(crate) async fn open(target: Target<'_>, open_connections: &Arc<Counter>) -> Result<Opened, Fault> {
        let tcp = dial_to_speak(target.to, target.from.address(), target.deadline)
            .await
            .map_err(|error| match target.proxy {
                None => dial_fault(&error),
                Some(proxy) => unreachable_proxy(proxy, &error),
            })?;
        let from = target.from.address().unwrap_or_else(|| local_address(&tcp));
        let lease = SourceLease::begin(from, target.from);
        let tcp = match &target.tunnel {
            None => tcp,
            Some(tunnel) => timeout_at(target.deadline, Box::pin(proxy::pass(tcp, tunnel)))
                .await
                .map_err(|_elapsed| {
                    Fault::new(ErrorKind::ConnectTimeout, "the proxy did not connect in time")
                })??,
        };
        let meter = Meter::new();
        let (stream, protocol) = match target.tls {
            None => (Stream::plain(tcp, Rc::clone(&meter)), target.otherwise),
            Some((tls, name)) => {
                let tls = Box::pin(shake_hands(tls, name, tcp, target.deadline)).await?;
                let protocol = match tls.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Protocol::Http2,
                    Some(_) => Protocol::Http1,
                    None => target.otherwise,
                };
                (Stream::tls(tls, Rc::clone(&meter)), protocol)
            }
        };
        let (io, open) = (TokioIo::new(stream), Open::count(open_connections));
        let opened = match protocol {
            // It has nothing to wait for.
            Protocol::Http1 => Http1::open(io, meter).await.map(|http| {
                Opened::Exclusive(Self(Kind::One(Box::new(One {
                    http,
                    lease,
                    served: 0,
                    _open: open,
                }))))
            }),
            Protocol::Http2 => {
                let opening = Box::pin(Http2::open(io, meter, lease, target.changed, open));
                timeout_at(target.deadline, opening)
                    .await
                    .map_err(|_elapsed| Fault::new(ErrorKind::ConnectTimeout, "HTTP did not begin in time"))?
                    .map(Opened::Shared)
            }
        };
        opened.map_err(|error: hyper::Error| Fault::from_error(ErrorKind::Protocol, &error))
    }

    /// A stream of a shared connection.
    pub(crate) fn of_stream(stream: Http2Stream) -> Self {
        Self(Kind::Two(stream))
    }

    /// The source address.
    pub(crate) fn from(&self) -> Ipv6Addr {
        match &self.0 {
            Kind::One(one) => one.lease.from,
            Kind::Two(stream) => stream.lease().from,
        }
    }

    /// How many requests the connection has answered.
    pub(crate) fn served(&self) -> u64 {
        match &self.0 {
            Kind::One(one) => one.served,
            Kind::Two(stream) => stream.served(),
        }
    }

    /// The version of HTTP.
    pub(crate) fn protocol(&self) -> Protocol {
        match &self.0 {
            Kind::One(_) => Protocol::Http1,
            Kind::Two(_) => Protocol::Http2,
        }
    }

    /// Whether it is the first connection from its source address, as far as this is known.
    pub(crate) fn is_from_new_address(&self) -> bool {
        match &self.0 {
            Kind::One(one) => one.lease.is_new(),
            Kind::Two(stream) => stream.lease().is_new(),
        }
    }

    /// Whether what was answered last was the first that left from its source address.
    pub(crate) fn is_first_visit(&self) -> bool {
        self.served() == 1 && self.is_from_new_address()
    }

    /// Whether to keep it for another request before the limits of its address is over. A stream goes back to its
    /// connection by itself.
    pub(crate) fn is_worth_keeping(&self, limits: &LeaseLimits) -> bool {
        match &self.0 {
            Kind::One(one) => !one.lease.is_over(one.served, limits) && one.http.is_open(),
            Kind::Two(_) => false,
        }
    }

    /// Sees to it that its source address serves nothing new, for `wait` where the site said for how long.
    pub(crate) fn retire(self, wait: Option<Duration>) {
        match &self.0 {
            // It is closed here.
            Kind::One(one) => one.lease.refuse(wait),
            Kind::Two(stream) => {
                stream.lease().refuse(wait);
                stream.retire();
            }
        }
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
        // Both stay where they are: each layer that they went through by value would copy them.
        let (mut request, mut answer) = (Some(request), Answer::default());
        let one = match &mut self.0 {
            Kind::One(one) => one,
            Kind::Two(stream) => {
                let result = stream.exchange(&mut request, max_body, timer, &mut answer);
                return result.await.map(|()| answer);
            }
        };
        let result = one
            .http
            .exchange(&mut request, max_body, timer, &mut answer)
            .await;
        match result {
            Ok(()) => {
                one.served += 1;
                one.lease.count();
                Ok(answer)
            }
            // A connection that never served is no idle one, whatever it died of.
            Err(failed) if one.served == 0 => Err(Failed {
                delivery: Delivery::Arrived,
                ..failed
            }),
            Err(failed) => Err(failed),
        }
    }

    /// When a byte came last.
    pub(crate) fn last_read(&self) -> std::time::Instant {
        self.meter().last_read()
    }

    /// Bytes read and written since this was asked last.
    pub(crate) fn news(&self) -> (u64, u64) {
        self.meter().news()
    }

    fn meter(&self) -> &Meter {
        match &self.0 {
            Kind::One(one) => one.http.meter(),
            Kind::Two(stream) => stream.meter(),
        }
    }
}

async fn shake_hands(
    tls: &ClientTls,
    name: &ServerName<'static>,
    tcp: TcpStream,
    deadline: Instant,
) -> Result<TlsStream<TcpStream>, Fault> {
    timeout_at(deadline, tls.connect(name.clone(), tcp))
        .await
        .map_err(|_elapsed| {
            Fault::new(
                ErrorKind::ConnectTimeout,
                "the TLS handshake was not done in time",
            )
        })?
        .map_err(|error| tls::fault(&error))
}

/// Counts a connection for as long as it lives.
pub(crate) struct Open(Arc<Counter>);

impl Open {
    fn count(open: &Arc<Counter>) -> Self {
        open.add(1);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.subtract(1);
    }
}

fn local_address(tcp: &TcpStream) -> Ipv6Addr {
    match tcp.local_addr() {
        Ok(SocketAddr::V6(address)) => *address.ip(),
        Ok(SocketAddr::V4(_)) | Err(_) => Ipv6Addr::UNSPECIFIED,
    }
}

fn unreachable_proxy(proxy: &Proxy, error: &DialError) -> Fault {
    let fault = dial_fault(error);
    match fault.kind {
        ErrorKind::SourceAddress | ErrorKind::Ports | ErrorKind::Resources => fault,
        _ => Fault::new(
            ErrorKind::Proxy,
            format!("the proxy {proxy} cannot be reached: {}", fault.message),
        ),
    }
}

fn dial_fault(error: &DialError) -> Fault {
    let kind = match error {
        DialError::Refused { .. } => ErrorKind::ConnectRefused,
        DialError::TimedOut { .. } => ErrorKind::ConnectTimeout,
        DialError::NoRoute { .. } | DialError::Unreachable { .. } => ErrorKind::NoRoute,
        DialError::Prohibited { .. } | DialError::Firewall { .. } => ErrorKind::Prohibited,
        DialError::SourceNotLocal { .. } | DialError::NoAddress { .. } => ErrorKind::SourceAddress,
        DialError::SourcePorts { .. } | DialError::TuplePorts { .. } => ErrorKind::Ports,
        DialError::Reset { .. } => ErrorKind::Reset,
        // The rest is about this host running out of something.
        _ => ErrorKind::Resources,
    };
    Fault::from_error(kind, error)
}
