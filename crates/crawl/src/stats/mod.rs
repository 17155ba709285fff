//! Counters that shards keep, what a crawl came to, and what somebody should be told meanwhile.

pub(crate) mod networks;
pub(crate) mod notices;
pub(crate) mod progress;
pub(crate) mod summary;
