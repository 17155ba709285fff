//! Full frames between the slots and the disk.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use tokio::sync::Notify;
use v6kit_store::{Frame, MemoryBudget};

/// The frames of a shard that wait for the disk.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// With what each of them has of the memory.
    frames: RefCell<VecDeque<(Frame, usize)>>,
    closed: Cell<bool>,
    arrived: Notify,
    room: Notify,
    failed: Notify,
}

impl Backlog {
    /// Adds a frame, which has so many bytes of the memory.
    pub(crate) fn push(&self, frame: Frame, bytes: usize) {
        self.frames.borrow_mut().push_back((frame, bytes));
        self.arrived.notify_one();
    }

    /// No frame will follow.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.arrived.notify_one();
    }

    /// Nothing more can be written.
    pub(crate) fn fail(&self) {
        self.failed.notify_one();
    }

    /// Waits until nothing more can be written.
    pub(crate) async fn failed(&self) {
        self.failed.notified().await;
    }

    /// Waits while the disk is behind.
    pub(crate) async fn room(&self) {
        while self.frames.borrow().len() > MemoryBudget::WAITING {
            self.room.notified().await;
        }
    }

    /// The next frame with what it has of the memory, or `None` after the last.
    pub(crate) async fn next(&self) -> Option<(Frame, usize)> {
        loop {
            if let Some(frame) = self.frames.borrow_mut().pop_front() {
                self.room.notify_waiters();
                return Some(frame);
            }
            if self.closed.get() {
                return None;
            }
            self.arrived.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use v6kit_store::{OpenFrame, Storage};

    use super::*;

    fn frame() -> Frame {
        OpenFrame::new(&Storage::default(), 1, 1).take()
    }

    /// Whether slots may go on.
    async fn has_room(backlog: &Backlog) -> bool {
        tokio::select! {
            biased;
            () = backlog.room() => true,
            () = tokio::task::yield_now() => false,
        }
    }

    #[tokio::test]
    async fn slots_wait_while_the_disk_is_behind() {
        let backlog = Backlog::default();
        for _ in 0..MemoryBudget::WAITING {
            backlog.push(frame(), 0);
        }
        assert!(has_room(&backlog).await);
        backlog.push(frame(), 0);
        assert!(!has_room(&backlog).await);
        assert!(backlog.next().await.is_some());
        assert!(has_room(&backlog).await);
    }

    #[tokio::test]
    async fn what_waits_is_written_before_a_closed_backlog_ends() {
        let backlog = Backlog::default();
        backlog.push(frame(), 0);
        backlog.close();
        assert!(backlog.next().await.is_some());
        assert!(backlog.next().await.is_none());
    }

    #[tokio::test]
    async fn a_failure_that_came_before_anybody_waited_is_told() {
        let backlog = Backlog::default();
        backlog.fail();
        backlog.failed().await;
    }
}
