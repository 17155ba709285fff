//! Whether a destination may be asked now.

use std::time::{Duration, Instant};

use v6kit_model::Fault;

use super::destination::Destination;
use super::local::Site;
use crate::site::breaker::Admission;
use crate::site::drain::Drain;
use crate::site::rate::Restraint;

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permit {
    /// Now.
    Go,
    /// Now, to find out whether the others may follow.
    Probe,
    /// Never: the crawl is being stopped.
    Stopped,
}

impl Site {
    /// Waits from `now` on until the destination may be asked again.
    pub(crate) async fn acquire(&self, drain: &Drain, mut now: Instant) -> Permit {
        loop {
            if self.wait_for_pace(drain, now).await == Permit::Stopped {
                return Permit::Stopped;
            }
            if self.wait_for_total(drain).await == Permit::Stopped {
                return Permit::Stopped;
            }
            let until = match self.destination.breaker.admit(Instant::now) {
                Admission::Open => return Permit::Go,
                Admission::Probe => return Permit::Probe,
                Admission::Wait(until) => until,
            };
            let waited = drain
                .run_until_cancelled(tokio::time::sleep_until(until.into()))
                .await;
            if waited.is_none() {
                return Permit::Stopped;
            }
            now = Instant::now();
        }
    }

    /// Waits from `now` on until it is somebody's turn.
    pub(crate) async fn wait_for_pace(&self, drain: &Drain, now: Instant) -> Permit {
        let rate = &self.destination.rate;
        if drain.is_cancelled() {
            return Permit::Stopped;
        }
        let nobody_waits = self.queue.available_permits() > 0;
        if rate.is_unlimited() || nobody_waits && rate.acquire_if_due(now) {
            return Permit::Go;
        }
        let waited = drain
            .run_until_cancelled(async {
                // The semaphore is never closed. One waiter per shard, so that a change of pace is felt at once.
                let _turn = self.queue.acquire().await;
                loop {
                    let now = Instant::now();
                    let acquired = rate.acquire(now);
                    if acquired <= now {
                        break;
                    }
                    tokio::time::sleep_until(acquired.into()).await;
                    // The site may have asked to be left alone meanwhile.
                    if !rate.is_held(Instant::now()) {
                        break;
                    }
                }
            })
            .await;
        if waited.is_some() {
            Permit::Go
        } else {
            Permit::Stopped
        }
    }

    /// Waits for the budget of all destinations together.
    async fn wait_for_total(&self, drain: &Drain) -> Permit {
        let total = &self.destination.total;
        if total.is_unlimited() {
            return Permit::Go;
        }
        let now = Instant::now();
        let acquired = total.reserve(now);
        if acquired <= now {
            return Permit::Go;
        }
        let waited = drain
            .run_until_cancelled(tokio::time::sleep_until(acquired.into()))
            .await;
        if waited.is_some() {
            Permit::Go
        } else {
            Permit::Stopped
        }
    }

    /// A request is sent to it.
    pub(crate) fn sent(&self, now: Instant) {
        self.destination.rate.sent(&self.meter, now);
    }

    /// The site said by `fault` that it is asked too often.
    pub(crate) fn slow_down(&self, fault: Option<&Fault>, wait: Option<Duration>) {
        let Destination {
            rate, origin, way, ..
        } = &*self.destination;
        let Restraint { hold, slowed } = rate.on_limited(Instant::now(), wait);
        if let Some(wait) = hold {
            way.events.push(format!(
                "{origin}: asks to be left alone (Retry-After): waiting {}",
                hold_text(wait)
            ));
        }
        if let Some(rate) = slowed {
            let why = fault.map_or("it refuses", |fault| &fault.message);
            way.events.push(format!(
                "{origin}: slowing down, to {} at first: {why}",
                rate_text(rate)
            ));
        }
    }

    /// The site answered as it should.
    pub(crate) fn answered(&self) {
        self.destination.rate.on_accepted(Instant::now);
    }
}

/// Requests per second, or per minute where these are few.
fn rate_text(per_second: f64) -> String {
    if per_second < 1.0 {
        format!("{:.1}/min", per_second * 60.0)
    } else {
        format!("{per_second:.0}/s")
    }
}

/// How long, and until which time of day in UTC.
fn hold_text(wait: Duration) -> String {
    let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
    let until = jiff::Timestamp::now()
        .checked_add(jiff::SignedDuration::from_secs(seconds))
        .unwrap_or(jiff::Timestamp::MAX);
    format!("{seconds} s, until {}", until.strftime("%F %T UTC"))
}
