//! IPv6 prefixes, source addresses drawn from them, TCP connections dialled from those addresses, and what else
//! several of the other crates ask of sockets.
//!
//! Nothing here needs privileges, speaks netlink or prints.

mod bounded_pool;
mod deferred_close;
mod dial;
mod exposure;
mod ipv6;
mod limits;
mod packet;
mod pem;
mod pool;
mod prefix;
mod program;
mod rate;
mod resolve;
mod session;
mod silence;

pub use bounded_pool::{BoundedSourcePool, COOL_DOWN, HOLD, Lease, Wear};
pub use deferred_close::DeferredClose;
pub use dial::{DialError, dial, dial_in_segments, dial_to_speak};
pub use exposure::{Exposure, InboundFilter};
pub use ipv6::{IPV6_MIN_MTU, Ipv6, below_ipv6, ignoring_advertisements, in_sysctl};
pub use limits::{FileLimit, address_space, file_limit, raise_file_limit};
pub use packet::{link_address, link_address_of_every_protocol, receive_all_multicast};
pub use pem::{read_certificates, read_private_key};
pub use pool::{PoolError, SourcePool};
pub use prefix::{Prefix, PrefixError};
pub use program::{Finished, ProgramError, run_program, run_system_program};
pub use rate::RateLimit;
pub use resolve::{ResolveError, descriptor_shortage, is_shortage, name_servers, own_addresses, resolve};
pub use session::SessionKey;
pub use silence::{Extent, Silence};
pub use v6kit_base::{Code, Hint, Secret, chain, cpu_time, push_address, shell_path, shell_word};
