//! How fast connections are begun, to all destinations together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use v6kit_net::RateLimit;

use crate::site::drain::Drain;
use crate::site::rate::Rate;

/// How far a connection that is late may be made up for: a burst of so much.
const SLACK: Duration = Duration::from_millis(20);

/// The budget of new connections as all shards share it.
pub(crate) fn connect_limit(rate: Rate) -> Arc<RateLimit> {
    Arc::new(RateLimit::even(rate.per_second(), SLACK, Instant::now()))
}

/// The budget of new connections as one shard sees it.
#[derive(Debug)]
pub(crate) struct Connects {
    limit: Arc<RateLimit>,
    /// One at a time waits for a moment of its own, so that the others can take a connection that is free by then.
    queue: Semaphore,
    drain: Drain,
}

/// The turn to begin the next connection, whose moment has yet to come.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    connects: &'a Connects,
    _permit: Option<SemaphorePermit<'a>>,
}

impl Connects {
    pub(crate) fn new(limit: Arc<RateLimit>, drain: Drain) -> Self {
        Self {
            limit,
            queue: Semaphore::new(1),
            drain,
        }
    }

    /// Whether nobody ever waits.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.limit.is_unlimited()
    }

    /// Waits behind those of the shard that asked before.
    pub(crate) async fn queue(&self) -> Turn<'_> {
        Turn {
            connects: self,
            // It is never closed.
            _permit: self.queue.acquire().await.ok(),
        }
    }

    /// Waits until another connection may be begun. How long that took; `None` where the crawl is being stopped.
    pub(crate) async fn wait(&self) -> Option<Duration> {
        if self.is_unlimited() {
            return Some(Duration::ZERO);
        }
        let began = Instant::now();
        let turn = self.drain.run_until_cancelled(self.queue()).await?;
        turn.wait().await?;
        Some(began.elapsed())
    }
}

impl Turn<'_> {
    /// Waits for its moment; `None` where the crawl is being stopped.
    pub(crate) async fn wait(self) -> Option<()> {
        let due = self.connects.limit.reserve(Instant::now());
        self.connects
            .drain
            .run_until_cancelled(tokio::time::sleep_until(due.into()))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_of_all_shards_are_begun_at_one_rate_and_stopping_waits_for_none() {
        let limit = connect_limit(Rate::PerSecond(200.0));
        let drain = Drain::default();
        let shards = [0, 1].map(|_| Connects::new(Arc::clone(&limit), drain.clone()));
        let began = Instant::now();
        let mut begun = 0;
        for _ in 0..20 {
            let (first, second) = tokio::join!(shards[0].wait(), shards[1].wait());
            begun += u32::from(first.is_some()) + u32::from(second.is_some());
            let most = 200.0 * (began.elapsed() + SLACK).as_secs_f64() + 1.0;
            assert!(f64::from(begun) <= most, "{begun} of {most}");
        }
        assert_eq!(begun, 40);
        drain.cancel();
        assert_eq!(shards[0].wait().await, None);
    }

    #[tokio::test]
    async fn without_a_rate_nobody_waits() {
        let connects = Connects::new(connect_limit(Rate::Max), Drain::default());
        assert_eq!(connects.wait().await, Some(Duration::ZERO));
    }
}
