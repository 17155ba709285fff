//! What a service manager is told of the proxy.

use std::time::Duration;

use sd_notify::NotifyState;
use v6kit_proxy::Running;

use crate::service::tell;

/// For the way from the last connection's end to the exit.
const AFTER_GRACE: Duration = Duration::from_secs(10);

/// Tells how many connections there are, and that every thread still answers.
pub(super) fn tell_of_the_work(running: &Running) {
    let status = format!("serving {} connections", running.connections());
    tell(&[NotifyState::Status(&status)]);
    // A thread that hangs is a reason for a restart, and no sign of life.
    if running.pulse() {
        tell(&[NotifyState::Watchdog]);
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
