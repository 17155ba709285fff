//! IPv6 prefixes, source addresses drawn from them, and TCP connections dialled from those addresses.
//!
//! Nothing here needs privileges, speaks netlink or prints.

mod dial;
mod limits;
mod pool;
mod prefix;
mod resolve;

pub use dial::{DialError, dial};
pub use limits::{FileLimit, raise_file_limit};
pub use pool::{PoolError, SourcePool};
pub use prefix::{Prefix, PrefixError};
pub use resolve::{ResolveError, own_addresses, resolve};

/// What somebody should type or change after an error.
///
/// Every error that a user can meet implements this next to [`std::error::Error`]: the error's text
/// says what failed, its source says why, and the hint says what to do.
pub trait Hint {
    /// One line of advice, without a full stop, or `None` where there is nothing sensible to say.
    fn hint(&self) -> Option<String>;
}
