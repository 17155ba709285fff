//! How the router treats the prefix.

/// What stands between the host and the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Topology {
    /// The router sends the whole prefix to the host: what a host needs.
    #[default]
    Routed,
    /// The router takes the prefix for on-link and solicits each address on the LAN.
    OnLink,
    /// The router has no way back to the prefix and drops the replies.
    NoReturn,
    /// The router answers packets from the prefix with ICMPv6 "administratively prohibited".
    Filtered,
    /// The router replaces source addresses with its own (NAT66).
    Rewritten,
    /// The router routes the prefix and tracks connections in a default-drop forward chain.
    Stateful,
}

/// Where the router sends packets to the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WayBack {
    ThroughHost,
    OnLink,
    Nowhere,
}

impl Topology {
    pub(crate) fn way_back(self) -> WayBack {
        match self {
            Self::OnLink => WayBack::OnLink,
            Self::NoReturn => WayBack::Nowhere,
            Self::Routed | Self::Filtered | Self::Rewritten | Self::Stateful => WayBack::ThroughHost,
        }
    }
}
