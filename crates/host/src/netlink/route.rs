//! Routes: those that are there, and those of ours.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::RouteMessageBuilder;
use v6kit_net::Prefix;

/// The rtm_protocol of routes that setup adds (rtnetlink(7)); no routing daemon uses it
/// (/etc/iproute2/rt_protos).
pub(crate) const PROTOCOL: u8 = 86;
/// RT_TABLE_LOCAL.
pub(crate) const LOCAL_TABLE: u32 = 255;
/// RT_TABLE_MAIN.
pub(crate) const MAIN_TABLE: u32 = 254;

/// A route, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) destination: Ipv6Net,
    /// Whose packets alone it goes for, where it does not go for those of everybody (`from` of ip-route(8)).
    pub(crate) source: Option<Ipv6Net>,
    pub(crate) kind: RouteType,
    pub(crate) table: u32,
    /// The lowest of equal length wins.
    pub(crate) metric: u32,
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

    /// Whether it leads to hosts that are reached without a router, by an address that others may have too.
    pub(crate) fn is_on_link(&self) -> bool {
        let destination = self.destination;
        self.table == MAIN_TABLE
            && self.kind == RouteType::Unicast
            && self.gateways.is_empty()
            && self.protocol != PROTOCOL
            && destination.prefix_len() > 0
            && !destination.addr().is_unicast_link_local()
            && !destination.addr().is_multicast()
    }

    /// Its kind, as ip-route(8) writes it, where it leads nowhere and nothing else is looked at behind it.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        let refuses = matches!(
            self.kind,
            RouteType::BlackHole | RouteType::Unreachable | RouteType::Prohibit
        );
        refuses.then(|| self.kind_name())
    }

    /// Its kind, as ip-route(8) writes it.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self.kind {
            RouteType::BlackHole => "blackhole",
            RouteType::Unreachable => "unreachable",
            RouteType::Prohibit => "prohibit",
            RouteType::Throw => "throw",
            RouteType::Anycast => "anycast",
            RouteType::Multicast => "multicast",
            _ => "unicast",
        }
    }

    /// Whether it is in the table that is mostly looked into first.
    pub(crate) fn is_in_local_table(&self) -> bool {
        self.table == LOCAL_TABLE
    }

    /// Whether it delivers `prefix`, and nothing else, to this host.
    pub(crate) fn delivers(&self, prefix: Prefix) -> bool {
        self.destination == prefix.into()
            && self.kind == RouteType::Local
            && [LOCAL_TABLE, MAIN_TABLE].contains(&self.table)
    }

    /// Whether it goes for addresses of `prefix`.
    pub(crate) fn overlaps(&self, prefix: Prefix) -> bool {
        let prefix = Ipv6Net::from(prefix);
        self.destination.contains(&prefix) || prefix.contains(&self.destination)
    }

    pub(super) fn read(message: &RouteMessage) -> Option<Self> {
        let header = &message.header;
        let mut destination = Ipv6Addr::UNSPECIFIED;
        let mut source = None;
        let mut table = u32::from(header.table);
        let mut link = None;
        let mut metric = 0;
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(RouteAddress::Inet6(address)) => destination = *address,
                RouteAttribute::Source(RouteAddress::Inet6(address)) => {
                    source = Ipv6Net::new(*address, header.source_prefix_length).ok();
                }
                RouteAttribute::Table(id) => table = *id,
                RouteAttribute::Oif(index) => link = Some(*index),
                RouteAttribute::Priority(number) => metric = *number,
                _ => {}
            }
        }
        Some(Self {
            destination: Ipv6Net::new(destination, header.destination_prefix_length).ok()?,
            source,
            kind: header.kind,
            table,
            metric,
            protocol: header.protocol.into(),
            link,
            gateways: gateways(message).collect(),
        })
    }
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

/// A route that setup adds, and teardown deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OurRoute {
    pub(crate) destination: Ipv6Net,
    /// Local delivers, unicast leads on.
    pub(crate) kind: RouteType,
    pub(crate) table: u32,
    /// The kernel's own where there is none.
    pub(crate) metric: Option<u32>,
    /// The index of the link.
    pub(crate) link: u32,
    pub(crate) via: Option<Ipv6Addr>,
}

impl OurRoute {
    pub(super) fn message(&self) -> RouteMessage {
        let mut builder = RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(self.destination.addr(), self.destination.prefix_len())
            .output_interface(self.link)
            .table_id(self.table)
            .protocol(RouteProtocol::from(PROTOCOL))
            .scope(RouteScope::Universe)
            .kind(self.kind);
        if let Some(metric) = self.metric {
            builder = builder.priority(metric);
        }
        if let Some(gateway) = self.via {
            builder = builder.gateway(gateway);
        }
        builder.build()
    }

    /// Whether `route` is this one.
    pub(crate) fn is(&self, route: &Route) -> bool {
        route.destination == self.destination
            && route.kind == self.kind
            && route.table == self.table
            && route.protocol == PROTOCOL
            && route.link == Some(self.link)
            && self.metric.is_none_or(|metric| metric == route.metric)
            && route.gateways.first().copied() == self.via
    }
}
