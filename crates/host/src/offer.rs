//! The prefixes that this host may have, for who does not know.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use netlink_packet_route::route::RouteType;
use serde::Serialize;
use v6kit_net::Prefix;

use crate::error::HostError;
use crate::netlink::{Address, Link, LinkKind, Neighbour, Netlink, PROTOCOL, Route};

/// The longest prefix that is worth sending from: one of 128 bits is an address.
const LONGEST: u8 = 127;
/// Teredo (RFC 4380) and 6to4 (RFC 3056): addresses of tunnels.
const TUNNELS: [(u16, u16); 2] = [(0x2001, 0), (0x2002, u16::MAX)];

/// How a prefix gets here, as far as this host can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Looks {
    /// This host keeps the whole of it: a route or a device of its own says so.
    Routed,
    /// It lies on a link, which others may share; whether a router sends all of it here cannot be seen.
    OnLink,
}

/// A prefix that this host may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// The prefix.
    pub prefix: Prefix,
    /// The device that it arrives on.
    pub device: String,
    /// How it gets here.
    pub looks: Looks,
    /// Whether the default route leaves by that device.
    pub is_uplink: bool,
    /// This host's addresses in it.
    pub addresses: Vec<Ipv6Addr>,
    /// Who else is known to live in it: gateways and neighbours.
    pub others: Vec<Ipv6Addr>,
}

/// What can be seen without privileges.
struct View {
    links: Vec<Link>,
    addresses: Vec<Address>,
    routes: Vec<Route>,
    neighbours: Vec<Neighbour>,
}

/// The global prefixes of this host, those that are routed here first, then those of the default route's device. None of
/// tunnels, none that is deprecated or for this site only.
///
/// # Errors
/// [`HostError`] when the kernel does not list them.
pub async fn offers() -> Result<Vec<Offer>, HostError> {
    if !std::path::Path::new("/proc/sys/net/ipv6").exists() {
        return Ok(Vec::new());
    }
    let netlink = Netlink::open()?;
    let view = View {
        links: netlink.links().await?,
        addresses: netlink.addresses().await?,
        routes: netlink.routes(|_| true).await?,
        neighbours: netlink.neighbours(|neighbour| neighbour.is_known).await?,
    };
    Ok(view.offers())
}

impl View {
    fn offers(&self) -> Vec<Offer> {
        let mut found: Vec<Offer> = Vec::new();
        let uplink = self.uplink();
        for net in self.kept() {
            if let Some(device) = uplink {
                self.add(&mut found, net, device, Looks::Routed);
            }
        }
        for address in self.addresses.iter().filter(|address| address.is_lasting()) {
            let link = self.links.iter().find(|link| link.index == address.link);
            if let Some(link) = link.filter(|link| link.is_up && link.kind == LinkKind::Other) {
                self.add(&mut found, address.net.trunc(), link, Looks::OnLink);
            }
        }
        found.sort_by_key(|offer| (offer.looks == Looks::OnLink, !offer.is_uplink));
        found
    }

    /// The device of the default route with the lowest metric.
    fn uplink(&self) -> Option<&Link> {
        let defaults = self.routes.iter().filter(|route| route.is_default());
        let best = defaults.min_by_key(|route| route.metric)?;
        self.links.iter().find(|link| Some(link.index) == best.link)
    }

    fn is_uplink(&self, link: &Link) -> bool {
        let mut defaults = self.routes.iter().filter(|route| route.is_default());
        defaults.any(|route| route.link == Some(link.index))
    }

    /// Networks of which nothing leaves this host: it delivers or refuses the whole, or has them on a device that leads
    /// nowhere, as hosts do with what is routed to them.
    fn kept(&self) -> Vec<Ipv6Net> {
        let keeps = |route: &&Route| {
            let is_whole = matches!(
                route.kind,
                RouteType::Local | RouteType::Unreachable | RouteType::BlackHole | RouteType::Prohibit
            );
            is_whole && route.protocol != PROTOCOL
        };
        let by_route = self.routes.iter().filter(keeps).map(|route| route.destination);
        let leads_nowhere = |address: &&Address| {
            let mut links = self.links.iter();
            address.is_lasting()
                && links.any(|link| {
                    link.index == address.link && (link.is_loopback || link.kind == LinkKind::Dummy)
                })
        };
        let by_device = self.addresses.iter().filter(leads_nowhere);
        by_route
            .chain(by_device.map(|address| address.net.trunc()))
            .collect()
    }

