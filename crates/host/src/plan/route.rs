//! The local route, and what lies in its way.

use ipnet::Ipv6Net;
use netlink_packet_route::route::RouteType;

use super::{Action, Importance, Step, View};
use crate::error::HostError;
use crate::netlink::{PROTOCOL, Route};
use crate::resource::{Resource, Want, route_text};

/// RT_TABLE_MAIN.
const MAIN_TABLE: u32 = 254;
/// RTPROT_KERNEL: the route of an address of this host.
const KERNEL_PROTOCOL: u8 = 2;

impl View<'_> {
    pub(super) fn route(&self) -> Result<Step, HostError> {
        let device = &self.wanted.route_device;
        if self.facts.link(device).is_some_and(|link| !link.is_up) {
            return Err(HostError::DeviceDown {
                device: device.clone(),
            });
        }
        let prefix = self.wanted.prefix;
        let (resource, action) = match self.delivering() {
            Some(present) => {
                let device = self.facts.link_name(present.link).to_owned();
                let value = format!("local {prefix} dev {device} proto {}", present.protocol);
                let action = Action::Keep {
                    want: Some(Want::Present),
                    value: Some(value),
                };
                (Resource::Route { prefix, device }, action)
            }
            None => {
                let resource = Resource::Route {
                    prefix,
                    device: device.clone(),
                };
                let action = self.route_conflict().unwrap_or_else(|| Action::Change {
                    want: Want::Present,
                    before: None,
                    after: Some(route_text(prefix, device)),
                });
                (resource, action)
            }
        };
        Ok(Step {
            id: "route".to_owned(),
            reason: "answers to every address of the prefix are delivered here".to_owned(),
            resource: Some(resource),
            importance: Importance::Essential,
            action,
        })
    }

    /// The route that delivers the prefix already. One of ours on a device that is no longer asked for
    /// does not count.
    fn delivering(&self) -> Option<&Route> {
        let prefix = self.wanted.prefix;
        let mut routes = self.facts.routes.iter().filter(|route| route.delivers(prefix));
        routes.find(|route| {
            let device = self.facts.link_name(route.link);
            let is_ours = route.protocol == PROTOCOL
                && self.is_held(&Resource::Route {
                    prefix,
                    device: device.to_owned(),
                });
            !is_ours || device == self.wanted.route_device
        })
    }

    fn route_conflict(&self) -> Option<Action> {
        let prefix = self.wanted.prefix;
        let exact = || {
            let destination = Ipv6Net::from(prefix);
            self.facts
                .routes
                .iter()
                .filter(move |route| route.destination == destination)
        };
        if let Some(route) = exact().find(|route| route.is_in_local_table() && route.kind != RouteType::Local)
        {
            let kind = kind_name(route.kind);
            return Some(Action::Conflict {
                value: Some(format!("{kind} {prefix} table local")),
                why: format!("a {kind} route for the prefix is in the local table"),
                hint: format!(
                    "remove it if it is not needed: `sudo ip -6 route del {kind} {prefix} table local`"
                ),
            });
        }
        let elsewhere = exact().find(|route| {
            route.table == MAIN_TABLE && route.kind == RouteType::Unicast && !self.is_on_link(route)
        })?;
        let device = self.facts.link_name(elsewhere.link);
        let via = match elsewhere.gateways.first() {
            Some(gateway) => format!("{prefix} via {gateway} dev {device}"),
            None => format!("{prefix} dev {device}"),
        };
        Some(Action::Conflict {
            value: Some(via.clone()),
            why: format!("this host routes the prefix on: {via}"),
            hint: format!(
                "set up a part that is not routed on, or remove that route: `sudo ip -6 route del {via}`"
            ),
        })
    }

    /// Whether a route says that the prefix is the subnet of the device it arrives on.
    fn is_on_link(&self, route: &Route) -> bool {
        route.gateways.is_empty() && self.facts.link_name(route.link) == self.wanted.device
    }

    /// What the user should know besides the steps.
    pub(super) fn remarks(&self) -> Vec<String> {
        let prefix = self.wanted.prefix;
        let device = &self.wanted.device;
        let mut remarks = Vec::new();
        if self.facts.link(device).is_some_and(|link| !link.is_up) {
            remarks.push(format!("{device} is down: `sudo ip link set {device} up`"));
        }
        let defaults: Vec<&Route> = self.facts.routes.iter().filter(|r| r.is_default()).collect();
        if defaults.is_empty() {
            remarks.push("there is no IPv6 default route: connections find no way out yet".to_owned());
        }
        if self.is_on_link_prefix() {
            remarks.push(format!(
                "{prefix} lies in the subnet of {device}, it is not routed to this host: the router will ask for each address, so run `v6kit ndp --prefix {prefix} --dev {device}` beside it"
            ));
        }
        for net in self.overlapped_subnets() {
            remarks.push(format!(
                "other hosts in {net} cannot be reached from here while {prefix} is set up"
            ));
        }
        let in_prefix = |route: &&Route| route.gateways.iter().any(|gateway| prefix.contains(*gateway));
        if defaults.iter().any(in_prefix) {
            remarks.push(format!(
                "the default gateway lies in {prefix}: set up a smaller part of the prefix, without it"
            ));
        }
        if self.discards() {
            remarks.push(format!(
                "the route that discards {prefix} elsewhere is left alone: the local route comes before it"
            ));
        }
        if let Some(route) = self.delivering()
            && self.facts.link_name(route.link) != "lo"
            && ![PROTOCOL, KERNEL_PROTOCOL].contains(&route.protocol)
        {
            remarks.push(format!(
                "the route on {} was there before and is lost when that link goes down; one on lo is not",
                self.facts.link_name(route.link)
            ));
        }
        remarks
    }

    fn is_on_link_prefix(&self) -> bool {
        let prefix = Ipv6Net::from(self.wanted.prefix);
        // For its own address the kernel answers by itself.
        if prefix.prefix_len() == 128 && self.own_addresses().contains(&prefix.addr()) {
            return false;
        }
        let link = self.facts.link(&self.wanted.device).map(|link| link.index);
        let by_address = self.facts.addresses.iter().any(|address| {
            Some(address.link) == link && address.net.prefix_len() < 128 && address.net.contains(&prefix)
        });
        let by_route = self.facts.routes.iter().any(|route| {
            route.destination == prefix
                && route.table == MAIN_TABLE
                && route.kind == RouteType::Unicast
                && self.is_on_link(route)
        });
        by_address || by_route
    }

    /// The subnets of this host that the prefix shares addresses with.
    fn overlapped_subnets(&self) -> Vec<Ipv6Net> {
        let prefix = Ipv6Net::from(self.wanted.prefix);
        if prefix.prefix_len() == 128 {
            return Vec::new();
        }
        let mut nets: Vec<Ipv6Net> = self
            .facts
            .addresses
            .iter()
            .map(|address| address.net.trunc())
            .filter(|net| net.prefix_len() < 128 && (net.contains(&prefix) || prefix.contains(net)))
            .map(|net| if net.contains(&prefix) { prefix } else { net })
            .collect();
        nets.sort();
        nets.dedup();
        nets
    }

    fn discards(&self) -> bool {
        self.facts.routes.iter().any(|route| {
            route.destination == self.wanted.prefix.into()
                && route.table == MAIN_TABLE
                && [RouteType::BlackHole, RouteType::Unreachable, RouteType::Prohibit].contains(&route.kind)
        })
    }
}

fn kind_name(kind: RouteType) -> &'static str {
    match kind {
        RouteType::BlackHole => "blackhole",
        RouteType::Unreachable => "unreachable",
        RouteType::Prohibit => "prohibit",
        RouteType::Throw => "throw",
        RouteType::Anycast => "anycast",
        RouteType::Multicast => "multicast",
        _ => "unicast",
    }
}
