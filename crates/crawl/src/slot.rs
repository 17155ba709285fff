//! A slot: one request in flight, one item after another.

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::Full;

use crate::connection::{
    Answer, Connection, Failed, HttpVersion, Opened, Protocol, RequestBody, Target, Timer,
};
use crate::decode::decode;
use crate::intake::Item;
use crate::job::{Coding, RequestSpec, Settings};
use crate::judge::judge;
use crate::list::Particulars;
use crate::networks::Visit;
use crate::outcome::{ErrorKind, Fault};
use crate::record::{Payload, Record, Sent};
use crate::robots::{self, RobotsPolicy, Rules};
use crate::sequel::{self, Address, Sequel};
use crate::shard::Shard;
use crate::site::{Departure, Site};
use crate::tracking::Dialled;
use crate::waiting_room::Arrival;

/// A task of a shard that fetches one item after another.
pub(crate) struct Slot {
    shard: Rc<Shard>,
    timer: Timer,
    url: String,
}

/// An item on its way to its destination.
struct Errand<'a> {
    item: Item,
    position: u64,
    url: &'a str,
    /// The end of the URL.
    path: &'a str,
}

/// One attempt at an item.
struct Attempt {
    at: SystemTime,
    began: Instant,
    took: Duration,
    from: Option<Ipv6Addr>,
    status: Option<StatusCode>,
}

impl Attempt {
    fn new() -> Self {
        Self {
            at: SystemTime::now(),
            began: Instant::now(),
            took: Duration::ZERO,
            from: None,
            status: None,
        }
    }

    /// The record of an item whose last attempt this was, without what was sent and answered.
    fn record<'a>(&self, position: u64, url: &'a str, item: Item, fault: Option<&'a Fault>) -> Record<'a> {
        Record {
            position,
            url,
            status: self.status,
            from: self.from,
            at: self.at,
            took: self.took,
            attempts: item.attempts + 1,
            id: None,
            sent: None,
            answer: None,
            fault,
        }
    }
}

impl Slot {
    pub(crate) fn new(shard: Rc<Shard>) -> Self {
        Self {
            timer: Timer::new(shard.settings.deadlines),
            shard,
            url: String::new(),
        }
    }

    /// Fetches items until there is none left or the crawl is being stopped.
    pub(crate) async fn run(mut self) {
        // The next item of the destination that was served last, which had to wait for it.
        let mut called = None;
        loop {
            self.shard.backlog.room().await;
            called = match called {
                Some(_) if self.shard.stop.drain.is_cancelled() => return,
                Some(item) => self.serve(item, Arrival::Called).await,
                None if self.shard.has_slot_too_many() => return,
                None => match self.next_item().await {
                    Some((item, arrival)) => self.serve(item, arrival).await,
                    None => return self.shard.finish_slot(),
                },
            };
        }
    }

    async fn next_item(&self) -> Option<(Item, Arrival)> {
        let shard = &self.shard;
        let parked = || {
            let room = shard.waiting_room.as_ref()?;
            shard
                .sites
                .most_neglected(room)
                .map(|item| (item, Arrival::Called))
        };
        if shard.intake.is_exhausted()
            && !shard.stop.drain.is_cancelled()
            && let Some(parked) = parked()
        {
            return Some(parked);
        }
        let next = shard.intake.next().await.map(|item| (item, Arrival::New));
        if next.is_none() && !shard.stop.drain.is_cancelled() {
            return parked();
        }
        next
    }

