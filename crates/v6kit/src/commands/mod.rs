//! One module per subcommand: its arguments, its settings, one call into a crate, its report.

pub(crate) mod completions;
pub(crate) mod crawl;
pub(crate) mod doctor;
pub(crate) mod echo;
pub(crate) mod explain;
pub(crate) mod lab;
pub(crate) mod man;
mod metrics;
pub(crate) mod ndp;
pub(crate) mod proxy;
pub(crate) mod router;
pub(crate) mod setup;
mod sources;
pub(crate) mod status;
pub(crate) mod teardown;
pub(crate) mod verify;

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
