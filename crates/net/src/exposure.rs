//! What callers from outside reach on a prefix that is delivered to this host.

/// What is reachable from outside on every address of a prefix, once it is delivered to this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// Services that listen on every address: `tcp 22 (sshd)`. A process is named where this user may see it.
    pub services: Vec<String>,
    /// What keeps callers out.
    pub filter: InboundFilter,
}

/// Whether new connections to the prefix are dropped before they reach a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboundFilter {
    /// They are.
    Present,
    /// There are no such rules.
    Missing,
    /// This cannot be seen.
    Unknown {
        /// Why not.
        why: String,
    },
}