    /// Brings an item to its record, parks it, puts it off, or leaves it to the next run when the crawl is
    /// stopped. The result is an item of the same destination that had to wait.
    async fn serve(&mut self, item: Item, arrival: Arrival) -> Option<Item> {
        let shard = Rc::clone(&self.shard);
        let position = shard.itinerary.position(item.turn);
        let mut url = std::mem::take(&mut self.url);
        url.clear();
        let particulars = shard.item(position, arrival, &mut url);
        let found = particulars.and_then(|particulars| {
            let (site, path) = shard.sites.find(&url)?;
            Ok((site, path, particulars))
        });
        let called = match found {
            Err(fault) => {
                let record = Attempt::new().record(position, &url, item, Some(&fault));
                shard.finish(item.turn, &record);
                None
            }
            Ok((site, path, particulars)) => {
                let errand = Errand {
                    item,
                    position,
                    url: &url,
                    path,
                };
                match &shard.waiting_room {
                    None => {
                        self.serve_at(&shard, &site, errand, particulars).await;
                        None
                    }
                    Some(room) => match room.enter(&site.bench, item, arrival, shard.slots()) {
                        None => None,
                        Some(seat) => {
                            self.serve_at(&shard, &site, errand, particulars).await;
                            seat.leave(shard.slots())
                        }
                    },
                }
            }
        };
        self.url = url;
        called
    }

    async fn serve_at(&mut self, shard: &Shard, site: &Site, errand: Errand<'_>, particulars: Particulars) {
        let Errand {
            item,
            position,
            url,
            path,
        } = errand;
        if shard.settings.robots == RobotsPolicy::Obey
            && let Err(fault) = self.ask_robots(shard, site, url).await
        {
            let record = Attempt::new().record(position, url, item, Some(&fault));
            return shard.finish(item.turn, &record);
        }
        let departure = site.depart(&shard.stop.drain).await;
        if departure == Departure::Stopped {
            return;
        }
        let mut attempt = Attempt::new();
        let id = particulars.id.clone();
        let outgoing = Outgoing::new(&shard.job.request, site, path, particulars);
        let fetched = self.fetch(shard, site, &outgoing, &mut attempt).await;
        attempt.took = attempt.began.elapsed();
        let (fetched, connection) = match fetched {
            Ok((answer, connection)) => (Ok(answer), Some(connection)),
            Err(fault) => (Err(fault), None),
        };
        let (answer, judged) = examine(shard, &attempt, fetched);
        let answered = connection.as_ref().map(|connection| {
            let visit = if connection.is_first_visit() {
                Visit::First
            } else {
                Visit::Further
            };
            (attempt.took, visit, connection.from())
        });
        shard.count_attempt(answered, judged.as_ref().err());
        let headers = answer.as_ref().map(|answer| &answer.headers);
        let (sequel, address) = sequel::draw(shard, site, item, departure, judged.as_ref().err(), headers);
        match (connection, address) {
            (Some(connection), Address::Keep) => shard.keep(site, connection),
            (Some(connection), Address::Retire(wait)) => connection.retire(wait),
            (None, _) => {}
        }
        match sequel {
            Sequel::Again(item, pause) => {
                shard.progress.retries.add(1);
                shard.intake.retry(item, pause);
            }
            Sequel::Record => {
                let record = Record {
                    id: id.as_deref(),
                    sent: Some(outgoing.sent()),
                    answer: answer.as_ref().map(|answer| Payload {
                        headers: &answer.headers,
                        body: &answer.body,
                    }),
                    ..attempt.record(position, url, item, judged.as_ref().err())
                };
                shard.finish(item.turn, &record);
            }
        }
    }

    /// Whether robots.txt allows `url`.
    async fn ask_robots(&mut self, shard: &Shard, site: &Site, url: &str) -> Result<(), Fault> {
        let rules = match site.known_robots() {
            Some(rules) => rules,
            None => site.robots(async || self.fetch_robots(shard, site).await).await,
        };
        rules.judge(url)
    }

