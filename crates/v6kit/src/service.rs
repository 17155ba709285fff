//! What a service manager is told, where one asks: sd_notify(3), sd_watchdog_enabled(3).

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often the status line is renewed where nothing watches.
const STATUS: Duration = Duration::from_secs(10);
/// Signs of life within the watchdog's time: one that is late does not end the service.
const SIGNS: u32 = 3;

/// Tells that the work has begun.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells that the end has begun, and what is waited for.
pub(crate) fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Tells the status and gives signs of life, for as long as it is polled.
pub(crate) async fn report(status: impl Fn() -> String) {
    let mut turns = turns();
    loop {
        turns.tick().await;
        tell(&[NotifyState::Status(&status()), NotifyState::Watchdog]);
    }
}

/// When the status and a sign of life are due.
pub(crate) fn turns() -> Interval {
    let watchdog = sd_notify::watchdog_enabled().filter(|time| !time.is_zero());
    let mut turns = interval(watchdog.map_or(STATUS, |time| STATUS.min(time / SIGNS)));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns
}

/// Tells `state` as it is, for what the others do not say.
pub(crate) fn tell(state: &[NotifyState<'_>]) {
    // Without a service manager there is nobody to tell.
    let _ = sd_notify::notify(state);
}
