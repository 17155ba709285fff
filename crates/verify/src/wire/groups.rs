//! Solicited-node multicast groups.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv6Addr;

use socket2::{Domain, Protocol, Socket, Type};

use crate::routes::Device;

/// Membership in the solicited-node groups of addresses on a device; left when dropped.
#[derive(Debug)]
pub(super) struct SolicitedNodeGroups {
    _socket: Socket,
}

impl SolicitedNodeGroups {
    /// Joins the groups of `addresses`.
    pub(super) fn join(device: &Device, addresses: &[Ipv6Addr]) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
        let groups: BTreeSet<Ipv6Addr> = addresses.iter().copied().map(solicited_node).collect();
        for group in groups {
            socket.join_multicast_v6(&group, device.index)?;
        }
        Ok(Self { _socket: socket })
    }
}

/// ff02::1:ff00:0/104 with the low 24 bits of the address (RFC 4291 section 2.7.1).
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let base = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0);
    Ipv6Addr::from_bits(base.to_bits() | (address.to_bits() & 0x00ff_ffff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_made_of_the_low_24_bits() {
        // The example of RFC 4291.
        let address: Ipv6Addr = "4037::1:800:200e:8c6c".parse().unwrap();
        assert_eq!(
            solicited_node(address),
            "ff02::1:ff0e:8c6c".parse::<Ipv6Addr>().unwrap()
        );
    }
}
