//! The crawl engine: one request per item, one record per item, nothing lost and nothing twice.
//!
//! ```text
//! template -> ledger leases a chunk -> slot takes the next item -> pace -> connection (source address)
//!    -> fetch -> judge -> record -> frame -> segment, fsync -> ledger commits the frame
//! ```
//!
//! Rooms, each of which uses only those before it: `connect`, `judge` and `stats` know nothing of each other,
//! `site` holds what is known about a destination, `engine` sends items on their way. Below them lie the crates
//! v6kit-model (items and outcomes) and v6kit-store (records and the ledger).
//!
//! A *shard* is a thread with its own runtime, connections, source addresses and segment; a *slot* is a
//! task that owns one request in flight. On the way of a request there is no channel and no lock: shards
//! share what is read-only, an atomic per destination for its pace, and counters that nobody waits for.
//!
//! Nothing here prints, reads the environment or exits.

#![warn(clippy::too_many_lines)]

mod connect;
mod engine;
mod judge;
mod site;
mod stats;

pub use connect::connection::{Deadlines, Identity, Trust};
pub use connect::names::{Pin, PinError};
pub use connect::proxy::{Proxy, ProxyError};
pub use engine::aside::aside;
pub use engine::crawl::Crawl;
pub use engine::error::CrawlError;
pub use engine::job::{ConcurrencyMode, CookiePolicy, Job, Settings, Sources, other_files};
pub use judge::expect::{Expectation, ExpectationError, Expectations};
pub use site::breaker::ErrorBudget;
pub use site::outage::{DeliveryCheck, Looked};
pub use site::rate::{OnLimit, Rate};
pub use site::robots::RobotsPolicy;
pub use stats::prefix_stats::PrefixSummary;
pub use stats::progress::Sample;
pub use stats::summary::{Summary, Suspicion};
