//! How many sessions of a thread run.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

/// Counts the sessions of one thread.
#[derive(Debug, Default)]
pub(crate) struct Running {
    count: Cell<usize>,
    changed: Notify,
}

impl Running {
    /// Counts one more until the guard is dropped.
    pub(crate) fn begin(self: &Rc<Self>) -> SessionGuard {
        self.count.set(self.count.get() + 1);
        SessionGuard(Rc::clone(self))
    }

    /// Waits until none runs.
    pub(crate) async fn all_ended(&self) {
        while self.count.get() > 0 {
            self.changed.notified().await;
        }
    }
}

/// A session that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct SessionGuard(Rc<Running>);

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        if self.0.count.get() == 0 {
            self.0.changed.notify_one();
        }
    }
}
