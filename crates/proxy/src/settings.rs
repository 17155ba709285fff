//! What the proxy is told.

use std::net::{Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use ipnet::IpNet;
use v6kit_net::{Prefix, SessionKey};

use crate::auth::Access;
use crate::data::limits::UserLimits;
use crate::data::listen::Listen;
use crate::egress::Ipv4Destinations;
use crate::egress::delivery::Delivery;
use crate::egress::kept::Per;
use crate::report::access_log::LogTarget;

/// Everything the proxy is told.
#[derive(Debug)]
pub struct Settings {
    /// The prefix to send from. `None` sends from the host's own address.
    pub prefix: Option<Prefix>,
    /// Addresses of the prefix that must not be sources: the host's own and the gateway's.
    pub excluded: Vec<Ipv6Addr>,
    /// Whether the prefix is delivered to this host, where that can be seen.
    pub delivery: Option<Delivery>,
    /// How many addresses may be used at a time, at least two; `None` for any number.
    pub addresses: Option<NonZeroUsize>,
    /// Where clients connect. At least one.
    pub listen: Vec<Listen>,
    /// Who may use it.
    pub access: Access,
    /// What each user may use.
    pub limits: UserLimits,
    /// When those who have no wish get another address.
    pub per: Per,
    /// Whether clients may choose the source address.
    pub pin: PinRule,
    /// What becomes of a session's address that a site refused.
    pub on_refusal: OnRefusal,
    /// Destinations that are reached although they are not the public internet.
    pub allowed_destinations: Vec<IpNet>,
    /// What happens to destinations without IPv6.
    pub v4: Ipv4Destinations,
    /// Whether forwarded messages say that they came through a proxy.
    pub via: Via,
    /// What session addresses are hashed with.
    pub session_key: SessionKey,
    /// Threads, at least 1.
    pub threads: usize,
    /// Client connections at a time.
    pub max_connections: usize,
    /// For TLS and the proxy protocol's handshake together.
    pub handshake_timeout: Duration,
    /// For resolution and connection together.
    pub connect_timeout: Duration,
    /// New connections per second to all destinations together; `None` for any number.
    pub connect_rate: Option<f64>,
    /// How long nothing may move.
    pub idle_timeout: Duration,
    /// From which age on a tunnel is ended at the next quiet moment, and at twice that age in any case.
    pub tunnel_age: Option<Duration>,
    /// Where the access log goes.
    pub access_log: Option<LogTarget>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
}

/// Whether forwarded messages say that they came through a proxy (`Via`, RFC 9110 section 7.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// They do.
    Say,
    /// They do not.
    Omit,
}

/// What becomes of the address of a session that was answered 429 or 403 where the answer can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRefusal {
    /// It stays, until the client asks for another.
    Keep,
    /// The session turns to another.
    Rotate,
}

/// Whether clients may choose the source address with `X-V6kit-Source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinRule {
    /// They may not.
    Refuse,
    /// They may, within the prefix.
    Allow,
}
