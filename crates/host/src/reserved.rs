//! Addresses that must not be used as random sources.

use std::net::Ipv6Addr;

use netlink_packet_route::route::RouteType;

use crate::netlink::{Netlink, NetlinkError, Route};

/// The addresses of this host, the gateways of its default routes and every single address that it has a route
/// to (a neighbour, a virtual machine), sorted.
///
/// A [`v6kit_net::SourcePool`] leaves them out: a connection from the host's own address would not be
/// told apart, and one from somebody else's never gets an answer. Needs no privileges.
///
/// # Errors
/// [`NetlinkError`] when the kernel does not list addresses or routes.
pub async fn reserved_addresses() -> Result<Vec<Ipv6Addr>, NetlinkError> {
    let netlink = Netlink::open()?;
    let mut reserved: Vec<Ipv6Addr> = netlink
        .addresses()
        .await?
        .iter()
        .map(|address| address.net.addr())
        .collect();
    let is_single = |route: &Route| {
        route.destination.prefix_len() == 128
            && route.kind == RouteType::Unicast
            && !route.destination.addr().is_unicast_link_local()
    };
    for route in netlink
        .routes(|route| route.is_default() || is_single(route))
        .await?
    {
        if is_single(&route) {
            reserved.push(route.destination.addr());
        } else {
            reserved.extend(route.gateways);
        }
    }
    reserved.sort_unstable();
    reserved.dedup();
    Ok(reserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_own_addresses_are_reserved() {
        let reserved = reserved_addresses().await.unwrap();
        for address in v6kit_net::own_addresses().unwrap() {
            assert!(reserved.contains(&address), "{address}");
        }
    }
}
