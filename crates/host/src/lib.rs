//! What a host is, what it should be to send from every address of a prefix, and the difference:
//! applied step by step, journaled, and undone.
//!
//! Facts are read first, a pure function makes a plan of them, and every change is announced in a
//! journal before it is made, so that it can be undone after a kill at any moment. Several prefixes
//! may be set up side by side: what they share goes back when the last of them lets go of it.
//!
//! Nothing here prints, reads the environment or exits.

mod addresses;
pub mod boot;
mod change;
mod delivered;
mod delivery;
mod device;
mod doctor;
mod error;
mod event;
mod exposure;
mod facts;
mod journal;
mod leftover;
mod limits;
mod listeners;
mod logins;
mod namespace;
mod netlink;
mod nft;
mod offer;
mod owner;
mod passing;
mod place;
mod plan;
mod ports;
mod program;
mod reading;
mod regular;
mod report;
mod reserved;
mod resource;
mod setup;
mod state;
mod state_dir;
mod status;
mod summary;
mod sysctl;
mod system;
mod teardown;
mod trial;
mod undo;
mod uplink;
mod value;
mod wanted;

pub use addresses::{Renewal, follow_addresses, renew_addresses};
pub use delivered::is_delivered;
pub use doctor::{
    Ceilings, CpuCeiling, Examination, Finding, FindingState, KernelFeature, Machine, MemoryCeiling, Network,
    PrefixState, TaskCeiling, Tracking, examine, memory,
};
pub use error::{FailureKind, HostError, JournalError, ReadError};
pub use exposure::exposure;
pub use leftover::{Leftover, foreign_routes, leftovers};
pub use netlink::NetlinkError;
pub use offer::{Looks, Offer, offers};
pub use program::{Program, Running};
pub use regular::read as read_regular_file;
pub use report::{
    Kept, SetupReport, SetupState, SetupStep, StatusReport, StatusState, StatusStep, TeardownReport,
    TeardownState, TeardownStep,
};
pub use reserved::reserved_addresses;
pub use setup::{Entry, dry_run, enter, leave, setup};
pub use state_dir::StateDirError;
pub use status::status;
pub use summary::{SetUp, Summary, SummaryError};
pub use system::ResourceError;
pub use teardown::{Teardown, teardown};
pub use uplink::{Uplink, addressed, device_of, uplinks};
pub use wanted::{Conntrack, CutOff, Inbound, Origin, OriginError, Purpose, Rotation, Span, Wanted};
