//! Complaints that last, repeated now and then rather than with every packet.

use std::time::Duration;

use tokio::time::Instant;

use crate::event::Event;

/// How often a lasting complaint is repeated.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// One of each kind.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    pub(crate) rate: Complaint,
    pub(crate) live: Complaint,
    pub(crate) sockets: Complaint,
}

/// When it was last made.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    last: Option<Instant>,
}

impl Complaint {
    /// Reports `event` unless that was done a short while ago.
    pub(crate) fn file(
        &mut self,
        now: Instant,
        report: &mut dyn FnMut(&Event),
        event: impl FnOnce() -> Event,
    ) {
        let due = self
            .last
            .is_none_or(|last| now.duration_since(last) >= COMPLAINT_INTERVAL);
        if due {
            self.last = Some(now);
            report(&event());
        }
    }
}
