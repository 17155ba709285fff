//! Asking robots.txt.

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, Method};
use v6kit_http1::Limit;
use v6kit_model::input::{Overrides, RequestSpec, Spelling};
use v6kit_model::{Answer, ErrorKind, Fault, retry_after};

use super::Slot;
use super::carried::{CarriedRequest, Hop};
use super::context::Attempt;
use super::outgoing::Outgoing;
use crate::engine::examiner::undone;
use crate::engine::job::Job;
use crate::engine::shard::Shard;
use crate::judge::decode::first;
use crate::judge::redirect;
use crate::site::Site;
use crate::site::robots::{self, Failed, READ, Rules, Unasked};

/// Redirects of a robots.txt that are followed (RFC 9309 section 2.3.1.2).
const ROBOTS_REDIRECTS: u32 = 5;

/// A robots.txt may unfold to as much, in bytes, before only its beginning is looked at.
const LARGEST_ROBOTS: u64 = 16 << 20;

/// Who brought a destination up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// The job, which is why it is told who asks.
    ByJob,
    /// A redirect.
    ByRedirect,
}

/// Why an item is not fetched.
pub(super) enum Refused {
    /// The crawl is being stopped.
    Stopped,
    /// It is recorded so, and nobody has failed.
    Forbidden(Fault),
    /// No connection to the site can be made.
    NoConnection(Fault),
}

impl Slot {
    /// Asks for robots.txt whether `url` may be fetched.
    pub(super) async fn ask_robots(
        &mut self,
        shard: &Shard,
        site: &Site,
        named: Named,
        url: &str,
    ) -> Result<(), Refused> {
        let policy = shard.retry_policy();
        let pause = |attempt| policy.pause(attempt, || shard.jitter());
        let asking = site.robots(&shard.stop.drain, policy.retries, pause, async || {
            let began = Instant::now();
            match self.fetch_robots(shard, site, named).await {
                // The item waits; robots.txt is asked for with it.
                Err(Failed::Unreachable(fault, None)) if shard.dialer.outage.covers(fault.kind, began) => {
                    Err(Failed::NoConnection(fault))
                }
                fetched => fetched,
            }
        });
        match asking.await {
            Ok(rules) => rules.judge(url).map_err(Refused::Forbidden),
            Err(Unasked::Stopped) => Err(Refused::Stopped),
            Err(Unasked::Unreachable(fault)) => Err(Refused::Forbidden(fault)),
            Err(Unasked::NoConnection(fault)) => Err(Refused::NoConnection(fault)),
        }
    }

    async fn fetch_robots(&mut self, shard: &Shard, site: &Site, named: Named) -> Result<Rules, Failed> {
        let spec = RequestSpec::new(Method::GET, shard.job.coding);
        let agent = site.headers.get(USER_AGENT).cloned();
        let mut outgoing = Outgoing::new(
            &spec,
            site,
            "/robots.txt",
            Overrides::default(),
            Limit::First(READ),
        );
        outgoing.method = Method::GET;
        outgoing.body = Bytes::new();
        if named == Named::ByRedirect {
            let headers = outgoing.headers.to_mut();
            redirect::keep_only_public(headers);
            site.label(headers);
        }
        let mut answer = self.fetch_robots_file(shard, site, &outgoing).await?;
        undo(&shard.job, &mut answer).map_err(|fault| Failed::Unreachable(fault, None))?;
        let agent = agent
            .as_ref()
            .and_then(|agent| agent.to_str().ok())
            .unwrap_or_default();
        Rules::of(answer.status, &answer.body, robots::product(agent)).ok_or_else(|| {
            let wait = retry_after(answer.headers.map(), SystemTime::now());
            let why = Fault::new(
                ErrorKind::Unavailable,
                format!("status {}", answer.status.as_u16()),
            );
            Failed::Unreachable(why, wait)
        })
    }

