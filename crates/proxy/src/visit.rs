//! One tunnel, request or association, from its start to its line in the access log.

use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use v6kit_net::Lease;

use crate::account::Account;
use crate::refusal::Refusal;
use crate::relay::{End, Meter};
use crate::session::Client;
use crate::stream::Peer;
use crate::target::Target;
use crate::worker::Worker;

/// Bytes after which the counters shared with other threads are told.
const REPORT_AFTER: u64 = 256 * 1024;

/// How a client talks to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Connect,
    Forward,
    Socks5,
    #[serde(rename = "socks5-udp")]
    Udp,
    Socks4,
    Tls,
    Unknown,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Forward => "forward",
            Self::Socks5 => "socks5",
            Self::Udp => "socks5-udp",
            Self::Socks4 => "socks4",
            Self::Tls => "tls",
            Self::Unknown => "unknown",
        }
    }
}

/// One tunnel, request or association. Counted and logged when dropped.
#[derive(Debug)]
pub(crate) struct Visit {
    worker: Rc<Worker>,
    peer: Peer,
    pub(crate) protocol: Protocol,
    began: Instant,
    account: Option<Arc<Account>>,
    session: Option<Box<str>>,
    /// The source address keeps its place until the end.
    lease: Option<Rc<Lease>>,
    target: Option<Target>,
    from: Option<IpAddr>,
    to: Option<SocketAddrV6>,
    dialled: Option<Duration>,
    status: u16,
    outcome: &'static str,
    message: Option<String>,
    up: u64,
    down: u64,
    unreported: (u64, u64),
}

/// A line of the access log.
#[derive(Debug, Serialize)]
struct Line<'a> {
    at: String,
    client: String,
    user: Option<&'a str>,
    session: Option<&'a str>,
    protocol: Protocol,
    target: Option<String>,
    to: Option<String>,
    from: Option<IpAddr>,
    outcome: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    bytes_up: u64,
    bytes_down: u64,
    dial_ms: Option<f64>,
    ms: f64,
}

impl Visit {
    pub(crate) fn new(worker: &Rc<Worker>, peer: Peer, protocol: Protocol) -> Self {
        Self {
            worker: Rc::clone(worker),
            peer,
            protocol,
            began: Instant::now(),
            account: None,
            session: None,
            lease: None,
            target: None,
            from: None,
            to: None,
            dialled: None,
            status: 0,
            // Stays when the task is dropped before its end.
            outcome: "cut",
            message: None,
            up: 0,
            down: 0,
            unreported: (0, 0),
        }
    }

    pub(crate) fn worker(&self) -> &Worker {
        &self.worker
    }

    pub(crate) fn by(&mut self, client: &Client) {
        self.account = Some(Arc::clone(&client.account));
        self.session.clone_from(&client.session);
        self.lease.clone_from(&client.lease);
    }

    pub(crate) fn aims_at(&mut self, target: &Target) {
        self.target = Some(target.clone());
    }

    /// A connection to `to` was made from `from`.
    pub(crate) fn connected(&mut self, from: Option<IpAddr>, to: SocketAddrV6, took: Option<Duration>) {
        self.from = from;
        self.to = Some(to);
        self.dialled = took;
    }

    /// The address that the destination sees.
    pub(crate) fn source(&self) -> Option<IpAddr> {
        self.from
    }

    /// What the client was told: an HTTP status or a SOCKS reply.
    pub(crate) fn answered(&mut self, status: u16) {
        self.status = status;
    }

    pub(crate) fn ended(&mut self, outcome: &'static str) {
        self.outcome = outcome;
    }

    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        self.outcome = refusal.kind();
        self.message = Some(refusal.message());
    }

    /// The end of a tunnel.
    pub(crate) fn relayed(&mut self, end: &End) {
        match end {
            End::Closed => self.ended("ok"),
            End::Client(error) => {
                self.ended("client_gone");
                self.message = Some(error.to_string());
            }
            End::Destination(error) => {
                self.ended("destination_gone");
                self.message = Some(error.to_string());
            }
            End::Idle => self.refused(&Refusal::Idle),
            End::Refused(refusal) => self.refused(refusal),
        }
    }

    fn user(&self) -> &str {
        self.account.as_ref().map_or("", |account| account.name())
    }

    fn report(&mut self) -> Result<(), Refusal> {
        let (up, down) = std::mem::take(&mut self.unreported);
        if up + down == 0 {
            return Ok(());
        }
        self.worker.tally.bytes(self.user(), up, down);
        self.account
            .as_ref()
            .map_or(Ok(()), |account| account.count_bytes(up + down))
    }

    fn line(&self) -> Line<'_> {
        let took = self.began.elapsed();
        let at = jiff::Timestamp::now() - jiff::SignedDuration::try_from(took).unwrap_or_default();
        Line {
            at: format!("{at:.3}"),
            client: self.peer.to_string(),
            user: self
                .account
                .as_ref()
                .map(|account| &**account.name())
                .filter(|name| !name.is_empty()),
            session: self.session.as_deref(),
            protocol: self.protocol,
            target: self.target.as_ref().map(ToString::to_string),
            to: self.to.map(display_destination),
            from: self.from,
            outcome: self.outcome,
            status: self.status,
            error: self.message.as_deref(),
            bytes_up: self.up,
            bytes_down: self.down,
            dial_ms: self.dialled.map(milliseconds),
            ms: milliseconds(took),
        }
    }
}

/// `[::ffff:192.0.2.1]:80` as `192.0.2.1:80`.
fn display_destination(to: SocketAddrV6) -> String {
    std::net::SocketAddr::new(IpAddr::V6(*to.ip()).to_canonical(), to.port()).to_string()
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

/// The /64 of a source address.
fn net64(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(address) => Some(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        IpAddr::V4(_) => None,
    }
}

impl Meter for Visit {
    fn moved(&mut self, up: u64, down: u64) -> Result<(), Refusal> {
        self.up += up;
        self.down += down;
        self.unreported.0 += up;
        self.unreported.1 += down;
        if self.unreported.0 + self.unreported.1 >= REPORT_AFTER {
            self.report()?;
        }
        Ok(())
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // It has ended: nothing is left to refuse.
        let _ = self.report();
        self.worker.tally.visit(
            self.user(),
            self.protocol,
            self.outcome,
            self.from.and_then(net64),
            self.dialled,
        );
        if let Some(log) = &self.worker.log {
            log.write(&self.line(), &self.worker.tally);
        }
    }
}
