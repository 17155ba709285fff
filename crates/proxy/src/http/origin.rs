//! One request to an origin server, over a kept connection or a new one.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1 as client;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::body::{Content, Wire, Work, work_on};
use super::head::MAX_HEAD;
use super::upstreams::{Key, Origin, Upstreams};
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
    pub(super) exchange: &'a Rc<Exchange>,
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

    /// Sends a request for another protocol over a connection of its own, which is the client's if that is agreed on.
    pub(super) async fn switch(
        &self,
        request: Request<Content>,
    ) -> Result<(Response<Incoming>, Agreed), Refusal> {
        let Dialled { mut sender, mut wire } = self.connect(WorkedBy::Asker).await?;
        let mut sending = pin!(sender.send_request(request));
        let mut worked = false;
        let response = poll_fn(|cx| {
            worked = worked || wire.as_mut().poll(cx).is_ready();
            sending.as_mut().poll(cx)
        });
        let response = timeout(self.session.worker.idle_timeout, response)
            .await
            .map_err(|_elapsed| Refusal::Silent)?
            .map_err(Refusal::Upstream)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok((response, Agreed::No((!worked).then_some(wire))));
        }
        if !worked {
            wire.as_mut().await.map_err(Refusal::Upstream)?;
        }
        let parts = std::pin::Pin::into_inner(wire).into_parts();
        let (stream, read) = (parts.io.into_inner(), parts.read_buf);
        Ok((response, Agreed::Yes(stream, read)))
    }

    async fn dial(&self, worked_by: WorkedBy) -> Result<Origin, Refusal> {
        let Dialled { sender, wire } = self.connect(worked_by).await?;
        let work = match worked_by {
            WorkedBy::Asker => Some(wire),
            WorkedBy::Task => {
                tokio::task::spawn_local(async move {
                    // Whoever waits for the response is told of the error.
                    let _ = wire.await;
                });
                None
            }
        };
        Ok(Origin {
            sender,
            work,
            to: self.exchange.destination(),
            from: self.exchange.source(),
            _lease: self.client.lease.clone(),
        })
    }

    async fn connect(&self, worked_by: WorkedBy) -> Result<Dialled, Refusal> {
        let upstream = self
            .session
            .connect(self.exchange, self.client, self.target)
            .await?;
        let (sender, connection) = client::Builder::new()
            .preserve_header_case(true)
            .max_header_size(4 * MAX_HEAD)
            // A head alone is copied for less than what a list of pieces costs.
            .writev(matches!(worked_by, WorkedBy::Task))
            .handshake(TokioIo::new(upstream.stream))
            .await
            .map_err(Refusal::Upstream)?;
        Ok(Dialled {
            sender,
            wire: Box::pin(connection),
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

/// A connection that was made, both halves of hyper's.
struct Dialled {
    sender: SendRequest<Content>,
    wire: Wire,
}

/// What an origin server said to another protocol.
pub(super) enum Agreed {
    /// This is the connection now, with what was read of it already.
    Yes(TcpStream, Bytes),
    /// An ordinary response comes, whose content needs this work.
    No(Work),
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
#[derive(Clone, Copy)]
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
