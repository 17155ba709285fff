//! What systemd is told while the proxy runs (sd_notify(3), sd_watchdog_enabled(3)).

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};
use v6kit_proxy::Running;

/// How often the status line is renewed where there is no watchdog.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);
/// Signs of life within the watchdog's time: one that is late does not end the service.
const SIGNS: u32 = 3;
/// For the way from the last connection's end to the exit.
const AFTER_GRACE: Duration = Duration::from_secs(10);

/// Tells systemd at intervals how many connections there are, and that every thread still answers.
pub(super) struct Supervisor {
    turns: Interval,
    watchdog: bool,
}

impl Supervisor {
    pub(super) fn new() -> Self {
        let watchdog = sd_notify::watchdog_enabled().filter(|time| !time.is_zero());
        let mut turns = interval(watchdog.map_or(STATUS_INTERVAL, |time| time / SIGNS));
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            turns,
            watchdog: watchdog.is_some(),
        }
    }

    /// Waits for the next turn.
    pub(super) async fn turn(&mut self) {
        self.turns.tick().await;
    }

    pub(super) fn report(&self, running: &Running) {
        let status = format!("serving {} connections", running.connections());
        tell(&[NotifyState::Status(&status)]);
        // A thread that hangs is a reason for a restart, and no sign of life.
        if running.pulse() && self.watchdog {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// Tells that the service is stopping, and how long it may take.
pub(super) fn tell_of_the_end(running: &Running, grace: Duration) {
    let status = format!("draining {} connections", running.connections());
    let time = u32::try_from((grace + AFTER_GRACE).as_micros()).unwrap_or(u32::MAX);
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status(&status),
        NotifyState::ExtendTimeoutUsec(time),
    ]);
}

pub(super) fn tell(state: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(state);
}
