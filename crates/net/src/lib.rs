//! IPv6 prefixes, source addresses drawn from them, TCP connections dialled from those addresses, and what else
//! several of the other crates ask of sockets.
//!
//! Nothing here needs privileges, speaks netlink or prints.

mod address_text;
mod code;
mod dial;
mod exposure;
mod ipv6;
mod leaving;
mod limits;
mod packet;
mod pem;
mod pool;
mod prefix;
mod rate;
mod resolve;
mod turning;
mod usage;

pub use address_text::push_address;
pub use code::Code;
pub use dial::{DialError, dial, dial_in_segments, dial_to_speak};
pub use exposure::{Exposure, InboundFilter};
pub use ipv6::{Ipv6, ignoring_advertisements, in_sysctl};
pub use leaving::Leaving;
pub use limits::{FileLimit, file_limit, raise_file_limit};
pub use packet::{link_address, link_address_of_every_protocol, receive_all_multicast};
pub use pem::{read_certificates, read_private_key};
pub use pool::{PoolError, SourcePool};
pub use prefix::{Prefix, PrefixError};
pub use rate::RateLimit;
pub use resolve::{ResolveError, name_servers, own_addresses, resolve};
pub use turning::{COOL_DOWN, HOLD, Lease, TurningPool, Wear};
pub use usage::cpu_time;

/// What somebody should type or change after an error.
///
/// Every error that a user can meet implements this next to [`std::error::Error`]: the error's text
/// says what failed, its source says why, and the hint says what to do.
pub trait Hint {
    /// Where the catalogue says more about it. Matched variant by variant, so that a new one is not forgotten.
    fn code(&self) -> Code;

    /// One line of advice, without a full stop, or `None` where there is nothing sensible to say.
    fn hint(&self) -> Option<String>;
}

/// An error and its sources on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        source = error.source();
    }
    line
}
