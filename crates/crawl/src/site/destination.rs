//! Destinations as all shards share them.

use std::collections::HashMap;
use std::net::SocketAddrV6;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use v6kit_model::url::{Origin, Scheme};
use v6kit_model::{Fault, HttpVersion};
use v6kit_net::{RateLimit, ResolveError};

use crate::connect::names::{Name, Names, Pin, Resolution};
use crate::connect::proxy::{Proxy, ProxyKind};
use crate::site::breaker::CircuitBreaker;
use crate::site::rate::{self, Rate, RateModel};
use crate::site::robots::RobotsFile;
use crate::stats::events::EventSink;

/// Between two words about a lack that lasts.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// Destinations that are remembered although no shard knows them: their addresses and what robots.txt said.
const REMEMBERED: usize = 10_000;

/// Of them, those that are remembered because they must not be asked now, or not so often.
const HELD: usize = 100_000;

/// A destination as all shards share it: its budget and its addresses.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(super) origin: Origin,
    pub(super) rate: RateModel,
    /// Shared with all other destinations.
    pub(super) total: Arc<RateLimit>,
    pub(super) breaker: CircuitBreaker,
    name: Arc<Name>,
    pub(super) way: Arc<Way>,
    pub(super) robots: RobotsFile,
    /// It has answered what nobody asked for.
    pub(super) serves_once: AtomicBool,
    /// It has said that it is to be asked over HTTP/1.1 (RFC 9113 section 7).
    pub(super) wants_http1: AtomicBool,
    /// When a shard met it last, in meetings.
    met: AtomicU64,
}

/// What all destinations have in common.
#[derive(Debug)]
pub(super) struct Way {
    names: Names,
    proxy: Option<Reached>,
    http: HttpVersion,
    pub(super) events: EventSink,
    /// When it was told last that this host lacks what connections take.
    told_want: Mutex<Option<Instant>>,
}

/// A proxy, and the name under which it is reached.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) name: Arc<Name>,
}

impl Destination {
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The proxy that leads there.
    pub(crate) fn proxy(&self) -> Option<&Reached> {
        self.way.proxy.as_ref()
    }

    /// The addresses of its name.
    pub(crate) async fn addresses(
        &self,
        deadline: Instant,
    ) -> Result<Arc<[SocketAddrV6]>, Arc<ResolveError>> {
        self.look_up(&self.name, deadline).await
    }

    /// Finds out whether it can be found, as far as that is for us to know.
    pub(crate) async fn resolve(&self, deadline: Instant) -> Result<(), Arc<ResolveError>> {
        if let Some(Reached { proxy, name }) = self.proxy() {
            match self.look_up(name, deadline).await {
                Err(error) if !matches!(*error, ResolveError::Ipv4Only { .. }) => return Err(error),
                _ if proxy.resolves() => return Ok(()),
                _ => {}
            }
        }
        self.addresses(deadline).await.map(drop)
    }

    /// The hosts whose addresses [`Self::resolve`] finds out.
    pub(crate) fn looked_up(&self) -> String {
        match self.proxy() {
            Some(Reached { proxy, name }) if proxy.resolves() => name.host().to_owned(),
            Some(Reached { name, .. }) => format!("{} and {}", name.host(), self.name.host()),
            None => self.name.host().to_owned(),
        }
    }

    /// How long the look-up of what is dialled took, told once to whoever dials first after it.
    pub(crate) fn take_look_up(&self) -> Option<Duration> {
        let dialled = self.proxy().map_or(&self.name, |reached| &reached.name);
        dialled.take_look_up()
    }

    /// The addresses of a name.
    pub(crate) async fn look_up(
        &self,
        name: &Arc<Name>,
        deadline: Instant,
    ) -> Result<Arc<[SocketAddrV6]>, Arc<ResolveError>> {
        self.way.names.addresses(name, deadline).await
    }

    /// Tells that this host lacks what a connection takes, where that has not been told of late.
    pub(crate) fn tell_want(&self, fault: &Fault, now: Instant) {
        let Way {
            events, told_want, ..
        } = &*self.way;
        let mut told = told_want.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|told| now.saturating_duration_since(told) < TELL_AGAIN) {
            return;
        }
        *told = Some(now);
        events.push(format!(
            "this host: {}; idle connections are closed, and requests wait until there is more",
            fault.message
        ));
    }

    /// Whether it matters that it is not forgotten: it must not be asked now, or not so often.
    fn is_held(&self, now: Instant) -> bool {
        self.rate.is_restrained(now) || self.breaker.is_active()
    }

    /// What is known about where to dial.
    pub(super) fn resolution(&self) -> Resolution {
        match &self.way.proxy {
            Some(reached) if reached.proxy.resolves() => Resolution::Found,
            _ => self.way.names.resolution(&self.name),
        }
    }

    /// Whether its requests go to the proxy as they are (RFC 9112 section 3.2.2).
    pub(super) fn is_forwarded(&self) -> bool {
        let by_http = self
            .proxy()
            .is_some_and(|reached| reached.proxy.kind == ProxyKind::Http);
        by_http && self.origin.scheme == Scheme::Http && self.way.http != HttpVersion::Two
    }
}

