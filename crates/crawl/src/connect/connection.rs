//! A connection to a destination from one source address.

mod body;
pub(crate) mod deadline;
pub(crate) mod fields;
mod http1;
mod http2;
mod proxy;
mod sessions;
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
use nix::errno::Errno;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;
use v6kit_http1::{Buffers, Limit};
use v6kit_model::{Answer, Counter, ErrorKind, Fault, Item, Protocol};
use v6kit_net::{DialError, dial_to_speak};
use v6kit_store::{Mark, Timing};

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
use crate::connect::memory::Memory;
use crate::connect::proxy::Proxy;
use crate::connect::source_lease::{LeaseLimits, SourceChoice, SourceLease};

/// The body type of every request of HTTP/2.
pub(crate) type RequestBody = Full<Bytes>;

/// A request in the form of its version of HTTP.
pub(crate) enum Message<'a> {
    One(v6kit_http1::Request<'a>),
    Two(Request<RequestBody>),
}

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
    /// It was sent on a connection that had been idle, which died before a byte of the answer, or brought what is
    /// none: most likely the server had hung up before, or said that before.
    Unanswered,
    /// The server refused to look at it (RFC 9113 section 8.7).
    Refused,
    /// The server refused to look at it over HTTP/2 (RFC 9113 section 7).
    RefusedHttp2,
    /// It arrived, as far as can be told.
    Arrived,
}

impl Failed {
    fn new(fault: Fault, delivery: Delivery) -> Self {
        Self {
            fault,
            status: None,
            delivery,
        }
    }

    /// Whether the request can be sent again at once on another connection (RFC 9110 section 9.2.2).
    pub(crate) fn may_repeat(&self, method: &http::Method) -> bool {
        match self.delivery {
            Delivery::Unsent | Delivery::Refused | Delivery::RefusedHttp2 => true,
            Delivery::Unanswered => method.is_idempotent(),
            Delivery::Arrived => false,
        }
    }
}

