//! The one place where the tests of the crawl sleep.

use std::time::Duration;

/// A server that takes its time: the delay is the fault that it simulates.
pub(super) fn stall(time: Duration) {
    std::thread::sleep(time);
}
