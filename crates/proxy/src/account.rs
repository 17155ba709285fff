//! What one user may use, and has used.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::refusal::Refusal;

/// What each user may use. `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct UserLimits {
    /// Client connections at a time.
    pub connections: Option<u32>,
    /// Tunnels, requests and associations begun per second, with bursts of one second's worth.
    pub rate: Option<f64>,
    /// Bytes in both directions per period.
    pub bytes: Option<ByteBudget>,
}

/// An amount of bytes per period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteBudget {
    /// Bytes, both directions together.
    pub bytes: u64,
    /// The period, which begins with the process and repeats.
    pub per: Duration,
}

/// One user's use of the proxy, shared by all threads. Outlives a reload of the users.
#[derive(Debug)]
pub(crate) struct Account {
    name: Arc<str>,
    limits: UserLimits,
    since: Instant,
    connections: AtomicU32,
    /// When the next start is due at the permitted rate (GCRA's theoretical arrival time).
    next_start: Mutex<Instant>,
    period: AtomicU64,
    bytes: AtomicU64,
}

/// A client connection that counts for its user until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Account>);

impl Account {
    pub(crate) fn new(name: &str, limits: UserLimits) -> Self {
        let now = Instant::now();
        Self {
            name: name.into(),
            limits,
            since: now,
            connections: AtomicU32::new(0),
            next_start: Mutex::new(now),
            period: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Counts a client connection.
    pub(crate) fn sit_down(self: &Arc<Self>) -> Result<Seat, Refusal> {
        let limit = self.limits.connections.unwrap_or(u32::MAX);
        let seat = Seat(Arc::clone(self));
        if self.connections.fetch_add(1, Ordering::Relaxed) >= limit {
            return Err(Refusal::UserConnections { limit });
        }
        Ok(seat)
    }

    /// Permits the start of a tunnel or request, or says that there are too many, or too many bytes.
    pub(crate) fn start(&self) -> Result<(), Refusal> {
        self.within_bytes()?;
        let Some(rate) = self.limits.rate else {
            return Ok(());
        };
        let now = Instant::now();
        let mut next = self.next_start.lock().unwrap_or_else(PoisonError::into_inner);
        let due = (*next).max(now);
        if due > now + Duration::from_secs(1) {
            return Err(Refusal::UserRate { rate });
        }
        *next = due + Duration::from_secs_f64(1.0 / rate);
        Ok(())
    }

    /// Counts bytes that were relayed, and says when they were too many.
    pub(crate) fn count_bytes(&self, bytes: u64) -> Result<(), Refusal> {
        if self.limits.bytes.is_none() {
            return Ok(());
        }
        self.turn_period();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.within_bytes()
    }

    fn within_bytes(&self) -> Result<(), Refusal> {
        let Some(budget) = self.limits.bytes else {
            return Ok(());
        };
        self.turn_period();
        if self.bytes.load(Ordering::Relaxed) >= budget.bytes {
            return Err(Refusal::UserBytes { budget });
        }
        Ok(())
    }

    fn turn_period(&self) {
        let Some(budget) = self.limits.bytes else { return };
        let period = self.since.elapsed().as_millis() / budget.per.as_millis().max(1);
        let period = u64::try_from(period).unwrap_or(u64::MAX);
        if self.period.swap(period, Ordering::Relaxed) != period {
            self.bytes.store(0, Ordering::Relaxed);
        }
    }
}

impl Seat {
    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(limits: UserLimits) -> Arc<Account> {
        Arc::new(Account::new("alice", limits))
    }

    #[test]
    fn a_seat_is_free_again_after_its_connection() {
        let account = account(UserLimits {
            connections: Some(2),
            ..UserLimits::default()
        });
        let first = account.sit_down().unwrap();
        let second = account.sit_down().unwrap();
        assert!(account.sit_down().is_err());
        drop(first);
        let third = account.sit_down().unwrap();
        drop((second, third));
        assert_eq!(account.connections.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_burst_above_one_seconds_worth_is_refused() {
        let account = account(UserLimits {
            rate: Some(0.001),
            ..UserLimits::default()
        });
        assert!(account.start().is_ok());
        assert!(matches!(account.start(), Err(Refusal::UserRate { .. })));
    }

    #[test]
    fn bytes_above_the_budget_end_what_runs_and_refuse_what_starts() {
        let account = account(UserLimits {
            bytes: Some(ByteBudget {
                bytes: 1000,
                per: Duration::from_secs(86_400),
            }),
            ..UserLimits::default()
        });
        assert!(account.count_bytes(999).is_ok());
        assert!(account.start().is_ok());
        assert!(account.count_bytes(1).is_err());
        assert!(matches!(account.start(), Err(Refusal::UserBytes { .. })));
    }
}
