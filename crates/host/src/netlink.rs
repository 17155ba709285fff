//! Links, addresses and routes, through rtnetlink(7).

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use futures_util::TryStreamExt;
use ipnet::Ipv6Net;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{InfoPortKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::{Handle, RouteMessageBuilder};
use v6kit_net::{Code, Hint, Prefix};

/// The rtm_protocol of routes that setup adds (rtnetlink(7)); no routing daemon uses it
/// (/etc/iproute2/rt_protos).
pub(crate) const PROTOCOL: u8 = 86;
/// RT_TABLE_LOCAL.
const LOCAL_TABLE: u32 = 255;

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
    #[error("the kernel did not {action}")]
    Request {
        /// What was asked for, as in "list routes".
        action: &'static str,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

impl Hint for NetlinkError {
    fn code(&self) -> Code {
        match self {
            Self::Open(_) | Self::Request { .. } => Code::Netlink,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Open(_) => Some("check that this container or sandbox allows netlink sockets".to_owned()),
            Self::Request { .. } => None,
        }
    }
}

impl NetlinkError {
    pub(crate) fn request(action: &'static str) -> impl FnOnce(rtnetlink::Error) -> Self {
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

    /// Every network device.
    pub(crate) async fn links(&self) -> Result<Vec<Link>, NetlinkError> {
        self.handle
            .link()
            .get()
            .execute()
            .try_filter_map(async |message| Ok(link(&message)))
            .try_collect()
            .await
            .map_err(NetlinkError::request("list network devices"))
    }

    /// Every IPv6 address of this host with the length of its subnet.
    pub(crate) async fn addresses(&self) -> Result<Vec<Address>, NetlinkError> {
        let mut request = self.handle.address().get();
        request.message_mut().header.family = AddressFamily::Inet6;
        request
            .execute()
            .try_filter_map(async |message| Ok(address(&message)))
            .try_collect()
            .await
            .map_err(NetlinkError::request("list addresses"))
    }

    /// The IPv6 routes of every table that `wanted` picks.
    pub(crate) async fn routes(&self, wanted: impl Fn(&Route) -> bool) -> Result<Vec<Route>, NetlinkError> {
        self.handle
            .route()
            .get(RouteMessageBuilder::<Ipv6Addr>::new().build())
            .execute()
            .try_filter_map(async |message| Ok(route(&message).filter(&wanted)))
            .try_collect()
            .await
            .map_err(NetlinkError::request("list routes"))
    }

    /// Adds our route. Fails when one of the same metric is there.
    pub(crate) async fn add_local_route(&self, prefix: Prefix, link: u32) -> Result<(), NetlinkError> {
        self.handle
            .route()
            .add(local_route(prefix, link))
            .execute()
            .await
            .map_err(NetlinkError::request("add the route"))
    }

    /// Deletes our route, and none with another protocol number.
    pub(crate) async fn delete_local_route(&self, prefix: Prefix, link: u32) -> Result<(), NetlinkError> {
        self.handle
            .route()
            .del(local_route(prefix, link))
            .execute()
            .await
            .map_err(NetlinkError::request("delete the route"))
    }
}

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// Whether it is administratively up.
    pub(crate) is_up: bool,
    /// Whether it leads to this host itself.
    pub(crate) is_loopback: bool,
    /// The index of the bridge, bond or team whose port it is, which takes all its packets.
    pub(crate) port_of: Option<u32>,
}

/// An address and where it is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    /// The address with the length of its subnet.
    pub(crate) net: Ipv6Net,
    /// The index of its link.
    pub(crate) link: u32,
    /// Whether it is a privacy address that another one replaces soon (RFC 8981).
    pub(crate) is_temporary: bool,
}

/// A route, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) destination: Ipv6Net,
    pub(crate) kind: RouteType,
    pub(crate) table: u32,
    /// The rtm_protocol.
    pub(crate) protocol: u8,
    /// The index of its link; `None` for several next hops.
    pub(crate) link: Option<u32>,
    pub(crate) gateways: Vec<Ipv6Addr>,
}

impl Route {
    /// Whether it is a default route that leads somewhere.
    pub(crate) fn is_default(&self) -> bool {
        self.destination.prefix_len() == 0 && self.kind == RouteType::Unicast
    }

    /// Whether it is in the table that is looked into first.
    pub(crate) fn is_in_local_table(&self) -> bool {
        self.table == LOCAL_TABLE
    }

    /// Whether it delivers `prefix`, and nothing else, to this host.
    pub(crate) fn delivers(&self, prefix: Prefix) -> bool {
        self.destination == prefix.into() && self.kind == RouteType::Local && self.is_in_local_table()
    }
}

fn link(message: &LinkMessage) -> Option<Link> {
    let name = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    });
    name.map(|name| Link {
        index: message.header.index,
        name,
        is_up: message.header.flags.contains(LinkFlags::Up),
        is_loopback: message.header.flags.contains(LinkFlags::Loopback),
        port_of: port_of(message),
    })
}

/// A device in a VRF has a controller too, and keeps its packets.
fn port_of(message: &LinkMessage) -> Option<u32> {
    let infos = message.attributes.iter().filter_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    let takes_packets = |info: &LinkInfo| {
        matches!(
            info,
            LinkInfo::PortKind(InfoPortKind::Bridge | InfoPortKind::Bond | InfoPortKind::Team)
        )
    };
    if !infos.flatten().any(takes_packets) {
        return None;
    }
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Controller(index) => Some(*index),
        _ => None,
    })
}

fn address(message: &AddressMessage) -> Option<Address> {
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(IpAddr::V6(address)) => Some(*address),
        _ => None,
    });
    let is_temporary = message.attributes.iter().any(|attribute| {
        matches!(attribute, AddressAttribute::Flags(flags) if flags.contains(AddressFlags::Secondary))
    });
    Some(Address {
        net: Ipv6Net::new(address?, message.header.prefix_len).ok()?,
        link: message.header.index,
        is_temporary,
    })
}

fn route(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    let mut destination = Ipv6Addr::UNSPECIFIED;
    let mut table = u32::from(header.table);
    let mut link = None;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet6(address)) => destination = *address,
            RouteAttribute::Table(id) => table = *id,
            RouteAttribute::Oif(index) => link = Some(*index),
            _ => {}
        }
    }
    Some(Route {
        destination: Ipv6Net::new(destination, header.destination_prefix_length).ok()?,
        kind: header.kind,
        table,
        protocol: header.protocol.into(),
        link,
        gateways: gateways(message).collect(),
    })
}

/// The gateways of a unicast route, one per next hop.
fn gateways(message: &RouteMessage) -> impl Iterator<Item = Ipv6Addr> + '_ {
    message
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

/// `local PREFIX dev LINK table local` with our protocol number.
fn local_route(prefix: Prefix, link: u32) -> RouteMessage {
    let mut message = RouteMessageBuilder::<Ipv6Addr>::new()
        .destination_prefix(prefix.network(), prefix.length())
        .output_interface(link)
        .build();
    message.header = RouteHeader {
        table: LOCAL_TABLE as u8,
        protocol: RouteProtocol::from(PROTOCOL),
        scope: RouteScope::Universe,
        kind: RouteType::Local,
        ..message.header
    };
    message
}
