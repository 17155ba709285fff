//! HTTP/1.1, by the exchange of v6kit-http1.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Context;
use std::time::{Duration, Instant};

use http::StatusCode;
use v6kit_http1::{Buffers, Coding, Error, Limit, Request, Standing, Violation};
use v6kit_model::{Answer, ErrorKind, Fault, TransferCoding};

use super::deadline::Elapsed;
use super::stream::{Meter, Stream};
use super::{Delivery, Failed, Timer};
use crate::connect::memory::Memory;

/// A server that says how long it keeps an idle connection counts from when it sent; we from when it came.
const MARGIN: Duration = Duration::from_secs(1);
/// How long a connection may be idle for a request that cannot be repeated: servers close idle ones, and what is sent
/// at that moment is lost.
const SHORT_IDLE: Duration = Duration::from_secs(2);

/// One connection, driven by the task that waits for its answers: no second task, no wake-up between two.
pub(super) struct Http1 {
    connection: v6kit_http1::Connection<Stream>,
    meter: Rc<Meter>,
    /// The server has said something that nobody asked for.
    has_surplus: bool,
}

impl Http1 {
    pub(super) fn new(stream: Stream, buffers: Rc<Buffers>, meter: Rc<Meter>) -> Self {
        Self {
            connection: v6kit_http1::Connection::new(stream, buffers),
            meter,
            has_surplus: false,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    /// Whether the server has said something that nobody asked for.
    pub(super) fn has_surplus(&self) -> bool {
        self.has_surplus
    }

    /// Whether what was answered last may belong to the request before. The first answer of a connection belongs to
    /// its first request, whatever follows it.
    pub(super) fn is_doubtful(&self) -> bool {
        self.has_surplus && self.connection.served() > 1
    }

    pub(super) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Whether the server can be expected to keep the connection until a request arrives, as it said and as servers do.
    pub(super) fn suits(&self, now: Instant, can_repeat: bool) -> bool {
        let hint = self.connection.keep_alive();
        if can_repeat && hint.timeout.is_none() {
            return true;
        }
        let idle = now.saturating_duration_since(self.meter.last_read());
        let kept = hint
            .timeout
            .is_none_or(|timeout| idle + MARGIN.min(timeout / 2) < timeout);
        kept && (can_repeat || idle < SHORT_IDLE)
    }

    /// Sends the request and fills in the answer.
    pub(super) async fn exchange(
        &mut self,
        request: &Request<'_>,
        max_body: Limit,
        memory: &Memory,
        timer: &mut Timer,
        answer: &mut Answer,
    ) -> Result<(), Failed> {
        if self.connection.served() > 0 {
            self.look()?;
        }
        let Self {
            connection,
            meter,
            has_surplus,
        } = self;
        connection
            .begin(request, max_body)
            .map_err(|error| Failed::new(Fault::from_error(ErrorKind::BadItem, &error), Delivery::Arrived))?;
        timer.sending(meter);
        let mut grant = memory.grant();
        let mut room = |cx: &mut Context<'_>, bytes| {
            let granted = grant.poll_grow(cx, bytes);
            meter.pause(granted.is_pending());
            granted
        };
        let answering = pin!(poll_fn(|cx| connection.poll_answer_within(cx, &mut room)));
        match timer.limit(meter, answering).await {
            Ok(Ok(came)) => {
                *has_surplus = came.is_doubtful;
                fill(answer, came);
                answer.body = grant.hold(std::mem::take(&mut answer.body));
                Ok(())
            }
            Ok(Err(error)) => {
                let delivery = delivery(&error, connection.has_sent());
                Err(self.failed(fault(&error), delivery))
            }
            Err(elapsed) => Err(self.failed(elapsed_fault(elapsed), Delivery::Arrived)),
        }
    }

    /// Looks whether the server has said something since its last answer.
    pub(super) fn look(&mut self) -> Result<(), Failed> {
        let standing = self.connection.look();
        let why = match standing {
            Standing::Ready => return Ok(()),
            Standing::Ended => "the server closed the idle connection",
            Standing::Doubtful => "the server said something that nobody asked for",
        };
        self.has_surplus = standing == Standing::Doubtful;
        Err(Failed::new(Fault::new(ErrorKind::Closed, why), Delivery::Unsent))
    }

    fn failed(&self, fault: Fault, delivery: Delivery) -> Failed {
        let status = self.connection.status();
        Failed {
            status: status.and_then(|status| StatusCode::from_u16(status).ok()),
            ..Failed::new(fault, delivery)
        }
    }
}

fn fill(answer: &mut Answer, came: v6kit_http1::Answer) {
    // The exchange takes no others.
    answer.status = StatusCode::from_u16(came.head.status()).unwrap_or_default();
    answer.headers = came.head.into();
    answer.body = came.body;
    answer.transfer_codings = came
        .codings
        .iter()
        .map(|coding| match coding {
            Coding::Gzip => TransferCoding::Gzip,
            Coding::Deflate => TransferCoding::Deflate,
        })
        .collect();
}

pub(super) fn elapsed_fault(elapsed: Elapsed) -> Fault {
    match elapsed {
        Elapsed::FirstByte => Fault::new(ErrorKind::FirstByteTimeout, "no answer came in time"),
        // What is smaller than a packet of the path comes through a path MTU that is too large, the rest does not.
        Elapsed::Idle => Fault::new(
            ErrorKind::Stalled,
            "the answer stopped in the middle (where every longer answer does: the path MTU)",
        ),
        Elapsed::Total => Fault::new(ErrorKind::Timeout, "the answer was not complete in time"),
    }
}

/// How far the request may have got on a connection that had served before. What is no answer at all came from before
/// the request.
fn delivery(error: &Error, has_sent: bool) -> Delivery {
    match error {
        Error::Closed | Error::Broken(_) if !has_sent => Delivery::Unsent,
        Error::Closed | Error::Broken(_) => Delivery::Unanswered,
        Error::Malformed(Violation::NotHttp | Violation::StatusLine) => Delivery::Unanswered,
        _ => Delivery::Arrived,
    }
}

fn fault(error: &Error) -> Fault {
    if let Error::Broken(io) | Error::Torn(_, io) = error
        && let Some(tls) = tls_error(io)
    {
        // TLS 1.3 refuses a client's certificate only after the handshake.
        return super::tls::fault_of(tls);
    }
    let kind = match error {
        Error::Closed => ErrorKind::Closed,
        Error::Broken(io) | Error::Torn(_, io) if is_reset(io) => ErrorKind::Reset,
        Error::Broken(_) => ErrorKind::Closed,
        Error::Incomplete(_) | Error::Torn(..) => ErrorKind::Incomplete,
        Error::Malformed(_) => ErrorKind::Protocol,
        Error::TooLarge { .. } => ErrorKind::BodyTooLarge,
    };
    Fault::from_error(kind, error)
}

fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
