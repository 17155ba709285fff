//! One module per subcommand: its arguments, its settings, one call into a crate, its report.

pub(crate) mod completions;
pub(crate) mod crawl;
pub(crate) mod doctor;
pub(crate) mod echo;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod lab;
pub(crate) mod man;
mod metrics;
pub(crate) mod ndp;
mod per;
pub(crate) mod proxy;
pub(crate) mod router;
pub(crate) mod setup;
mod sources;
pub(crate) mod status;
pub(crate) mod teardown;
pub(crate) mod verify;

pub(crate) use crate::runtime::block_on;