    /// A site that does not answer at all restricts nobody: its items tell what is wrong with it.
    async fn fetch_robots(&mut self, shard: &Shard, site: &Site) -> Rules {
        let spec = RequestSpec::new(Method::GET, shard.job.coding);
        let agent = site.headers.get(USER_AGENT).cloned();
        let mut outgoing = Outgoing::new(&spec, site, "/robots.txt", Particulars::default());
        outgoing.method = Method::GET;
        outgoing.body = Bytes::new();
        match self.fetch(shard, site, &outgoing, &mut Attempt::new()).await {
            Ok((mut answer, connection)) => {
                shard.keep(site, connection);
                let decoded = match shard.job.coding {
                    Coding::Undo => decode(&mut answer, shard.job.max_body),
                    Coding::Keep => Ok(()),
                };
                let agent = agent
                    .as_ref()
                    .and_then(|agent| agent.to_str().ok())
                    .unwrap_or_default();
                match decoded {
                    Ok(()) => Rules::of(answer.status, &answer.body, robots::product(agent)),
                    Err(_) => Rules::All,
                }
            }
            Err(_) => Rules::All,
        }
    }

    /// One attempt: on a connection that waits, or on a new one.
    async fn fetch(
        &mut self,
        shard: &Shard,
        site: &Site,
        outgoing: &Outgoing<'_>,
        attempt: &mut Attempt,
    ) -> Result<(Answer, Connection), Fault> {
        self.timer.start(attempt.began);
        loop {
            let (result, connection) = self.fetch_once(shard, site, outgoing, attempt).await?;
            match result {
                Ok(answer) => {
                    attempt.status = Some(answer.status);
                    return Ok((answer, connection));
                }
                // The server hung up while the connection was idle: nobody's failure, and no attempt.
                Err(failed) if failed.may_repeat(&outgoing.method) => self.timer.postpone(),
                Err(failed) => {
                    attempt.status = failed.status;
                    return Err(failed.fault);
                }
            }
        }
    }

    async fn fetch_once(
        &mut self,
        shard: &Shard,
        site: &Site,
        outgoing: &Outgoing<'_>,
        attempt: &mut Attempt,
    ) -> Result<(Result<Answer, Failed>, Connection), Fault> {
        let target = origin_form(outgoing.path)?;
        let mut connection = match site.take_idle(shard.settings.streams, &shard.term) {
            Some(connection) => connection,
            // Rare, and large: most of the time its room is better not held.
            None => Box::pin(self.new_connection(shard, site, attempt)).await?,
        };
        let request = outgoing.request(site, target, connection.protocol());
        attempt.from = Some(connection.from());
        let flight = shard.take_off();
        let result = connection
            .fetch(request, shard.job.max_body, &mut self.timer)
            .await;
        drop(flight);
        if result.is_ok() && connection.served() > 1 {
            site.tracking.answered(connection.last_read());
        }
        let (read, written) = connection.news();
        shard.progress.bytes_in.add(read);
        shard.progress.bytes_out.add(written);
        Ok((result, connection))
    }

    /// A connection that was just made, or one that somebody else made or is done with.
    async fn new_connection(
        &mut self,
        shard: &Shard,
        site: &Site,
        attempt: &mut Attempt,
    ) -> Result<Connection, Fault> {
        let Settings { http, streams, .. } = *shard.settings;
        let connection = loop {
            if !site.should_dial(http, streams) {
                tokio::time::timeout_at(self.timer.total().into(), site.wait_for_change())
                    .await
                    .map_err(|_elapsed| {
                        Fault::new(ErrorKind::ConnectTimeout, "no connection was free in time")
                    })?;
                match site.take_idle(streams, &shard.term) {
                    Some(connection) => break connection,
                    None => continue,
                }
            }
            let dialling = site.dialling();
            let opened = self.connect(shard, site, attempt).await;
            site.learn(opened.as_ref().map_err(|_fault| ()));
            drop(dialling);
            let connection = match opened? {
                Opened::Exclusive(connection) => connection,
                Opened::Shared(http2) => Connection::of_stream(http2.stream()),
            };
            shard.count_source(connection.from());
            break connection;
        };
        self.timer.postpone();
        Ok(connection)
    }

