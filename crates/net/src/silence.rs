//! Who has not answered since somebody last did: one destination that is silent is told from a network that is.

use std::collections::HashSet;
use std::fmt;
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Silent destinations that are told apart, at most.
const COUNTED: usize = 1024;

/// Answers closer together than this are one, in microseconds: most of them then cost a load.
const GRAIN: u64 = 10_000;

/// Keeps when somebody was heard of last, and who has been silent since. Shared by threads; the lock is taken for what
/// came to nothing.
#[derive(Debug)]
pub struct Silence {
    start: Instant,
    /// When somebody was heard of last, in microseconds after `start`; 0 for never.
    heard: AtomicU64,
    silent: Mutex<Silent>,
}

#[derive(Debug, Default)]
struct Silent {
    /// The value of `heard` that this began with.
    begun: u64,
    destinations: HashSet<Ipv6Addr>,
}

/// How far a silence goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Destinations, told apart by their addresses, that were tried and have not answered; at most 1024 are counted.
    pub destinations: usize,
    /// When somebody was heard of last, or since when it is looked.
    pub since: SystemTime,
}

impl Extent {
    /// [`Self::since`] as in `2026-11-28 13:40:05 UTC`.
    #[must_use]
    pub fn since_text(&self) -> String {
        match jiff::Timestamp::try_from(self.since) {
            Ok(since) => since.strftime("%F %T UTC").to_string(),
            Err(_out_of_range) => "the beginning".to_owned(),
        }
    }

    /// Whether so many were counted that there may be more.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.destinations >= COUNTED
    }
}

/// As in `any of 12 destinations`, or `the only destination that was tried`.
impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.destinations {
            0 | 1 => f.write_str("the only destination that was tried"),
            many if self.is_cut() => write!(f, "any of at least {many} destinations"),
            many => write!(f, "any of {many} destinations"),
        }
    }
}

impl Default for Silence {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            heard: AtomicU64::new(0),
            silent: Mutex::default(),
        }
    }
}

impl Silence {
    /// Somebody was heard of at `at`.
    pub fn heard(&self, at: Instant) {
        let (at, before) = (self.micros(at), self.heard.load(Ordering::Relaxed));
        if before == 0 || at > before.saturating_add(GRAIN) {
            self.heard.fetch_max(at, Ordering::Relaxed);
        }
    }

    /// Whether anybody was ever heard of.
    #[must_use]
    pub fn has_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed) > 0
    }

    /// Whether somebody was heard of since `moment`, as far as hundredths of a second tell.
    #[must_use]
    pub fn has_heard_since(&self, moment: Instant) -> bool {
        self.has_heard() && self.heard.load(Ordering::Relaxed) >= self.micros(moment)
    }

    /// Nothing came back from `destination`.
    pub fn note(&self, destination: Ipv6Addr) -> Extent {
        self.look(|silent| {
            if silent.len() < COUNTED {
                silent.insert(destination);
            }
        })
    }

    /// How far the silence goes.
    #[must_use]
    pub fn extent(&self) -> Extent {
        self.look(|_| ())
    }

    fn look(&self, change: impl FnOnce(&mut HashSet<Ipv6Addr>)) -> Extent {
        let heard = self.heard.load(Ordering::Relaxed);
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if silent.begun < heard {
            silent.begun = heard;
            silent.destinations.clear();
        }
        change(&mut silent.destinations);
        let ago = (self.start + Duration::from_micros(heard)).elapsed();
        Extent {
            destinations: silent.destinations.len(),
            since: SystemTime::now()
                .checked_sub(ago)
                .unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }

    /// 1 at least.
    fn micros(&self, at: Instant) -> u64 {
        let micros = at.saturating_duration_since(self.start).as_micros();
        u64::try_from(micros).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_not_answered_is_counted_until_somebody_does() {
        let silence = Silence::default();
        let began = Instant::now();
        assert!(!silence.has_heard() && !silence.has_heard_since(began));
        for host in [1, 2, 2, 1] {
            silence.note(Ipv6Addr::from(host));
        }
        assert_eq!(silence.extent().destinations, 2);
        assert_eq!(silence.extent().to_string(), "any of 2 destinations");
        let answered = began + Duration::from_secs(1);
        silence.heard(answered);
        assert!(silence.has_heard_since(began));
        assert!(!silence.has_heard_since(answered + Duration::from_secs(1)));
        let extent = silence.note(Ipv6Addr::LOCALHOST);
        assert_eq!(extent.destinations, 1);
        assert_eq!(extent.to_string(), "the only destination that was tried");
    }

    #[test]
    fn the_moment_of_a_silence_is_told_in_utc() {
        let at = |seconds| Extent {
            destinations: 1,
            since: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        };
        assert_eq!(at(1_795_873_205).since_text(), "2026-11-28 13:40:05 UTC");
        assert_eq!(at(u64::from(u32::MAX) << 20).since_text(), "the beginning");
    }

    #[test]
    fn however_many_are_silent_so_many_are_kept() {
        let silence = Silence::default();
        for host in 0..3 * COUNTED as u128 {
            silence.note(Ipv6Addr::from(host));
        }
        let extent = silence.extent();
        assert_eq!(extent.destinations, COUNTED);
        assert_eq!(extent.to_string(), "any of at least 1024 destinations");
    }
}
