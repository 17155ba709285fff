//! A destination as one shard sees it.

use std::cell::{Cell, RefCell};
use std::net::Ipv6Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::header::{HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION};
use http::uri::Authority;
use rustls_pki_types::ServerName;
use tokio::sync::{Notify, Semaphore};
use v6kit_http1::Block;
use v6kit_model::input::RequestSpec;
use v6kit_model::url::{Origin, Scheme};
use v6kit_model::{ErrorKind, Fault, HttpVersion, Protocol};

use super::destination::Destination;
use crate::connect::connection::fields::block;
use crate::connect::connection::{Connection, Http2, Opened};
use crate::connect::names::Resolution;
use crate::connect::rotation::AddressRotation;
use crate::connect::source_lease::LeaseLimits;
use crate::site::breaker::{ErrorBudget, PROBES, ProbeVerdict, Window};
use crate::site::busy::{Busy, Waiting};
use crate::site::conntrack::ConntrackSuspicion;
use crate::site::drain::Drain;
use crate::site::host_queue::HostQueue;
use crate::site::idle::{IdleConnections, Kept};
use crate::site::outage::Tried;
use crate::site::rate::Meter;
use crate::site::robots::{self, Rules, Unasked};

/// A destination as one shard sees it: with the shard's connections to it.
pub(crate) struct Site {
    /// `scheme://host:port` as items spell it.
    pub(super) spelling: String,
    pub(super) destination: Arc<Destination>,
    /// What this shard sends there.
    pub(super) meter: Arc<Meter>,
    /// The headers of every request to it.
    pub(crate) headers: HeaderMap,
    /// What Host says among them.
    pub(crate) host: HeaderValue,
    /// All of them but Host, as HTTP/1.1 writes them.
    pub(crate) block: Block,
    /// What HTTP/2 says instead of `Host`.
    pub(crate) authority: Authority,
    pub(crate) scheme: http::uri::Scheme,
    /// What TLS asks for; `None` for plain HTTP.
    pub(crate) server_name: Option<ServerName<'static>>,
    /// Connections that may serve again, among those of the shard.
    kept: Rc<Kept>,
    connections: Rc<IdleConnections>,
    /// Whether an item of the job is of it, as far as items were met.
    pub(crate) named: Cell<bool>,
    /// When items of it were met last, in items of the shard.
    pub(super) met: Cell<u64>,
    /// Whose turn it is to wait for the pace: one at a time, in the order of asking.
    pub(super) queue: Semaphore,
    /// Whose turn it is among the addresses that are dialled, and among those that a proxy is told.
    pub(crate) rotation: AddressRotation,
    pub(crate) far_rotation: AddressRotation,
    /// Whether requests go to a proxy as they are.
    pub(crate) is_forwarded: bool,
    /// The rules of robots.txt as this shard has them, and until when they hold.
    robots: RefCell<Option<(Arc<Rules>, Instant)>>,
    /// Whether it has ever been known where to dial.
    found: Cell<bool>,
    /// Who was dialled last, and from where.
    pub(crate) tried: Cell<Option<Tried>>,
    window: Window,
    pub(crate) conntrack: ConntrackSuspicion,
    /// What the server speaks, once that is known.
    protocol: Cell<Option<Protocol>>,
    /// Slots that dial, and slots that wait for them or for a stream.
    dialling: Cell<u64>,
    waiting: Cell<u64>,
    pub(crate) changed: Rc<Notify>,
    /// Slots that take a connection that is free before they may begin one.
    wanting: Cell<u64>,
    freed: Notify,
    /// Slots that serve it, and items that wait for one.
    pub(crate) host_queue: Rc<HostQueue>,
}

