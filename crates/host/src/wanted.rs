//! What the user asks setup for.

use std::net::Ipv6Addr;

use v6kit_net::Prefix;

/// What the host is to be prepared for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The prefix that is routed to this host.
    pub prefix: Prefix,
    /// The device that it arrives on.
    pub device: String,
    /// The device that carries the local route. On `lo` it outlives every link.
    pub route_device: String,
    /// What becomes of connection tracking.
    pub conntrack: Conntrack,
    /// What becomes of connections that come in to the prefix.
    pub inbound: Inbound,
    /// File descriptors that one process may need.
    pub nofile: u64,
    /// What the host will do.
    pub purpose: Purpose,
    /// Where the user is logged in from, as SSH_CONNECTION says (ssh(1)).
    pub session: Option<Ipv6Addr>,
    /// What becomes of the setup where it cuts somebody off.
    pub cut_off: CutOff,
    /// For how long it is set up.
    pub span: Span,
}

/// For how long a host is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Until teardown, or the next boot.
    Lasting,
    /// As long as a program runs, which gets its limit on open files itself: no file is written.
    Program,
}

/// What becomes of a setup that would take packets away from others in the prefix, to whom no route of ours can
/// lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutOff {
    /// It is refused before anything is changed.
    Refuse,
    /// It goes on.
    Accept,
}

/// What becomes of connection tracking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conntrack {
    /// Nothing while nothing is tracked, otherwise room for what is expected.
    Auto,
    /// The prefix is not tracked.
    Notrack,
    /// Nothing.
    Keep,
    /// Room for this many connections.
    Max(u64),
}

/// What becomes of connections that come in to the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inbound {
    /// They are dropped.
    Drop,
    /// They reach whatever listens on every address.
    Allow,
}

/// What the host will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Open connections.
    Crawl,
    /// Open connections for others, and relay UDP.
    Proxy,
    /// Take connections.
    Server,
}
