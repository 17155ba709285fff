//! The way of the items: a crawl, its shards, their slots, and what becomes of an item after each attempt.

mod backlog;
mod climb;
pub(crate) mod crawl;
mod exposition;
mod intake;
pub(crate) mod job;
mod sequel;
mod shard;
mod slot;
