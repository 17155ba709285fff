//! Message bodies on their way through: counted, and given up when nothing moves.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::Connection;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Sleep;
use v6kit_net::DeferredClose;

use super::requests::Answering;
use crate::data::refusal::Refusal;
use crate::relay::Meter;
use crate::session::exchange::Exchange;

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("nothing moved for too long")]
    Idle,
    #[error("the user has used up the permitted bytes")]
    Refused,
}

/// hyper's part of a connection, which reads and writes.
pub(super) type Wire = Pin<Box<Connection<TokioIo<TcpStream>, Content>>>;

/// The work of a connection that no task of its own does: whoever waits for the response does it meanwhile.
/// `None` once it is done.
pub(super) type Work = Option<Wire>;

/// Does what there is to do on a connection. Whoever waits for the response is told of errors.
pub(super) fn work_on(work: &mut Work, cx: &mut Context<'_>) {
    if let Some(connection) = work
        && connection.as_mut().poll(cx).is_ready()
    {
        *work = None;
    }
}

/// Which way a body goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

/// A body that passes through as it comes.
#[derive(Debug)]
pub(super) struct Passing {
    body: Incoming,
    way: Way,
    exchange: Rc<Exchange>,
    idle: Duration,
    /// Of the connection that the body comes from, and where it is closed.
    work: Work,
    deferred: Option<DeferredClose<Wire>>,
    /// Why it broke off, until what came before has been sent.
    broken: Option<hyper::Error>,
    patience: Option<Pin<Box<Sleep>>>,
    /// Whether the end, good or bad, was seen.
    ended: bool,
}

impl Passing {
    pub(super) fn new(body: Incoming, way: Way, exchange: Rc<Exchange>, idle: Duration) -> Self {
        Self {
            body,
            way,
            exchange,
            idle,
            work: None,
            deferred: None,
            broken: None,
            patience: None,
            ended: false,
        }
    }

    /// Does the work of the connection that the body comes from while it waits, and closes it at its end.
    pub(super) fn working(mut self, work: Work, deferred: DeferredClose<Wire>) -> Self {
        self.work = work;
        self.deferred = Some(deferred);
        self
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let mut frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_pending() && self.work.is_some() {
            work_on(&mut self.work, cx);
            frame = Pin::new(&mut self.body).poll_frame(cx);
        }
        match frame {
            Poll::Ready(Some(Err(error))) => {
                // An error makes hyper drop what it has not sent; while it waits, it sends.
                self.broken = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => frame,
        }
    }

    fn count(&self, frame: &Frame<Bytes>) -> Result<(), BodyError> {
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        let counted = match self.way {
            Way::Up => self.exchange.moved(bytes, 0),
            Way::Down => self.exchange.moved(0, bytes),
        };
        counted.map_err(|refusal: Refusal| {
            self.exchange.refused(&refusal);
            BodyError::Refused
        })
    }

    /// The end was seen: what the body came from may close.
    fn end(&mut self) {
        self.ended = true;
        if let (Some(deferred), Some(wire)) = (&self.deferred, self.work.take()) {
            deferred.close(wire);
        }
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let idle = self.idle;
        self.patience
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)))
            .as_mut()
            .poll(cx)
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.poll_body(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.patience = None;
                let counted = self.count(&frame);
                if counted.is_err() || self.body.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(counted.map(|()| frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let outcome = match self.way {
                    Way::Up => "client_gone",
                    Way::Down => "destination_gone",
                };
                self.ended = true;
                self.exchange.ended(outcome);
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                ready!(self.poll_patience(cx));
                self.ended = true;
                self.exchange.refused(&Refusal::Idle);
                Poll::Ready(Some(Err(BodyError::Idle)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Content of ours, or passing through.
#[derive(Debug)]
pub(super) enum Content {
    Passing(Passing),
    Own(Full<Bytes>),
}

impl Body for Content {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Passing(body) => Pin::new(body).poll_frame(cx),
            Self::Own(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Passing(body) => body.is_end_stream(),
            Self::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Passing(body) => body.size_hint(),
            Self::Own(body) => body.size_hint(),
        }
    }
}

/// An answer to a client, which lasts until hyper has sent it.
#[derive(Debug)]
pub(super) struct Answer {
    content: Content,
    _answering: Answering,
}

impl Answer {
    pub(super) fn new(content: Content, answering: Answering) -> Self {
        Self {
            content,
            _answering: answering,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.content).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if self.way == Way::Up {
            return;
        }
        if self.ended || self.body.is_end_stream() {
            self.exchange.succeeded();
        } else {
            // hyper drops a response that the client no longer takes.
            self.exchange.ended("client_gone");
        }
        self.exchange.finish();
    }
}
