//! Counters that one thread keeps and others sample.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number with one writer and any number of readers: no locked instruction on either side.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `more`.
    pub fn add(&self, more: u64) {
        self.set(self.get() + more);
    }

    /// Takes `less` away, which must not be more than there is.
    pub fn subtract(&self, less: u64) {
        self.set(self.get() - less);
    }

    /// Sets the number.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number as the writer left it last, or a little earlier.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
