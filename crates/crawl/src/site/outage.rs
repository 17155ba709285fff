//! Outages: while nothing is reached from this host, no destination has failed.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use v6kit_model::{ErrorKind, Fault};
use v6kit_net::{DialError, Ipv6, Prefix, RateLimit, dial};

use crate::connect::way_out::{no_way_text, way_out};
use crate::site::drain::Drain;
use crate::stats::events::EventSink;

/// The pause between items that find out whether the outage is over.
pub(crate) const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// How long a destination that was reached before has to answer when another one is not reached.
const CONTROL_TIME: Duration = Duration::from_secs(2);

/// For how long such an answer speaks for the network. What this host itself says is asked each time.
const CONTROL_HOLDS: Duration = Duration::from_secs(1);

/// The answer of [`DeliveryCheck`]; none where the kernel cannot be asked.
pub type Looked = Pin<Box<dyn Future<Output = Option<bool>> + Send>>;

/// How it is found out whether packets to the prefix are delivered to this host.
#[derive(Clone)]
pub struct DeliveryCheck {
    prefix: Prefix,
    look: Arc<dyn Fn() -> Looked + Send + Sync>,
}

impl DeliveryCheck {
    /// `look` asks the kernel about `prefix`.
    #[must_use]
    pub fn new(prefix: Prefix, look: impl Fn() -> Looked + Send + Sync + 'static) -> Self {
        Self {
            prefix,
            look: Arc::new(look),
        }
    }
}

impl fmt::Debug for DeliveryCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeliveryCheck").field(&self.prefix).finish()
    }
}

/// What is known about the way out of this host, shared by all shards.
#[derive(Debug)]
pub(crate) struct Outage {
    /// Whether there is one. Asked for each item, which costs a load.
    is_on: AtomicBool,
    state: Mutex<State>,
    /// One at a time looks; when a destination last answered for the network.
    looking: tokio::sync::Mutex<Option<Instant>>,
    /// Why the crawl ends, where an outage lasted too long.
    ended: OnceLock<String>,
    longest: Duration,
    through_proxy: bool,
    delivery: Option<DeliveryCheck>,
    /// How often a connection may be begun.
    connects: Arc<RateLimit>,
    events: EventSink,
}

#[derive(Debug, Default)]
struct State {
    now: Option<Current>,
    /// When the last one ended.
    over: Option<Instant>,
    /// Who was reached last, and from where.
    reached: Option<(SocketAddrV6, Option<Ipv6Addr>)>,
}

/// An outage that lasts.
#[derive(Debug)]
struct Current {
    since: Instant,
    /// When an item last left to find out whether it is over.
    probed: Instant,
    cause: String,
}

/// Whether an item may leave.
#[derive(Debug, PartialEq, Eq)]
enum Admission {
    Go,
    Wait(Instant),
    TooLong(String),
}

impl State {
    /// An outage begins; whether that is new.
    fn begin(&mut self, now: Instant, cause: String) -> bool {
        if self.now.is_some() {
            return false;
        }
        self.now = Some(Current {
            since: now,
            probed: now,
            cause,
        });
        true
    }

    /// One item each [`PROBE_PAUSE`] leaves while it lasts, until it has lasted for `longest`.
    fn admit(&mut self, now: Instant, longest: Duration) -> Admission {
        let Some(current) = &mut self.now else {
            return Admission::Go;
        };
        let end = current.since + longest;
        if now >= end {
            return Admission::TooLong(current.cause.clone());
        }
        let next = current.probed + PROBE_PAUSE;
        if now < next {
            return Admission::Wait(next.min(end));
        }
        current.probed = now;
        Admission::Go
    }

    /// An attempt that began at `began` was heard of: how long the outage was that ends by it.
    fn heard(&mut self, began: Instant, now: Instant) -> Option<Duration> {
        let current = self.now.take_if(|current| began >= current.since)?;
        self.over = Some(now);
        Some(now - current.since)
    }

    /// Whether there was an outage at any time since `began`.
    fn overlaps(&self, began: Instant) -> bool {
        self.now.is_some() || self.over.is_some_and(|over| over >= began)
    }
}

/// What a fault can say about this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// That it may have no way out.
    Suspicion,
    /// That nothing came back.
    Silence,
    /// That somebody answered.
    Heard,
    /// Nothing.
    None,
}

fn evidence(kind: ErrorKind) -> Evidence {
    use ErrorKind::*;
    match kind {
        NoRoute | SourceAddress => Evidence::Suspicion,
        Ports | Dns | ConnectTimeout | FirstByteTimeout | Stalled | Timeout | Prohibited | Proxy => {
            Evidence::Silence
        }
        NoName | NoIpv6 | Resources | BadItem | Robots | RobotsUnreachable => Evidence::None,
        _ => Evidence::Heard,
    }
}

