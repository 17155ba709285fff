//! Links, addresses and routes, through rtnetlink(7).

use std::io;
use std::net::Ipv6Addr;

use futures_util::TryStreamExt;
use ipnet::Ipv6Net;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use rtnetlink::{Handle, RouteMessageBuilder};
use v6kit_net::Hint;

/// A connection to the kernel's routing subsystem. Its driver ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Netlink {
    handle: Handle,
    driver: tokio::task::JoinHandle<()>,
}

/// Why the kernel's routing subsystem gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// No netlink socket.
    #[error("the kernel's routing interface (netlink) cannot be opened")]
    Open(#[source] io::Error),
    /// A request failed.
    #[error("the kernel refused to {action}")]
    Request {
        /// What was asked for, as in "list routes".
        action: &'static str,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

impl Hint for NetlinkError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Open(_) => Some("check that this container or sandbox allows netlink sockets".to_owned()),
            Self::Request { .. } => None,
        }
    }
}

impl NetlinkError {
    fn request(action: &'static str) -> impl FnOnce(rtnetlink::Error) -> Self {
        move |error| Self::Request {
            action,
            source: io_error(error),
        }
    }
}

/// The errno inside a netlink error, where there is one.
fn io_error(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Netlink {
    pub(crate) fn open() -> Result<Self, NetlinkError> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(NetlinkError::Open)?;
        let driver = tokio::spawn(connection);
        Ok(Self { handle, driver })
    }

    /// Every IPv6 address of this host with the length of its subnet.
    pub(crate) async fn addresses(&self) -> Result<Vec<Address>, NetlinkError> {
        let mut request = self.handle.address().get();
        request.message_mut().header.family = AddressFamily::Inet6;
        request
            .execute()
            .try_filter_map(async |message| {
                let address = message.attributes.iter().find_map(|attribute| match attribute {
                    AddressAttribute::Address(std::net::IpAddr::V6(address)) => Some(*address),
                    _ => None,
                });
                Ok(address.and_then(|address| {
                    let net = Ipv6Net::new(address, message.header.prefix_len).ok()?;
                    Some(Address { net })
                }))
            })
            .try_collect()
            .await
            .map_err(NetlinkError::request("list addresses"))
    }

    /// Every IPv6 route of every table.
    pub(crate) async fn routes(&self) -> Result<Vec<RouteMessage>, NetlinkError> {
        self.handle
            .route()
            .get(RouteMessageBuilder::<Ipv6Addr>::new().build())
            .execute()
            .try_collect()
            .await
            .map_err(NetlinkError::request("list routes"))
    }
}

/// An address and where it is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    /// The address with the length of its subnet.
    pub(crate) net: Ipv6Net,
}

/// The gateways of a unicast route, one per next hop.
pub(crate) fn gateways(route: &RouteMessage) -> impl Iterator<Item = Ipv6Addr> + '_ {
    route
        .attributes
        .iter()
        .flat_map(|attribute| match attribute {
            RouteAttribute::MultiPath(hops) => {
                hops.iter().flat_map(|hop| hop.attributes.as_slice()).collect()
            }
            single => vec![single],
        })
        .filter_map(|attribute| match attribute {
            RouteAttribute::Gateway(RouteAddress::Inet6(gateway)) => Some(*gateway),
            _ => None,
        })
}

/// Whether `route` is a default route that leads somewhere.
pub(crate) fn is_default(route: &RouteMessage) -> bool {
    route.header.destination_prefix_length == 0 && route.header.kind == RouteType::Unicast
}
