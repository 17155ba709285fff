//! The crawl engine: one request per item, one record per item, nothing lost and nothing twice.
//!
//! ```text
//! template -> ledger leases a chunk -> slot takes the next item -> pace -> connection (source address)
//!    -> fetch -> judge -> record -> frame -> segment, fsync -> ledger commits the frame
//! ```
//!
//! A *shard* is a thread with its own runtime, connections, source addresses and segment; a *slot* is a
//! task that owns one request in flight. On the way of a request there is no channel and no lock: shards
//! share what is read-only, an atomic per destination for its pace, and counters that nobody waits for.
//!
//! Nothing here prints, reads the environment or exits.

mod cat;
mod connection;
mod crawl;
mod frame;
mod intake;
mod job;
mod judge;
mod ledger;
mod order;
mod outcome;
mod pace;
mod progress;
mod record;
mod segment;
mod shard;
mod site;
mod slot;
mod store;
mod summary;
mod template;
mod turns;
mod url;
mod work;

pub use cat::{CatError, cat, standing};
pub use connection::TrustError;
pub use crawl::{Crawl, CrawlError};
pub use job::{
    Deadlines, Description, Difference, Job, RequestError, RequestSpec, Settings, Sources, Trust, USER_AGENT,
};
pub use ledger::{Chunk, CommittedFrame, Counts, FramePlace, Ledger, LedgerError, SqliteLedger, Standing};
pub use order::{Itinerary, Order};
pub use outcome::{ErrorKind, Fault, Outcome};
pub use pace::{Pace, Rate};
pub use progress::Sample;
pub use store::StoreError;
pub use summary::{Percentiles, Summary};
pub use template::{Template, TemplateError};
pub use turns::{NotTurns, Turns};
pub use url::{Origin, Scheme, UrlError};
pub use v6kit_net::Hint;
pub use work::Work;