impl Outage {
    pub(crate) fn new(
        longest: Duration,
        through_proxy: bool,
        delivery: Option<DeliveryCheck>,
        connects: Arc<RateLimit>,
        events: EventSink,
    ) -> Self {
        Self {
            is_on: AtomicBool::new(false),
            state: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            ended: OnceLock::new(),
            longest,
            through_proxy,
            delivery,
            connects,
            events,
        }
    }

    /// Waits until an item may leave; false where the crawl is being stopped. An outage that has lasted too long
    /// stops it.
    pub(crate) async fn admit(&self, drain: &Drain) -> bool {
        while self.is_on.load(Ordering::Acquire) {
            let admission = self.state().admit(Instant::now(), self.longest);
            match admission {
                Admission::Go => return true,
                Admission::Wait(until) => {
                    let sleep = tokio::time::sleep_until(until.into());
                    if drain.run_until_cancelled(sleep).await.is_none() {
                        return false;
                    }
                }
                Admission::TooLong(cause) => {
                    let _ = self.ended.set(cause);
                    drain.cancel();
                    return false;
                }
            }
        }
        true
    }

    /// Why the crawl ended, where an outage was the reason.
    pub(crate) fn ended(&self) -> Option<String> {
        self.ended.get().cloned()
    }

    /// `to` answered to a connection from `from`.
    pub(crate) fn reached(&self, to: SocketAddrV6, from: Option<Ipv6Addr>) {
        self.state().reached = Some((to, from));
    }

    /// Somebody answered an attempt that began at `began`.
    pub(crate) fn heard(&self, began: Instant) {
        if !self.is_on.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.state();
        if let Some(lasted) = state.heard(began, Instant::now()) {
            self.is_on.store(false, Ordering::Release);
            drop(state);
            self.events.push(format!(
                "answers come again after {:.0} s: going on",
                lasted.as_secs_f64().ceil()
            ));
        }
    }

    /// Whether nothing came back of an attempt because of an outage, as far as its time tells.
    pub(crate) fn covers(&self, kind: ErrorKind, began: Instant) -> bool {
        matches!(evidence(kind), Evidence::Suspicion | Evidence::Silence) && self.state().overlaps(began)
    }

    /// Whether `fault`, the end of an attempt that began at `began`, is none of its destination's. `tried` was dialled
    /// last.
    pub(crate) async fn explains(&self, fault: &Fault, began: Instant, tried: Option<SocketAddrV6>) -> bool {
        let evidence = match evidence(fault.kind) {
            Evidence::None => return false,
            Evidence::Heard => {
                self.heard(began);
                return false;
            }
            // It may be what the proxy says of others.
            Evidence::Suspicion if self.through_proxy && fault.kind == ErrorKind::NoRoute => {
                Evidence::Silence
            }
            evidence => evidence,
        };
        if self.state().overlaps(began) {
            return true;
        }
        let mut answered = self.looking.lock().await;
        // Whoever looked before may have found it.
        if self.state().overlaps(began) {
            return true;
        }
        let mut cause = self.local_cause(tried).await;
        if cause.is_none() && evidence == Evidence::Suspicion {
            cause = self.distant_cause(fault, &mut answered).await;
        }
        let Some(cause) = cause else {
            return false;
        };
        self.begin(cause);
        true
    }

    fn begin(&self, cause: String) {
        let told = format!("{cause}: waiting, at most {:?} (--max-outage)", self.longest);
        if self.state().begin(Instant::now(), cause) {
            self.is_on.store(true, Ordering::Release);
            self.events.push(told);
        }
    }

    /// What this host itself says against it.
    async fn local_cause(&self, tried: Option<SocketAddrV6>) -> Option<String> {
        let reached = self.state().reached.map(|(to, _)| to);
        if let Some(to) = reached.or(tried)
            && let Err(error) = way_out(to)
        {
            return Some(no_way_text(to, &error, &Ipv6::here()));
        }
        let delivery = self.delivery.as_ref()?;
        match (delivery.look)().await {
            Some(false) => Some(not_delivered_text(delivery.prefix)),
            Some(true) | None => None,
        }
    }

