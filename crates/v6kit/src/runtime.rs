//! What is asynchronous, waited for.

use std::future::Future;

use crate::failure::{Exit, Failure};

/// Runs `future` on a current-thread runtime.
pub(crate) fn block_on<T, E: From<Failure>>(future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, "cannot start").why(error.to_string()))?
        .block_on(future)
}
