//! A slot: one request in flight, one item after another.

mod carried;
mod conclude;
mod connect;
mod context;
mod follow;
mod outgoing;
mod reach;
mod robots;

use std::net::Ipv6Addr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use tracing::{Instrument, Level};
use v6kit_model::input::Overrides;
use v6kit_model::{Answer, Fault, HttpVersion, Item, Protocol};
use v6kit_store::Timing;

use self::conclude::{conclude, set_aside};
use self::context::{Attempt, ItemContext};
use self::outgoing::{Outgoing, origin_form};
use self::reach::Reach;
use self::robots::{Named, Refused};
use crate::connect::connection::{Connection, Delivery, Failed, LastAnswer, Message, Timer};
use crate::engine::limits::RunningSlot;
use crate::engine::shard::Shard;
use crate::judge::redirect;
use crate::site::host_queue::Arrival;
use crate::site::robots::RobotsPolicy;
use crate::site::{Permit, Site};

/// A wait for the pace that is shorter goes untold.
const WORTH_TELLING: Duration = Duration::from_millis(1);

/// A task of a shard that fetches one item after another.
pub(crate) struct Slot {
    shard: Rc<Shard>,
    /// Its part of the bound over all shards.
    _running: RunningSlot,
    timer: Timer,
    url: String,
    /// The only source address that will do for the next request.
    bound: Option<Ipv6Addr>,
    /// Who says where the next request goes.
    reach: Reach,
}

/// What sending a request once came to.
enum Exchange {
    /// A whole answer.
    Answered(Connection),
    /// None.
    Failed(Failed, Connection),
}

impl Slot {
    pub(crate) fn new(shard: Rc<Shard>, running: RunningSlot) -> Self {
        Self {
            _running: running,
            timer: Timer::new(shard.settings.deadlines),
            shard,
            url: String::new(),
            bound: None,
            reach: Reach::Named,
        }
    }

