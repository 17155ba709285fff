//! When a tunnel is old enough to be ended, so that what comes after it leaves from another address.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// How long nothing may have passed for a tunnel to be ended: then no answer is cut in two.
const QUIET: Duration = Duration::from_millis(10);

/// The age of a tunnel.
#[derive(Debug)]
pub(super) struct Aging {
    timer: Pin<Box<Sleep>>,
    /// When it is ended whatever passes.
    latest: Instant,
    is_old: bool,
    has_moved: bool,
}

impl Aging {
    /// From `age` on it is ended at the first quiet moment, at twice that age in any case.
    pub(super) fn new(age: Duration) -> Self {
        Self {
            timer: Box::pin(sleep(age)),
            latest: Instant::now() + age * 2,
            is_old: false,
            has_moved: false,
        }
    }

    /// Ready when it is to be ended. `has_moved`: something passed since the last call.
    pub(super) fn poll(&mut self, has_moved: bool, cx: &mut Context<'_>) -> Poll<()> {
        self.has_moved |= has_moved;
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= self.latest || self.is_old && !self.has_moved {
                return Poll::Ready(());
            }
            self.is_old = true;
            self.has_moved = false;
            self.timer.as_mut().reset((now + QUIET).min(self.latest));
        }
        Poll::Pending
    }
}