    /// Whether a destination that was reached before is not reached any more either, or none ever was.
    async fn distant_cause(&self, fault: &Fault, answered: &mut Option<Instant>) -> Option<String> {
        let cause = || format!("no destination is reached ({})", fault.message);
        let Some((to, from)) = self.state().reached else {
            return Some(cause());
        };
        let now = Instant::now();
        if answered.is_some_and(|at| now < at + CONTROL_HOLDS) {
            return None;
        }
        tokio::time::sleep_until(self.connects.reserve(now).into()).await;
        match dial(to, from, (Instant::now() + CONTROL_TIME).into()).await {
            Ok(_) | Err(DialError::Refused { .. } | DialError::Reset { .. }) => {
                *answered = Some(Instant::now());
                None
            }
            Err(_) => Some(cause()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_delivered_text(prefix: Prefix) -> String {
    format!("{prefix} is not delivered to this host any more, so no answer arrives")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::connects::connect_limit;
    use crate::site::rate::Rate;
    use crate::stats::events;

    const LONGEST: Duration = Duration::from_secs(600);

    fn told() -> (Outage, events::Events) {
        let (sink, events) = events::channel();
        (
            Outage::new(LONGEST, false, None, connect_limit(Rate::Max), sink),
            events,
        )
    }

    fn fault(kind: ErrorKind) -> Fault {
        Fault::new(kind, "so")
    }

    #[test]
    fn one_item_a_second_finds_out_whether_it_is_over_and_ten_minutes_are_the_end() {
        let (mut state, start) = (State::default(), Instant::now());
        assert_eq!(state.admit(start, LONGEST), Admission::Go);
        assert!(state.begin(start, "no route".to_owned()));
        assert!(!state.begin(start, "again".to_owned()), "it is told once");
        let mut left = 0;
        for tenth in 0..6000 {
            let now = start + Duration::from_millis(100) * tenth;
            match state.admit(now, LONGEST) {
                Admission::Go => left += 1,
                Admission::Wait(until) => assert!(until > now && until <= now + PROBE_PAUSE),
                Admission::TooLong(_) => panic!("too early: {tenth}"),
            }
        }
        assert_eq!(left, 599);
        let end = state.admit(start + LONGEST, LONGEST);
        assert_eq!(end, Admission::TooLong("no route".to_owned()));
    }

    #[test]
    fn only_what_began_during_an_outage_ends_it_and_what_overlapped_it_is_excused() {
        let (mut state, start) = (State::default(), Instant::now());
        let second = Duration::from_secs(1);
        state.begin(start + second, "no route".to_owned());
        assert_eq!(
            state.heard(start, start + 2 * second),
            None,
            "an answer of before"
        );
        assert_eq!(
            state.heard(start + 3 * second, start + 4 * second),
            Some(3 * second)
        );
        assert!(state.overlaps(start), "a request of before that came to nothing");
        assert!(!state.overlaps(start + 5 * second));
    }

    #[tokio::test]
    async fn while_nothing_was_ever_reached_no_route_is_an_outage_and_a_timeout_is_none() {
        let (outage, events) = told();
        let began = Instant::now();
        let here = Some("[::1]:9".parse().unwrap());
        for kind in [
            ErrorKind::ConnectTimeout,
            ErrorKind::Ports,
            ErrorKind::Dns,
            ErrorKind::NoName,
        ] {
            assert!(!outage.explains(&fault(kind), began, here).await, "{kind}");
        }
        assert!(outage.explains(&fault(ErrorKind::NoRoute), began, here).await);
        let notice = events.next().await;
        assert!(
            notice.contains("no destination is reached (so): waiting"),
            "{notice}"
        );
        assert!(
            outage
                .explains(&fault(ErrorKind::ConnectTimeout), began, here)
                .await,
            "during it"
        );
        assert!(
            !outage
                .explains(&fault(ErrorKind::ConnectRefused), Instant::now(), here)
                .await
        );
        let notice = events.next().await;
        assert!(notice.contains("going on"), "an answer ends it: {notice}");
        assert!(
            !outage
                .explains(&fault(ErrorKind::Ports), Instant::now(), here)
                .await
        );
    }

    #[tokio::test]
    async fn no_route_to_one_is_its_own_as_long_as_another_one_answers() {
        let (outage, _events) = told();
        let listener = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
        let std::net::SocketAddr::V6(to) = listener.local_addr().unwrap() else {
            panic!("IPv6 listener")
        };
        outage.reached(to, None);
        assert!(
            !outage
                .explains(&fault(ErrorKind::NoRoute), Instant::now(), None)
                .await
        );
        // It need not be the same port: a refusal is an answer too.
        drop(listener);
        *outage.looking.lock().await = None;
        assert!(
            !outage
                .explains(&fault(ErrorKind::NoRoute), Instant::now(), None)
                .await
        );
    }

    #[tokio::test]
    async fn a_prefix_that_goes_silent_is_this_hosts_where_it_is_not_delivered_any_more() {
        let (sink, _events) = events::channel();
        let prefix = "2001:db8:6::/64".parse().unwrap();
        let check = DeliveryCheck::new(prefix, || Box::pin(async { Some(false) }));
        let outage = Outage::new(Duration::ZERO, false, Some(check), connect_limit(Rate::Max), sink);
        let timeout = fault(ErrorKind::ConnectTimeout);
        assert!(outage.explains(&timeout, Instant::now(), None).await);
        let drain = Drain::default();
        assert!(!outage.admit(&drain).await && drain.is_cancelled());
        assert!(outage.ended().unwrap().contains("is not delivered to this host"));
    }
}
