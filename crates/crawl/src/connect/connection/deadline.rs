//! Deadlines at next to no cost per request.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use super::Meter;

/// How long each part of a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Everything, from dialling to the last byte.
    pub total: Duration,
    /// TCP and TLS handshake.
    pub connect: Duration,
    /// From the request to the first byte of the answer.
    pub first_byte: Duration,
    /// Between two bytes of the answer.
    pub idle: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(15),
        }
    }
}

/// The deadlines of a slot's requests, one after another, on one timer.
///
/// The timer is not moved for every request: it fires at the deadline of an earlier one, sees that the
/// present one has longer, and is set again. So a slot that answers a thousand requests within one
/// timeout touches the timer wheel once.
pub(crate) struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// Whom it wakes as it is set now, where somebody is to be woken.
    waker: Option<Waker>,
    deadlines: Deadlines,
    /// When everything must be done.
    total: Instant,
    /// When the request was sent, or a moment before.
    sent: Instant,
    /// How long the first byte took, of the request that was sent last.
    first_byte: Option<Duration>,
}

/// Which deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Elapsed {
    /// No byte of an answer.
    FirstByte,
    /// Part of an answer, and then nothing.
    Idle,
    /// Part of an answer, and it was still coming.
    Total,
}

impl Timer {
    pub(crate) fn new(deadlines: Deadlines) -> Self {
        let now = Instant::now();
        Self {
            sleep: Box::pin(tokio::time::sleep(deadlines.total)),
            waker: None,
            deadlines,
            total: now,
            sent: now,
            first_byte: None,
        }
    }

    /// An item's time begins, and its request is about to be sent.
    pub(crate) fn start(&mut self, now: Instant) {
        self.total = now + self.deadlines.total;
        self.sent = now;
    }

    /// The request is sent only now, or once more: a connection had to be made or waited for.
    pub(crate) fn postpone(&mut self) {
        self.sent = Instant::now();
    }

    /// Time passed for which only this host is to blame.
    pub(crate) fn extend(&mut self, waited: Duration) {
        self.total += waited;
        self.sent += waited;
    }

    /// When everything must be done.
    pub(crate) fn total(&self) -> Instant {
        self.total
    }

    /// When the request was sent, or a moment before.
    pub(crate) fn sent(&self) -> Instant {
        self.sent
    }

    /// When a connection that is begun now must be there.
    pub(crate) fn connect_deadline(&self) -> Instant {
        self.total.min(Instant::now() + self.deadlines.connect)
    }

    /// The request is sent over the connection of `meter`.
    pub(crate) fn sending(&mut self, meter: &Meter) {
        self.first_byte = None;
        meter.begin();
    }

    /// How long the first byte took, of the request that was sent last; `None` where none came. Over HTTP/2 it is told
    /// here a moment after it came: at most until `last_read`, when the connection had its last one.
    pub(crate) fn first_byte(&self, last_read: Instant) -> Option<Duration> {
        let most = last_read.saturating_duration_since(self.sent);
        self.first_byte.map(|took| took.min(most))
    }

    /// Runs `exchange` until it ends or a deadline passes.
    ///
    /// It is pinned by the caller: taken by value it would be copied.
    pub(crate) async fn limit<F: Future>(
        &mut self,
        meter: &Meter,
        mut exchange: Pin<&mut F>,
    ) -> Result<F::Output, Elapsed> {
        let ended = std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = exchange.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            self.poll_elapsed(meter, cx).map(Err)
        })
        .await;
        let first = meter.first_read();
        self.first_byte = first.map(|first| first.saturating_duration_since(self.sent));
        ended
    }

    fn poll_elapsed(&mut self, meter: &Meter, cx: &mut Context<'_>) -> Poll<Elapsed> {
        // It is not the server that is waited for, and whoever has memory wakes the task.
        if meter.is_paused() {
            return Poll::Pending;
        }
        // The shortest deadline that could be meant. It moves on with every request, so that the timer,
        // which is set to an earlier one, is nearly always left alone.
        let horizon = self
            .total
            .min(self.sent + self.deadlines.first_byte.min(self.deadlines.idle));
        if self.sleep.deadline().into_std() > horizon && horizon > Instant::now() {
            self.sleep.as_mut().reset(horizon.into());
            self.waker = None;
        }
        loop {
            let wakes = |waker: &Waker| waker.will_wake(cx.waker());
            if self.waker.as_ref().is_some_and(wakes) && !self.sleep.is_elapsed() {
                return Poll::Pending;
            }
            self.waker = None;
            if self.sleep.as_mut().poll(cx).is_pending() {
                // Without budget it has not been told whom to wake.
                let is_told = tokio::task::coop::has_budget_remaining();
                self.waker = is_told.then(|| cx.waker().clone());
                return Poll::Pending;
            }
            let (due, elapsed) = self.due(meter);
            if due <= Instant::now() {
                return Poll::Ready(elapsed);
            }
            self.sleep.as_mut().reset(due.into());
        }
    }

    fn due(&self, meter: &Meter) -> (Instant, Elapsed) {
        let (own, elapsed) = if meter.first_read().is_some() {
            (meter.last_read() + self.deadlines.idle, Elapsed::Idle)
        } else {
            (self.sent + self.deadlines.first_byte, Elapsed::FirstByte)
        };
        let total = self.total + meter.held();
        match (own <= total, elapsed) {
            (true, _) | (false, Elapsed::FirstByte) => (own.min(total), elapsed),
            (false, _) => (total, Elapsed::Total),
        }
    }
}
