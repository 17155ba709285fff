//! The route that delivers the prefix, and what lies in its way.

use ipnet::Ipv6Net;
use netlink_packet_route::route::RouteType;
use v6kit_net::{Prefix, shell_word};

use super::{Action, Importance, Step, View};
use crate::delivery::{Placement, RouteTable, Tables};
use crate::error::HostError;
use crate::netlink::{LOCAL_TABLE, MAIN_TABLE, PROTOCOL, Route};
use crate::resource::{Resource, Want, route_text};
use crate::wanted::CutOff;

/// RTPROT_KERNEL: the route of an address of this host.
const KERNEL_PROTOCOL: u8 = 2;
/// Routes that are named one by one.
const NAMED: usize = 8;

impl View<'_> {
    /// The step of the route; `cut_off`: whom no route of ours can lead to.
    pub(super) fn route(&self, cut_off: &[String]) -> Result<Step, HostError> {
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
                let table = table_of(present);
                let value = present_text(present, &device);
                let action = Action::Keep {
                    want: Some(Want::Present),
                    value: Some(value),
                };
                (
                    Resource::Route {
                        prefix,
                        device,
                        table,
                    },
                    action,
                )
            }
            None => {
                let table = self.placement.table();
                let resource = Resource::Route {
                    prefix,
                    device: device.clone(),
                    table,
                };
                let action = self
                    .route_conflict()
                    .or_else(|| self.refused(cut_off))
                    .unwrap_or_else(|| Action::Change {
                        want: Want::Present,
                        before: self.moved_from(),
                        after: Some(route_text(prefix, device, table)),
                    });
                (resource, action)
            }
        };
        let action = match (self.facts.tables().bar(prefix), action) {
            (Some(bar), action @ (Action::Change { .. } | Action::Keep { .. })) => Action::Partly {
                action: Box::new(action),
                hint: bar.hint,
                why: bar.why,
            },
            (_, action) => action,
        };
        Ok(Step {
            id: "route".to_owned(),
            reason: "answers to every address of the prefix are delivered here".to_owned(),
            resource: Some(resource),
            importance: Importance::Essential,
            action,
        })
    }

    /// The route that delivers the prefix already. One of ours on a device or in a table that is no longer asked
    /// for does not count, and one that a route of equal length is faster than does not either.
    fn delivering(&self) -> Option<&Route> {
        let prefix = self.wanted.prefix;
        let tables = self.facts.tables();
        let lowest = |table| {
            let others = tables
                .equal(prefix)
                .filter(move |route| route.table == table && route.kind != RouteType::Local);
            others.map(|route| route.metric).min().unwrap_or(u32::MAX)
        };
        let main = lowest(MAIN_TABLE);
        let delivers = |route: &&Route| {
            route.delivers(prefix)
                && (route.is_in_local_table() || self.placement == Placement::Main && route.metric < main)
        };
        let mut routes: Vec<&Route> = self.facts.routes.iter().filter(delivers).collect();
        // What is looked into first.
        routes.sort_by_key(|route| !route.is_in_local_table());
        routes.into_iter().find(|route| {
            let device = self.facts.link_name(route.link);
            let is_ours = route.protocol == PROTOCOL && self.is_held_route(route, device);
            !is_ours || device == self.wanted.route_device && table_of(route) == self.placement.table()
        })
    }

    fn is_held_route(&self, route: &Route, device: &str) -> bool {
        self.is_held(&Resource::Route {
            prefix: self.wanted.prefix,
            device: device.to_owned(),
            table: table_of(route),
        })
    }

    /// The route of ours that the new one takes the place of.
    fn moved_from(&self) -> Option<String> {
        let prefix = self.wanted.prefix;
        let ours = self.facts.routes.iter().find(|route| {
            route.protocol == PROTOCOL
                && route.delivers(prefix)
                && self.is_held_route(route, self.facts.link_name(route.link))
        })?;
        let device = self.facts.link_name(ours.link);
        Some(match table_of(ours) {
            RouteTable::Local => format!("local {prefix} dev {device} table local proto {PROTOCOL}"),
            table @ RouteTable::Main => route_text(prefix, device, table),
        })
    }

    /// Whom the route would take packets away from, where the user did not say that this is meant.
    fn refused(&self, cut_off: &[String]) -> Option<Action> {
        if self.wanted.cut_off == CutOff::Accept {
            return None;
        }
        let prefix = self.wanted.prefix;
        if let Placement::Nowhere { rule } = &self.placement {
            return Some(Action::Conflict {
                value: None,
                why: format!(
                    "the policy rule `{rule}` leads what arrives on {} past every route that setup could add",
                    self.wanted.device
                ),
                hint: "have that rule come after `lookup local` (`ip -6 rule`), or set it up nevertheless: --yes"
                    .to_owned(),
            });
        }
        let mut lost = cut_off.to_vec();
        if let Placement::Local { because } = &self.placement {
            let hidden: Vec<String> = self.longer_routes();
            if !hidden.is_empty() {
                lost.push(format!(
                    "{because}, so the route has to lie in the local table, where it hides {}",
                    named(&hidden)
                ));
            }
        }
        (!lost.is_empty()).then(|| Action::Conflict {
            value: None,
            why: format!("it would cut off what lies in {prefix}: {}", lost.join("; ")),
            hint: "set up a part of the prefix without these, or set it up nevertheless: --yes".to_owned(),
        })
    }

    /// The routes of others inside the prefix.
    fn longer_routes(&self) -> Vec<String> {
        let tables = self.facts.tables();
        let longer = tables.longer(self.wanted.prefix);
        longer.map(|route| tables.text(route)).collect()
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
            let kind = route.kind_name();
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
        let via = self.facts.tables().text(elsewhere);
        let device = self.facts.link_name(elsewhere.link);
        let leads_to_others = self.facts.link(device).is_some_and(|link| !link.is_loopback);
        let hint = if elsewhere.gateways.is_empty() && leads_to_others {
            format!(
                "if the prefix arrives on {device}: `--dev {}`; else set up a part that is not its subnet",
                shell_word(device)
            )
        } else {
            let words: Vec<_> = via.split(' ').map(shell_word).collect();
            format!(
                "set up a part that is not routed on, or remove that route: `sudo ip -6 route del {} table main metric {}`",
                words.join(" "),
                elsewhere.metric
            )
        };
        Some(Action::Conflict {
            value: Some(via.clone()),
            why: format!("this host routes the prefix on: {via}"),
            hint,
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
            remarks.push(format!(
                "{device} is down: `sudo ip link set {} up`",
                shell_word(device)
            ));
        }
        let defaults: Vec<&Route> = self.facts.routes.iter().filter(|r| r.is_default()).collect();
        if defaults.is_empty() {
            remarks.push("there is no IPv6 default route: connections find no way out yet".to_owned());
        }
        if self.is_on_link_prefix() {
            remarks.push(format!(
                "{prefix} lies in the subnet of {device}. Whether the router has a route for it or asks for each address cannot be seen from here, `v6kit verify` tells; where it asks, run `sudo v6kit ndp --prefix {prefix} --dev {}` beside it",
                shell_word(device)
            ));
        }
        remarks.extend(self.placement_remarks());
        remarks.extend(self.shut_with_it());
        for net in self.overlapped_subnets() {
            remarks.push(format!(
                "hosts in {net} to which no longer route leads cannot be reached from here while {prefix} is set up"
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

    /// Where the route lies if not in table main, what goes on beside it, and who is cut off as the user accepted.
    fn placement_remarks(&self) -> Vec<String> {
        let prefix = self.wanted.prefix;
        let longer = self.longer_routes();
        let mut remarks = Vec::new();
        let delivering = self.delivering().map_or(self.placement.table(), table_of);
        match &self.placement {
            Placement::Main => {}
            Placement::Local { because } => {
                remarks.push(format!(
                    "{because}: the route of {prefix} lies in the local table"
                ));
            }
            Placement::Nowhere { rule } => remarks.push(format!(
                "answers do not arrive while the policy rule `{rule}` comes before `lookup local`"
            )),
        }
        if delivering == RouteTable::Main {
            remarks.extend(discarded(self.facts.tables(), prefix));
        }
        if longer.is_empty() {
            return remarks;
        }
        remarks.push(match delivering {
            RouteTable::Main => format!("what is routed on inside {prefix} goes on so: {}", named(&longer)),
            RouteTable::Local => format!("the route in the local table hides {}", named(&longer)),
        });
        remarks
    }

    pub(super) fn is_on_link_prefix(&self) -> bool {
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
            .filter(|net| net.prefix_len() < 128)
            .filter_map(|net| {
                let is_hidden = prefix.contains(&net) && self.placement.table().is_local();
                if net.contains(&prefix) {
                    Some(prefix)
                } else {
                    is_hidden.then_some(net)
                }
            })
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

/// What this host discards of what comes to the prefix, by longer routes than ours.
pub(crate) fn discarded(tables: Tables<'_>, prefix: Prefix) -> Option<String> {
    let routes = tables.discarding(prefix);
    let first = routes.first()?;
    Some(format!(
        "answers to a part of {prefix} are discarded on this host: {}; if that is not meant: `sudo ip -6 route del {first} table main`",
        named(&routes)
    ))
}

fn table_of(route: &Route) -> RouteTable {
    match route.table {
        LOCAL_TABLE => RouteTable::Local,
        _ => RouteTable::Main,
    }
}

/// A route that delivers, as it was found.
fn present_text(route: &Route, device: &str) -> String {
    let destination = route.destination;
    match table_of(route) {
        RouteTable::Main => format!(
            "local {destination} dev {device} table main proto {} metric {}",
            route.protocol, route.metric
        ),
        RouteTable::Local => format!("local {destination} dev {device} proto {}", route.protocol),
    }
}

/// The first few by name, the rest as a number.
fn named(routes: &[String]) -> String {
    let shown = routes.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match routes.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