    async fn connect(&self, shard: &Shard, site: &Site, attempt: &mut Attempt) -> Result<Opened, Fault> {
        let deadline = self.timer.connect_deadline();
        let to = site.address(deadline).await?;
        let from = shard.draw_source();
        attempt.from = from.address();
        let tls = match &site.server_name {
            Some(name) => Some((shard.tls()?, name)),
            None => None,
        };
        let target = Target {
            to,
            from,
            tls,
            deadline: deadline.into(),
            otherwise: match shard.settings.http {
                HttpVersion::Two => Protocol::Http2,
                HttpVersion::Auto | HttpVersion::One => Protocol::Http1,
            },
            changed: Rc::clone(&site.changed),
        };
        let began = Instant::now();
        let opened = Connection::open(target, &shard.progress).await;
        let dialled = match &opened {
            Ok(_) => Dialled::Connected,
            Err(fault) if fault.kind == ErrorKind::ConnectTimeout => Dialled::TimedOut,
            Err(_) => Dialled::Failed,
        };
        if site.tracking.dialled(dialled, began, Instant::now()) {
            shard.progress.table_full.add(1);
        }
        opened
    }
}

/// A request as it will be sent.
struct Outgoing<'a> {
    method: Method,
    path: &'a str,
    headers: Cow<'a, HeaderMap>,
    body: Bytes,
}

impl<'a> Outgoing<'a> {
    fn new(spec: &RequestSpec, site: &'a Site, path: &'a str, particulars: Particulars) -> Self {
        let Particulars {
            method,
            headers,
            body,
            ..
        } = particulars;
        let mut all = Cow::Borrowed(&site.headers);
        for (name, value) in headers {
            all.to_mut().insert(name, value);
        }
        // A body alone is for POST, as with -d.
        let method = method.unwrap_or_else(|| match &body {
            Some(_) if spec.method == Method::GET => Method::POST,
            _ => spec.method.clone(),
        });
        Self {
            method,
            path,
            headers: all,
            body: body.unwrap_or_else(|| spec.body.clone()),
        }
    }

    fn request(&self, site: &Site, target: PathAndQuery, protocol: Protocol) -> Request<RequestBody> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = HeaderMap::clone(&self.headers);
        match protocol {
            Protocol::Http1 => *request.uri_mut() = Uri::from(target),
            Protocol::Http2 => {
                // The authority takes the place of Host (RFC 9113 section 8.3.1).
                let host = request.headers_mut().remove(HOST);
                let own = host.and_then(|host| host.to_str().ok()?.parse().ok());
                let mut parts = http::uri::Parts::default();
                parts.scheme = Some(site.scheme.clone());
                parts.authority = Some(own.unwrap_or_else(|| site.authority.clone()));
                parts.path_and_query = Some(target);
                // All three parts are there.
                *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
                *request.version_mut() = http::Version::HTTP_2;
            }
        }
        request
    }

    fn sent(&self) -> Sent<'_> {
        Sent {
            method: &self.method,
            path: self.path,
            headers: &self.headers,
            body: &self.body,
        }
    }
}

/// `/path?query` (RFC 9112 section 3.2.1).
fn origin_form(path: &str) -> Result<PathAndQuery, Fault> {
    let bytes = if path.starts_with('/') {
        Bytes::copy_from_slice(path.as_bytes())
    } else {
        Bytes::from(format!("/{path}"))
    };
    PathAndQuery::from_maybe_shared(bytes).map_err(|error| Fault::from_error(ErrorKind::BadItem, &error))
}

/// The answer with its coding undone, where one came, and whether it is the data.
fn examine(
    shard: &Shard,
    attempt: &Attempt,
    fetched: Result<Answer, Fault>,
) -> (Option<Answer>, Result<(), Fault>) {
    let mut answer = match fetched {
        Ok(answer) => answer,
        Err(fault) => return (None, Err(fault)),
    };
    shard.latencies.borrow_mut().record(attempt.took);
    let job = &shard.job;
    let decoded = match job.coding {
        Coding::Undo => decode(&mut answer, job.max_body),
        Coding::Keep => Ok(()),
    };
    let judged = decoded.and_then(|()| judge(&answer, &job.expect));
    (Some(answer), judged)
}
