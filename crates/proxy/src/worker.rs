//! What the sessions of one thread share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::access_log::LogSender;
use crate::auth::Gate;
use crate::egress::Egress;
use crate::http::Upstreams;
use crate::metrics::Tally;
use crate::settings::PinRule;

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
    pub(crate) gate: watch::Receiver<Arc<Gate>>,
    pub(crate) phase: watch::Receiver<Phase>,
    /// Changes whenever a sign of life is wanted.
    pub(crate) pulse: watch::Receiver<u64>,
    pub(crate) pin: PinRule,
    pub(crate) handshake_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) upstreams: Upstreams,
    pub(crate) tally: Arc<Tally>,
    pub(crate) log: Option<LogSender>,
    /// Slow password hashes that are computed at a time.
    pub(crate) hashing: Semaphore,
    pub(crate) room: Room,
}

impl Worker {
    pub(crate) fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate.borrow())
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

/// How many client connections there are, and may be, over all threads.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    pub(crate) open: Arc<AtomicUsize>,
    pub(crate) limit: usize,
}

/// What a new connection finds.
pub(crate) enum Admission {
    /// A place.
    Served(Place),
    /// No place, but time to say so.
    Turned(Place),
    /// Not even that.
    Dropped,
}

/// Connections above the limit that are told so rather than dropped.
const TURNED_AWAY: usize = 256;

/// A counted connection.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Room {
    pub(crate) fn admit(&self) -> Admission {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&self.open));
        if before < self.limit {
            Admission::Served(place)
        } else if before < self.limit + TURNED_AWAY {
            Admission::Turned(place)
        } else {
            Admission::Dropped
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
