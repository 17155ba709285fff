//! Links, addresses, routes, policy rules and neighbours, through rtnetlink(7).

mod neighbour;
mod route;
mod rule;

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use futures_util::TryStreamExt;
use ipnet::Ipv6Net;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoKind, InfoPortKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
};
use netlink_packet_route::route::RouteType;
use rtnetlink::{Handle, IpVersion, RouteMessageBuilder};
use v6kit_net::{Code, Hint, IPV6_MIN_MTU};

pub(crate) use neighbour::Neighbour;
pub(crate) use route::{LOCAL_TABLE, MAIN_TABLE, OurRoute, PROTOCOL, Route};
#[cfg(test)]
pub(crate) use rule::Refusal;
pub(crate) use rule::{Rule, RuleTarget};

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
            .try_filter_map(async |message| Ok(Route::read(&message).filter(&wanted)))
            .try_collect()
            .await
            .map_err(NetlinkError::request("list routes"))
    }

    /// The IPv6 policy rules, in the order in which they are looked at.
    pub(crate) async fn rules(&self) -> Result<Vec<Rule>, NetlinkError> {
        let mut rules: Vec<Rule> = self
            .handle
            .rule()
            .get(IpVersion::V6)
            .execute()
            .try_filter_map(async |message| Ok(Rule::read(&message)))
            .try_collect()
            .await
            .map_err(NetlinkError::request("list policy rules"))?;
        rules.sort_by_key(|rule| rule.priority);
        Ok(rules)
    }

    /// The IPv6 neighbours that `wanted` picks.
    pub(crate) async fn neighbours(
        &self,
        wanted: impl Fn(&Neighbour) -> bool,
    ) -> Result<Vec<Neighbour>, NetlinkError> {
        self.handle
            .neighbours()
            .get()
            .set_address_family(AddressFamily::Inet6)
            .execute()
            .try_filter_map(async |message| Ok(Neighbour::read(&message).filter(&wanted)))
            .try_collect()
            .await
            .map_err(NetlinkError::request("list neighbours"))
    }

    /// Adds a route of ours. Fails when one of the same table, destination and metric is there.
    pub(crate) async fn add_route(&self, route: &OurRoute) -> Result<(), NetlinkError> {
        self.handle
            .route()
            .add(route.message())
            .execute()
            .await
            .map_err(NetlinkError::request("add the route"))
    }

    /// Whether this process may change routes: found out by deleting one that is not there.
    pub(crate) async fn may_change_routes(&self) -> bool {
        let absent = OurRoute {
            destination: Ipv6Net::from(Ipv6Addr::LOCALHOST),
            kind: RouteType::Local,
            // Nobody's table.
            table: u32::from_be_bytes(*b"v6k?"),
            metric: None,
            link: 1,
            via: None,
        };
        let deleted = self.handle.route().del(absent.message()).execute().await;
        !deleted.is_err_and(|error| io_error(error).kind() == io::ErrorKind::PermissionDenied)
    }

    /// Deletes a route of ours, and none with another protocol number.
    pub(crate) async fn delete_route(&self, route: &OurRoute) -> Result<(), NetlinkError> {
        self.handle
            .route()
            .del(route.message())
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
    /// In bytes.
    pub(crate) mtu: Option<u32>,
    /// The index of the bridge, bond or team whose port it is, which takes all its packets.
    pub(crate) port_of: Option<u32>,
    /// Whether it is a part of a VRF, in whose table its packets are looked up.
    pub(crate) is_in_vrf: bool,
    pub(crate) kind: LinkKind,
}

/// What a device is made for, as far as it matters to the addresses on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkKind {
    /// Its packets travel inside others: a VPN or a tunnel.
    Tunnel,
    /// It leads nowhere.
    Dummy,
    /// A network.
    Other,
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
    /// Whether no new connection is to be made from it (RFC 4862, section 5.5.4).
    pub(crate) is_deprecated: bool,
}

impl Address {
    /// Whether it stays as long as the network does.
    pub(crate) fn is_lasting(&self) -> bool {
        !self.is_temporary && !self.is_deprecated
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
        mtu: message.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::Mtu(bytes) => Some(*bytes),
            _ => None,
        }),
        port_of: port_of(message),
        is_in_vrf: has_port_kind(message, |kind| matches!(kind, InfoPortKind::Vrf)),
        kind: kind(message),
    })
}

impl Link {
    /// Its MTU, where that is too small for IPv6.
    pub(crate) fn below_ipv6(&self) -> Option<u32> {
        self.mtu.filter(|mtu| *mtu < IPV6_MIN_MTU && !self.is_loopback)
    }
}

/// Devices without a link layer are tunnels, and some with one (ip-link(8)).
fn kind(message: &LinkMessage) -> LinkKind {
    let is_bare = matches!(
        message.header.link_layer_type,
        LinkLayerType::None
            | LinkLayerType::Tunnel6
            | LinkLayerType::Tunnel
            | LinkLayerType::Sit
            | LinkLayerType::Ip6gre
    );
    let made_as = infos(message).find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    });
    match made_as {
        _ if is_bare => LinkKind::Tunnel,
        Some(InfoKind::Dummy) => LinkKind::Dummy,
        Some(
            InfoKind::Tun
            | InfoKind::Wireguard
            | InfoKind::Vxlan
            | InfoKind::Geneve
            | InfoKind::GreTap
            | InfoKind::GreTap6
            | InfoKind::ErSpan
            | InfoKind::Ip6ErSpan
            | InfoKind::Xfrm
            | InfoKind::Gtp,
        ) => LinkKind::Tunnel,
        _ => LinkKind::Other,
    }
}

fn infos(message: &LinkMessage) -> impl Iterator<Item = &LinkInfo> {
    let attributes = message.attributes.iter();
    attributes
        .filter_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(infos) => Some(infos),
            _ => None,
        })
        .flatten()
}

/// A device in a VRF has a controller too, and keeps its packets.
fn port_of(message: &LinkMessage) -> Option<u32> {
    let takes_packets = |kind: &InfoPortKind| {
        matches!(
            kind,
            InfoPortKind::Bridge | InfoPortKind::Bond | InfoPortKind::Team
        )
    };
    if !has_port_kind(message, takes_packets) {
        return None;
    }
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Controller(index) => Some(*index),
        _ => None,
    })
}

fn has_port_kind(message: &LinkMessage, is: impl Fn(&InfoPortKind) -> bool) -> bool {
    infos(message).any(|info| matches!(info, LinkInfo::PortKind(kind) if is(kind)))
}

fn address(message: &AddressMessage) -> Option<Address> {
    // With a peer (`ip addr add A peer B`) that one is IFA_ADDRESS, and the own address is IFA_LOCAL.
    let attributes = || message.attributes.iter();
    let address = attributes()
        .find_map(|attribute| match attribute {
            AddressAttribute::Local(IpAddr::V6(address)) => Some(*address),
            _ => None,
        })
        .or_else(|| {
            attributes().find_map(|attribute| match attribute {
                AddressAttribute::Address(IpAddr::V6(address)) => Some(*address),
                _ => None,
            })
        });
    let has = |wanted| {
        attributes()
            .any(|attribute| matches!(attribute, AddressAttribute::Flags(flags) if flags.contains(wanted)))
    };
    Some(Address {
        net: Ipv6Net::new(address?, message.header.prefix_len).ok()?,
        link: message.header.index,
        is_temporary: has(AddressFlags::Secondary),
        is_deprecated: has(AddressFlags::Deprecated),
    })
}
