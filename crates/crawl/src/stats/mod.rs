//! Counters that shards keep, what a crawl came to, and what somebody should be told meanwhile.

pub(crate) mod events;
pub(crate) mod prefix_stats;
pub(crate) mod progress;
pub(crate) mod summary;
