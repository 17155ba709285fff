//! What is told of the work: counters and the access log.

pub(crate) mod access_log;
pub(crate) mod metrics;
