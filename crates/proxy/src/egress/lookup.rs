//! Names resolved once for everybody who asks at the same time, and kept for a short while.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use tokio::time::Instant;
use v6kit_net::ResolveError;

type Answer = Rc<Result<Vec<std::net::SocketAddrV6>, ResolveError>>;

/// getaddrinfo(3) tells no time to live: this is short enough for every failover by DNS.
const KEEP: Duration = Duration::from_secs(10);
/// An error is kept just long enough to answer a burst.
const KEEP_ERROR: Duration = Duration::from_secs(1);
/// One lookup, whoever waits for it.
const LOOKUP_TIME: Duration = Duration::from_secs(10);
/// Names that are kept. More are resolved, and not kept.
const MAX_NAMES: usize = 4096;

/// The names of one thread.
#[derive(Debug, Default)]
pub(crate) struct Names {
    kept: RefCell<HashMap<String, Kept>>,
}

#[derive(Debug)]
struct Kept {
    asked: Instant,
    answer: Shared<LocalBoxFuture<'static, Answer>>,
}

impl Kept {
    fn is_fresh(&self) -> bool {
        let keep = match self.answer.peek().map(|answer| answer.is_ok()) {
            None => LOOKUP_TIME,
            Some(true) => KEEP,
            Some(false) => KEEP_ERROR,
        };
        self.asked.elapsed() < keep
    }
}

impl Names {
    /// The addresses of `name`, with port 0.
    pub(crate) async fn resolve(&self, name: &str) -> Answer {
        self.ask(name).await
    }

    fn ask(&self, name: &str) -> Shared<LocalBoxFuture<'static, Answer>> {
        let mut kept = self.kept.borrow_mut();
        if let Some(found) = kept.get(name).filter(|found| found.is_fresh()) {
            return found.answer.clone();
        }
        if kept.len() >= MAX_NAMES {
            kept.retain(|_, kept| kept.is_fresh());
        }
        let asked = Instant::now();
        let owned = name.to_owned();
        let answer = async move { Rc::new(v6kit_net::resolve(&owned, 0, asked + LOOKUP_TIME).await) }
            .boxed_local()
            .shared();
        if kept.len() < MAX_NAMES {
            kept.insert(
                name.to_owned(),
                Kept {
                    asked,
                    answer: answer.clone(),
                },
            );
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_kept_and_shared() {
        let names = Names::default();
        let (first, second) = tokio::join!(names.resolve("::1"), names.resolve("::1"));
        assert!(Rc::ptr_eq(&first, &second));
        assert!(Rc::ptr_eq(&first, &names.resolve("::1").await));
    }
}
