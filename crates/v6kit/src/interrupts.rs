//! What ends a command that would go on: SIGINT, SIGTERM, and SIGHUP where it has no other meaning.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Within this time of a first signal, others are the same wish: timeout(1) signals its child and then its group.
const SAME_WISH: Duration = Duration::from_secs(1);

/// The signals that end a command, also those that came before anybody waited for them. One that was ignored when this
/// process started stays ignored, as nohup(1) and shells without job control want it.
pub(crate) struct Interrupts {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
    /// When the last wish was told.
    told: Option<Instant>,
}

impl Interrupts {
    /// SIGINT, SIGTERM and SIGHUP: the terminal that closes ends what was started on it.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            hangup: unless_ignored(SignalKind::hangup())?,
            ..Self::listen_but_hangup()?
        })
    }

    /// SIGINT and SIGTERM, for a command to which SIGHUP says something else.
    pub(crate) fn listen_but_hangup() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: unless_ignored(SignalKind::interrupt())?,
            terminate: unless_ignored(SignalKind::terminate())?,
            hangup: None,
            told: None,
        })
    }

    /// Waits for the next wish to end. Signals within a second of the one before are no other wish.
    pub(crate) async fn next(&mut self) {
        loop {
            tokio::select! {
                () = received(&mut self.interrupt) => {}
                () = received(&mut self.terminate) => {}
                () = received(&mut self.hangup) => {}
            }
            let now = Instant::now();
            if self.told.is_none_or(|told| now.duration_since(told) >= SAME_WISH) {
                self.told = Some(now);
                return;
            }
        }
    }
}

async fn received(signal: &mut Option<Signal>) {
    let Some(signal) = signal else {
        return std::future::pending().await;
    };
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// From now on the signal does not end the process, but is waited for; `None` where it is ignored.
fn unless_ignored(kind: SignalKind) -> anyhow::Result<Option<Signal>> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if is_ignored(&status, kind.as_raw_value()) {
        return Ok(None);
    }
    listen_for(kind).map(Some)
}

/// Whether the mask `SigIgn` in `status`, which is /proc/PID/status (proc(5)), holds `signal`.
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let bit = u32::try_from(signal - 1)
        .ok()
        .and_then(|bit| 1_u64.checked_shl(bit));
    matches!((mask, bit), (Some(mask), Some(bit)) if mask & bit != 0)
}

/// From now on the signal does not end the process, but is waited for.
pub(crate) fn listen_for(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("cannot listen for signals")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_mask_of_the_kernel() {
        let status = "Name:\tv6kit\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\nSigCgt:\t4000\n";
        let of = |status: &str, kind: SignalKind| is_ignored(status, kind.as_raw_value());
        assert!(of(status, SignalKind::hangup()) && of(status, SignalKind::pipe()));
        assert!(!of(status, SignalKind::interrupt()) && !of(status, SignalKind::terminate()));
        assert!(!of("", SignalKind::hangup()) && !of("SigIgn:\tnone\n", SignalKind::hangup()));
    }
}