    /// A robots.txt, from where it is.
    async fn fetch_robots_file(
        &mut self,
        shard: &Shard,
        site: &Site,
        outgoing: &Outgoing<'_>,
    ) -> Result<Answer, Failed> {
        let before = self.reach;
        let fetched = self.fetch_led_robots(shard, site, outgoing).await;
        self.reach = before;
        fetched
    }

    async fn fetch_led_robots(
        &mut self,
        shard: &Shard,
        site: &Site,
        outgoing: &Outgoing<'_>,
    ) -> Result<Answer, Failed> {
        let fetched = self
            .fetch(shard, site, outgoing, &mut Attempt::new(&shard.clock))
            .await;
        let (mut answer, connection) = fetched.map_err(failure)?;
        self.be_led_from(&connection);
        let mut url = site.url_of(outgoing.path).map_err(Failed::NoConnection)?;
        shard.keep(site, connection);
        let mut carried = CarriedRequest {
            method: outgoing.method.clone(),
            headers: HeaderMap::clone(&outgoing.headers),
            spelling: Spelling::clone(&outgoing.spelling),
            body: Bytes::new(),
            max_body: outgoing.max_body,
        };
        for _ in 0..ROBOTS_REDIRECTS {
            let next = match redirect::target(&url, answer.status, answer.headers.map()) {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err(fault) => return Err(Failed::Unreachable(fault, None)),
            };
            // Its memory is not kept while the next one is waited for.
            answer.body = Bytes::new();
            let hop = match Hop::to(shard, next) {
                Ok(hop) => hop,
                Err(fault) => return Err(Failed::Unreachable(fault, None)),
            };
            let CarriedRequest {
                method,
                headers,
                body,
                ..
            } = &mut carried;
            redirect::adapt(answer.status, &url, &hop.url, method, headers, body);
            hop.site.label(headers);
            let reach = self.require_reach(shard, &hop.site).await;
            reach.map_err(|fault| Failed::Unreachable(fault, None))?;
            hop.site.wait_for_pace(&shard.stop.drain, Instant::now()).await;
            let outgoing = carried.outgoing(&hop.path);
            match self
                .fetch(shard, &hop.site, &outgoing, &mut Attempt::new(&shard.clock))
                .await
            {
                Ok((next, connection)) => {
                    shard.keep(&hop.site, connection);
                    (answer, url) = (next, hop.url);
                }
                Err(fault) => return Err(Failed::Unreachable(fault, None)),
            }
        }
        Ok(answer)
    }
}

/// Undoes the codings of a robots.txt, or of as much of it as counts.
fn undo(job: &Job, answer: &mut Answer) -> Result<(), Fault> {
    let as_it_came = (answer.body.clone(), answer.transfer_codings.clone());
    let was_cut = as_it_came.0.len() as u64 >= READ;
    let Err(fault) = undone(job, answer, LARGEST_ROBOTS, &mut |_| {}) else {
        return Ok(());
    };
    (answer.body, answer.transfer_codings) = as_it_came;
    answer.body = first(answer, READ);
    if was_cut {
        // A path cut short allows more.
        let whole = memchr::memrchr2(b'\n', b'\r', &answer.body).unwrap_or(0);
        answer.body.truncate(whole);
    }
    answer.transfer_codings.clear();
    // What does not become smaller by its coding is a little smaller undone.
    let enough = if was_cut { READ / 2 } else { READ };
    if answer.body.len() as u64 >= enough {
        Ok(())
    } else {
        Err(fault)
    }
}

/// Whether the site was reached.
fn failure(fault: Fault) -> Failed {
    use ErrorKind::*;
    match fault.kind {
        Dns | NoName | NoIpv6 | BadAddress | ConnectRefused | ConnectTimeout | NoRoute | Prohibited
        | SourceAddress | Ports | Resources | Proxy | ProxyAuth | Tls | TlsMismatch | Certificate
        | BadItem => Failed::NoConnection(fault),
        _ => Failed::Unreachable(fault, None),
    }
}
