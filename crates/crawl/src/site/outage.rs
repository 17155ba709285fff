//! Outages: while nothing is reached from this host, no destination has failed.

mod cause;
mod control;

use std::fmt;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use v6kit_model::{ErrorKind, Fault};
use v6kit_net::{Ipv6, Prefix, RateLimit, Silence};

use self::cause::{Cause, not_delivered_text};
use self::control::{Controls, Reply, ask};
use crate::connect::way_out::{no_way_text, way_out};
use crate::site::drain::Drain;
use crate::stats::events::EventSink;

/// The pause between items that find out whether the outage is over, at first: a twentieth of its time later on.
pub(crate) const PROBE_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PROBE_PAUSE: Duration = Duration::from_secs(15);

/// For how long a look at others speaks for the network. What this host itself says is asked each time.
const LOOK_HOLDS: Duration = Duration::from_secs(1);

/// How long ago an answer may be that shows that others are reached.
const LATE: Duration = Duration::from_millis(500);

/// Silent destinations that are taken for an outage where nobody has ever answered.
const MANY: usize = 8;

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
    /// Who answered last, and who has not since.
    pub(crate) silence: Silence,
    /// Whether an item of the job was ever answered, in this run or before it.
    proven: AtomicBool,
    /// One at a time looks at others; the last look.
    looking: tokio::sync::Mutex<Option<Look>>,
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
    reached: Controls,
}

/// Who was dialled, and from where; `None` where the kernel chose.
pub(crate) type Tried = (SocketAddrV6, Option<Ipv6Addr>);

/// A look at destinations other than the one that failed, and what it came to.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Instant,
    found: Found,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Somebody answers, or that was not to be found out.
    Answers,
    /// Nobody does.
    Nobody,
    /// Nobody, but this one, to this host's own address.
    OwnAddressOnly(SocketAddrV6),
}

/// An outage that lasts.
#[derive(Debug)]
struct Current {
    since: Instant,
    /// When an item last left to find out whether it is over.
    probed: Instant,
    cause: Cause,
}

/// Whether an item may leave.
#[derive(Debug, PartialEq, Eq)]
enum Admission {
    Go,
    Wait(Instant),
    TooLong(Cause),
}

