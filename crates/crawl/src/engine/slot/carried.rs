//! What goes along from one request to the next where an answer leads on, and where to.

use std::borrow::Cow;
use std::rc::Rc;

use ::url::Url;
use bytes::Bytes;
use http::{HeaderMap, Method};
use v6kit_http1::Limit;
use v6kit_model::input::Spelling;
use v6kit_model::{Answer, ErrorKind, Fault};
use v6kit_store::Format;

use super::context::{Attempt, ItemContext};
use super::outgoing::Outgoing;
use crate::connect::connection::Connection;
use crate::engine::shard::Shard;
use crate::judge::decode::undo_transfer;
use crate::judge::redirect;
use crate::site::Site;

/// Of the body of an answer that leads elsewhere so many bytes are kept, beside the memory for others: who waits for the
/// next answer must not keep them from theirs.
const LARGEST_KEPT: usize = 256 << 10;

/// What goes along from one request to the next.
pub(super) struct CarriedRequest {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) spelling: Spelling,
    pub(super) body: Bytes,
    pub(super) max_body: Limit,
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
    pub(super) fn keep(
        &self,
        shard: &Shard,
        hop: &Hop,
        context: &mut ItemContext<'_>,
        connection: &Connection,
        mut answer: Answer,
    ) {
        if shard.job.storage.format == Format::Warc {
            // What cannot be undone is kept without a body.
            let _ = undo_transfer(&mut answer, self.max_body.bytes(), &mut |_| {});
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
            headers: Cow::Borrowed(&self.headers),
            spelling: Cow::Borrowed(&self.spelling),
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
    pub(super) fn next(&self, shard: &Shard, answer: &Answer, followed: u32) -> Result<Option<Self>, Fault> {
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
