//! What one user may use, and has used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use v6kit_net::RateLimit;

use crate::data::limits::UserLimits;
use crate::data::refusal::Refusal;

/// What may be begun at once, as time at the permitted rate.
const BURST: Duration = Duration::from_secs(1);

/// One user's use of the proxy, shared by all threads. Outlives a reload of the users.
#[derive(Debug)]
pub(crate) struct Account {
    name: Arc<str>,
    limits: UserLimits,
    since: Instant,
    connections: AtomicU32,
    /// Of what is begun.
    rate: Option<RateLimit>,
    period: AtomicU64,
    bytes: AtomicU64,
}

/// A client connection that counts for its user until it is dropped.
#[derive(Debug)]
pub(crate) struct UserConnection(Arc<Account>);

impl Account {
    pub(crate) fn new(name: &str, limits: UserLimits) -> Self {
        let now = Instant::now();
        Self {
            name: name.into(),
            limits,
            since: now,
            connections: AtomicU32::new(0),
            rate: limits.rate.map(|rate| RateLimit::new(rate, BURST, now)),
            period: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Counts a client connection.
    pub(crate) fn count_connection(self: &Arc<Self>) -> Result<UserConnection, Refusal> {
        let limit = self.limits.connections.unwrap_or(u32::MAX);
        let counted = UserConnection(Arc::clone(self));
        if self.connections.fetch_add(1, Ordering::Relaxed) >= limit {
            return Err(Refusal::UserConnections { limit });
        }
        Ok(counted)
    }

    /// Permits the start of a tunnel or request, or says that there are too many, or too many bytes.
    pub(crate) fn start(&self) -> Result<(), Refusal> {
        self.within_bytes()?;
        let (Some(per_second), Some(rate)) = (self.limits.rate, &self.rate) else {
            return Ok(());
        };
        match rate.admit(Instant::now()) {
            Ok(()) => Ok(()),
            Err(_wait) => Err(Refusal::UserRate { rate: per_second }),
        }
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

impl UserConnection {
    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.0
    }
}

impl Drop for UserConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::limits::ByteBudget;

    fn account(limits: UserLimits) -> Arc<Account> {
        Arc::new(Account::new("alice", limits))
    }

    #[test]
    fn a_connection_counts_until_it_is_closed() {
        let account = account(UserLimits {
            connections: Some(2),
            ..UserLimits::default()
        });
        let first = account.count_connection().unwrap();
        let second = account.count_connection().unwrap();
        assert!(account.count_connection().is_err());
        drop(first);
        let third = account.count_connection().unwrap();
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
