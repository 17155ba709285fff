//! Those who live inside the prefix and are in use: each gets a route of its own, which is longer than that of the
//! prefix and so wins.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use netlink_packet_route::route::RouteType;

use super::{Action, Importance, Step, View};
use crate::netlink::{MAIN_TABLE, PROTOCOL, Route};
use crate::resource::{Resource, Want, neighbour_text};

/// The step's name.
const ID: &str = "neighbour";
/// So many neighbours get routes. The kernel keeps this many without looking (neigh/default/gc_thresh1).
const MOST: usize = 128;

/// The routes to those in the prefix, and whom none can lead to, in words.
pub(super) struct Neighbours {
    pub(super) steps: Vec<Step>,
    pub(super) cut_off: Vec<String>,
}

/// Why an address is in use, and the link that it is known on.
pub(super) struct Use {
    why: &'static str,
    link: Option<u32>,
}

impl View<'_> {
    pub(super) fn neighbours(&self) -> Neighbours {
        let mut found = Neighbours {
            steps: Vec::new(),
            cut_off: Vec::new(),
        };
        for (address, used) in self.in_use(&mut found.cut_off) {
            if self.has_route_of_its_own(address) {
                continue;
            }
            match self.way(address, used.link) {
                Some((device, via)) => found.steps.push(self.neighbour(address, device, via, used.why)),
                None => found
                    .cut_off
                    .push(format!("no route leads to {address}, {}", used.why)),
            }
        }
        self.keep_those_of_earlier_runs(&mut found.steps);
        found
    }

    /// Who in the prefix is in use, other than this host itself.
    pub(super) fn in_use(&self, cut_off: &mut Vec<String>) -> BTreeMap<Ipv6Addr, Use> {
        let mut used = BTreeMap::new();
        let own = self.own_addresses();
        let prefix = self.wanted.prefix;
        let mut add = |address: Ipv6Addr, why, link| {
            if prefix.contains(address) && !own.contains(&address) {
                used.entry(address).or_insert(Use { why, link });
            }
        };
        for route in &self.facts.routes {
            for gateway in &route.gateways {
                let why = if route.is_default() {
                    "the default gateway"
                } else {
                    "the gateway of a route"
                };
                add(*gateway, why, route.link);
            }
        }
        for address in &self.facts.resolvers {
            add(*address, "a name server of this host", None);
        }
        if let Some(address) = self.wanted.session {
            add(address, "where you are logged in from", None);
        }
        // Where the prefix is delivered here already, its addresses are this host's own ends.
        for address in self
            .facts
            .peers
            .iter()
            .filter(|address| !self.is_delivered(**address))
        {
            add(*address, "the other end of a connection", None);
        }
        let known: Vec<_> = self
            .facts
            .neighbours
            .iter()
            .filter(|found| found.is_known)
            .collect();
        for neighbour in known.iter().take(MOST) {
            add(
                neighbour.address,
                "a neighbour of this host",
                Some(neighbour.link),
            );
        }
        if known.len() > MOST {
            cut_off.push(format!("{} neighbours, of which {MOST} get a route", known.len()));
        }
        for neighbour in known {
            if let Some(used) = used.get_mut(&neighbour.address) {
                used.link = Some(neighbour.link);
            }
        }
        used
    }

    /// Whether packets to the address stay on this host now.
    fn is_delivered(&self, address: Ipv6Addr) -> bool {
        let address = Ipv6Net::from(address);
        let best = self
            .facts
            .routes
            .iter()
            .filter(|route| route.destination.contains(&address))
            .max_by_key(|route| (route.is_in_local_table(), route.destination.prefix_len()));
        best.is_some_and(|route| route.kind == RouteType::Local)
    }

    /// Whether a route of others leads there that is longer than the prefix, in the table that ours lies in.
    fn has_route_of_its_own(&self, address: Ipv6Addr) -> bool {
        let table = self.placement.table().id();
        self.ways(address)
            .any(|route| route.table == table && route.destination.prefix_len() > self.wanted.prefix.length())
    }

    fn ways(&self, address: Ipv6Addr) -> impl Iterator<Item = &Route> {
        let address = Ipv6Net::from(address);
        self.facts.routes.iter().filter(move |route| {
            route.destination.contains(&address)
                && route.kind == RouteType::Unicast
                && route.protocol != PROTOCOL
        })
    }

    /// The device and the next hop that lead there without us. Whoever is known on a link is reached on it.
    fn way(&self, address: Ipv6Addr, link: Option<u32>) -> Option<(String, Option<Ipv6Addr>)> {
        let name = |index| {
            let link = self
                .facts
                .links
                .iter()
                .find(|link| link.index == index && link.is_up);
            link.map(|link| link.name.clone())
        };
        if let Some(index) = link {
            return Some((name(index)?, None));
        }
        let best = self
            .ways(address)
            .filter(|route| route.table == MAIN_TABLE)
            .max_by_key(|route| (route.destination.prefix_len(), std::cmp::Reverse(route.metric)))?;
        Some((name(best.link?)?, best.gateways.first().copied()))
    }

    fn neighbour(&self, address: Ipv6Addr, device: String, via: Option<Ipv6Addr>, why: &str) -> Step {
        let table = self.placement.table();
        let text = neighbour_text(address, &device, via, table);
        let is_there = self.facts.routes.iter().any(|route| {
            route.destination == Ipv6Net::from(address)
                && route.protocol == PROTOCOL
                && route.kind == RouteType::Unicast
                && route.table == table.id()
                && self.facts.link_name(route.link) == device
                && route.gateways.first().copied() == via
        });
        let resource = Resource::Neighbour {
            address,
            device,
            via,
            table,
        };
        let action = if is_there && self.is_held(&resource) {
            Action::Keep {
                want: Some(Want::Present),
                value: Some(text),
            }
        } else {
            Action::Change {
                want: Want::Present,
                before: None,
                after: Some(text),
            }
        };
        Step {
            id: ID.to_owned(),
            reason: format!("{address} in the prefix is {why}: it stays reachable"),
            resource: Some(resource),
            importance: Importance::Essential,
            action,
        }
    }

    /// A neighbour of an earlier run that is idle now keeps its route, until nobody answers there any more.
    fn keep_those_of_earlier_runs(&self, steps: &mut Vec<Step>) {
        let prefix = self.wanted.prefix;
        for key in self.state.holds(|holder| holder.prefix == prefix) {
            let Resource::Neighbour {
                address, device, via, ..
            } = &key.resource
            else {
                continue;
            };
            let is_planned = steps.iter().any(|step| {
                matches!(&step.resource, Some(Resource::Neighbour { address: known, .. }) if known == address)
            });
            let is_gone = self
                .facts
                .neighbours
                .iter()
                .any(|neighbour| neighbour.address == *address && !neighbour.is_known);
            let is_up = self.facts.link(device).is_some_and(|link| link.is_up);
            let is_own = self.own_addresses().contains(address);
            let is_live = self.is_held(&key.resource);
            if is_live && is_up && !is_planned && !is_gone && !is_own && !self.has_route_of_its_own(*address)
            {
                steps.push(self.neighbour(*address, device.clone(), *via, "known from an earlier setup"));
            }
        }
    }
}
