//! Memory for what is on its way from the network to the disk, over all slots of all shards.
//!
//! A body takes its memory before it is read, in the order in which the bodies began; where there is none, its
//! connection is not read from, and no further request is sent. The oldest body goes on in any case once no record
//! waits for the disk: so it can be larger than all there is, and bodies that are half read never wait for each other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

/// What every body may take uncounted, in bytes: as much as is read at once.
const UNCOUNTED: usize = 16 << 10;

/// The numbers of bodies that are being read are above that, and those of what unfolds below.
const READING: u64 = 1 << 63;

/// How often a thread that waits for memory looks whether it still has to.
const LOOK: Duration = Duration::from_millis(50);

/// Wakes a thread.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A budget that all shards share.
#[derive(Debug, Clone)]
pub(crate) struct Memory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    budget: usize,
    /// A body waits. Asked for each item, which costs a load.
    is_short: AtomicBool,
    state: Mutex<State>,
    /// Told when a body begins to wait, and when none waits any more.
    became_short: Notify,
    has_room: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes of bodies, and of records that wait for the disk.
    bodies: usize,
    records: usize,
    /// The number of the next body.
    next: u64,
    /// Bodies that have or want memory, by their numbers, and whom to wake where one waits.
    active: BTreeMap<u64, Option<Waker>>,
    waiting: usize,
}

impl State {
    /// The body that has waited longest.
    fn first(&self) -> Option<&Waker> {
        self.active.values().find_map(Option::as_ref)
    }

    fn may_take(&self, number: u64, more: usize, budget: usize) -> bool {
        let is_behind = self.active.range(..number).any(|(_, waits)| waits.is_some());
        if !is_behind && self.bodies + self.records + more <= budget {
            return true;
        }
        let is_oldest = self
            .active
            .first_key_value()
            .is_some_and(|(first, _)| *first == number);
        is_oldest && self.records == 0
    }

    fn set_waker(&mut self, number: u64, waker: Option<Waker>) {
        let waits = waker.is_some();
        let before = self.active.insert(number, waker).flatten().is_some();
        self.waiting = self.waiting + usize::from(waits) - usize::from(before);
    }
}

impl Memory {
    /// `budget` bytes.
    pub(crate) fn new(budget: usize) -> Self {
        Self(Arc::new(Shared {
            budget,
            is_short: AtomicBool::new(false),
            state: Mutex::default(),
            became_short: Notify::new(),
            has_room: Notify::new(),
        }))
    }

    /// The memory of one body, none of it yet.
    pub(crate) fn grant(&self) -> Grant {
        self.grant_from(READING)
    }

    /// The memory of what a body unfolds to that has been read, which has its own until then: it goes before all that
    /// are being read.
    pub(crate) fn unfolding(&self) -> Grant {
        self.grant_from(0)
    }

    fn grant_from(&self, first: u64) -> Grant {
        Grant {
            memory: self.clone(),
            first,
            number: None,
            bytes: 0,
        }
    }

    /// Whether a body waits for memory.
    pub(crate) fn is_short(&self) -> bool {
        self.0.is_short.load(Ordering::Relaxed)
    }

    /// Waits until a body has to wait.
    pub(crate) async fn became_short(&self) {
        self.0.became_short.notified().await;
    }

    /// Waits until no body waits.
    pub(crate) async fn room(&self) {
        while self.is_short() {
            let mut room = std::pin::pin!(self.0.has_room.notified());
            // From here on it is told.
            room.as_mut().enable();
            if self.is_short() {
                room.await;
            }
        }
    }

    /// Counts bytes of records that wait for the disk. They do not wait for memory: their bodies had it.
    pub(crate) fn add_records(&self, bytes: usize) {
        self.state().records += bytes;
    }

