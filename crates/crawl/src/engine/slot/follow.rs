//! Going where answers lead.

use std::rc::Rc;

use ::url::Url;
use bytes::Bytes;
use http::{HeaderMap, Method};
use v6kit_model::input::Spelling;
use v6kit_model::{Answer, ErrorKind, Fault};
use v6kit_store::Format;

use super::Slot;
use super::conclude::{conclude, led_on, set_aside};
use super::context::{Attempt, ItemContext};
use super::outgoing::Outgoing;
use super::reach::Reach;
use super::robots::{Named, Refused};
use crate::connect::connection::Connection;
use crate::engine::shard::Shard;
use crate::judge::decode::undo_transfer;
use crate::judge::redirect;
use crate::site::{Permit, Site};

/// Of the body of an answer that leads elsewhere so many bytes are kept, beside the memory for others: who waits for the
/// next answer must not keep them from theirs.
const LARGEST_KEPT: usize = 256 << 10;

/// What goes along from one request to the next.
pub(super) struct CarriedRequest {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) spelling: Spelling,
    pub(super) body: Bytes,
    pub(super) max_body: u64,
}

impl Outgoing<'_> {
    pub(super) fn take(self) -> CarriedRequest {
        CarriedRequest {
            method: self.method,
            headers: self.headers.into_owned(),
            spelling: self.spelling.into_owned(),
            body: self.body,
            max_body: self.max_body,
        }
    }
}

impl CarriedRequest {
    /// Keeps what became of this request at `hop`, where that is stored. What is not, takes no memory while the next
    /// answer is waited for.
    fn keep(
        &self,
        shard: &Shard,
        hop: &Hop,
        context: &mut ItemContext<'_>,
        connection: &Connection,
        mut answer: Answer,
    ) {
        if shard.job.storage.format == Format::Warc {
            // What cannot be undone is kept without a body.
            let _ = undo_transfer(&mut answer, self.max_body, &mut |_| {});
            let kept = self.hop(hop, &context.attempt, connection, answer);
            context.hops.push(kept);
        }
    }

    /// What became of this request at `hop`.
    fn hop(
        &self,
        hop: &Hop,
        attempt: &Attempt,
        connection: &Connection,
        mut answer: Answer,
    ) -> v6kit_store::Hop {
        let length = answer.body.len().min(LARGEST_KEPT);
        let is_cut = length < answer.body.len();
        // Not the memory that it was read into.
        answer.body = Bytes::copy_from_slice(&answer.body[..length]);
        v6kit_store::Hop {
            url: hop.url.to_string(),
            at: attempt.last_at.unwrap_or(attempt.at),
            peer: connection.peer(),
            protocol: connection.protocol(),
            answer,
            is_cut,
            method: self.method.clone(),
            path: hop.path.clone(),
            host: self.outgoing(&hop.path).host(&hop.site).to_vec(),
            headers: self.headers.clone(),
            body: self.body.clone(),
        }
    }

    pub(super) fn outgoing<'a>(&'a self, path: &'a str) -> Outgoing<'a> {
        Outgoing {
            method: self.method.clone(),
            path,
            headers: std::borrow::Cow::Borrowed(&self.headers),
            spelling: std::borrow::Cow::Borrowed(&self.spelling),
            body: self.body.clone(),
            max_body: self.max_body,
        }
    }
}

/// A step on the way.
pub(super) struct Hop {
    pub(super) url: Url,
    pub(super) site: Rc<Site>,
    pub(super) path: String,
}

impl Hop {
    pub(super) fn to(shard: &Shard, url: Url) -> Result<Self, Fault> {
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
        match redirect::target(&self.url, answer.status, answer.headers.map())? {
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
        first: (Answer, Connection),
    ) {
        self.follow_to_end(shard, context, carried, first).await;
        self.bound = None;
        self.reach = Reach::Named;
    }

    /// Waits until the site may be asked that an answer led to.
    async fn permit_to(&mut self, shard: &Shard, hop: &Hop) -> Result<Permit, Refused> {
        let reach = self.require_reach(shard, &hop.site).await;
        reach.map_err(Refused::Forbidden)?;
        self.permit(shard, &hop.site, Named::ByRedirect, hop.url.as_str())
            .await
    }

    async fn follow_to_end(
        &mut self,
        shard: &Shard,
        mut context: ItemContext<'_>,
        mut carried: CarriedRequest,
        first: (Answer, Connection),
    ) {
        let path = context.site.path_of(context.url).to_owned();
        let mut hop = match context.site.url_of(&path) {
            Ok(url) => Hop {
                path,
                site: Rc::clone(&context.site),
                url,
            },
            Err(fault) => return conclude(shard, &context, &carried.outgoing(""), Err(fault), None).await,
        };
        let mut fetched = Ok(first);
        for followed in 0.. {
            let next = match &fetched {
                Ok((answer, _)) => hop.next(shard, answer, followed),
                Err(_) => Ok(None),
            };
            let (answer, connection, next) = match (fetched, next) {
                (Ok((answer, connection)), Ok(Some(next))) => (answer, connection, next),
                (fetched, end) => {
                    if let Err(fault) = &fetched
                        && set_aside(shard, &context, context.attempt.began, fault).await
                    {
                        return;
                    }
                    let fault = end.err();
                    if followed > 0 || fault.is_some() {
                        context.final_url = Some(hop.url.into());
                    }
                    return conclude(shard, &context, &carried.outgoing(&hop.path), fetched, fault).await;
                }
            };
            let status = answer.status;
            carried.keep(shard, &hop, &mut context, &connection, answer);
            led_on(shard, &context, &connection);
            self.be_led_from(&connection);
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
            redirect::adapt(status, &hop.url, &next.url, method, headers, body);
            if !Rc::ptr_eq(&hop.site, &next.site) {
                next.site.label(headers);
            }
            hop = next;
            context.site = Rc::clone(&hop.site);
            context.permit = match self.permit_to(shard, &hop).await {
                Ok(Permit::Stopped) | Err(Refused::Stopped) => return,
                Ok(permit) => permit,
                Err(Refused::NoConnection(fault)) => {
                    context.permit = Permit::Go;
                    fetched = Err(fault);
                    continue;
                }
                Err(Refused::Forbidden(fault)) => {
                    // Nobody was asked, so nobody has failed.
                    context.final_url = Some(hop.url.into());
                    shard.finish(context.item.ordinal, &context.record(Some(&fault)));
                    return;
                }
            };
            let before = context.attempt.took;
            context.attempt.go_on(&shard.clock);
            let outgoing = carried.outgoing(&hop.path);
            fetched = self
                .fetch(shard, &hop.site, &outgoing, &mut context.attempt)
                .await;
            context.attempt.took = before + context.attempt.began.elapsed();
        }
    }
}
