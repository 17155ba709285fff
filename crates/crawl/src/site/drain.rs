//! The word to send nothing new.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

/// Whether a crawl is being brought to its end. Asked before every request by every shard, which costs one
/// load; a token alone would be a lock that all shards share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drain {
    cancelled: Arc<AtomicBool>,
    token: CancellationToken,
}

impl Drain {
    /// From now on nothing new is sent.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.token.cancel();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Waits for [`Drain::cancel`].
    pub(crate) async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// What `work` comes to, or `None` where [`Drain::cancel`] comes first.
    pub(crate) async fn run_until_cancelled<F: Future>(&self, work: F) -> Option<F::Output> {
        self.token.run_until_cancelled(work).await
    }
}
