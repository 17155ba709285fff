//! Going where answers lead.

use std::net::Ipv6Addr;
use std::rc::Rc;
use std::time::Instant;

use ::url::Url;
use bytes::Bytes;
use http::{HeaderMap, Method};
use v6kit_model::input::Spelling;
use v6kit_model::{Answer, ErrorKind, Fault};
use v6kit_store::Record;

use super::{Attempt, End, ItemContext, Outgoing, Slot, conclude, count, counted};
use crate::connect::connection::Connection;
use crate::engine::retry_policy;
use crate::engine::shard::Shard;
use crate::judge::redirect;
use crate::site::dialling::{self, Departing};
use crate::site::robots::RobotsPolicy;
use crate::site::{Permit, Site};

/// Redirects of a robots.txt that are followed (RFC 9309 section 2.3.1.2).
const ROBOTS_REDIRECTS: u32 = 5;

/// What goes along from one request to the next.
pub(super) struct CarriedRequest {
    method: Method,
    headers: HeaderMap,
    spelling: Spelling,
    body: Bytes,
}

impl Outgoing<'_> {
    pub(super) fn take(self) -> CarriedRequest {
        CarriedRequest {
            method: self.method,
            headers: self.headers.into_owned(),
            spelling: self.spelling.into_owned(),
            body: self.body,
        }
    }
}

impl CarriedRequest {
    fn outgoing<'a>(&'a self, path: &'a str) -> Outgoing<'a> {
        Outgoing {
            method: self.method.clone(),
            path,
            headers: std::borrow::Cow::Borrowed(&self.headers),
            spelling: std::borrow::Cow::Borrowed(&self.spelling),
            body: self.body.clone(),
        }
    }
}

/// A step on the way.
struct Hop {
    url: Url,
    site: Rc<Site>,
    path: String,
}

impl Hop {
    fn to(shard: &Shard, url: Url) -> Result<Self, Fault> {
        let found = shard.sites.find(url.as_str());
        let (site, path) = found.map_err(|fault| {
            Fault::new(
                ErrorKind::Redirect,
                format!("it leads to `{url}`, which cannot be fetched: {}", fault.message),
            )
        })?;
        let path = path.to_owned();
        Ok(Self { url, site, path })
    }

    /// Where `answer`, behind so many redirects, leads on to; nowhere, where it is the end.
    fn next(&self, shard: &Shard, answer: &Answer, followed: u32) -> Result<Option<Self>, Fault> {
        match redirect::target(&self.url, answer.status, &answer.headers)? {
            Some(_) if followed == shard.job.redirects => Err(Fault::new(
                ErrorKind::TooManyRedirects,
                format!("it is led on after {followed} redirects"),
            )),
            Some(next) => Self::to(shard, next).map(Some),
            None => Ok(None),
        }
    }
}

impl Slot {
    /// Follows redirects to their end, and brings the item to its record or puts it off.
    pub(super) async fn follow(
        &mut self,
        shard: &Shard,
        context: ItemContext<'_>,
        carried: CarriedRequest,
        attempt: Attempt,
        first: (Answer, Connection),
    ) {
        self.follow_to_end(shard, context, carried, attempt, first).await;
        self.bound = None;
    }

    async fn follow_to_end(
        &mut self,
        shard: &Shard,
        context: ItemContext<'_>,
        mut carried: CarriedRequest,
        mut attempt: Attempt,
        first: (Answer, Connection),
    ) {
        let mut hop = match context.site.url_of(context.site.path_of(context.url)) {
            Ok(url) => Hop {
                path: context.site.path_of(context.url).to_owned(),
                site: Rc::clone(context.site),
                url,
            },
            Err(fault) => {
                return conclude(shard, &context, &attempt, &carried.outgoing(""), Err(fault), None);
            }
        };
        let mut permit = context.permit;
        let mut fetched = Ok(first);
        for followed in 0.. {
            let next = match &fetched {
                Ok((answer, _)) => hop.next(shard, answer, followed),
                Err(_) => Ok(None),
            };
            let (answer, connection, next) = match (fetched, next) {
                (Ok((answer, connection)), Ok(Some(next))) => (answer, connection, next),
                (fetched, end) => {
                    let fault = end.err();
                    let url = hop.url.as_str();
                    let end = (followed > 0 || fault.is_some()).then_some(End { url, fault });
                    let context = ItemContext {
                        site: &hop.site,
                        permit,
                        ..context
                    };
                    let outgoing = carried.outgoing(&hop.path);
                    return conclude(shard, &context, &attempt, &outgoing, fetched, end);
                }
            };
            count(shard, &attempt, Some(&connection), None);
            retry_policy::pass(shard, &hop.site, permit);
            // Cookies belong to an address: whoever was given one goes on from there.
            if shard.jars.is_some() && shard.settings.sources.is_some() {
                self.bound = Some(connection.from());
            }
            shard.keep(&hop.site, connection);
            let CarriedRequest {
                method,
                headers,
                body,
                ..
            } = &mut carried;
            redirect::adapt(answer.status, &hop.url, &next.url, method, headers, body);
            if !Rc::ptr_eq(&hop.site, &next.site) {
                next.site.label(headers);
            }
            hop = next;
            permit = match self.acquire_again(shard, &hop).await {
                Ok(Permit::Stopped) => return,
                Ok(permit) => permit,
                Err(fault) => {
                    // Nobody was asked, so nobody has failed.
                    let end = End {
                        url: hop.url.as_str(),
                        fault: None,
                    };
                    return record_unasked(shard, &context, &attempt, &fault, &end);
                }
            };
            let before = attempt.took;
            attempt.began = Instant::now();
            attempt.status = None;
            let outgoing = carried.outgoing(&hop.path);
            fetched = self.fetch(shard, &hop.site, &outgoing, &mut attempt).await;
            attempt.took = before + attempt.began.elapsed();
        }
    }

