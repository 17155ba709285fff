//! Warnings about what lasts, repeated now and then rather than with every packet.

use std::time::Duration;

use tokio::time::Instant;

use crate::event::Event;

/// How often a warning about what lasts is repeated.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// One of each kind.
#[derive(Debug, Default)]
pub(crate) struct ThrottledWarnings {
    pub(crate) rate: ThrottledWarning,
    pub(crate) answered: ThrottledWarning,
    pub(crate) sockets: ThrottledWarning,
}

/// When it was last made.
#[derive(Debug, Default)]
pub(crate) struct ThrottledWarning {
    last: Option<Instant>,
}

impl ThrottledWarning {
    /// Reports `event` unless that was done a short while ago.
    pub(crate) fn emit(
        &mut self,
        now: Instant,
        report: &mut dyn FnMut(&Event),
        event: impl FnOnce() -> Event,
    ) {
        let due = self
            .last
            .is_none_or(|last| now.duration_since(last) >= WARNING_INTERVAL);
        if due {
            self.last = Some(now);
            report(&event());
        }
    }
}
