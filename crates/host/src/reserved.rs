//! Addresses that must not be used as random sources.

use std::net::Ipv6Addr;

use crate::netlink::{Netlink, NetlinkError, Route};

/// The addresses of this host and the gateways of its default routes, sorted.
///
/// A [`v6kit_net::SourcePool`] leaves them out: a connection from the host's own address would not be
/// told apart, and one from the gateway's never gets an answer. Needs no privileges.
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
    let defaults = netlink.routes(Route::is_default).await?;
    reserved.extend(defaults.into_iter().flat_map(|route| route.gateways));
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
