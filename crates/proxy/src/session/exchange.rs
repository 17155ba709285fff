//! One tunnel, request or association, from its start to its line in the access log.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use v6kit_net::Lease;

use super::client::Client;
use crate::auth::account::Account;
use crate::data::protocol::Protocol;
use crate::data::refusal::Refusal;
use crate::data::stream::Peer;
use crate::data::target::Target;
use crate::relay::{End, Meter};
use crate::report::access_log::LogSender;
use crate::report::metrics::Tally;

/// Bytes after which the counters shared with other threads are told.
const REPORT_AFTER: u64 = 256 * 1024;
/// The outcome of what was broken off by the end of the proxy.
const CUT: &str = "cut";

/// Where the exchanges of one thread are counted and logged, and which of them are open.
#[derive(Debug)]
pub(crate) struct Reporter {
    pub(crate) tally: Arc<Tally>,
    log: Option<LogSender>,
    open: RefCell<HashMap<u64, Weak<Exchange>>>,
    last: Cell<u64>,
}

impl Reporter {
    pub(crate) fn new(tally: Arc<Tally>, log: Option<LogSender>) -> Self {
        Self {
            tally,
            log,
            open: RefCell::default(),
            last: Cell::default(),
        }
    }

    /// Begins an exchange, which [`Exchange::finish`] ends.
    pub(crate) fn begin(self: &Rc<Self>, peer: Peer, protocol: Protocol) -> Rc<Exchange> {
        let id = self.last.get() + 1;
        self.last.set(id);
        let exchange = Rc::new(Exchange {
            reporter: Rc::clone(self),
            id,
            peer,
            began: Instant::now(),
            entry: RefCell::new(Entry::new(protocol)),
        });
        self.open.borrow_mut().insert(id, Rc::downgrade(&exchange));
        exchange
    }

    /// Ends what is still open, which then stands in the log as cut.
    pub(crate) fn finish_all(&self) {
        let open = std::mem::take(&mut *self.open.borrow_mut());
        for exchange in open.into_values().filter_map(|open| open.upgrade()) {
            exchange.finish();
        }
    }
}

/// One tunnel, request or association.
#[derive(Debug)]
pub(crate) struct Exchange {
    reporter: Rc<Reporter>,
    id: u64,
    peer: Peer,
    began: Instant,
    entry: RefCell<Entry>,
}

/// What is known of an exchange so far.
#[derive(Debug)]
struct Entry {
    protocol: Protocol,
    account: Option<Arc<Account>>,
    session: Option<Box<str>>,
    /// The source address is held until the end.
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
    finished: bool,
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

impl Exchange {
    /// Who asked for it.
    pub(crate) fn by(&self, client: &Client) {
        let mut entry = self.entry.borrow_mut();
        entry.account = Some(Arc::clone(&client.account));
        entry.session = client.session.as_ref().map(|session| session.id.clone());
        entry.lease.clone_from(&client.lease);
    }

    /// Says that it speaks `protocol` after all.
    pub(crate) fn speaks(&self, protocol: Protocol) {
        self.entry.borrow_mut().protocol = protocol;
    }

    pub(crate) fn aims_at(&self, target: &Target) {
        tracing::debug!(%target, "asks");
        self.entry.borrow_mut().target = Some(target.clone());
    }

    /// A connection to `to` was made, or is there already, from `from`.
    pub(crate) fn connected(&self, from: Option<IpAddr>, to: Option<SocketAddrV6>, took: Option<Duration>) {
        tracing::debug!(from = from.map(display), to = to.map(display), ?took, "connected");
        let mut entry = self.entry.borrow_mut();
        entry.from = from;
        entry.to = to;
        entry.dialled = took;
    }

    /// The address that the destination sees.
    pub(crate) fn source(&self) -> Option<IpAddr> {
        self.entry.borrow().from
    }

    /// Where the connection leads.
    pub(crate) fn destination(&self) -> Option<SocketAddrV6> {
        self.entry.borrow().to
    }

    /// What the client was told: an HTTP status or a SOCKS reply.
    pub(crate) fn answered(&self, status: u16) {
        self.entry.borrow_mut().status = status;
    }

    pub(crate) fn ended(&self, outcome: &'static str) {
        self.entry.borrow_mut().outcome = outcome;
    }

    /// All went well, unless something else was said before.
    pub(crate) fn succeeded(&self) {
        let mut entry = self.entry.borrow_mut();
        if entry.outcome == CUT {
            entry.outcome = "ok";
        }
    }

    pub(crate) fn refused(&self, refusal: &Refusal) {
        self.failed(refusal.kind(), refusal.message());
    }

    fn failed(&self, outcome: &'static str, message: String) {
        let mut entry = self.entry.borrow_mut();
        entry.outcome = outcome;
        entry.message = Some(message);
    }