    /// Waits until the next destination may be asked, and asks it whether it wants to be.
    async fn acquire_again(&mut self, shard: &Shard, hop: &Hop) -> Result<Permit, Fault> {
        if shard.settings.robots == RobotsPolicy::Obey {
            self.ask_robots(shard, &hop.site, hop.url.as_str()).await?;
        }
        Ok(hop.site.acquire(&shard.stop.drain).await)
    }

    /// A robots.txt, from where it is, or why it cannot be had from where the site says that it is.
    ///
    /// # Errors
    /// The site itself does not answer.
    pub(super) async fn fetch_robots_file(
        &mut self,
        shard: &Shard,
        site: &Site,
        outgoing: &Outgoing<'_>,
    ) -> Result<Result<Answer, Fault>, Fault> {
        let (mut answer, connection) = self.fetch(shard, site, outgoing, &mut Attempt::new()).await?;
        shard.keep(site, connection);
        let mut url = site.url_of(outgoing.path)?;
        let mut carried = CarriedRequest {
            method: outgoing.method.clone(),
            headers: HeaderMap::clone(&outgoing.headers),
            spelling: Spelling::clone(&outgoing.spelling),
            body: Bytes::new(),
        };
        for _ in 0..ROBOTS_REDIRECTS {
            let Some(next) = redirect::target(&url, answer.status, &answer.headers)? else {
                break;
            };
            let hop = match Hop::to(shard, next) {
                Ok(hop) => hop,
                Err(fault) => return Ok(Err(fault)),
            };
            let CarriedRequest {
                method,
                headers,
                body,
                ..
            } = &mut carried;
            redirect::adapt(answer.status, &url, &hop.url, method, headers, body);
            hop.site.label(headers);
            hop.site.wait_for_pace(&shard.stop.drain).await;
            let outgoing = carried.outgoing(&hop.path);
            match self.fetch(shard, &hop.site, &outgoing, &mut Attempt::new()).await {
                Ok((next, connection)) => {
                    shard.keep(&hop.site, connection);
                    (answer, url) = (next, hop.url);
                }
                Err(fault) => return Ok(Err(fault)),
            }
        }
        Ok(Ok(answer))
    }

    /// A connection to `site` from `from` and nowhere else.
    pub(super) async fn connection_from(
        &mut self,
        from: Ipv6Addr,
        shard: &Shard,
        site: &Site,
        attempt: &mut Attempt,
    ) -> Result<Connection, Fault> {
        if let Some(connection) = site.take_idle_from(from, shard.settings.streams, &shard.lease_limits) {
            return Ok(connection);
        }
        let dialling = site.dialling();
        let departing = Departing::From(from);
        let deadline = self.timer.connect_deadline();
        let opened = dialling::connect(&shard.dialer, site, departing, deadline, &mut attempt.from).await;
        site.learn(opened.as_ref().map_err(|_fault| ()));
        drop(dialling);
        let connection = counted(shard, opened?);
        self.timer.postpone();
        Ok(connection)
    }
}

/// The record of an item that led to where it must not be followed.
fn record_unasked(shard: &Shard, context: &ItemContext<'_>, attempt: &Attempt, fault: &Fault, end: &End<'_>) {
    let record = Record {
        id: context.id,
        final_url: Some(end.url),
        ..attempt.record(context.position, context.url, context.item, Some(fault))
    };
    shard.finish(context.item.ordinal, &record);
}
