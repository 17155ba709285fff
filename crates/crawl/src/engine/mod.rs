//! The way of the items: a crawl, its shards, their slots, and what becomes of an item after each attempt.

pub(crate) mod aside;
mod backlog;
mod clock;
mod concurrency;
pub(crate) mod crawl;
pub(crate) mod error;
mod examiner;
mod exposition;
#[cfg(test)]
mod fixture;
pub(crate) mod job;
pub(crate) mod limits;
mod queue;
mod retry_policy;
mod run;
mod shard;
mod slot;