impl Site {
    pub(super) fn new(
        spelling: &str,
        origin: &Origin,
        destination: Arc<Destination>,
        request: &RequestSpec,
        connections: &Rc<IdleConnections>,
    ) -> Result<Self, Fault> {
        let bad = || {
            Fault::new(
                ErrorKind::BadItem,
                format!("`{}` is not a host name", origin.host),
            )
        };
        let mut headers = request.headers.clone();
        let host = match headers.get(HOST) {
            Some(host) => host.clone(),
            None => HeaderValue::from_str(&origin.authority()).map_err(|_invalid| bad())?,
        };
        if !headers.contains_key(HOST) {
            headers.insert(HOST, host.clone());
        }
        let is_forwarded = destination.is_forwarded();
        if is_forwarded
            && let Some(authorization) = destination
                .proxy()
                .and_then(|reached| reached.proxy.authorization())
        {
            headers.insert(PROXY_AUTHORIZATION, authorization);
        }
        let authority = origin.authority().parse().map_err(|_invalid| bad())?;
        let scheme = match origin.scheme {
            Scheme::Http => http::uri::Scheme::HTTP,
            Scheme::Https => http::uri::Scheme::HTTPS,
        };
        let server_name = match origin.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(ServerName::try_from(origin.host.clone()).map_err(|_invalid| bad())?),
        };
        Ok(Self {
            spelling: spelling.to_owned(),
            meter: destination.rate.meter(),
            destination,
            block: block(&headers, &request.spelling)?,
            headers,
            host,
            authority,
            scheme,
            server_name,
            kept: Rc::default(),
            connections: Rc::clone(connections),
            named: Cell::new(false),
            met: Cell::new(0),
            queue: Semaphore::new(1),
            rotation: AddressRotation::default(),
            far_rotation: AddressRotation::default(),
            is_forwarded,
            robots: RefCell::new(None),
            found: Cell::new(false),
            tried: Cell::new(None),
            window: Window::default(),
            conntrack: ConntrackSuspicion::default(),
            protocol: Cell::new(None),
            dialling: Cell::new(0),
            waiting: Cell::new(0),
            changed: Rc::default(),
            wanting: Cell::new(0),
            freed: Notify::new(),
            host_queue: Rc::default(),
        })
    }

    /// Whether robots.txt allows `url`, where its rules are in hand `now`.
    pub(crate) fn judge_by_known_robots(&self, url: &str, now: Instant) -> Option<Result<(), Fault>> {
        let known = self.robots.borrow();
        let (rules, _) = known.as_ref().filter(|(_, until)| now < *until)?;
        Some(rules.judge(url))
    }

    /// What robots.txt says, which one who asks gets for all by `ask`, up to `retries` times more.
    pub(crate) async fn robots(
        &self,
        drain: &Drain,
        retries: u32,
        pause: impl Fn(u32) -> Duration,
        ask: impl AsyncFnMut() -> Result<Rules, robots::Failed>,
    ) -> Result<Arc<Rules>, Unasked> {
        let Destination { robots, rate, .. } = &*self.destination;
        // Of all that wait here one makes the request, and only that one needs the room for it.
        let (rules, until) = Box::pin(robots.rules(drain, retries, pause, ask)).await?;
        rate.set_delay(rules.delay());
        self.robots.replace(Some((Arc::clone(&rules), until)));
        Ok(rules)
    }

    /// Counts an attempt, and pauses the destination when too many fail.
    pub(crate) fn attempted(&self, fault: Option<&Fault>, budget: &ErrorBudget) {
        let Some(share) = self.window.push(fault).filter(|share| *share > budget.share) else {
            return;
        };
        let pause = self.window.pause(budget);
        self.window.clear();
        if let (true, Some(fault)) = (self.destination.breaker.begin(Instant::now(), pause), fault) {
            self.notify(format_args!(
                "{:.0}% of the last attempts failed, most recently by {fault}; pausing for {pause:?}, then a probe",
                100.0 * share
            ));
        }
    }

    /// Tells all shards what a probe showed.
    pub(crate) fn probed(&self, fault: Option<&Fault>) -> ProbeVerdict {
        self.window.clear();
        let verdict = self.destination.breaker.probed(fault.into(), Instant::now());
        match (verdict, fault) {
            (ProbeVerdict::Recovered, _) => self.notify(format_args!("the probe was answered, going on")),
            (ProbeVerdict::Paused { failures, pause }, Some(fault)) => self.notify(format_args!(
                "probe {failures} of {PROBES} failed by {fault}; the next in {pause:?}"
            )),
            (ProbeVerdict::Paused { .. } | ProbeVerdict::Hopeless, _) => {}
        }
        verdict
    }

    /// The probe found out nothing about the destination.
    pub(crate) fn withdraw_probe(&self) {
        self.destination.breaker.withdraw_probe();
    }

    fn notify(&self, what: std::fmt::Arguments<'_>) {
        let Destination { way, origin, .. } = &*self.destination;
        way.events.push(format!("{origin}: {what}"));
    }

    /// The path and query of a URL of this site.
    pub(crate) fn path_of<'u>(&self, url: &'u str) -> &'u str {
        &url[self.spelling.len().min(url.len())..]
    }

    /// The whole URL of a path and query.
    ///
    /// # Errors
    /// [`ErrorKind::BadItem`].
    pub(crate) fn url_of(&self, path: &str) -> Result<::url::Url, Fault> {
        let slash = if path.starts_with('/') { "" } else { "/" };
        format!("{}{slash}{path}", self.spelling)
            .parse()
            .map_err(|error: ::url::ParseError| Fault::from_error(ErrorKind::BadItem, &error))
    }

    /// Gives headers of another site those of this one that depend on where they go.
    pub(crate) fn label(&self, headers: &mut HeaderMap) {
        if !headers.contains_key(HOST)
            && let Ok(host) = HeaderValue::from_str(self.authority.as_str())
        {
            headers.insert(HOST, host);
        }
        headers.remove(PROXY_AUTHORIZATION);
        // What the user gave as a header is for the origins that the job names.
        if self.is_forwarded
            && let Some(authorization) = self.headers.get(PROXY_AUTHORIZATION)
        {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
    }

    pub(crate) fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Whether it is still being found out where to dial.
    pub(crate) fn is_being_looked_up(&self) -> bool {
        if self.found.get() {
            return false;
        }
        let resolution = self.destination.resolution();
        self.found.set(resolution == Resolution::Found);
        resolution == Resolution::Pending
    }

    /// [`Site::take_idle`], with `from` as the source address.
    pub(crate) fn take_idle_from(
        &self,
        from: Ipv6Addr,
        streams: u64,
        limits: &LeaseLimits,
    ) -> Option<Connection> {
        let from_there = |connection: &Connection| connection.from() == from;
        let taken = self.connections.take_where(&self.kept, from_there);
        taken.or_else(|| {
            let has_room =
                |connection: &Http2| connection.from() == from && connection.has_room(streams, limits);
            let wants_http1 = self.wants_http1();
            let roomy = self.connections.shared(&self.kept, |_| !wants_http1, has_room)?;
            Some(Connection::of_stream(roomy.stream()))
        })
    }

    /// A connection that is ready for a request, or a stream of one that has room.
    pub(crate) fn take_idle(
        &self,
        streams: u64,
        limits: &LeaseLimits,
        now: Instant,
        can_repeat: bool,
    ) -> Option<Connection> {
        while let Some(connection) = self.connections.take(&self.kept) {
            // Without a limit to its age, whatever was kept may be used.
            let is_kept = limits.age.is_none() || connection.is_worth_keeping(limits);
            if is_kept && connection.suits(now, can_repeat) {
                return Some(connection);
            }
        }
        let wants_http1 = self.wants_http1();
        let roomy = self.connections.shared(
            &self.kept,
            |connection| !wants_http1 && connection.is_of_use(limits),
            |connection| connection.has_room(streams, limits),
        )?;
        Some(Connection::of_stream(roomy.stream()))
    }

    /// Whether whoever needs a connection should make one, rather than wait for those that do. As long as
    /// it is not known whether a connection can be shared, one slot finds out for all.
    pub(crate) fn should_dial(&self, http: HttpVersion, streams: u64) -> bool {
        let (dialling, waiting) = (self.dialling.get(), self.waiting.get());
        match self.protocol.get() {
            _ if self.wants_http1() => true,
            Some(Protocol::Http1) => true,
            Some(Protocol::Http2) => waiting >= dialling * streams,
            None if http == HttpVersion::One => true,
            None if http == HttpVersion::Auto && self.server_name.is_none() => true,
            None => dialling == 0,
        }
    }

    /// Counts a slot as dialling for as long as the result lives.
    pub(crate) fn dialling(&self) -> Busy<'_> {
        Busy::new(&self.dialling, &self.changed)
    }

    /// Waits until there may be a connection.
    pub(crate) async fn wait_for_change(&self) {
        let waiting = &self.waiting;
        let _waiting = Waiting::new(waiting);
        self.changed.notified().await;
    }

    /// Waits until a connection may be free.
    pub(crate) async fn wait_for_idle(&self) {
        let _wanting = Waiting::new(&self.wanting);
        tokio::select! {
            () = self.freed.notified() => {}
            () = self.changed.notified() => {}
        }
    }

    /// Learns from a connection, or from there being none: then nobody waits for somebody else's again.
    pub(crate) fn learn(&self, opened: Result<&Opened, ()>) {
        let protocol = match opened {
            Ok(Opened::Shared(connection)) => {
                self.connections.share(&self.kept, connection);
                Protocol::Http2
            }
            Ok(Opened::Exclusive(_)) => Protocol::Http1,
            Err(()) => self.protocol.get().unwrap_or(Protocol::Http1),
        };
        self.protocol.set(Some(protocol));
    }

    /// The server wants to be asked over HTTP/1.1: from now on it is, by all shards.
    pub(crate) fn turn_to_http1(&self) {
        if !self.destination.wants_http1.swap(true, Ordering::Relaxed) {
            self.notify(format_args!(
                "it refuses HTTP/2 and is asked over HTTP/1.1 from now on"
            ));
        }
    }

    /// Whether the server wants to be asked over HTTP/1.1.
    pub(crate) fn wants_http1(&self) -> bool {
        self.destination.wants_http1.load(Ordering::Relaxed)
    }

    /// The server says more than it is asked for: from now on nobody asks it twice on a connection.
    pub(crate) fn limit_to_one_request(&self) {
        if !self.destination.serves_once.swap(true, Ordering::Relaxed) {
            self.notify(format_args!(
                "it answers what nobody asked for; each request has a connection of its own from now on"
            ));
        }
    }

    /// Whether each request has a connection of its own.
    pub(crate) fn serves_once(&self) -> bool {
        self.destination.serves_once.load(Ordering::Relaxed)
    }

    /// Whether nobody would miss it: it has no connection, and no item waits for it.
    pub(super) fn is_at_rest(&self) -> bool {
        self.kept.is_empty() && !self.host_queue.is_waited_at()
    }

    /// A connection that may serve another request.
    pub(crate) fn put_idle(&self, connection: Connection) {
        self.connections.put(&self.kept, connection);
        if self.wanting.get() > 0 {
            self.freed.notify_one();
        }
    }
}
