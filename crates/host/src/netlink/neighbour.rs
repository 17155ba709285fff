//! Neighbours (RFC 4861): who is known on a link.

use std::net::Ipv6Addr;

use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};

/// An entry of the neighbour table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub(crate) address: Ipv6Addr,
    /// The index of its link.
    pub(crate) link: u32,
    /// Whether its link-layer address is known; false where nobody answered.
    pub(crate) is_known: bool,
}

impl Neighbour {
    pub(super) fn read(message: &NeighbourMessage) -> Option<Self> {
        if message.header.flags.contains(NeighbourFlags::Proxy) {
            return None;
        }
        let address = message.attributes.iter().find_map(|attribute| match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(*address),
            _ => None,
        });
        use NeighbourState::{Delay, Permanent, Probe, Reachable, Stale};
        Some(Self {
            address: address?,
            link: message.header.ifindex,
            is_known: [Reachable, Stale, Delay, Probe, Permanent].contains(&message.header.state),
        })
    }
}