    /// The end of a tunnel.
    pub(crate) fn relayed(&self, end: &End) {
        match end {
            End::Closed | End::Aged => self.ended("ok"),
            End::Client(error) => self.failed("client_gone", error.to_string()),
            End::Destination(error) => self.failed("destination_gone", error.to_string()),
            End::Idle => self.refused(&Refusal::Idle),
            End::Refused(refusal) => self.refused(refusal),
        }
    }

    /// Counts it and writes its line, once.
    pub(crate) fn finish(&self) {
        let mut entry = self.entry.borrow_mut();
        if std::mem::replace(&mut entry.finished, true) {
            return;
        }
        self.reporter.open.borrow_mut().remove(&self.id);
        // It has ended: nothing is left to refuse.
        let _ = entry.report(&self.reporter.tally);
        entry.lease = None;
        tracing::debug!(
            outcome = entry.outcome,
            why = entry.message.as_deref(),
            up = entry.up,
            down = entry.down,
            "ended"
        );
        self.reporter.tally.exchange(
            entry.user(),
            entry.protocol,
            entry.outcome,
            entry.from.and_then(net64),
            entry.dialled,
        );
        if let Some(log) = &self.reporter.log {
            log.write(&entry.line(self.peer, self.began), &self.reporter.tally);
        }
    }
}

impl Entry {
    fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            account: None,
            session: None,
            lease: None,
            target: None,
            from: None,
            to: None,
            dialled: None,
            status: 0,
            outcome: CUT,
            message: None,
            up: 0,
            down: 0,
            unreported: (0, 0),
            finished: false,
        }
    }

    fn user(&self) -> &str {
        self.account.as_ref().map_or("", |account| account.name())
    }

    fn report(&mut self, tally: &Tally) -> Result<(), Refusal> {
        let (up, down) = std::mem::take(&mut self.unreported);
        if up + down == 0 {
            return Ok(());
        }
        tally.bytes(self.user(), up, down);
        self.account
            .as_ref()
            .map_or(Ok(()), |account| account.count_bytes(up + down))
    }

    fn line(&self, peer: Peer, began: Instant) -> Line<'_> {
        let took = began.elapsed();
        let at = jiff::Timestamp::now() - jiff::SignedDuration::try_from(took).unwrap_or_default();
        Line {
            at: format!("{at:.3}"),
            client: peer.to_string(),
            user: Some(self.user()).filter(|name| !name.is_empty()),
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
    SocketAddr::new(IpAddr::V6(*to.ip()).to_canonical(), to.port()).to_string()
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

impl Meter for Exchange {
    fn moved(&self, up: u64, down: u64) -> Result<(), Refusal> {
        let mut entry = self.entry.borrow_mut();
        entry.up += up;
        entry.down += down;
        entry.unreported.0 += up;
        entry.unreported.1 += down;
        let (up, down) = entry.unreported;
        // What moves behind the end of the exchange is in no line, yet counted.
        if entry.finished || up + down >= REPORT_AFTER {
            entry.report(&self.reporter.tally)?;
        }
        Ok(())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let finished = self.entry.get_mut().finished;
        debug_assert!(
            finished || std::thread::panicking(),
            "an exchange was dropped without its line"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reporter() -> Rc<Reporter> {
        Rc::new(Reporter::new(Arc::default(), None))
    }

    #[test]
    fn what_is_open_at_the_end_is_finished_as_cut_and_once() {
        let reporter = reporter();
        let open = reporter.begin(Peer::Unix, Protocol::Connect);
        let done = reporter.begin(Peer::Unix, Protocol::Forward);
        done.succeeded();
        done.finish();
        reporter.finish_all();
        assert_eq!(open.entry.borrow().outcome, CUT);
        assert!(open.entry.borrow().finished && done.entry.borrow().finished);
        assert!(reporter.open.borrow().is_empty());
        open.finish();
    }

    #[test]
    fn success_does_not_hide_what_went_wrong_before() {
        let exchange = reporter().begin(Peer::Unix, Protocol::Forward);
        exchange.refused(&Refusal::Silent);
        exchange.succeeded();
        assert_eq!(exchange.entry.borrow().outcome, "response_timeout");
        exchange.finish();
    }

    #[test]
    fn bytes_are_counted_until_the_last_one_though_the_line_is_written() {
        let exchange = reporter().begin(Peer::Unix, Protocol::Forward);
        exchange.moved(5, 0).unwrap();
        exchange.finish();
        exchange.moved(7, 0).unwrap();
        assert_eq!(exchange.entry.borrow().unreported, (0, 0));
        assert_eq!(exchange.entry.borrow().up, 12);
    }
}
