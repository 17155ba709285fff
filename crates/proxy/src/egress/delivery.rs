//! Whether the prefix is delivered to this host: without that no answer to a connection from it arrives. And whether any
//! does.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use v6kit_net::{DialError, Prefix, Silence};

use crate::data::refusal::Refusal;

/// How often the kernel is asked at most, by each thread.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Destinations that have to be silent, without a connection from the prefix being answered meanwhile, before that is told
/// of the prefix.
const SEVERAL: usize = 3;

/// What a look at the routes comes to: `None` where they cannot be read.
pub type Look = Pin<Box<dyn Future<Output = Option<bool>> + Send>>;

/// Looks at this host's routes, and remembers for all threads what was seen last.
#[derive(Clone)]
pub struct Delivery {
    prefix: Prefix,
    look: Arc<dyn Fn() -> Look + Send + Sync>,
    missing: Arc<AtomicBool>,
    silence: Arc<Silence>,
}

impl Delivery {
    /// `look` tells whether packets to `prefix` are delivered to this host.
    pub fn new(prefix: Prefix, look: impl Fn() -> Look + Send + Sync + 'static) -> Self {
        Self {
            prefix,
            look: Arc::new(look),
            missing: Arc::default(),
            silence: Arc::default(),
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

    /// A connection from the prefix was answered.
    pub(crate) fn heard(&self) {
        self.delivery.silence.heard(Instant::now());
    }

    /// Why a connection from the prefix was not made: `error`, or that the prefix is not delivered any more, or is not
    /// answered by anybody.
    pub(crate) async fn explain(&self, error: DialError) -> Refusal {
        if let DialError::Refused { .. } | DialError::Reset { .. } = error {
            self.heard();
        }
        if is_of_the_far_side(&error) {
            return Refusal::Dial(error);
        }
        if let Err(refusal) = self.look().await {
            return refusal;
        }
        let to = match &error {
            DialError::TimedOut { to } | DialError::Prohibited { to, .. } => *to.ip(),
            _ => return Refusal::Dial(error),
        };
        let Delivery { prefix, silence, .. } = &self.delivery;
        let extent = silence.note(to);
        if extent.destinations < SEVERAL {
            return Refusal::Dial(error);
        }
        Refusal::PrefixSilent {
            prefix: *prefix,
            extent,
            last: error,
        }
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
    async fn when_nobody_answers_the_prefix_that_is_told_of_it_and_not_of_the_last_destination_alone() {
        let watch = watch(Some(true));
        let silent = |host: u16| DialError::TimedOut {
            to: format!("[2001:db8:1::{host:x}]:80").parse().unwrap(),
        };
        for host in [1, 2, 1, 2] {
            let refusal = watch.explain(silent(host)).await;
            assert!(matches!(refusal, Refusal::Dial(_)), "{refusal}");
        }
        let refusal = watch.explain(silent(3)).await;
        assert_eq!(refusal.kind(), "prefix_silent");
        let message = refusal.message();
        assert!(
            message
                .starts_with("no connection from 2001:db8::/64 was answered by any of 3 destinations since "),
            "{message}"
        );
        assert!(
            message.ends_with("[2001:db8:1::3]:80 did not answer in time"),
            "{message}"
        );
        watch.heard();
        let refusal = watch.explain(silent(3)).await;
        assert!(matches!(refusal, Refusal::Dial(_)), "{refusal}");
    }

    #[tokio::test]
    async fn who_refuses_has_answered() {
        let to = "[2001:db8:1::1]:80".parse().unwrap();
        let refusal = watch(Some(false)).explain(DialError::Refused { to }).await;
        assert!(matches!(refusal, Refusal::Dial(_)), "{refusal}");
    }
}
