//! Connections of a shard that serve nobody at present: few, young, and open at the other end too.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use v6kit_model::Counter;

use crate::connect::connection::{Connection, Http2};

/// An idle connection is closed at this age, as browsers and libraries do: most servers have closed it by then.
const OLDEST: Duration = Duration::from_secs(90);

/// Idle connections of a shard for each of its slots, and the least that is allowed, as far as descriptors reach.
const PER_SLOT: usize = 4;
const ALWAYS: usize = 256;

/// How many a shard may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Connections of the shard, used or not: its share of the descriptors.
    pub(crate) open: usize,
    /// Those that serve nobody.
    idle: usize,
}

impl Room {
    /// For a shard with `open` descriptors for connections and so many slots.
    pub(crate) fn new(open: usize, slots: usize) -> Self {
        Self {
            open,
            idle: slots.saturating_mul(PER_SLOT).max(ALWAYS).min(open),
        }
    }
}

/// What is asked of a connection that serves one request at a time.
pub(crate) trait Exclusive {
    /// When bytes came last.
    fn last_read(&self) -> Instant;
    /// Whether neither end has closed it, and nothing came that nobody asked for.
    fn is_still_open(&mut self) -> bool;
    /// Whether something came that nobody asked for.
    fn has_surplus(&self) -> bool;
}

impl Exclusive for Connection {
    fn last_read(&self) -> Instant {
        Self::last_read(self)
    }

    fn is_still_open(&mut self) -> bool {
        Self::is_still_open(self)
    }

    fn has_surplus(&self) -> bool {
        Self::has_surplus(self)
    }
}

/// What is asked of a connection that serves several requests at a time.
pub(crate) trait Multiplexed {
    /// When it served last.
    fn last_used(&self) -> Instant;
    /// Whether it serves nobody.
    fn is_idle(&self) -> bool;
    /// Whether it may serve on.
    fn is_open(&self) -> bool;
}

impl Multiplexed for Http2 {
    fn last_used(&self) -> Instant {
        Self::last_used(self)
    }

    fn is_idle(&self) -> bool {
        Self::is_idle(self)
    }

    fn is_open(&self) -> bool {
        Self::is_open(self)
    }
}

/// The connections to one site that may serve again.
pub(crate) struct Kept<C = Connection, S = Http2> {
    /// The one used last at the back, each with its place in the order of the shard.
    idle: RefCell<VecDeque<(u64, C)>>,
    /// Those whose streams slots share, whether they are in use or not.
    shared: RefCell<Vec<Rc<S>>>,
}

impl<C, S> Default for Kept<C, S> {
    fn default() -> Self {
        Self {
            idle: RefCell::default(),
            shared: RefCell::default(),
        }
    }
}

impl<C, S> Kept<C, S> {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty() && self.shared.borrow().is_empty()
    }
}

/// A place in the order of a shard, and where the connection is kept that has it.
type PlaceOf<C, S> = (u64, Rc<Kept<C, S>>);

/// A connection whose streams slots share, behind the site that it is to.
type SharedOf<C, S> = (Rc<Kept<C, S>>, Rc<S>);

/// The connections of a shard that may serve again.
pub(crate) struct IdleConnections<C = Connection, S = Http2> {
    room: Room,
    /// Connections of the shard that are open.
    open: Arc<Counter>,
    dialling: Cell<usize>,
    next: Cell<u64>,
    /// The one that was used least recently first: places only grow.
    order: RefCell<VecDeque<PlaceOf<C, S>>>,
    shared: RefCell<Vec<SharedOf<C, S>>>,
}

impl<C: Exclusive, S: Multiplexed> IdleConnections<C, S> {
    pub(crate) fn new(room: Room, open: Arc<Counter>) -> Self {
        Self {
            room,
            open,
            dialling: Cell::new(0),
            next: Cell::new(0),
            order: RefCell::default(),
            shared: RefCell::default(),
        }
    }

    /// Keeps a connection of `site` for another request. Those that were used least recently make room.
    pub(crate) fn put(&self, site: &Rc<Kept<C, S>>, connection: C) {
        let place = self.next.get();
        self.next.set(place + 1);
        site.idle.borrow_mut().push_back((place, connection));
        self.order.borrow_mut().push_back((place, Rc::clone(site)));
        if self.order.borrow().len() > self.room.idle {
            self.close_oldest();
        }
    }

    /// Takes a place out of the order: nearly always the last one.
    fn forget(&self, place: u64) {
        let mut order = self.order.borrow_mut();
        if order.pop_back_if(|(last, _)| *last == place).is_none()
            && let Ok(at) = order.binary_search_by_key(&place, |(place, _)| *place)
        {
            order.remove(at);
        }
    }

