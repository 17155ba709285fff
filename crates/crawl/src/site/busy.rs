//! Slots that dial a site, and slots that wait for them.

use std::cell::Cell;

use tokio::sync::Notify;

/// A slot that dials.
pub(crate) struct Busy<'a> {
    count: &'a Cell<u64>,
    changed: &'a Notify,
}

impl<'a> Busy<'a> {
    pub(super) fn new(count: &'a Cell<u64>, changed: &'a Notify) -> Self {
        count.set(count.get() + 1);
        Self { count, changed }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.count.set(self.count.get() - 1);
        self.changed.notify_waiters();
    }
}

/// A slot that waits.
pub(super) struct Waiting<'a>(&'a Cell<u64>);

impl<'a> Waiting<'a> {
    pub(super) fn new(count: &'a Cell<u64>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
