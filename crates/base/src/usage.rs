//! What this process has used of the machine.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// The processor time of all threads of this process so far, user and system together (getrusage(2)).
#[must_use]
pub fn cpu_time() -> Duration {
    // It fails for a wrong argument only.
    getrusage(UsageWho::RUSAGE_SELF).map_or(Duration::ZERO, |usage| {
        duration(usage.user_time()) + duration(usage.system_time())
    })
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let microseconds = u64::try_from(time.tv_usec()).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(microseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_costs_time_that_is_seen() {
        let before = cpu_time();
        let mut sum = 0u64;
        while cpu_time() == before {
            sum = sum.wrapping_add(std::hint::black_box(sum) + 1);
        }
        assert!(cpu_time() > before);
    }
}
