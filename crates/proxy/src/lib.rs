//! A proxy whose connections leave from addresses of a prefix.
//!
//! ```text
//! listener -> protocol by its first byte -> session (who, from which address) -> dial -> relay
//! ```
//! Each thread has its own listeners (SO_REUSEPORT), runtime, source pool, names and counters. A client's
//! connection never changes threads, and no lock lies on the way of a byte.
//!
//! The modules stand on each other in this order, each on those before it: data, then auth, egress (policy and
//! source) and report, settings, relay, session, http and socks, serve, server.

mod auth;
mod data;
mod egress;
mod http;
mod relay;
mod report;
mod serve;
mod server;
mod session;
mod settings;
mod socks;

pub use auth::{Access, HtpasswdError, Password, PasswordError, parse_htpasswd};
pub use data::limits::{ByteBudget, UserLimits};
pub use data::listen::Listen;
pub use data::target::{Host, Target, TargetError};
pub use data::username::{SourceRequest, UserName, UserNameError};
pub use egress::Ipv4Destinations;
pub use egress::delivery::{Delivery, Look};
pub use egress::kept::Per;
pub use http::{framing, head};
pub use report::access_log::LogTarget;
pub use serve::certificate::{Certificate, CertificateError};
pub use serve::error::{StartError, random_session_key};
pub use serve::listen::Address;
pub use server::{Proxy, Running};
pub use settings::{OnRefusal, PinRule, Settings, Via};
pub use socks::{codec, codec4};
pub use v6kit_net::SessionKey;