/// What a connection answered last: an item, and where its record stands.
#[derive(Debug)]
pub(crate) struct LastAnswer {
    pub(crate) item: Item,
    pub(crate) record: Mark,
    /// Whether the request may be sent again (RFC 9110 section 9.2.2).
    pub(crate) can_repeat: bool,
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
    /// Streams of it at a time.
    pub(crate) streams: u64,
    /// What is read into.
    pub(crate) buffers: Rc<Buffers>,
    /// Is told how long handshakes took.
    pub(crate) timing: &'a mut Timing,
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
    last: Option<LastAnswer>,
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
        let began = Instant::now();
        let tcp = dial_to_speak(target.to, target.from.address(), target.deadline)
            .await
            .map_err(|error| match target.proxy {
                None => dial_fault(&error),
                Some(proxy) => unreachable_proxy(proxy, &error),
            })?;
        let from = target.from.address().unwrap_or_else(|| local_address(&tcp));
        let peer = target.proxy.is_none().then(|| *target.to.ip());
        let lease = SourceLease::begin(from, target.from, peer);
        let tcp = match &target.tunnel {
            None => tcp,
            Some(tunnel) => timeout_at(target.deadline, Box::pin(proxy::pass(tcp, tunnel)))
                .await
                .map_err(|_elapsed| {
                    Fault::new(ErrorKind::ConnectTimeout, "the proxy did not connect in time")
                })??,
        };
        let connected = Instant::now();
        target.timing.connect = Some(connected - began);
        let meter = Meter::new();
        let (stream, protocol) = match target.tls {
            None => (Stream::plain(tcp, Rc::clone(&meter)), target.otherwise),
            Some((tls, name)) => {
                let tls = Box::pin(shake_hands(tls, name, tcp, target.deadline)).await?;
                target.timing.tls = Some(connected.elapsed());
                let protocol = match tls.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Protocol::Http2,
                    Some(_) => Protocol::Http1,
                    None => target.otherwise,
                };
                (Stream::tls(tls, Rc::clone(&meter)), protocol)
            }
        };
        let open = Open::count(open_connections);
        if protocol == Protocol::Http1 {
            return Ok(Opened::Exclusive(Self(Kind::One(Box::new(One {
                http: Http1::new(stream, target.buffers, meter),
                lease,
                served: 0,
                last: None,
                _open: open,
            })))));
        }
        let io = TokioIo::new(stream);
        let opening = Box::pin(Http2::open(
            io,
            meter,
            lease,
            target.changed,
            target.streams,
            open,
        ));
        timeout_at(target.deadline, opening)
            .await
            .map_err(|_elapsed| Fault::new(ErrorKind::ConnectTimeout, "HTTP did not begin in time"))?
            .map(Opened::Shared)
            .map_err(|error: hyper::Error| http2::fault(&error))
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

    /// The address of the server; `None` through a proxy.
    pub(crate) fn peer(&self) -> Option<Ipv6Addr> {
        match &self.0 {
            Kind::One(one) => one.lease.peer,
            Kind::Two(stream) => stream.lease().peer,
        }
    }

    /// Remembers what was answered last, in whatever words of the caller.
    pub(crate) fn note(&mut self, last: Option<LastAnswer>) {
        if let Kind::One(one) = &mut self.0 {
            one.last = last;
        }
    }

    /// What was answered last, as it was noted.
    pub(crate) fn take_note(&mut self) -> Option<LastAnswer> {
        match &mut self.0 {
            Kind::One(one) => one.last.take(),
            Kind::Two(_) => None,
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

    /// Whether it can be expected to serve a request now, which can be repeated or not.
    pub(crate) fn suits(&self, now: std::time::Instant, can_repeat: bool) -> bool {
        match &self.0 {
            Kind::One(one) => one.http.suits(now, can_repeat),
            Kind::Two(_) => true,
        }
    }

    /// Looks whether the server has left an idle connection as it was.
    pub(crate) fn is_still_open(&mut self) -> bool {
        match &mut self.0 {
            Kind::One(one) => one.http.look().is_ok(),
            Kind::Two(_) => true,
        }
    }

    /// Whether the server has said something that nobody asked for.
    pub(crate) fn has_surplus(&self) -> bool {
        match &self.0 {
            Kind::One(one) => one.http.has_surplus(),
            Kind::Two(_) => false,
        }
    }

    /// Whether what was answered last may have been meant for the request before.
    pub(crate) fn is_doubtful(&self) -> bool {
        match &self.0 {
            Kind::One(one) => one.http.is_doubtful(),
            Kind::Two(_) => false,
        }
    }

    /// Whether the server ended it with its last answer, which was not the first.
    pub(crate) fn ended_when_reused(&self) -> bool {
        match &self.0 {
            Kind::One(one) => one.served > 1 && !one.http.is_open(),
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

    /// Sends a request and reads the whole answer into `answer`, which is an empty one: each layer that it went through
    /// by value would copy it.
    ///
    /// # Errors
    /// [`Failed`]; the connection is of no use afterwards.
    pub(crate) async fn exchange(
        &mut self,
        message: Message<'_>,
        max_body: Limit,
        memory: &Memory,
        timer: &mut Timer,
        answer: &mut Answer,
    ) -> Result<(), Failed> {
        let (one, request) = match (&mut self.0, message) {
            (Kind::One(one), Message::One(request)) => (one, request),
            (Kind::Two(stream), Message::Two(request)) => {
                let request = &mut Some(request);
                return stream.exchange(request, max_body, memory, timer, answer).await;
            }
            (Kind::One(_), Message::Two(_)) | (Kind::Two(_), Message::One(_)) => {
                let fault = Fault::new(ErrorKind::Protocol, "a request for another version of HTTP");
                return Err(Failed::new(fault, Delivery::Arrived));
            }
        };
        let http = &mut one.http;
        let result = http.exchange(&request, max_body, memory, timer, answer).await;
        match result {
            Ok(()) => {
                one.served += 1;
                one.lease.count();
                Ok(())
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
        DialError::NoDestination { .. } => ErrorKind::BadAddress,
        DialError::NoRoute { .. } | DialError::Unreachable { .. } => ErrorKind::NoRoute,
        DialError::Prohibited { .. } | DialError::Firewall { .. } => ErrorKind::Prohibited,
        DialError::SourceNotLocal { .. } | DialError::NoAddress { .. } => ErrorKind::SourceAddress,
        DialError::SourcePorts { .. } | DialError::TuplePorts { .. } => ErrorKind::Ports,
        DialError::Reset { .. } => ErrorKind::Reset,
        // A route of type `blackhole`, and a device that is down.
        DialError::Other {
            call: "connect",
            source,
            ..
        } if matches!(
            source.raw_os_error().map(Errno::from_raw),
            Some(Errno::EINVAL | Errno::ENETDOWN)
        ) =>
        {
            ErrorKind::NoRoute
        }
        // The rest is about this host running out of something.
        _ => ErrorKind::Resources,
    };
    Fault::from_error(kind, error)
}
