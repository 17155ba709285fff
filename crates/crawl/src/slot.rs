//! A slot: one request in flight, one item after another.

use std::net::Ipv6Addr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;

use crate::connection::{Answer, Connection, Failed, RequestBody, Target, Timer};
use crate::intake::Item;
use crate::judge::judge;
use crate::outcome::{ErrorKind, Fault, Outcome};
use crate::record::{Payload, Record, Sent};
use crate::shard::Shard;
use crate::site::{Departure, Site};

/// The pause before the second attempt is drawn from 0 to this, and from twice as much for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A task of a shard that fetches one item after another.
pub(crate) struct Slot {
    shard: Rc<Shard>,
    timer: Timer,
    url: String,
}

/// One attempt at an item.
struct Attempt {
    at: SystemTime,
    began: Instant,
    from: Option<Ipv6Addr>,
    status: Option<StatusCode>,
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
        loop {
            self.shard.backlog.room().await;
            let Some(item) = self.shard.intake.next().await else {
                return;
            };
            self.serve(item).await;
        }
    }

    /// Brings an item to its record, puts it off, or leaves it to the next run when the crawl is stopped.
    async fn serve(&mut self, item: Item) {
        let shard = Rc::clone(&self.shard);
        let position = shard.itinerary.position(item.turn);
        let mut url = std::mem::take(&mut self.url);
        url.clear();
        shard.job.work.write(position, &mut url);
        self.serve_url(&shard, item, position, &url).await;
        self.url = url;
    }

    async fn serve_url(&mut self, shard: &Shard, item: Item, position: u64, url: &str) {
        let found = shard.sites.find(url);
        if let Ok((site, _)) = &found
            && site.depart(&shard.drain).await == Departure::Stopped
        {
            return;
        }
        let mut attempt = Attempt {
            at: SystemTime::now(),
            began: Instant::now(),
            from: None,
            status: None,
        };
        let fetched = match &found {
            Ok((site, path)) => self.fetch(shard, site, path, &mut attempt).await,
            Err(fault) => Err(fault.clone()),
        };
        let took = attempt.began.elapsed();
        let judged = match &fetched {
            Ok(answer) => {
                shard.latencies.borrow_mut().record(took);
                judge(answer)
            }
            Err(fault) => Err(fault.clone()),
        };
        if let Err(fault) = &judged
            && fault.kind.outcome() == Outcome::Transient
            && item.attempts < shard.settings.retries
        {
            shard.progress.retries.add(1);
            let pause = shard.jitter(pause_limit(item.attempts));
            return shard.intake.retry(
                Item {
                    attempts: item.attempts + 1,
                    ..item
                },
                pause,
            );
        }
        let spec = &shard.job.request;
        let sent = found.as_ref().ok().map(|(site, path)| Sent {
            method: &spec.method,
            path,
            headers: &site.headers,
            body: &spec.body,
        });
        let answer = fetched.as_ref().ok().map(|answer| Payload {
            headers: &answer.headers,
            body: &answer.body,
        });
        shard.finish(
            item.turn,
            &Record {
                position,
                url,
                status: attempt.status,
                from: attempt.from,
                at: attempt.at,
                took,
                attempts: item.attempts + 1,
                sent,
                answer,
                fault: judged.as_ref().err(),
            },
        );
    }

    /// One attempt: on a connection that waits, or on a new one.
    async fn fetch(
        &mut self,
        shard: &Shard,
        site: &Site,
        path: &str,
        attempt: &mut Attempt,
    ) -> Result<Answer, Fault> {
        self.timer.start(attempt.began);
        loop {
            let (result, connection) = self.fetch_once(shard, site, path, attempt).await?;
            match result {
                Ok(answer) => {
                    attempt.status = Some(answer.status);
                    shard.keep(site, connection);
                    return Ok(answer);
                }
                // The server hung up while the connection was idle: nobody's failure, and no attempt.
                Err(failed) if failed.stale && shard.job.request.method.is_idempotent() => {}
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
        path: &str,
        attempt: &mut Attempt,
    ) -> Result<(Result<Answer, Failed>, Box<Connection>), Fault> {
        let request = request(shard, site, path)?;
        let mut connection = match site.take_idle() {
            Some(connection) => connection,
            None => self.connect(shard, site, attempt).await?,
        };
        attempt.from = Some(connection.from());
        let (read, written) = (connection.meter().read(), connection.meter().written());
        let flight = shard.take_off();
        let result = connection
            .fetch(request, shard.job.max_body, &mut self.timer)
            .await;
        drop(flight);
        shard.progress.bytes_in.add(connection.meter().read() - read);
        shard
            .progress
            .bytes_out
            .add(connection.meter().written() - written);
        Ok((result, connection))
    }

    async fn connect(
        &self,
        shard: &Shard,
        site: &Site,
        attempt: &mut Attempt,
    ) -> Result<Box<Connection>, Fault> {
        let deadline = self.timer.connect_deadline();
        let to = site.address(deadline).await?;
        let from = shard.draw_source();
        attempt.from = from;
        let tls = match &site.server_name {
            Some(name) => Some((shard.tls()?, name)),
            None => None,
        };
        let target = Target {
            to,
            from,
            tls,
            deadline: deadline.into(),
        };
        let connection = Connection::open(target, &shard.progress).await?;
        shard.count_source(connection.from());
        Ok(connection)
    }
}

fn request(shard: &Shard, site: &Site, path: &str) -> Result<Request<RequestBody>, Fault> {
    let spec = &shard.job.request;
    let mut request = Request::new(Full::new(spec.body.clone()));
    *request.method_mut() = spec.method.clone();
    *request.uri_mut() = origin_form(path)?;
    *request.headers_mut() = site.headers.clone();
    Ok(request)
}

/// `/path?query` (RFC 9112 section 3.2.1).
fn origin_form(path: &str) -> Result<Uri, Fault> {
    let bytes = if path.starts_with('/') {
        Bytes::copy_from_slice(path.as_bytes())
    } else {
        Bytes::from(format!("/{path}"))
    };
    PathAndQuery::from_maybe_shared(bytes)
        .map(Uri::from)
        .map_err(|error| Fault::from_error(ErrorKind::BadItem, &error))
}

fn pause_limit(attempts: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(1 << attempts.min(10))
        .min(LONGEST_PAUSE)
}