    fn add(&self, found: &mut Vec<Offer>, net: Ipv6Net, link: &Link, looks: Looks) {
        let Ok(prefix) = Prefix::new(net) else { return };
        let is_known = found.iter().any(|offer| offer.prefix == prefix);
        if is_known || net.prefix_len() > LONGEST || !is_of_the_internet(net.addr()) {
            return;
        }
        let own = self.addresses.iter().map(|address| address.net.addr());
        let own: Vec<Ipv6Addr> = own.filter(|address| prefix.contains(*address)).collect();
        let gateways = self
            .routes
            .iter()
            .flat_map(|route| route.gateways.iter().copied());
        let neighbours = self.neighbours.iter().map(|neighbour| neighbour.address);
        let mut others: Vec<Ipv6Addr> = gateways
            .chain(neighbours)
            .filter(|address| prefix.contains(*address) && !own.contains(address))
            .collect();
        others.sort_unstable();
        others.dedup();
        found.push(Offer {
            prefix,
            device: link.name.clone(),
            looks,
            is_uplink: self.is_uplink(link),
            addresses: own,
            others,
        });
    }
}

/// Whether it is of the block that the Internet uses (2000::/3; RFC 4291), and no tunnel's.
fn is_of_the_internet(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let is_tunnel = TUNNELS
        .iter()
        .any(|(first, second)| segments[0] == *first && (*second == u16::MAX || segments[1] == *second));
    segments[0] >> 13 == 1 && !is_tunnel
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str, kind: LinkKind) -> Link {
        Link {
            index,
            name: name.to_owned(),
            is_up: true,
            is_loopback: name == "lo",
            port_of: None,
            is_in_vrf: false,
            mtu: None,
            kind,
        }
    }

    fn address(net: &str, link: u32) -> Address {
        Address {
            net: net.parse().unwrap(),
            link,
            is_temporary: false,
            is_deprecated: false,
        }
    }

    fn route(destination: &str, kind: RouteType, link: u32) -> Route {
        Route {
            destination: destination.parse().unwrap(),
            source: None,
            kind,
            table: 254,
            metric: 1024,
            protocol: 3,
            link: Some(link),
            gateways: Vec::new(),
        }
    }

    fn host(addresses: Vec<Address>, routes: Vec<Route>) -> View {
        let mut all = vec![route("::/0", RouteType::Unicast, 2)];
        all.extend(routes);
        View {
            links: vec![
                link(1, "lo", LinkKind::Other),
                link(2, "eth0", LinkKind::Other),
                link(3, "wg0", LinkKind::Tunnel),
                link(4, "dum0", LinkKind::Dummy),
                link(5, "eth1", LinkKind::Other),
            ],
            addresses,
            routes: all,
            neighbours: Vec::new(),
        }
    }

    fn seen(view: &View) -> Vec<(String, String, Looks)> {
        let offers = view.offers().into_iter();
        offers
            .map(|offer| (offer.prefix.to_string(), offer.device, offer.looks))
            .collect()
    }

    #[test]
    fn what_lies_on_a_link_looks_on_link_and_the_default_routes_device_comes_first() {
        let view = host(
            vec![
                address("2001:db8:5::1/64", 5),
                address("2001:db8:1::2/64", 2),
                address("2001:db8:1::3/64", 2),
            ],
            Vec::new(),
        );
        assert_eq!(
            seen(&view),
            [
                ("2001:db8:1::/64".to_owned(), "eth0".to_owned(), Looks::OnLink),
                ("2001:db8:5::/64".to_owned(), "eth1".to_owned(), Looks::OnLink)
            ]
        );
        assert_eq!(view.offers()[0].addresses.len(), 2);
    }

    #[test]
    fn what_this_host_keeps_whole_looks_routed() {
        let delegated = route("2001:db8:6::/56", RouteType::Unreachable, 1);
        let local = route("2001:db8:7::/64", RouteType::Local, 1);
        let own = route("2001:db8:1::2/128", RouteType::Local, 2);
        let view = host(
            vec![address("2001:db8:1::2/64", 2), address("2001:db8:8::1/64", 4)],
            vec![delegated, local, own],
        );
        let routed: Vec<String> = seen(&view)
            .into_iter()
            .filter(|(_, _, looks)| *looks == Looks::Routed)
            .map(|(prefix, _, _)| prefix)
            .collect();
        assert_eq!(routed, ["2001:db8:6::/56", "2001:db8:7::/64", "2001:db8:8::/64"]);
    }

    #[test]
    fn nothing_is_offered_of_tunnels_of_this_site_or_on_its_way_out() {
        let mut deprecated = address("2001:db8:1::2/64", 2);
        deprecated.is_deprecated = true;
        let mut temporary = address("2001:db8:2::2/64", 2);
        temporary.is_temporary = true;
        let view = host(
            vec![
                deprecated,
                temporary,
                address("fd00:1::2/64", 2),
                address("fe80::1/64", 2),
                address("2001:db8:3::2/64", 3),
                address("2002:c000:204::1/64", 2),
                address("2001:0:1::1/64", 2),
                address("2001:db8:4::1/128", 2),
            ],
            vec![route("2001:db8:6::/64", RouteType::Unicast, 2)],
        );
        assert_eq!(seen(&view), []);
    }
}
