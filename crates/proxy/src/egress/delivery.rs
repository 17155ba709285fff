//! Whether the prefix is delivered to this host: without that no answer to a connection from it arrives.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use v6kit_net::{DialError, Prefix};

use crate::data::refusal::Refusal;

/// How often the kernel is asked at most, by each thread.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a look at the routes comes to: `None` where they cannot be read.
pub type Look = Pin<Box<dyn Future<Output = Option<bool>> + Send>>;

/// Looks at this host's routes, and remembers for all threads what was seen last.
#[derive(Clone)]
pub struct Delivery {
    prefix: Prefix,
    look: Arc<dyn Fn() -> Look + Send + Sync>,
    missing: Arc<AtomicBool>,
}

impl Delivery {
    /// `look` tells whether packets to `prefix` are delivered to this host.
    pub fn new(prefix: Prefix, look: impl Fn() -> Look + Send + Sync + 'static) -> Self {
        Self {
            prefix,
            look: Arc::new(look),
            missing: Arc::default(),
        }
    }

    /// Looks, and tells whether the prefix is known not to be delivered.
    pub async fn is_missing(&self) -> bool {
        if let Some(delivered) = (self.look)().await {
            self.missing.store(!delivered, Ordering::Relaxed);
        }
        self.missing.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("prefix", &self.prefix)
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}

/// The looks of one thread, which are paced.
#[derive(Debug)]
pub(crate) struct Watch {
    delivery: Delivery,
    looked: Cell<Option<Instant>>,
}

impl Watch {
    pub(crate) fn new(delivery: Delivery) -> Self {
        Self {
            delivery,
            looked: Cell::default(),
        }
    }

    /// Refuses at once while the prefix is known not to be delivered.
    pub(crate) async fn check(&self) -> Result<(), Refusal> {
        if !self.delivery.missing.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.look().await
    }

    /// Why a connection from the prefix was not made: `error`, or that the prefix is not delivered any more.
    pub(crate) async fn explain(&self, error: DialError) -> Refusal {
        if is_of_the_far_side(&error) {
            return Refusal::Dial(error);
        }
        self.look().await.err().unwrap_or(Refusal::Dial(error))
    }

    async fn look(&self) -> Result<(), Refusal> {
        let is_missing = if self.looked.get().is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            self.looked.set(Some(Instant::now()));
            self.delivery.is_missing().await
        } else {
            self.delivery.missing.load(Ordering::Relaxed)
        };
        if is_missing {
            return Err(Refusal::NotDelivered {
                prefix: self.delivery.prefix,
            });
        }
        Ok(())
    }
}

/// Whether an answer came, or the cause is known.
fn is_of_the_far_side(error: &DialError) -> bool {
    matches!(
        error,
        DialError::Refused { .. }
            | DialError::Reset { .. }
            | DialError::ProcessFiles
            | DialError::SystemFiles
            | DialError::Memory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(delivered: Option<bool>) -> Watch {
        let prefix = "2001:db8::/64".parse().unwrap();
        Watch::new(Delivery::new(prefix, move || Box::pin(async move { delivered })))
    }

    fn timed_out() -> DialError {
        DialError::TimedOut {
            to: "[2001:db8:1::1]:80".parse().unwrap(),
        }
    }

    #[tokio::test]
    async fn silence_is_blamed_on_the_host_only_where_the_route_is_seen_to_be_gone() {
        let gone = watch(Some(false));
        assert!(gone.check().await.is_ok(), "nobody has looked yet");
        let refusal = gone.explain(timed_out()).await;
        assert!(matches!(refusal, Refusal::NotDelivered { .. }), "{refusal}");
        assert!(gone.check().await.is_err());
        for seen in [Some(true), None] {
            let watch = watch(seen);
            let refusal = watch.explain(timed_out()).await;
            assert!(matches!(refusal, Refusal::Dial(_)), "{refusal}");
            assert!(watch.check().await.is_ok());
        }
    }

    #[tokio::test]
    async fn who_refuses_has_answered() {
        let to = "[2001:db8:1::1]:80".parse().unwrap();
        let refusal = watch(Some(false)).explain(DialError::Refused { to }).await;
        assert!(matches!(refusal, Refusal::Dial(_)), "{refusal}");
    }
}
