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

#[doc(hidden)]
pub mod bench;
mod brake;
mod cat;
mod challenge;
mod check;
mod climb;
mod connection;
mod cookies;
mod crawl;
mod decode;
mod dialling;
mod disk;
mod drain;
mod encoder;
mod expect;
mod exposition;
mod frame;
mod health;
mod intake;
mod job;
mod judge;
mod ledger;
mod line;
mod list;
mod names;
mod networks;
mod notices;
mod order;
mod outcome;
mod pace;
mod places;
mod progress;
mod proxy;
mod reading;
mod record;
mod redirect;
mod request;
mod retry;
mod robots;
mod robots_text;
mod segment;
mod sequel;
mod shard;
mod site;
mod slot;
mod status;
mod storage;
mod store;
mod summary;
mod table;
mod template;
mod tenure;
mod tracking;
mod turns;
mod url;
mod waiting_room;
mod warc;
mod work;

pub use brake::OnLimit;
pub use cat::{Selection, cat};
pub use check::{Check, CheckError, Damage, check, repair};
pub use connection::{HttpVersion, TrustError};
pub use crawl::{Crawl, CrawlError};
pub use disk::{DiskLow, KeepFree, free_space};
pub use expect::{Expectation, ExpectationError, Expectations};
pub use exposition::Exposition;
pub use health::ErrorBudget;
pub use job::{
    Coding, ConcurrencyMode, CookiePolicy, Deadlines, Description, Difference, Identity, Job, Settings,
    Sources, Trust,
};
pub use ledger::{
    Chunk, CommittedFrame, Counts, Extent, FramePlace, Ledger, LedgerError, RecentPace, SqliteLedger,
    Standing,
};
pub use list::{List, ListError, ListSource};
pub use names::{Pin, PinError};
pub use networks::{NetworksSummary, Width};
pub use order::{Itinerary, Order};
pub use outcome::{ErrorKind, Fault, Outcome};
pub use pace::{Pace, Rate};
pub use progress::Sample;
pub use proxy::{Proxy, ProxyError};
pub use reading::ReadError;
pub use request::{Login, RequestError, RequestSpec, SECRET_HEADERS, USER_AGENT};
pub use retry::{Retried, retry};
pub use robots::RobotsPolicy;
pub use status::{Forecast, MissingError, Status, missing, status};
pub use storage::{Compression, Content, FieldPath, Format, NotAPath, Reach, Storage};
pub use store::StoreError;
pub use summary::{Percentiles, Summary, Suspicion};
pub use template::{Template, TemplateError};
pub use turns::{NotTurns, Turns};
pub use url::{Origin, Scheme, UrlError};
pub use v6kit_net::{Code, Hint};
pub use work::{PLACE, Work, WorkError};
