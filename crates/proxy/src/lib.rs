//! A proxy whose connections leave from addresses of a prefix.
//!
//! ```text
//! listener -> protocol by its first byte -> session (who, from which address) -> dial -> relay
//! ```
//! Each thread has its own listeners (SO_REUSEPORT), runtime, source pool, names and counters. A client's
//! connection never changes threads, and no lock lies on the way of a byte.

mod access_log;
mod account;
mod auth;
mod certificate;
mod egress;
mod http;
mod listen;
mod lookup;
mod metrics;
mod policy;
mod refusal;
mod relay;
mod server;
mod session;
mod settings;
mod socks;
mod source;
mod stream;
mod target;
mod threads;
mod tuning;
mod username;
mod visit;
mod worker;

pub use access_log::LogTarget;
pub use account::{ByteBudget, UserLimits};
pub use auth::{Access, HtpasswdError, Password, PasswordError, parse_htpasswd};
pub use certificate::{Certificate, CertificateError};
pub use egress::Ipv4Destinations;
pub use http::{framing, head};
pub use listen::Address;
pub use server::{Proxy, Running, StartError};
pub use settings::{Listen, PinRule, Settings};
pub use socks::codec;
pub use source::SessionKey;
pub use target::{Host, Target, TargetError};
pub use username::{UserName, UserNameError, Wish};
