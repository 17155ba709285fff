//! HTTP/2 on hyper's connection API: slots share a connection, each with a stream of its own.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::net::Ipv6Addr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use tokio::sync::Notify;
use v6kit_http1::Limit;
use v6kit_model::{Answer, ErrorKind, Fault};

use super::stream::{Meter, Stream};
use super::{Delivery, Failed, Open, RequestBody, Timer, body, http1};
use crate::connect::memory::Memory;
use crate::connect::source_lease::{LeaseLimits, SourceLease};

/// The fields of an answer, in bytes as RFC 9113 section 6.5.2 counts them: as much as over HTTP/1.1.
const MAX_FIELDS: u32 = 256 * 1024;

/// What a server may send on a stream before it is read, in bytes.
const WINDOW: u32 = 256 * 1024;

/// What it may send on all of `streams`. As much as on each of them together: a stream that is not read, for want of
/// memory, must not keep the others from being read to their end.
fn connection_window(streams: u64) -> u32 {
    // The largest one (RFC 9113 section 6.9.1).
    const LARGEST: u32 = (1 << 31) - 1;
    u32::try_from(streams.saturating_mul(u64::from(WINDOW)))
        .map_or(LARGEST, |window| window.clamp(WINDOW, LARGEST))
}

/// A connection with several streams.
pub(crate) struct Http2 {
    sender: RefCell<http2::SendRequest<RequestBody>>,
    meter: Rc<Meter>,
    lease: SourceLease,
    streams: Cell<u64>,
    served: Cell<u64>,
    /// When something was read last before its last stream was over.
    last_used: Cell<Instant>,
    /// No new stream is wanted on it.
    worn: Cell<bool>,
    changed: Rc<Notify>,
    _open: Open,
}

/// Runs hyper's connection tasks on the shard's thread.
#[derive(Debug, Clone, Copy)]
struct Local;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        drop(tokio::task::spawn_local(future));
    }
}

impl Http2 {
    pub(super) async fn open(
        io: TokioIo<Stream>,
        meter: Rc<Meter>,
        lease: SourceLease,
        changed: Rc<Notify>,
        streams: u64,
        open: Open,
    ) -> hyper::Result<Rc<Self>> {
        let (sender, connection) = http2::Builder::new(Local)
            .max_header_list_size(MAX_FIELDS)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(connection_window(streams))
            .handshake(io)
            .await?;
        tokio::task::spawn_local(async move {
            // Whoever waits for an answer is told what went wrong.
            let _ = connection.await;
        });
        Ok(Rc::new(Self {
            sender: RefCell::new(sender),
            meter,
            lease,
            streams: Cell::new(0),
            served: Cell::new(0),
            last_used: Cell::new(Instant::now()),
            worn: Cell::new(false),
            changed,
            _open: open,
        }))
    }

    /// Whether another stream may be opened, with at most `streams` at once, within the limits of its address.
    pub(crate) fn has_room(&self, streams: u64, limits: &LeaseLimits) -> bool {
        let begun = self.served.get() + self.streams.get();
        self.is_open() && self.streams.get() < streams && !self.lease.is_over(begun, limits)
    }

    /// Whether it has a future: open, and within its limits, or still answering.
    pub(crate) fn is_of_use(&self, limits: &LeaseLimits) -> bool {
        self.streams.get() > 0 || (self.is_open() && !self.lease.is_over(self.served.get(), limits))
    }

    /// Whether no stream of it is in use.
    pub(crate) fn is_idle(&self) -> bool {
        self.streams.get() == 0
    }

    /// When something was read last for a stream of it.
    pub(crate) fn last_used(&self) -> Instant {
        self.last_used.get()
    }

    /// Whether new streams may be opened, as far as the server is concerned.
    pub(crate) fn is_open(&self) -> bool {
        !self.worn.get() && !self.sender.borrow().is_closed()
    }

    /// The source address.
    pub(crate) fn from(&self) -> Ipv6Addr {
        self.lease.from
    }

    /// Takes a stream.
    pub(crate) fn stream(self: &Rc<Self>) -> Http2Stream {
        self.streams.set(self.streams.get() + 1);
        Http2Stream(Rc::clone(self))
    }
}

/// The right to one stream.
pub(crate) struct Http2Stream(Rc<Http2>);

impl Drop for Http2Stream {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
        self.0.last_used.set(self.0.meter.last_read());
        self.0.changed.notify_one();
    }
}

impl Http2Stream {
    pub(super) fn lease(&self) -> &SourceLease {
        &self.0.lease
    }

    pub(super) fn meter(&self) -> &Meter {
        &self.0.meter
    }

    pub(super) fn served(&self) -> u64 {
        self.0.served.get()
    }

    /// Opens no further stream on the connection.
    pub(super) fn retire(&self) {
        self.0.worn.set(true);
    }

