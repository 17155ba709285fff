//! One request to an origin server, over a kept connection or a new one.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1 as client;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::body::Content;
use super::head::MAX_HEAD;
use super::upstreams::{Key, Origin, Upstreams, work_on};
use crate::data::refusal::Refusal;
use crate::data::target::Target;
use crate::session::Session;
use crate::session::client::{Client, Rotation};
use crate::session::exchange::Exchange;
use crate::session::worker::writers_turn;

/// A request on its way: for whom, whereto, and where that is noted.
pub(super) struct Dispatch<'a> {
    pub(super) session: &'a Session,
    pub(super) upstreams: &'a Upstreams,
    pub(super) exchange: &'a Exchange,
    pub(super) client: &'a Client,
    pub(super) target: &'a Target,
}

impl Dispatch<'_> {
    /// Who may use the connection again.
    pub(super) fn key(&self) -> Key {
        Key {
            user: self.client.account.name().clone(),
            source: self.client.source,
            target: self.target.clone(),
        }
    }

    /// Sends the request over a kept connection, or else over a new one.
    pub(super) async fn send(
        &self,
        mut request: Request<Content>,
    ) -> Result<(Origin, Response<Incoming>), Refusal> {
        if self.client.rotation == Rotation::Sticky
            && let Some(mut origin) = self.upstreams.take(&self.key())
        {
            self.exchange.connected(origin.from, origin.to, None);
            let spare = spare(&request);
            match self.send_over(&mut origin, request).await {
                Ok(response) => return Ok((origin, response)),
                Err((refusal, returned)) => request = returned.or(spare).ok_or(refusal)?,
            }
        }
        let mut origin = self.dial(WorkedBy::of(self.client, &request)).await?;
        writers_turn().await;
        match self.send_over(&mut origin, request).await {
            Ok(response) => Ok((origin, response)),
            Err((refusal, _)) => Err(refusal),
        }
    }

    async fn dial(&self, labour: WorkedBy) -> Result<Origin, Refusal> {
        let began = Instant::now();
        let egress = &self.session.worker.egress;
        let upstream = egress.connect(self.target, self.client.source).await?;
        let from = self.client.source_towards(&upstream);
        self.exchange.connected(from, upstream.to, Some(began.elapsed()));
        let (sender, connection) = client::Builder::new()
            .preserve_header_case(true)
            .max_header_size(4 * MAX_HEAD)
            // A head alone is copied for less than what a list of pieces costs.
            .writev(matches!(labour, WorkedBy::Task))
            .handshake(TokioIo::new(upstream.stream))
            .await
            .map_err(Refusal::Upstream)?;
        let connection = Box::pin(connection);
        let work = match labour {
            WorkedBy::Asker => Some(connection),
            WorkedBy::Task => {
                tokio::task::spawn_local(async move {
                    // Whoever waits for the response is told of the error.
                    let _ = connection.await;
                });
                None
            }
        };
        Ok(Origin {
            sender,
            work,
            to: upstream.to,
            from,
            _lease: self.client.lease.clone(),
        })
    }

    async fn send_over(
        &self,
        origin: &mut Origin,
        request: Request<Content>,
    ) -> Result<Response<Incoming>, NotSent> {
        let mut sending = pin!(origin.sender.try_send_request(request));
        let response = poll_fn(|cx| {
            work_on(&mut origin.work, cx);
            sending.as_mut().poll(cx)
        });
        match timeout(self.session.worker.idle_timeout, response).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(mut error)) => {
                let request = error.take_message();
                Err((Refusal::Upstream(error.into_error()), request))
            }
            Err(_elapsed) => Err((Refusal::Silent, None)),
        }
    }
}

/// Why a request was not answered, and the request where none of it was sent.
type NotSent = (Refusal, Option<Request<Content>>);

/// A second copy of a request that may be sent twice, for when the origin closes a kept connection just
/// then (RFC 9112 section 9.3.1).
fn spare(request: &Request<Content>) -> Option<Request<Content>> {
    if !request.method().is_idempotent() || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Content::Own(Full::new(Bytes::new())));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

/// Who does the work of a connection.
enum WorkedBy {
    /// A task, for as long as the connection is kept.
    Task,
    /// The task that waits for the one response.
    Asker,
}

impl WorkedBy {
    /// Content goes up also while nobody takes the response, which wants a task.
    fn of(client: &Client, request: &Request<Content>) -> Self {
        if client.rotation == Rotation::Rotating && request.body().is_end_stream() {
            Self::Asker
        } else {
            Self::Task
        }
    }
}
