//! A slot: one request in flight, one item after another.

mod follow;
mod outgoing;

use std::net::Ipv6Addr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, Method, StatusCode};
use serde_json::value::RawValue;
use v6kit_model::input::{Overrides, RequestSpec};
use v6kit_model::{Answer, Coding, ErrorKind, Fault, Item, Protocol};
use v6kit_store::{Payload, Record};

use self::outgoing::{Outgoing, origin_form};
use crate::connect::connection::{Connection, Failed, LastAnswer, Message, Opened, Timer};
use crate::engine::job::Settings;
use crate::engine::retry_policy::{self, Address, Next};
use crate::engine::shard::Shard;
use crate::judge::decode::{decode, undo_transfer};
use crate::judge::judge;
use crate::judge::redirect;
use crate::site::dialling::{self, Departing};
use crate::site::host_queue::Arrival;
use crate::site::robots::{self, RobotsPolicy, Rules};
use crate::site::{Permit, Site};
use crate::stats::prefix_stats::Visit;

/// A task of a shard that fetches one item after another.
pub(crate) struct Slot {
    shard: Rc<Shard>,
    timer: Timer,
    url: String,
    /// The only source address that will do for the next request.
    bound: Option<Ipv6Addr>,
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
            final_url: None,
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
            bound: None,
        }
    }

    /// Fetches items until there is none left or the crawl is being stopped.
    pub(crate) async fn run(mut self) {
        // The next item of the destination that was served last, which had to wait for it.
        let mut resumed = None;
        loop {
            self.shard.backlog.room().await;
            // Those that have an answer read and record it before any of them sends again: a server that shares the
            // machine is woken once by all their requests, not by each.
            tokio::task::yield_now().await;
            resumed = match resumed {
                Some(_) if self.shard.stop.drain.is_cancelled() => return,
                Some(item) => self.serve(item, Arrival::Resumed).await,
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
            let queues = shard.host_queues.as_ref()?;
            shard
                .sites
                .most_neglected(queues)
                .map(|item| (item, Arrival::Resumed))
        };
        if shard.queue.is_exhausted()
            && !shard.stop.drain.is_cancelled()
            && let Some(parked) = parked()
        {
            return Some(parked);
        }
        let next = shard.queue.next().await.map(|item| (item, Arrival::New));
        if next.is_none() && !shard.stop.drain.is_cancelled() {
            return parked();
        }
        next
    }

    /// Brings an item to its record, parks it, puts it off, or leaves it to the next run when the crawl is
    /// stopped. The result is an item of the same destination that had to wait.
    async fn serve(&mut self, item: Item, arrival: Arrival) -> Option<Item> {
        let shard = Rc::clone(&self.shard);
        let position = shard.visit_order.position(item.ordinal);
        let mut url = std::mem::take(&mut self.url);
        url.clear();
        let overrides = shard.item(position, arrival, &mut url);
        let found = overrides.and_then(|overrides| {
            let (site, path) = shard.sites.find(&url)?;
            Ok((site, path, overrides))
        });
        let resumed = match found {
            Err(fault) => {
                let record = Attempt::new().record(position, &url, item, Some(&fault));
                shard.finish(item.ordinal, &record);
                None
            }
            // No slot waits for a name server while there is other work.
            Ok((site, ..)) if site.is_being_looked_up() => {
                shard.queue.wait_for_name(item);
                None
            }
            Ok((site, path, overrides)) => {
                let errand = Errand {
                    item,
                    position,
                    url: &url,
                    path,
                };
                match &shard.host_queues {
                    None => {
                        self.serve_at(&shard, &site, errand, overrides).await;
                        None
                    }
                    Some(queues) => match queues.enter(&site.host_queue, item, arrival, shard.slots()) {
                        None => None,
                        Some(guard) => {
                            self.serve_at(&shard, &site, errand, overrides).await;
                            guard.leave(shard.slots())
                        }
                    },
                }
            }
        };
        self.url = url;
        resumed
    }

    async fn serve_at(&mut self, shard: &Shard, site: &Rc<Site>, errand: Errand<'_>, overrides: Overrides) {
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
            shard.finish(item.ordinal, &record);
            return;
        }
        let permit = site.acquire(&shard.stop.drain).await;
        if permit == Permit::Stopped {
            return;
        }
        let mut attempt = Attempt::new();
        let id = overrides.id.clone();
        let outgoing = Outgoing::new(&shard.job.request, site, path, overrides);
        let fetched = self.fetch(shard, site, &outgoing, &mut attempt).await;
        // The clock was read when the last byte came.
        attempt.took = match &fetched {
            Ok((_, connection)) => connection.last_read().saturating_duration_since(attempt.began),
            Err(_) => attempt.began.elapsed(),
        };
        let context = ItemContext {
            item,
            position,
            url,
            id: id.as_deref(),
            site,
            permit,
        };
        match fetched {
            Ok(fetched) if shard.job.redirects > 0 && redirect::is_redirect(fetched.0.status) => {
                let carried = outgoing.take();
                // Rare, and large.
                Box::pin(self.follow(shard, context, carried, attempt, fetched)).await;
            }
            fetched => conclude(shard, &context, &attempt, &outgoing, fetched, None),
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
        let mut outgoing = Outgoing::new(&spec, site, "/robots.txt", Overrides::default());
        outgoing.method = Method::GET;
        outgoing.body = Bytes::new();
        match self.fetch_robots_file(shard, site, &outgoing).await {
            Ok(Err(elsewhere)) => Rules::Unreachable(elsewhere.to_string()),
            Ok(Ok(mut answer)) => {
                let max_body = shard.job.max_body;
                let decoded = undo_transfer(&mut answer, max_body).and_then(|()| match shard.job.coding {
                    Coding::Undo => decode(&mut answer, max_body),
                    Coding::Keep => Ok(()),
                });
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
        let can_repeat = outgoing.method.is_idempotent();
        let mut choice = Choice::Any;
        loop {
            let (result, mut connection) = self.fetch_once(shard, site, outgoing, attempt, choice).await?;
            if connection.has_surplus() {
                site.limit_to_one_request();
            }
            match result {
                Ok(answer) if can_repeat && choice == Choice::Any && is_of_another(&answer, &connection) => {
                    choice = Choice::New;
                    self.timer.postpone();
                }
                Ok(answer) => {
                    attempt.status = Some(answer.status);
                    return Ok((answer, connection));
                }
                // The server hung up while the connection was idle: nobody's failure, and no attempt.
                Err(failed) if failed.may_repeat(&outgoing.method) => {
                    if let Some(last) = connection.take_note().filter(|_| connection.is_doubtful()) {
                        shard.doubt(last);
                    }
                    self.timer.postpone();
                }
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
        choice: Choice,
    ) -> Result<(Result<Answer, Failed>, Connection), Fault> {
        let target = origin_form(outgoing.path)?;
        let can_repeat = outgoing.method.is_idempotent();
        let idle = match (self.bound, choice) {
            (None, Choice::Any) => {
                let Settings { streams, .. } = *shard.settings;
                site.take_idle(streams, &shard.lease_limits, attempt.began, can_repeat)
            }
            _ => None,
        };
        let mut connection = match idle {
            Some(connection) => connection,
            // Rare, and large: most of the time its room is better not held.
            None => Box::pin(self.new_connection(shard, site, attempt)).await?,
        };
        attempt.from = Some(connection.from());
        let (jar, own) = match &shard.jars {
            None => (None, None),
            Some(jars) => {
                let url = site.url_of(outgoing.path)?;
                let mut headers = HeaderMap::clone(&outgoing.headers);
                jars.fill(connection.from(), &url, &mut headers);
                (Some((jars, Box::new(url))), Some(headers))
            }
        };
        let max_body = shard.job.max_body;
        let flight = shard.begin_request();
        let result = match connection.protocol() {
            Protocol::Http1 => {
                let request = v6kit_http1::Request {
                    method: outgoing.method.as_str(),
                    target: &outgoing.target(site, &target),
                    host: outgoing.host(site),
                    fields: &*outgoing.block(site, own.as_ref())?,
                    more: None,
                    body: &outgoing.body,
                };
                connection
                    .fetch(Message::One(request), max_body, &mut self.timer)
                    .await
            }
            Protocol::Http2 => {
                let request = outgoing.request(site, target, own);
                let message = Message::Two(request);
                Box::pin(connection.fetch(message, max_body, &mut self.timer)).await
            }
        };
        drop(flight);
        if let (Some((jars, url)), Ok(answer)) = (jar, &result) {
            jars.keep(connection.from(), &url, &answer.headers);
        }
        if result.is_ok() && connection.served() > 1 {
            site.conntrack.answered(connection.last_read());
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
        if let Some(from) = self.bound {
            return self.connection_from(from, shard, site, attempt).await;
        }
        let connection = loop {
            if !site.should_dial(http, streams) {
                tokio::time::timeout_at(self.timer.total().into(), site.wait_for_change())
                    .await
                    .map_err(|_elapsed| {
                        Fault::new(ErrorKind::ConnectTimeout, "no connection was free in time")
                    })?;
                match site.take_idle(streams, &shard.lease_limits, Instant::now(), false) {
                    Some(connection) => break connection,
                    None => continue,
                }
            }
            let dialling = site.dialling();
            let deadline = self.timer.connect_deadline();
            let opened = dialling::connect(
                &shard.dialer,
                site,
                Departing::Anywhere,
                deadline,
                &mut attempt.from,
            )
            .await;
            site.learn(opened.as_ref().map_err(|_fault| ()));
            drop(dialling);
            break counted(shard, opened?);
        };
        self.timer.postpone();
        Ok(connection)
    }
}

/// What a request may be sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// Whatever there is.
    Any,
    /// A connection that has served nothing.
    New,
}

/// Whether an answer may be none to this request: the server said more behind it, or it ended an idle connection by
/// saying so at the very moment when the request was on its way (RFC 9110 section 15.5.9).
fn is_of_another(answer: &Answer, connection: &Connection) -> bool {
    let is_farewell = matches!(
        answer.status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::BAD_REQUEST
    );
    connection.is_doubtful() || (is_farewell && connection.ended_when_reused())
}

/// A connection that was just made, and counted.
fn counted(shard: &Shard, opened: Opened) -> Connection {
    let connection = match opened {
        Opened::Exclusive(connection) => connection,
        Opened::Shared(http2) => Connection::of_stream(http2.stream()),
    };
    shard.count_source(&connection);
    connection
}

/// What is known about an item and about who was asked for it last.
struct ItemContext<'a> {
    item: Item,
    position: u64,
    url: &'a str,
    id: Option<&'a RawValue>,
    site: &'a Rc<Site>,
    permit: Permit,
}

/// Where redirects led to.
struct End<'a> {
    url: &'a str,
    /// Why it went no further.
    fault: Option<Fault>,
}

/// Brings an item to its record, or puts it off.
fn conclude(
    shard: &Shard,
    context: &ItemContext<'_>,
    attempt: &Attempt,
    outgoing: &Outgoing<'_>,
    fetched: Result<(Answer, Connection), Fault>,
    end: Option<End<'_>>,
) {
    let (fetched, connection) = match fetched {
        Ok((answer, connection)) => (Ok(answer), Some(connection)),
        Err(fault) => (Err(fault), None),
    };
    let (answer, judged) = examine(shard, attempt, fetched);
    let (final_url, judged) = match end {
        None => (None, judged),
        Some(End { url, fault }) => (Some(url), fault.map_or(judged, Err)),
    };
    let fault = judged.as_ref().err();
    count(shard, attempt, connection.as_ref(), fault);
    let ItemContext { item, site, .. } = *context;
    let headers = answer.as_ref().map(|answer| &answer.headers);
    let (next, address) = retry_policy::decide(shard, site, item, context.permit, fault, headers);
    let record = match next {
        Next::Retry(item, pause) => {
            shard.progress.retries.add(1);
            shard.queue.retry(item, pause);
            None
        }
        Next::Record => {
            let record = Record {
                id: context.id,
                final_url,
                sent: Some(outgoing.sent()),
                answer: answer.as_ref().map(|answer| Payload {
                    headers: &answer.headers,
                    body: &answer.body,
                }),
                ..attempt.record(context.position, context.url, item, fault)
            };
            Some(shard.finish(item.ordinal, &record))
        }
    };
    match (connection, address) {
        (Some(mut connection), Address::Keep) => {
            connection.note(record.map(|record| LastAnswer {
                item,
                record,
                can_repeat: outgoing.method.is_idempotent(),
            }));
            shard.keep(site, connection);
        }
        (Some(connection), Address::Retire(wait)) => connection.retire(wait),
        (None, _) => {}
    }
}

/// Counts an attempt for whoever looks at how they go.
fn count(shard: &Shard, attempt: &Attempt, connection: Option<&Connection>, fault: Option<&Fault>) {
    let answered = connection.map(|connection| {
        let visit = if connection.is_first_visit() {
            Visit::First
        } else {
            Visit::Further
        };
        (attempt.took, visit, connection.from())
    });
    shard.count_attempt(answered, fault);
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
    let decoded = undo_transfer(&mut answer, job.max_body).and_then(|()| match job.coding {
        Coding::Undo => decode(&mut answer, job.max_body),
        Coding::Keep => Ok(()),
    });
    let judged = decoded.and_then(|()| judge(&answer, &job.expect));
    (Some(answer), judged)
}