/// How destinations are reached and asked.
#[derive(Debug, Clone)]
pub(crate) struct DestinationSettings {
    /// Requests per destination and time.
    pub(crate) rate: Rate,
    /// Requests to all destinations together and time.
    pub(crate) rate_total: Rate,
    /// The version of HTTP.
    pub(crate) http: HttpVersion,
    /// Names whose addresses are given.
    pub(crate) resolve: Vec<Pin>,
    /// What is between us and the destinations.
    pub(crate) proxy: Option<Proxy>,
}

/// The destinations of a crawl. Touched when a shard meets one for the first time, never per request.
#[derive(Debug)]
pub(crate) struct Destinations {
    rate: Rate,
    /// The budget of all destinations together.
    total: Arc<RateLimit>,
    way: Arc<Way>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    all: HashMap<Origin, Arc<Destination>>,
    /// How often a shard met one.
    met: u64,
    /// How many there may be before it is looked which can be forgotten.
    most: usize,
}

impl Known {
    /// Forgets destinations that no shard knows: those met longest ago, and last those that must not be asked now.
    fn forget(&mut self, now: Instant) {
        for (is_held, most) in [(false, REMEMBERED), (true, HELD)] {
            let may_go = |destination: &Arc<Destination>| {
                Arc::strong_count(destination) == 1 && destination.is_held(now) == is_held
            };
            let met = |destination: &Arc<Destination>| destination.met.load(Ordering::Relaxed);
            let mut all: Vec<u64> = self.all.values().filter(|known| may_go(known)).map(met).collect();
            if all.len() > most {
                let first = all.len() - most;
                let (_, oldest, _) = all.select_nth_unstable(first);
                self.all
                    .retain(|_, known| !may_go(known) || met(known) >= *oldest);
            }
        }
        self.all.shrink_to_fit();
        self.most = self.all.len() + REMEMBERED;
    }
}

impl Destinations {
    pub(crate) fn new(settings: DestinationSettings, events: EventSink) -> Self {
        let names = Names::new(settings.resolve);
        let proxy = settings.proxy.map(|proxy| Reached {
            name: names.name(&proxy.host, proxy.port),
            proxy: Arc::new(proxy),
        });
        Self {
            rate: settings.rate,
            total: Arc::new(RateLimit::even(
                settings.rate_total.per_second(),
                rate::SLACK,
                Instant::now(),
            )),
            way: Arc::new(Way {
                names,
                proxy,
                http: settings.http,
                events,
                told_want: Mutex::default(),
            }),
            known: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, origin: &Origin) -> Arc<Destination> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.all.len() >= known.most.max(REMEMBERED) && !known.all.contains_key(origin) {
            known.forget(Instant::now());
        }
        known.met += 1;
        let met = known.met;
        let destination = known.all.entry(origin.clone()).or_insert_with(|| {
            Arc::new(Destination {
                origin: origin.clone(),
                rate: RateModel::new(self.rate, Instant::now()),
                total: Arc::clone(&self.total),
                breaker: CircuitBreaker::default(),
                serves_once: AtomicBool::new(false),
                wants_http1: AtomicBool::new(false),
                met: AtomicU64::new(0),
                name: self.way.names.name(&origin.host, origin.port),
                way: Arc::clone(&self.way),
                robots: RobotsFile::default(),
            })
        });
        destination.met.store(met, Ordering::Relaxed);
        Arc::clone(destination)
    }

    /// The names of at most `most` destinations that have a pace, and how many requests per second that is.
    pub(crate) fn paces(&self, most: usize) -> Vec<(String, f64)> {
        let known = &self.known.lock().unwrap_or_else(PoisonError::into_inner).all;
        let mut paces: Vec<(String, f64)> = known
            .iter()
            .filter_map(|(origin, destination)| Some((origin.to_string(), destination.rate.per_second()?)))
            .take(most)
            .collect();
        paces.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        paces
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::events;

    fn origin(host: usize) -> Origin {
        Origin::parse(&format!("http://h{host}.test")).unwrap()
    }

    #[test]
    fn destinations_are_forgotten_but_for_the_last_ones_and_those_that_must_not_be_asked() {
        let settings = DestinationSettings {
            rate: Rate::Max,
            rate_total: Rate::Max,
            http: HttpVersion::Auto,
            resolve: Vec::new(),
            proxy: None,
        };
        let (sink, _events) = events::channel();
        let destinations = Destinations::new(settings, sink);
        let now = Instant::now();
        destinations
            .get(&origin(0))
            .rate
            .on_limited(now, Some(Duration::from_secs(3600)));
        let in_use = destinations.get(&origin(1));
        for host in 2..5 * REMEMBERED {
            destinations.get(&origin(host));
            let known = destinations.known.lock().unwrap().all.len();
            assert!(known <= 2 * REMEMBERED + 2, "{known} after {host}");
        }
        assert!(destinations.get(&origin(0)).is_held(now));
        assert!(Arc::ptr_eq(&in_use, &destinations.get(&origin(1))));
        let last = origin(5 * REMEMBERED - 1);
        assert!(destinations.known.lock().unwrap().all.contains_key(&last));
    }
}
