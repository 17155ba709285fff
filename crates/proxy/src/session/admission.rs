//! How many client connections there may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Connections above the limit that are told so rather than dropped.
const TURNED_AWAY: usize = 256;

/// How many client connections there are, and may be, over all threads.
#[derive(Debug, Clone)]
pub(crate) struct Capacity {
    pub(crate) open: Arc<AtomicUsize>,
    pub(crate) limit: usize,
}

/// What becomes of a new connection.
pub(crate) enum Admission {
    /// It is served.
    Served(CountedConnection),
    /// It is told that the proxy is full.
    TurnedAway(CountedConnection),
    /// It is closed at once.
    Dropped,
}

/// A connection that counts until this is dropped.
#[derive(Debug)]
pub(crate) struct CountedConnection(Arc<AtomicUsize>);

impl Capacity {
    pub(crate) fn admit(&self) -> Admission {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let counted = CountedConnection(Arc::clone(&self.open));
        if before < self.limit {
            Admission::Served(counted)
        } else if before < self.limit + TURNED_AWAY {
            Admission::TurnedAway(counted)
        } else {
            Admission::Dropped
        }
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
