//! What a host is, what it should be to send from every address of a prefix, and the difference:
//! applied step by step, journaled, and undone.
//!
//! Nothing here prints, reads the environment or exits.

mod netlink;
mod reserved;
mod summary;

pub use netlink::NetlinkError;
pub use reserved::reserved_addresses;
pub use summary::{SetUp, Summary, SummaryError};