    /// Records went to the disk.
    pub(crate) fn remove_records(&self, bytes: usize) {
        let mut state = self.state();
        state.records = state.records.saturating_sub(bytes);
        self.tell(&state);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets whoever has waited longest look again, and tells whether somebody waits.
    fn tell(&self, state: &State) {
        if let Some(waker) = state.first() {
            waker.wake_by_ref();
        }
        let is_short = state.waiting > 0;
        if self.0.is_short.swap(is_short, Ordering::Relaxed) != is_short {
            if is_short {
                self.0.became_short.notify_waiters();
            } else {
                self.0.has_room.notify_waiters();
            }
        }
    }
}

/// The memory that a body has.
#[derive(Debug)]
pub(crate) struct Grant {
    memory: Memory,
    /// Its number is above that.
    first: u64,
    number: Option<u64>,
    bytes: usize,
}

impl Grant {
    /// Takes memory for `bytes` altogether. Costs nothing where it has that already, or where that is little.
    pub(crate) fn poll_grow(&mut self, cx: &mut Context<'_>, bytes: usize) -> Poll<()> {
        if bytes <= self.bytes.max(UNCOUNTED) {
            return Poll::Ready(());
        }
        let more = bytes - self.bytes;
        let mut state = self.memory.state();
        let number = *self.number.get_or_insert_with(|| {
            state.next += 1;
            self.first + state.next
        });
        state.set_waker(number, None);
        let granted = state.may_take(number, more, self.memory.0.budget);
        if granted {
            state.bodies += more;
            self.bytes = bytes;
        } else {
            state.set_waker(number, Some(cx.waker().clone()));
        }
        if granted || !self.memory.is_short() {
            // There may be room for the next one, too.
            self.memory.tell(&state);
        }
        if granted { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The same, waiting on this thread, or not waiting any more when `is_over`.
    pub(crate) fn grow(&mut self, bytes: usize, is_over: impl Fn() -> bool) {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut cx = Context::from_waker(&waker);
        while self.poll_grow(&mut cx, bytes).is_pending() && !is_over() {
            std::thread::park_timeout(LOOK);
        }
    }

    /// `body`, which has the memory from now on.
    pub(crate) fn hold(self, body: Bytes) -> Bytes {
        if self.bytes == 0 {
            return body;
        }
        Bytes::from_owner(Held { body, _grant: self })
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.memory.state();
        state.set_waker(number, None);
        state.active.remove(&number);
        state.bodies -= self.bytes;
        self.memory.tell(&state);
    }
}

/// A body with its memory.
struct Held {
    body: Bytes,
    _grant: Grant,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: usize = 10 << 20;
    const MIB: usize = 1 << 20;

    fn has_room(grant: &mut Grant, bytes: usize) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        grant.poll_grow(&mut cx, bytes).is_ready()
    }

    #[test]
    fn bodies_wait_where_there_is_no_room_and_go_on_when_there_is() {
        let memory = Memory::new(BUDGET);
        let mut bodies: Vec<Grant> = (0..4).map(|_| memory.grant()).collect();
        assert!(has_room(&mut bodies[0], 5 * MIB) && has_room(&mut bodies[1], 5 * MIB));
        assert!(!memory.is_short());
        assert!(!has_room(&mut bodies[2], 5 * MIB) && memory.is_short());
        assert!(!has_room(&mut bodies[3], MIB), "none overtakes");
        let body = bodies.remove(0).hold(Bytes::from_static(b"whole"));
        assert!(!has_room(&mut bodies[1], 5 * MIB), "it is still there");
        drop(body);
        assert!(has_room(&mut bodies[1], 5 * MIB));
        assert!(!has_room(&mut bodies[2], MIB));
        drop(bodies.remove(0));
        assert!(has_room(&mut bodies[1], MIB) && !memory.is_short());
    }

    #[test]
    fn a_small_body_needs_nothing() {
        let memory = Memory::new(1);
        let mut large = memory.grant();
        assert!(has_room(&mut large, MIB));
        assert!(has_room(&mut memory.grant(), UNCOUNTED));
        assert!(!has_room(&mut memory.grant(), UNCOUNTED + 1));
    }

    #[test]
    fn a_body_larger_than_the_budget_goes_alone_and_bodies_that_are_half_read_come_to_their_end() {
        let memory = Memory::new(BUDGET);
        let mut bodies: Vec<Grant> = (0..20).map(|_| memory.grant()).collect();
        // All are read a bit, none can be read to its end within the budget.
        for body in &mut bodies {
            has_room(body, MIB / 2);
        }
        while !bodies.is_empty() {
            let able: Vec<bool> = bodies.iter_mut().map(|body| has_room(body, 2 * BUDGET)).collect();
            assert!(able[0], "the oldest of {} has no room", bodies.len());
            assert!(able[1..].iter().all(|able| !able), "one at a time: {able:?}");
            bodies.remove(0);
        }
        assert!(!memory.is_short());
        let state = memory.state();
        assert_eq!((state.bodies, state.active.len()), (0, 0));
    }

    #[test]
    fn records_that_wait_for_the_disk_are_waited_for() {
        let memory = Memory::new(BUDGET);
        memory.add_records(BUDGET - MIB);
        let mut body = memory.grant();
        assert!(has_room(&mut body, MIB) && !has_room(&mut body, 2 * MIB));
        memory.remove_records(BUDGET - 2 * MIB);
        assert!(!has_room(&mut body, 2 * BUDGET));
        memory.remove_records(MIB);
        assert!(has_room(&mut body, 2 * BUDGET));
    }

    #[test]
    fn what_unfolds_goes_before_what_is_being_read() {
        let memory = Memory::new(BUDGET);
        let (mut reading, mut coded) = (memory.grant(), memory.grant());
        assert!(has_room(&mut reading, 6 * MIB) && has_room(&mut coded, 4 * MIB));
        let _coded = coded.hold(Bytes::from_static(b"coded"));
        let (mut first, mut second) = (memory.unfolding(), memory.unfolding());
        assert!(has_room(&mut first, 20 * MIB), "the oldest in any case");
        assert!(!has_room(&mut second, MIB) && !has_room(&mut reading, 7 * MIB));
        let unfolded = first.hold(Bytes::from_static(b"unfolded"));
        assert!(!has_room(&mut second, MIB), "one at a time");
        drop(unfolded);
        assert!(has_room(&mut second, MIB));
    }

    #[test]
    fn a_body_that_is_given_up_leaves_nothing_behind() {
        let memory = Memory::new(BUDGET);
        let mut first = memory.grant();
        let mut second = memory.grant();
        assert!(has_room(&mut first, BUDGET) && !has_room(&mut second, BUDGET));
        drop(second);
        assert!(!memory.is_short());
        drop(first);
        assert_eq!(memory.state().bodies, 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_bodies_of_many_threads_all_come_to_their_end_within_the_budget() {
        let memory = Memory::new(BUDGET);
        let tasks: Vec<_> = (0..200usize)
            .map(|body| {
                let memory = memory.clone();
                tokio::spawn(async move {
                    memory.room().await;
                    let mut grant = memory.grant();
                    for part in 1..=8 {
                        let bytes = part * (100 << 10) * (body % 7);
                        std::future::poll_fn(|cx| grant.poll_grow(cx, bytes)).await;
                        tokio::task::yield_now().await;
                        let state = memory.state();
                        // The oldest may be above it by itself.
                        assert!(state.bodies <= BUDGET + 8 * (700 << 10), "{}", state.bodies);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(!memory.is_short());
        assert_eq!(memory.state().bodies, 0);
    }
}
