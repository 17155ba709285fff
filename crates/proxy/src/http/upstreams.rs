//! Connections to origin servers that are kept for the next request of the same session.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;
use v6kit_net::{DeferredClose, Lease};

use super::body::{Content, Wire, Work};
use crate::data::target::Target;

/// Most servers close an idle connection after 60 s or more.
const KEEP: Duration = Duration::from_secs(55);
/// Sessions and destinations of which a thread keeps connections.
const MAX_KEYS: usize = 1024;
/// Connections kept per session and destination.
const MAX_PER_KEY: usize = 128;

/// Who may use a kept connection again: the same user, from the same source, to the same destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) user: Arc<str>,
    pub(super) source: Option<Ipv6Addr>,
    pub(super) target: Target,
}

/// A connection to an origin server.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) sender: SendRequest<Content>,
    pub(super) work: Work,
    pub(super) to: Option<SocketAddrV6>,
    pub(super) from: Option<IpAddr>,
    /// The source address keeps its place for as long as the connection is open.
    pub(super) _lease: Option<Rc<Lease>>,
}

/// The connections of one thread that are kept, and those that have served.
#[derive(Debug)]
pub(crate) struct Upstreams {
    kept: RefCell<HashMap<Key, Vec<Kept>>>,
    /// How many may be kept, so that descriptors are left for clients.
    limit: usize,
    count: Cell<usize>,
    deferred: DeferredClose<Wire>,
}

#[derive(Debug)]
struct Kept {
    origin: Origin,
    since: Instant,
}

impl Upstreams {
    /// Keeps `limit` connections at most.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            kept: RefCell::default(),
            limit,
            count: Cell::default(),
            deferred: DeferredClose::default(),
        }
    }

    /// A connection that is free.
    pub(super) fn take(&self, key: &Key) -> Option<Origin> {
        let mut kept = self.kept.borrow_mut();
        let same = kept.get_mut(key)?;
        let before = same.len();
        same.retain(|kept| !kept.origin.sender.is_closed());
        self.forget(before - same.len());
        let free = same.iter().rposition(|kept| kept.origin.sender.is_ready())?;
        self.forget(1);
        Some(same.swap_remove(free).origin)
    }

    fn forget(&self, closed: usize) {
        self.count.set(self.count.get() - closed);
    }

    /// Keeps a connection, which may still be busy with the body of its last response.
    pub(super) fn keep(&self, key: Key, origin: Origin) {
        let mut kept = self.kept.borrow_mut();
        let is_full = self.count.get() >= self.limit;
        if is_full || kept.len() >= MAX_KEYS && !kept.contains_key(&key) {
            return;
        }
        let same = kept.entry(key).or_default();
        if same.len() < MAX_PER_KEY {
            same.push(Kept {
                origin,
                since: Instant::now(),
            });
            self.count.set(self.count.get() + 1);
        }
    }

    /// Where connections that have served are closed.
    pub(super) fn deferred(&self) -> &DeferredClose<Wire> {
        &self.deferred
    }

    /// Closes what was idle for too long.
    pub(crate) fn sweep(&self) {
        self.kept.borrow_mut().retain(|_, same| {
            let before = same.len();
            same.retain(|kept| {
                let idle = kept.origin.sender.is_ready() && kept.since.elapsed() > KEEP;
                !idle && !kept.origin.sender.is_closed()
            });
            self.forget(before - same.len());
            !same.is_empty()
        });
    }

    /// Closes everything that is idle.
    pub(crate) fn clear(&self) {
        self.kept.borrow_mut().clear();
        self.count.set(0);
    }
}
