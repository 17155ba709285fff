//! What the sessions of one thread share.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::admission::Capacity;
use super::exchange::Reporter;
use crate::auth::Authenticator;
use crate::egress::Egress;
use crate::settings::{OnRefusal, PinRule, Via};

/// How far the proxy is with its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Not ending.
    Serving,
    /// No new connections; those that run may finish.
    Draining,
    /// At once.
    Stopped,
}

/// What the sessions of one thread share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) egress: Egress,
    pub(crate) authenticator: watch::Receiver<Arc<Authenticator>>,
    pub(crate) phase: watch::Receiver<Phase>,
    /// Changes whenever a sign of life is wanted.
    pub(crate) pulse: watch::Receiver<u64>,
    pub(crate) pin: PinRule,
    pub(crate) on_refusal: OnRefusal,
    pub(crate) via: Via,
    pub(crate) handshake_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    /// When a tunnel is ended for its age.
    pub(crate) tunnel_age: Option<Duration>,
    pub(crate) reporter: Rc<Reporter>,
    /// Slow password hashes that are computed at a time.
    pub(crate) hashing: Semaphore,
    pub(crate) capacity: Capacity,
}

impl Worker {
    pub(crate) fn authenticator(&self) -> Arc<Authenticator> {
        Arc::clone(&self.authenticator.borrow())
    }

    /// Waits for the end to begin.
    pub(crate) async fn draining(&self) {
        let mut phase = self.phase.clone();
        // The other end gone means that everything is over.
        let _ = phase.wait_for(|phase| *phase >= Phase::Draining).await;
    }
}

/// Waits until every session of the thread that is ready has read and decided what to write.
///
/// A peer on this machine is woken once by all that is written together rather than by each, and waking it is time of
/// this process: see tests/bench/proxy.bash.
pub(crate) async fn writers_turn() {
    tokio::task::yield_now().await;
}
