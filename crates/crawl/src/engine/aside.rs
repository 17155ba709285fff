//! Work that blocks, away from whoever hears signals.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tokio::sync::oneshot;

/// Runs `work`, which may block for long, on a thread of its own. Nobody has to wait for its end: where the result is
/// not wanted any more, the thread ends with the process at the latest.
///
/// # Errors
/// The system gives no thread.
///
/// # Panics
/// When `work` does.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::io::Result<T> {
    let (done, waiting) = oneshot::channel();
    std::thread::Builder::new()
        .name("aside".to_owned())
        .spawn(move || {
            // Nobody may be waiting any more.
            let _ = done.send(catch_unwind(AssertUnwindSafe(work)));
        })?;
    match waiting.await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(panic)) => resume_unwind(panic),
        Err(gone) => Err(std::io::Error::other(gone)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_no_more_is_not_held_up_by_the_work() {
        let (release, released) = mpsc::channel::<()>();
        let mut work = std::pin::pin!(aside(move || released.recv().is_ok()));
        tokio::select! {
            biased;
            _ = &mut work => panic!("it waits to be released"),
            () = tokio::task::yield_now() => {}
        }
        release.send(()).unwrap();
        assert!(work.await.unwrap());
    }

    #[tokio::test]
    #[should_panic(expected = "of its own")]
    async fn a_panic_of_the_work_is_that_of_whoever_waits() {
        let _ = aside(|| panic!("of its own")).await;
    }
}