    /// The connection to `site` that was used last.
    pub(crate) fn take(&self, site: &Kept<C, S>) -> Option<C> {
        let (place, connection) = site.idle.borrow_mut().pop_back()?;
        self.forget(place);
        Some(connection)
    }

    /// The connection to `site` that was used last of those that `suit`.
    pub(crate) fn take_where(&self, site: &Kept<C, S>, suits: impl Fn(&C) -> bool) -> Option<C> {
        let mut idle = site.idle.borrow_mut();
        let at = idle.iter().rposition(|(_, connection)| suits(connection))?;
        let (place, connection) = idle.remove(at)?;
        self.forget(place);
        Some(connection)
    }

    /// Keeps a connection whose streams slots share.
    pub(crate) fn share(&self, site: &Rc<Kept<C, S>>, connection: &Rc<S>) {
        site.shared.borrow_mut().push(Rc::clone(connection));
        self.shared
            .borrow_mut()
            .push((Rc::clone(site), Rc::clone(connection)));
    }

    /// The first connection to `site` whose streams are shared and that `has_room`; those that are not `of_use` go.
    pub(crate) fn shared(
        &self,
        site: &Kept<C, S>,
        of_use: impl Fn(&S) -> bool,
        has_room: impl Fn(&S) -> bool,
    ) -> Option<Rc<S>> {
        let mut shared = site.shared.borrow_mut();
        if shared.is_empty() {
            return None;
        }
        let before = shared.len();
        shared.retain(|connection| of_use(connection));
        if shared.len() < before {
            self.shared
                .borrow_mut()
                .retain(|(at, connection)| !std::ptr::eq(&raw const **at, site) || of_use(connection));
        }
        shared
            .iter()
            .find(|connection| has_room(connection))
            .map(Rc::clone)
    }

    /// Makes room for a connection, which counts as being made for as long as the result lives.
    pub(crate) fn dial(&self) -> Dialling<'_> {
        self.dialling.set(self.dialling.get() + 1);
        loop {
            let open = usize::try_from(self.open.get()).unwrap_or(usize::MAX);
            if open.saturating_add(self.dialling.get()) <= self.room.open || !self.close_oldest() {
                return Dialling(&self.dialling);
            }
        }
    }

    /// Closes the connection that was used least recently; those that serve one request at a time first, which are
    /// cheaper to make again.
    pub(crate) fn close_oldest(&self) -> bool {
        let oldest = self.order.borrow_mut().pop_front();
        if let Some((place, site)) = oldest {
            let mut idle = site.idle.borrow_mut();
            if let Ok(at) = idle.binary_search_by_key(&place, |(place, _)| *place) {
                idle.remove(at);
            }
            return true;
        }
        let mut shared = self.shared.borrow_mut();
        let oldest = shared
            .iter()
            .enumerate()
            .filter(|(_, (_, connection))| connection.is_idle())
            .min_by_key(|(_, (_, connection))| connection.last_used())
            .map(|(at, _)| at);
        let Some(at) = oldest else {
            return false;
        };
        let (site, closed) = shared.swap_remove(at);
        site.shared
            .borrow_mut()
            .retain(|connection| !Rc::ptr_eq(connection, &closed));
        true
    }

    /// Closes what is too old at `now` or was ended by its server, and gives `doubtful` those on which the server
    /// said what nobody asked for.
    pub(crate) fn sweep(&self, now: Instant, mut doubtful: impl FnMut(C)) {
        let places: Vec<PlaceOf<C, S>> = self
            .order
            .borrow()
            .iter()
            .map(|(place, site)| (*place, Rc::clone(site)))
            .collect();
        for (place, site) in places {
            let mut idle = site.idle.borrow_mut();
            let Ok(at) = idle.binary_search_by_key(&place, |(place, _)| *place) else {
                continue;
            };
            let connection = &mut idle[at].1;
            let is_old = now.saturating_duration_since(connection.last_read()) >= OLDEST;
            if connection.is_still_open() && !is_old {
                continue;
            }
            let closed = idle.remove(at);
            self.forget(place);
            if let Some((_, connection)) = closed.filter(|(_, connection)| connection.has_surplus()) {
                drop(idle);
                doubtful(connection);
            }
        }
        self.shared.borrow_mut().retain(|(site, connection)| {
            let is_old = now.saturating_duration_since(connection.last_used()) >= OLDEST;
            let stays = !connection.is_idle() || (connection.is_open() && !is_old);
            if !stays {
                site.shared
                    .borrow_mut()
                    .retain(|other| !Rc::ptr_eq(other, connection));
            }
            stays
        });
    }
}

/// A connection that is being made.
pub(crate) struct Dialling<'a>(&'a Cell<usize>);

impl Drop for Dialling<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests;
