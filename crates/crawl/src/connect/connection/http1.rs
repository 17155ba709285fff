//! HTTP/1.1 on hyper's connection API.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::coop::{Unconstrained, unconstrained};
use v6kit_model::{Answer, ErrorKind, Fault};

use super::body::{self, BodyError};
use super::deadline::Elapsed;
use super::stream::{Meter, Stream};
use super::{Delivery, Failed, RequestBody, Timer};

/// One connection, driven by the task that waits for its answers: no second task, no wake-up between two.
pub(super) struct Http1 {
    sender: http1::SendRequest<RequestBody>,
    driver: Driver,
    meter: Rc<Meter>,
}

/// hyper's side of the connection, until it has ended.
struct Driver(Option<http1::Connection<TokioIo<Stream>, RequestBody>>);

impl Driver {
    /// Moves bytes. An end is remembered; the error, if any, goes to whoever waits for the answer.
    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.0
            && Pin::new(connection).poll(cx).is_ready()
        {
            self.0 = None;
        }
    }

    /// Runs `work`, which waits for something that the connection brings.
    ///
    /// Nothing but polling the connection lets `work` go on, and `work` is polled after that every time. So it
    /// has nobody to wake: waking this very task would only have everything polled once more. Nor may it wait
    /// for the task's budget, as nobody would end that wait.
    ///
    /// It is pinned by the caller: taken by value it would be copied.
    async fn drive<F: Future>(&mut self, mut work: Pin<&mut Unconstrained<F>>) -> F::Output {
        let mut nobody = Context::from_waker(Waker::noop());
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = work.as_mut().poll(&mut nobody) {
                return Poll::Ready(output);
            }
            self.poll(cx);
            work.as_mut().poll(&mut nobody)
        })
        .await
    }
}

impl Http1 {
    pub(super) async fn open(io: TokioIo<Stream>, meter: Rc<Meter>) -> hyper::Result<Self> {
        // A request is one small buffer: gathering costs more than copying does.
        let (sender, connection) = http1::Builder::new().writev(false).handshake(io).await?;
        Ok(Self {
            sender,
            driver: Driver(Some(connection)),
            meter,
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.driver.0.is_some() && !self.sender.is_closed()
    }

    pub(super) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Takes the request and fills in the answer.
    pub(super) async fn exchange(
        &mut self,
        request: &mut Option<Request<RequestBody>>,
        max_body: u64,
        timer: &mut Timer,
        answer: &mut Answer,
    ) -> Result<(), Failed> {
        let Self {
            sender,
            driver,
            meter,
        } = self;
        timer.sending(meter);
        let mut status = None;
        let result = timer
            .limit(
                meter,
                pin!(read_answer(
                    sender,
                    driver,
                    request,
                    max_body,
                    &mut status,
                    answer
                )),
            )
            .await;
        let failed = match result {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failed)) => failed,
            Err(elapsed) => (elapsed_fault(elapsed), Sent::Yes),
        };
        let (fault, sent) = failed;
        let died = matches!(fault.kind, ErrorKind::Closed | ErrorKind::Reset);
        Err(Failed {
            delivery: match sent {
                Sent::No => Delivery::Unsent,
                Sent::Yes if died && !timer.has_first_byte(meter) => Delivery::Unanswered,
                Sent::Yes => Delivery::Arrived,
            },
            fault,
            status,
        })
    }
}

/// Whether any of a request may have reached the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Yes,
    No,
}

async fn read_answer(
    sender: &mut http1::SendRequest<RequestBody>,
    driver: &mut Driver,
    request: &mut Option<Request<RequestBody>>,
    max_body: u64,
    status: &mut Option<StatusCode>,
    answer: &mut Answer,
) -> Result<(), (Fault, Sent)> {
    // Learns whether the server has hung up meanwhile, and finishes the answer before.
    driver
        .drive(pin!(unconstrained(sender.ready())))
        .await
        .map_err(|error| (fault(&error), Sent::No))?;
    let response = driver
        .drive(pin!(unconstrained(
            sender.try_send_request(request.take().unwrap_or_default())
        )))
        .await
        .map_err(|mut error| {
            let sent = if error.take_message().is_some() {
                Sent::No
            } else {
                Sent::Yes
            };
            (fault(&error.into_error()), sent)
        })?;
    let (head, incoming) = response.into_parts();
    *status = Some(head.status);
    answer.status = head.status;
    answer.headers = head.headers;
    answer.body = body::read(incoming, max_body, async |body| {
        driver.drive(pin!(unconstrained(body.frame()))).await
    })
    .await
    .map_err(|error| match error {
        BodyError::TooLarge(fault) => (fault, Sent::Yes),
        BodyError::Broken(error) => (body_fault(&error), Sent::Yes),
    })?;
    Ok(())
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

/// An error before the body.
fn fault(error: &hyper::Error) -> Fault {
    if let Some(tls) = tls_error(error) {
        // TLS 1.3 refuses a client's certificate only after the handshake.
        return super::tls::fault_of(tls);
    }
    let kind = match io_kind(error) {
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => ErrorKind::Reset,
        Some(io::ErrorKind::UnexpectedEof) => ErrorKind::Closed,
        _ if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => ErrorKind::Closed,
        _ => ErrorKind::Protocol,
    };
    Fault::from_error(kind, error)
}

/// An error within the body.
fn body_fault(error: &hyper::Error) -> Fault {
    let kind = match io_kind(error) {
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => ErrorKind::Reset,
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => ErrorKind::Protocol,
        _ => ErrorKind::Incomplete,
    };
    Fault::from_error(kind, error)
}

fn tls_error(error: &hyper::Error) -> Option<&rustls::Error> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return io.get_ref()?.downcast_ref();
        }
        source = error.source();
    }
    None
}

fn io_kind(error: &hyper::Error) -> Option<io::ErrorKind> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        source = error.source();
    }
    None
}