    /// Fetches items until there is none left or the crawl is being stopped.
    pub(crate) async fn run(mut self) {
        // The next item of the destination that was served last, which had to wait for it.
        let mut resumed = None;
        loop {
            self.shard.backlog.room().await;
            if self.shard.memory.is_short() {
                let room = self.shard.memory.room();
                self.shard.stop.drain.run_until_cancelled(room).await;
            }
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
            queues.most_neglected().map(|item| (item, Arrival::Resumed))
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

    /// The way of an item, from the queue to its record: to its site, to a slot there, and through
    /// [`Slot::send`]. It may be parked, put off, or left to the next run when the crawl is stopped. The result is an
    /// item of the same destination that had to wait.
    async fn serve(&mut self, item: Item, arrival: Arrival) -> Option<Item> {
        let shard = Rc::clone(&self.shard);
        let mut url = std::mem::take(&mut self.url);
        url.clear();
        let resumed = self.bring(&shard, item, arrival, &mut url).await;
        self.url = url;
        resumed
    }

    async fn bring(&mut self, shard: &Shard, item: Item, arrival: Arrival, url: &mut String) -> Option<Item> {
        if !shard.dialer.outage.admit(&shard.stop.drain).await {
            return None;
        }
        let position = shard.visit_order.position(item.ordinal);
        let overrides = shard.item(position, arrival, url);
        let found = overrides.and_then(|overrides| {
            let (site, path) = shard.sites.find(url)?;
            Ok((site, path, overrides))
        });
        let (site, path, mut overrides) = match found {
            Ok(found) => found,
            Err(_) if shard.stop.at_changed_list(shard.job.items.list()) => return None,
            Err(fault) => {
                let record = Attempt::new(&shard.clock).record(position, url, item, Some(&fault));
                shard.finish(item.ordinal, &record);
                return None;
            }
        };
        site.named.set(true);
        // No slot waits for a name server while there is other work.
        if site.is_being_looked_up() {
            shard.queue.wait_for_name(item);
            return None;
        }
        let guard = match &shard.host_queues {
            None => None,
            Some(queues) => Some(queues.enter(&site.host_queue, item, arrival, shard.slots())?),
        };
        let mut context = ItemContext {
            item,
            position,
            url,
            id: overrides.id.take(),
            site: Rc::clone(&site),
            permit: Permit::Stopped,
            attempt: Attempt::new(&shard.clock),
            final_url: None,
            hops: Vec::new(),
        };
        let span = context.span();
        let sending = self.send(shard, &mut context, path, overrides);
        if span.is_disabled() {
            sending.await;
        } else {
            sending.instrument(span).await;
        }
        guard.and_then(|guard| guard.leave(shard.slots()))
    }

    /// The phases of an item at its site: permit, connection, exchange; then judged, decided upon and recorded.
    async fn send(&mut self, shard: &Shard, context: &mut ItemContext<'_>, path: &str, overrides: Overrides) {
        let site = Rc::clone(&context.site);
        let started = context.attempt.began;
        let (permit, has_waited) = {
            let permit = pin!(self.permit(shard, &site, Named::ByJob, context.url, started));
            noting_waits(permit).await
        };
        if has_waited {
            context.attempt = Attempt::new(&shard.clock);
        }
        context.attempt.is_retry = context.item.attempts > 0;
        let outgoing = Outgoing::new(&shard.job.request, &site, path, overrides, shard.job.max_body);
        context.permit = match permit {
            Ok(Permit::Stopped) | Err(Refused::Stopped) => return,
            Ok(permit) => permit,
            Err(Refused::Forbidden(fault)) => {
                shard.finish(context.item.ordinal, &context.record(Some(&fault)));
                return;
            }
            Err(Refused::NoConnection(fault)) => {
                context.permit = Permit::Go;
                if set_aside(shard, context, started, &fault).await {
                    return;
                }
                return conclude(shard, context, &outgoing, Err(fault), None).await;
            }
        };
        let fetched = self.fetch(shard, &site, &outgoing, &mut context.attempt).await;
        // The clock was read when the last byte came.
        let began = context.attempt.began;
        context.attempt.took = match &fetched {
            Ok((_, connection)) => connection.last_read().saturating_duration_since(began),
            Err(_) => began.elapsed(),
        };
        if let Err(fault) = &fetched
            && set_aside(shard, context, began, fault).await
        {
            return;
        }
        match fetched {
            Ok(first) if shard.job.redirects > 0 && redirect::is_redirect(first.0.status) => {
                let carried = outgoing.take();
                // Rare, and large.
                Box::pin(self.follow(shard, context, carried, first)).await;
            }
            fetched => conclude(shard, context, &outgoing, fetched, None).await,
        }
    }

    /// Waits from `now` on until `site` may be asked for `url`.
    ///
    /// # Errors
    /// robots.txt forbids it.
    async fn permit(
        &mut self,
        shard: &Shard,
        site: &Site,
        named: Named,
        url: &str,
        mut now: Instant,
    ) -> Result<Permit, Refused> {
        if shard.settings.robots == RobotsPolicy::Obey {
            match site.judge_by_known_robots(url, now) {
                Some(judged) => judged.map_err(Refused::Forbidden)?,
                None => {
                    self.ask_robots(shard, site, named, url).await?;
                    now = Instant::now();
                }
            }
        }
        let asked = tracing::enabled!(Level::DEBUG).then(Instant::now);
        let permit = site.acquire(&shard.stop.drain, now).await;
        if let Some(waited) = asked
            .map(|asked| asked.elapsed())
            .filter(|waited| *waited >= WORTH_TELLING)
        {
            tracing::debug!(?waited, ?permit, "waited for the site's pace");
        }
        Ok(permit)
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
        let mut repeats = Repeats::default();
        loop {
            let mut answer = Answer::default();
            let exchange = self.exchange(shard, site, outgoing, attempt, choice, &mut answer);
            let exchange = exchange.await?;
            let (Exchange::Answered(connection) | Exchange::Failed(_, connection)) = &exchange;
            if connection.has_surplus() {
                site.limit_to_one_request();
            }
            match exchange {
                Exchange::Answered(mut connection)
                    if can_repeat && choice == Choice::Any && is_of_another(&answer, &connection) =>
                {
                    // It is not known since when each answer was late by one.
                    if let Some(last) = doubted(&mut connection).filter(|last| last.can_repeat) {
                        shard.doubt(last);
                    }
                    choice = Choice::New;
                    self.timer.postpone();
                }
                Exchange::Answered(connection) => {
                    if connection.is_doubtful() {
                        shard.progress.doubtful.add(1);
                    }
                    attempt.status = Some(answer.status);
                    return Ok((answer, connection));
                }
                // The server hung up while the connection was idle, or did not look: nobody's failure, and no attempt.
                Exchange::Failed(failed, mut connection)
                    if failed.may_repeat(&outgoing.method)
                        && repeats.may_follow(failed.delivery, &connection, shard.settings.http) =>
                {
                    if failed.delivery == Delivery::RefusedHttp2 {
                        site.turn_to_http1();
                    }
                    if failed.delivery == Delivery::Unanswered && connection.protocol() == Protocol::Http1 {
                        // The other idle ones may be as dead.
                        choice = Choice::New;
                    }
                    if let Some(last) = doubted(&mut connection) {
                        shard.doubt(last);
                    }
                    self.timer.postpone();
                }
                Exchange::Failed(failed, _) => {
                    attempt.status = failed.status;
                    return Err(failed.fault);
                }
            }
        }
    }

    /// Sends a request once, and fills `answer` in.
    ///
    /// # Errors
    /// There is no connection to send it on.
    async fn exchange(
        &mut self,
        shard: &Shard,
        site: &Site,
        outgoing: &Outgoing<'_>,
        attempt: &mut Attempt,
        choice: Choice,
        answer: &mut Answer,
    ) -> Result<Exchange, Fault> {
        attempt.timing = Timing::default();
        let target = outgoing.target(site)?;
        let mut connection = self
            .connection(shard, site, attempt, choice, outgoing.method.is_idempotent())
            .await?;
        attempt.from = Some(connection.from());
        attempt.peer = connection.peer();
        attempt.protocol = Some(connection.protocol());
        let (jar, own) = match &shard.jars {
            None => (None, None),
            Some(jars) => {
                let url = site.url_of(outgoing.path)?;
                let mut headers = HeaderMap::clone(&outgoing.headers);
                jars.fill(connection.from(), &url, &mut headers);
                (Some((jars, Box::new(url))), Some(headers))
            }
        };
        let (max_body, memory) = (outgoing.max_body, &shard.memory);
        if attempt.is_retry {
            attempt.is_retry = false;
            shard.progress.retries.add(1);
        }
        attempt.sends_from(connection.from());
        tracing::debug!(protocol = ?connection.protocol(), before = connection.served(), "asks");
        let flight = shard.begin_request(site, self.timer.sent());
        let result = match connection.protocol() {
            Protocol::Http1 => {
                let request = v6kit_http1::Request {
                    method: outgoing.method.as_str(),
                    target: &target,
                    host: outgoing.host(site),
                    fields: &*outgoing.block(site, own.as_ref())?,
                    more: None,
                    body: &outgoing.body,
                };
                let message = Message::One(request);
                let timer = &mut self.timer;
                connection
                    .exchange(message, max_body, memory, timer, answer)
                    .await
            }
            Protocol::Http2 => {
                let request = outgoing.request(site, origin_form(outgoing.path)?, own);
                let message = Message::Two(request);
                let timer = &mut self.timer;
                Box::pin(connection.exchange(message, max_body, memory, timer, answer)).await
            }
        };
        drop(flight);
        attempt.timing.first_byte = self.timer.first_byte(connection.last_read());
        if let (Some((jars, url)), Ok(())) = (jar, &result) {
            jars.keep(connection.from(), &url, answer.headers.map());
        }
        if result.is_ok() {
            shard.dialer.outage.silence.heard(connection.last_read());
            if connection.served() > 1 {
                site.conntrack.answered(connection.last_read());
            }
        }
        let (read, written) = connection.news();
        shard.progress.bytes_in.add(read);
        shard.progress.bytes_out.add(written);
        Ok(match result {
            Ok(()) => Exchange::Answered(connection),
            Err(failed) => Exchange::Failed(failed, connection),
        })
    }
}

/// The result of a future, and whether it had to be waited for.
async fn noting_waits<F: Future>(mut future: Pin<&mut F>) -> (F::Output, bool) {
    let mut has_waited = false;
    let polled = std::future::poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        has_waited |= polled.is_pending();
        polled
    });
    let output = polled.await;
    (output, has_waited)
}

/// How often a request was sent again that the server most likely never looked at.
#[derive(Debug, Default)]
struct Repeats {
    sent: bool,
    /// A connection was made for the request that came to nothing.
    made: bool,
}

impl Repeats {
    /// Whether it may be sent again at once: once after it was sent, and once after a connection was made for it. What
    /// never left on a connection that was there already costs nothing but that connection.
    fn may_follow(&mut self, delivery: Delivery, connection: &Connection, http: HttpVersion) -> bool {
        match delivery {
            Delivery::Unsent if connection.served() > 0 => true,
            Delivery::Unsent => !std::mem::replace(&mut self.made, true),
            // Who asks for HTTP/2 alone gets no other.
            Delivery::RefusedHttp2 if http == HttpVersion::Two => false,
            Delivery::Unanswered | Delivery::Refused | Delivery::RefusedHttp2 => {
                !std::mem::replace(&mut self.sent, true)
            }
            Delivery::Arrived => false,
        }
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

/// What was answered before on a connection that said too much.
fn doubted(connection: &mut Connection) -> Option<LastAnswer> {
    connection.take_note().filter(|_| connection.is_doubtful())
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

#[cfg(test)]
mod tests;