impl State {
    /// An outage begins; whether that is new.
    fn begin(&mut self, now: Instant, cause: Cause) -> bool {
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

    /// One item after each pause leaves while it lasts, until it has lasted for `longest`.
    fn admit(&mut self, now: Instant, longest: Duration) -> Admission {
        let Some(current) = &mut self.now else {
            return Admission::Go;
        };
        let end = current.since + longest;
        if now >= end {
            return Admission::TooLong(current.cause.clone());
        }
        let pause = (now - current.since) / 20;
        let next = current.probed + pause.clamp(PROBE_PAUSE, LONGEST_PROBE_PAUSE);
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
        NoName | NoIpv6 | BadAddress | Resources | BadItem | Robots | RobotsUnreachable => Evidence::None,
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
            silence: Silence::default(),
            proven: AtomicBool::new(false),
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
                    let _ = self.ended.set(cause.text(&self.silence.extent()));
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

    /// Items of the job were answered before this run.
    pub(crate) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    /// `to` answered to a connection from `from`.
    pub(crate) fn reached(&self, to: SocketAddrV6, from: Option<Ipv6Addr>) {
        self.silence.heard(Instant::now());
        self.state().reached.add((to, from));
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
    /// last for it.
    pub(crate) async fn explains(&self, fault: &Fault, began: Instant, tried: Option<Tried>) -> bool {
        let evidence = match evidence(fault.kind) {
            Evidence::None => return false,
            Evidence::Heard => {
                self.silence.heard(Instant::now());
                self.heard(began);
                return false;
            }
            // It may be what the proxy says of others.
            Evidence::Suspicion if self.through_proxy && fault.kind == ErrorKind::NoRoute => {
                Evidence::Silence
            }
            evidence => evidence,
        };
        if let (true, Some((to, _))) = (is_of_the_way(fault.kind), tried)
            && !self.silence.has_heard_since(of_late(began))
        {
            self.silence.note(*to.ip());
        }
        if self.state().overlaps(began) {
            return true;
        }
        let mut looked = self.looking.lock().await;
        // Whoever looked before may have found it.
        if self.state().overlaps(began) {
            return true;
        }
        let mut cause = self.local_cause(tried).await.map(Cause::Told);
        if cause.is_none() {
            cause = match evidence {
                Evidence::Suspicion => self.unreached(fault, &mut looked).await,
                _ => self.silent(fault, began, tried, &mut looked).await,
            };
        }
        let Some(cause) = cause else {
            return false;
        };
        self.begin(cause);
        true
    }

    /// So much came to nothing that a destination would be given up, `tried` last. Whether that is an outage: nobody was
    /// ever heard of.
    pub(crate) fn begins_with(&self, fault: &Fault, tried: Option<Tried>) -> bool {
        let is_silent = is_of_the_way(fault.kind) && !self.silence.has_heard();
        if let (true, Some((to, _))) = (is_silent, tried) {
            self.begin(Cause::of_silence(fault, to));
        }
        is_silent && tried.is_some()
    }

    fn begin(&self, cause: Cause) {
        let text = cause.text(&self.silence.extent());
        let told = format!("{text}: waiting, at most {:?} (--max-outage)", self.longest);
        if self.state().begin(Instant::now(), cause) {
            self.is_on.store(true, Ordering::Release);
            self.events.push(told);
        }
    }

    /// What this host itself says against it.
    async fn local_cause(&self, tried: Option<Tried>) -> Option<String> {
        let reached = self.state().reached.last();
        if let Some((to, _)) = reached.or(tried)
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

    /// Whether destinations that were reached before are not reached any more either, or none ever was.
    async fn unreached(&self, fault: &Fault, looked: &mut Option<Look>) -> Option<Cause> {
        let cause = || Cause::Told(format!("no destination is reached ({})", fault.message));
        let reached = self.state().reached.all();
        if reached.is_empty() {
            return Some(cause());
        }
        let found = match lasting(looked) {
            Some(found) => found,
            None => self.look(reached, None, looked).await,
        };
        (found != Found::Answers).then(cause)
    }

    /// Whether nobody answers, so that it is not known whose the silence is; or nobody answers the prefix alone.
    async fn silent(
        &self,
        fault: &Fault,
        began: Instant,
        tried: Option<Tried>,
        looked: &mut Option<Look>,
    ) -> Option<Cause> {
        if fault.kind == ErrorKind::Ports || self.silence.has_heard_since(of_late(began)) {
            return None;
        }
        let mut controls = self.state().reached.all();
        let is_proven = self.proven.load(Ordering::Relaxed) || !controls.is_empty();
        let last = controls.last().copied();
        if is_of_the_way(fault.kind)
            && let Some(tried) = tried
            && !controls.iter().any(|control| control.0 == tried.0)
        {
            controls.push(tried);
        }
        let (to, _) = tried.or(last)?;
        if controls.is_empty() {
            return None;
        }
        let found = match lasting(looked) {
            Some(found) => found,
            None => self.look(controls, Some(to), looked).await,
        };
        match (found, &self.delivery) {
            (Found::Answers, _) => None,
            (Found::OwnAddressOnly(witness), Some(delivery)) => {
                Some(Cause::of_prefix(fault, delivery.prefix, witness))
            }
            _ if is_proven || self.silence.extent().destinations >= MANY => {
                Some(Cause::of_silence(fault, to))
            }
            _ => None,
        }
    }

    /// Asks `controls` for an answer, and where none comes, whether `to` answers this host's own address.
    async fn look(&self, controls: Vec<Tried>, to: Option<SocketAddrV6>, looked: &mut Option<Look>) -> Found {
        let mut found = match ask(controls, &self.connects).await {
            Reply::None(silent) => {
                for to in silent {
                    self.silence.note(*to.ip());
                }
                Found::Nobody
            }
            Reply::Some(_) => {
                self.silence.heard(Instant::now());
                Found::Answers
            }
            Reply::Unknown => Found::Answers,
        };
        if let (Found::Nobody, Some(to), Some(_)) = (found, to, &self.delivery)
            && to.ip().to_ipv4_mapped().is_none()
            && let Reply::Some(witness) = ask([(to, None)], &self.connects).await
        {
            found = Found::OwnAddressOnly(witness);
        }
        *looked = Some(Look {
            at: Instant::now(),
            found,
        });
        found
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From when on an answer to anybody tells that the way was there when an attempt that began at `began` ended.
fn of_late(began: Instant) -> Instant {
    let now = Instant::now();
    let half_way = began + (now - began) / 2;
    now.checked_sub(LATE).map_or(half_way, |late| late.max(half_way))
}

/// What the last look found, while that holds.
fn lasting(looked: &Option<Look>) -> Option<Found> {
    let look = looked.filter(|look| look.at.elapsed() < LOOK_HOLDS);
    look.map(|look| look.found)
}

/// Whether nothing of the destination itself was heard: its connection did not come about.
fn is_of_the_way(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectTimeout | ErrorKind::Prohibited | ErrorKind::Proxy
    )
}

#[cfg(test)]
mod tests;