    /// Takes the request and fills in the answer.
    pub(super) async fn exchange(
        &self,
        request: &mut Option<Request<RequestBody>>,
        max_body: Limit,
        memory: &Memory,
        timer: &mut Timer,
        answer: &mut Answer,
    ) -> Result<(), Failed> {
        // What other streams bring is no sign of life of this one.
        let pulse = Meter::start(timer.sent());
        timer.sending(&pulse);
        let mut status = None;
        let result = timer
            .limit(
                &pulse,
                pin!(self.read_answer(request, max_body, memory, &pulse, &mut status, answer)),
            )
            .await;
        let (fault, delivery) = match result {
            Ok(Ok(())) => {
                self.0.served.set(self.0.served.get() + 1);
                self.0.lease.count();
                return Ok(());
            }
            Ok(Err(failed)) => failed,
            Err(elapsed) => {
                // The others will find out by themselves; nobody new should have to.
                self.retire();
                (http1::elapsed_fault(elapsed), Delivery::Arrived)
            }
        };
        Err(Failed {
            fault,
            status,
            delivery,
        })
    }

    async fn read_answer(
        &self,
        request: &mut Option<Request<RequestBody>>,
        max_body: Limit,
        memory: &Memory,
        pulse: &Meter,
        status: &mut Option<StatusCode>,
        answer: &mut Answer,
    ) -> Result<(), (Fault, Delivery)> {
        let request = request.take().unwrap_or_default();
        let sending = self.0.sender.borrow_mut().try_send_request(request);
        let response = sending.await.map_err(|mut error| {
            let unsent = error.take_message().is_some();
            let error = error.into_error();
            let delivery = match delivery_of(&error) {
                Delivery::RefusedHttp2 => Delivery::RefusedHttp2,
                _ if unsent => Delivery::Unsent,
                delivery => delivery,
            };
            if is_going(&error) {
                self.retire();
            }
            (fault(&error), delivery)
        })?;
        pulse.beat();
        let (head, incoming) = response.into_parts();
        *status = Some(head.status);
        answer.status = head.status;
        answer.headers = head.headers.into();
        let mut grant = memory.grant();
        let next = async |body: &mut Incoming, bytes| {
            poll_fn(|cx| {
                let granted = grant.poll_grow(cx, bytes);
                pulse.pause(granted.is_pending());
                granted
            })
            .await;
            let frame = http_body_util::BodyExt::frame(body).await;
            pulse.beat();
            frame
        };
        let body = body::read(incoming, max_body, next)
            .await
            .map_err(|error| match error {
                body::BodyError::TooLarge(fault) => (fault, Delivery::Arrived),
                body::BodyError::Broken(error) => (body_fault(&error), Delivery::Arrived),
            })?;
        answer.body = grant.hold(body);
        Ok(())
    }
}

fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// Whether the connection was over. To hyper it is a fault of the user where that was seen at the moment of sending.
fn is_over(error: &hyper::Error) -> bool {
    error.is_closed() || error.is_canceled() || error.is_user()
}

/// Whether the server ends the connection.
fn is_going(error: &hyper::Error) -> bool {
    is_over(error) || h2_error(error).is_some_and(h2::Error::is_go_away)
}

/// Whether the server says that it has not looked at the request (RFC 9113 sections 6.8 and 8.7). GOAWAY fails only
/// the streams behind the last one that it names, whatever its reason.
fn is_refused(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
}

/// A connection that is being closed by the server has most likely not looked at a new stream.
fn delivery_of(error: &hyper::Error) -> Delivery {
    match h2_error(error) {
        Some(h2) if h2.is_remote() && h2.reason() == Some(h2::Reason::HTTP_1_1_REQUIRED) => {
            Delivery::RefusedHttp2
        }
        Some(h2) if is_refused(h2) => Delivery::Refused,
        _ if is_over(error) => Delivery::Unanswered,
        _ => Delivery::Arrived,
    }
}

/// What the connection itself failed with: hyper tells it without h2's error around it.
fn io_error(error: &hyper::Error) -> Option<&io::Error> {
    let direct = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    direct.or_else(|| h2_error(error).and_then(h2::Error::get_io))
}

pub(super) fn fault(error: &hyper::Error) -> Fault {
    let io = io_error(error);
    if let Some(tls) = io.and_then(|io| io.get_ref()?.downcast_ref::<rustls::Error>()) {
        return super::tls::fault_of(tls);
    }
    let kind = match (io.map(io::Error::kind), h2_error(error)) {
        (Some(io::ErrorKind::ConnectionReset), _) => ErrorKind::Reset,
        // The end came within a frame.
        (Some(io::ErrorKind::Other | io::ErrorKind::UnexpectedEof), None) => ErrorKind::Incomplete,
        // To h2 a stream that was not over when its connection ended is a broken pipe.
        (Some(_), _) => ErrorKind::Closed,
        // Over HTTP/2 it will never answer.
        (None, Some(h2)) if h2.is_remote() && h2.reason() == Some(h2::Reason::HTTP_1_1_REQUIRED) => {
            ErrorKind::Protocol
        }
        (None, Some(h2)) if is_refused(h2) => ErrorKind::RefusedStream,
        (None, Some(h2)) if h2.is_reset() && h2.is_remote() => ErrorKind::Reset,
        (None, Some(_)) => ErrorKind::Protocol,
        (None, None) if is_over(error) || error.is_incomplete_message() => ErrorKind::Closed,
        (None, None) => ErrorKind::Protocol,
    };
    Fault::from_error(kind, error)
}

fn body_fault(error: &hyper::Error) -> Fault {
    let fault = fault(error);
    match fault.kind {
        ErrorKind::Closed => Fault {
            kind: ErrorKind::Incomplete,
            ..fault
        },
        _ => fault,
    }
}
