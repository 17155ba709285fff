//! Connections that have served.

use std::cell::RefCell;
use std::rc::Rc;

/// As many wait for each other at most: what is not closed yet still holds a descriptor.
const MOST: usize = 32;

/// Connections that are closed together, once every task of the thread that is ready has had its turn.
///
/// A server on this machine is woken once by all of them rather than by each, and waking it is time of this process:
/// see tests/bench/connections.sh and proxy.bash.
#[derive(Debug)]
pub struct DeferredClose<T>(Rc<RefCell<Vec<T>>>);

impl<T> Default for DeferredClose<T> {
    fn default() -> Self {
        Self(Rc::default())
    }
}

/// Closes together with this one.
impl<T> Clone for DeferredClose<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T: 'static> DeferredClose<T> {
    /// Closes `connection` soon.
    ///
    /// # Panics
    /// Outside of a runtime with local tasks ([`tokio::runtime::LocalRuntime`]).
    pub fn close(&self, connection: T) {
        let mut waiting = self.0.borrow_mut();
        waiting.push(connection);
        match waiting.len() {
            // Queued behind the tasks that are ready now.
            1 => {
                let waiting = Rc::clone(&self.0);
                tokio::task::spawn_local(async move { waiting.borrow_mut().clear() });
            }
            MOST.. => waiting.clear(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use super::*;

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread()
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap()
            .block_on(test);
    }

    #[test]
    fn connections_are_closed_together_after_the_others_had_their_turn() {
        run(async {
            let (deferred, open) = (DeferredClose::default(), Rc::new(()));
            for round in 1..=2 {
                for _ in 0..3 {
                    deferred.close(Rc::clone(&open));
                }
                assert_eq!(Rc::strong_count(&open), 4, "round {round}");
                tokio::task::yield_now().await;
                assert_eq!(Rc::strong_count(&open), 1, "round {round}");
            }
        });
    }

    #[test]
    fn what_is_done_holds_only_so_many_descriptors() {
        run(async {
            let (deferred, open) = (DeferredClose::default(), Rc::new(()));
            for _ in 0..3 * MOST {
                deferred.close(Rc::clone(&open));
                assert!(Rc::strong_count(&open) <= MOST);
            }
        });
    }
}
