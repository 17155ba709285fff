//! In which table a route delivers a prefix to this host: the one where longer routes win, unless a policy rule
//! or a route of equal length is faster there.

use ipnet::Ipv6Net;
use netlink_packet_route::route::RouteType;
use serde::{Deserialize, Serialize};
use v6kit_net::Prefix;

use crate::netlink::{
    Address, LOCAL_TABLE, Link, MAIN_TABLE, Netlink, NetlinkError, PROTOCOL, Route, Rule, RuleTarget,
};

/// The metric of our route in table main: below that of every route of equal length, which the kernel gives 256
/// and NetworkManager 100. 0 would mean the kernel's default, 1024.
pub(crate) const METRIC: u32 = 1;

/// A routing table that delivers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RouteTable {
    /// Looked into before all others: what it holds hides every longer route elsewhere. Journals of earlier
    /// versions mean this one.
    #[default]
    Local,
    /// Longer routes win, as they always do in one table.
    Main,
}

impl RouteTable {
    /// Its number (rtnetlink(7)).
    pub(crate) fn id(self) -> u32 {
        match self {
            Self::Local => LOCAL_TABLE,
            Self::Main => MAIN_TABLE,
        }
    }

    pub(crate) fn is_local(&self) -> bool {
        *self == Self::Local
    }
}

/// Where the route has to lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Placement {
    /// In table main.
    Main,
    /// In the local table, because of something in front of table main.
    Local {
        /// What that is, on one line.
        because: String,
    },
    /// In none: this rule comes before the local table, too.
    Nowhere {
        /// The rule.
        rule: String,
    },
}

impl Placement {
    /// The table to use, where there is one.
    pub(crate) fn table(&self) -> RouteTable {
        match self {
            Self::Main => RouteTable::Main,
            Self::Local { .. } | Self::Nowhere { .. } => RouteTable::Local,
        }
    }
}

/// Why packets from a prefix do not leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bar {
    /// What bars them, on one line.
    pub(crate) why: String,
    /// What to do.
    pub(crate) hint: String,
}

impl Bar {
    fn removed_by(why: String, command: &str) -> Self {
        Self {
            why,
            hint: format!("remove it if it is not meant: `{command}`"),
        }
    }
}

/// What a table does with packets from some network to anywhere.
#[derive(Debug)]
enum WayOut {
    /// Nothing: the next rule is looked at.
    None,
    Leads,
    /// By a route for packets of everybody.
    Refused {
        kind: &'static str,
    },
    /// By one that names their source.
    Barred(Bar),
}

/// What decides where packets go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tables<'a> {
    pub(crate) links: &'a [Link],
    pub(crate) addresses: &'a [Address],
    pub(crate) routes: &'a [Route],
    pub(crate) rules: &'a [Rule],
}

/// [`Tables`] as they were read.
#[derive(Debug, Default)]
pub(crate) struct Routing {
    pub(crate) links: Vec<Link>,
    pub(crate) addresses: Vec<Address>,
    routes: Vec<Route>,
    rules: Vec<Rule>,
}

impl Routing {
    /// Reads what concerns `prefixes`.
    pub(crate) async fn read(netlink: &Netlink, prefixes: &[Prefix]) -> Result<Self, NetlinkError> {
        Ok(Self {
            links: netlink.links().await?,
            addresses: netlink.addresses().await?,
            routes: netlink
                .routes(|route| prefixes.iter().any(|prefix| route.overlaps(*prefix)))
                .await?,
            rules: netlink.rules().await?,
        })
    }

    pub(crate) fn tables(&self) -> Tables<'_> {
        Tables {
            links: &self.links,
            addresses: &self.addresses,
            routes: &self.routes,
            rules: &self.rules,
        }
    }
}

impl Tables<'_> {
    pub(crate) fn link_name(&self, index: Option<u32>) -> &str {
        self.links
            .iter()
            .find(|link| Some(link.index) == index)
            .map_or("another device", |link| &link.name)
    }

    /// Where a route that delivers `prefix`, which arrives on `device`, has to lie.
    pub(crate) fn placement(&self, prefix: Prefix, device: &str) -> Placement {
        let mut sees_local = false;
        for rule in self.rules {
            match rule.target {
                RuleTarget::Table(LOCAL_TABLE) if self.always_matches(rule, prefix, device) => {
                    sees_local = true;
                }
                RuleTarget::Table(MAIN_TABLE) => {
                    let is_whole = rule.suppressed.is_none_or(|length| length < prefix.length());
                    if is_whole && self.always_matches(rule, prefix, device) {
                        return self.placement_in_main(prefix);
                    }
                }
                _ if self.takes(rule, prefix, device) => {
                    return if sees_local {
                        Placement::Local {
                            because: format!("the policy rule `{rule}` is looked up before table main"),
                        }
                    } else {
                        Placement::Nowhere {
                            rule: rule.to_string(),
                        }
                    };
                }
                _ => {}
            }
        }
        Placement::Local {
            because: "no policy rule leads to table main".to_owned(),
        }
    }

    fn placement_in_main(&self, prefix: Prefix) -> Placement {
        let faster = self.equal(prefix).find(|route| {
            route.table == MAIN_TABLE && route.metric <= METRIC && route.kind != RouteType::Local
        });
        match faster {
            Some(route) => Placement::Local {
                because: format!(
                    "the route `{}` of table main has the lowest metric",
                    self.text(route)
                ),
            },
            None => Placement::Main,
        }
    }

    /// Whether packets to `prefix` that come in by `device` may find their route by the rule.
    fn takes(&self, rule: &Rule, prefix: Prefix, device: &str) -> bool {
        let may_match = if rule.is_inverted {
            !self.selects_all(rule, prefix, device)
        } else {
            self.may_select(rule, prefix, device)
        };
        let leads = match rule.target {
            RuleTarget::Table(table) => self.routes.iter().any(|route| {
                route.table == table
                    && route.kind != RouteType::Throw
                    && route.destination.contains(&Ipv6Net::from(prefix))
                    && rule
                        .suppressed
                        .is_none_or(|length| length < route.destination.prefix_len())
            }),
            RuleTarget::Vrf => self.is_in_vrf(device),
            RuleTarget::Nowhere(_) => true,
            RuleTarget::On => false,
        };
        may_match && leads && rule.target != RuleTarget::Table(LOCAL_TABLE)
    }

    fn always_matches(&self, rule: &Rule, prefix: Prefix, device: &str) -> bool {
        if rule.is_inverted {
            !self.may_select(rule, prefix, device)
        } else {
            self.selects_all(rule, prefix, device)
        }
    }

    /// Whether every packet to `prefix` by `device` has what the rule asks for.
    fn selects_all(&self, rule: &Rule, prefix: Prefix, device: &str) -> bool {
        rule.source.is_none()
            && rule
                .destination
                .is_none_or(|net| net.contains(&Ipv6Net::from(prefix)))
            && rule.incoming.as_ref().is_none_or(|name| name == device)
            && rule.outgoing.is_none()
            && rule.mark.is_none_or(|(mark, _)| mark == 0)
            && rule.users.is_none_or(|(first, _)| first == 0)
            && !rule.has_more
    }

    /// Whether some packet to `prefix` by `device` may have it. A mark may be set by any firewall.
    fn may_select(&self, rule: &Rule, prefix: Prefix, device: &str) -> bool {
        let prefix = Ipv6Net::from(prefix);
        rule.source.is_none_or(|net| !self.is_own_net(net, prefix))
            && rule
                .destination
                .is_none_or(|net| net.contains(&prefix) || prefix.contains(&net))
            && rule.incoming.as_ref().is_none_or(|name| name == device)
            && rule.outgoing.is_none()
            && rule.users.is_none_or(|(first, _)| first == 0)
    }

    /// Whether packets from `net` are this host's own: none such comes in.
    fn is_own_net(&self, net: Ipv6Net, prefix: Ipv6Net) -> bool {
        prefix.contains(&net)
            || self
                .addresses
                .iter()
                .any(|address| address.net.trunc().contains(&net))
    }

    fn is_in_vrf(&self, device: &str) -> bool {
        self.links
            .iter()
            .any(|link| link.name == device && link.is_in_vrf)
    }

    /// What keeps every packet from `prefix`, or from a part of it, from leaving this host, wherever it goes: the
    /// first rule that takes it, and the default route of its table that goes for packets with that source.
    pub(crate) fn bar(&self, prefix: Prefix) -> Option<Bar> {
        for rule in self.rules {
            let part = rule.source.filter(|net| Ipv6Net::from(prefix).contains(net));
            let from = match part {
                Some(part) if !rule.is_inverted && takes_own(rule, part) => part,
                _ if takes_own(rule, prefix.into()) => prefix.into(),
                _ => continue,
            };
            match rule.target {
                RuleTarget::Nowhere(_) => {
                    let why = format!("packets from {from} do not leave: the policy rule `{rule}`");
                    return Some(Bar::removed_by(why, &rule.removal()));
                }
                RuleTarget::Table(table) if table != LOCAL_TABLE && rule.suppressed.is_none() => {
                    match self.way_out(table, from) {
                        WayOut::None => {}
                        // They leave; what is below in the list is not looked at, but a part may be barred.
                        WayOut::Leads if from == Ipv6Net::from(prefix) => return None,
                        WayOut::Leads => {}
                        // Without any default route that is how the kernel says so.
                        WayOut::Refused { kind: _ } if table == MAIN_TABLE => return None,
                        WayOut::Refused { kind } => {
                            let why = format!(
                                "packets from {from} do not leave: the policy rule `{rule}` leads them to `{kind} default` of table {table}"
                            );
                            return Some(Bar::removed_by(why, &rule.removal()));
                        }
                        WayOut::Barred(bar) => return Some(bar),
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// What the default routes of a table do with packets from `from`. Of those that go for its packets, the one that
    /// names the longest source is used.
    fn way_out(&self, table: u32, from: Ipv6Net) -> WayOut {
        let defaults = || {
            let those = self.routes.iter().filter(move |route| route.table == table);
            those.filter(|route| route.destination.prefix_len() == 0)
        };
        let used_for = |net: Ipv6Net| {
            let of_it = defaults().filter(|route| route.source.is_none_or(|source| source.contains(&net)));
            let longest = |route: &&Route| route.source.map_or(0, |source| source.prefix_len());
            of_it.min_by_key(|route| (u8::MAX - longest(route), route.metric))
        };
        let inside = defaults().filter_map(|route| route.source.filter(|source| from.contains(source)));
        let named = inside.chain([from]).find_map(|net| {
            let route = used_for(net)?;
            Some((net, route.source?, route.metric, route.refusal()?))
        });
        if let Some((net, source, metric, kind)) = named {
            let route = format!("{kind} default from {source} table {table} metric {metric}");
            return WayOut::Barred(Bar::removed_by(
                format!("packets from {net} do not leave: the route `{route}`"),
                &format!("sudo ip -6 route del {route}"),
            ));
        }
        match used_for(from) {
            Some(route) if route.kind == RouteType::Throw => WayOut::None,
            Some(route) => match route.refusal() {
                Some(kind) => WayOut::Refused { kind },
                None => WayOut::Leads,
            },
            None => self.of_others(table, from).map_or(WayOut::None, WayOut::Barred),
        }
    }

    /// What to say where the default routes of table main go for packets of others only.
    fn of_others(&self, table: u32, from: Ipv6Net) -> Option<Bar> {
        let leads = |route: &&Route| route.table == table && table == MAIN_TABLE && route.is_default();
        let others: Vec<&Route> = self.routes.iter().filter(leads).collect();
        // A part of the prefix may leave.
        let source = others.first()?.source?;
        if others
            .iter()
            .any(|route| route.source.is_some_and(|source| from.contains(&source)))
        {
            return None;
        }
        let way = self.text(others.first()?);
        let way = way.strip_prefix("::/0 ").unwrap_or(&way);
        Some(Bar {
            why: format!(
                "packets from {from} do not leave: the default route goes for packets from {source} only"
            ),
            hint: format!("if they may leave by it too: `sudo ip -6 route add default from {from} {way}`"),
        })
    }

    /// The routes of others inside `prefix` by which this host discards what comes to a part of it.
    pub(crate) fn discarding(&self, prefix: Prefix) -> Vec<String> {
        let net = Ipv6Net::from(prefix);
        let inside = self.routes.iter().filter(|route| {
            route.table == MAIN_TABLE && route.destination != net && net.contains(&route.destination)
        });
        inside
            .filter_map(|route| Some(format!("{} {}", route.refusal()?, route.destination)))
            .collect()
    }

    /// The routes to exactly `prefix`.
    pub(crate) fn equal(&self, prefix: Prefix) -> impl Iterator<Item = &Route> {
        self.routes
            .iter()
            .filter(move |route| route.destination == Ipv6Net::from(prefix))
    }

    /// The routes of others inside `prefix` that lead away from this host, which a route in the local table hides.
    pub(crate) fn longer(&self, prefix: Prefix) -> impl Iterator<Item = &Route> {
        let net = Ipv6Net::from(prefix);
        self.routes.iter().filter(move |route| {
            route.table == MAIN_TABLE
                && route.kind == RouteType::Unicast
                && route.protocol != PROTOCOL
                && route.destination != net
                && net.contains(&route.destination)
        })
    }

    /// What keeps our route in `table` from delivering `prefix` now, or what it cuts off without need.
    pub(crate) fn fault(&self, prefix: Prefix, device: &str, table: RouteTable) -> Option<String> {
        match (self.placement(prefix, device), table) {
            (Placement::Local { because }, RouteTable::Main) => Some(format!("not used: {because}")),
            (Placement::Nowhere { rule }, _) => Some(format!(
                "not used: the policy rule `{rule}` is looked up before it"
            )),
            (Placement::Main, RouteTable::Local) => {
                let hidden: Vec<String> = self.longer(prefix).map(|route| self.text(route)).collect();
                (!hidden.is_empty())
                    .then(|| format!("in table local it hides the route {}", hidden.join(", ")))
            }
            (Placement::Main, RouteTable::Main) | (Placement::Local { .. }, RouteTable::Local) => None,
        }
    }

    /// A route of others, as ip-route(8) writes it.
    pub(crate) fn text(&self, route: &Route) -> String {
        let destination = if route.destination.prefix_len() == 128 {
            route.destination.addr().to_string()
        } else {
            route.destination.to_string()
        };
        let device = self.link_name(route.link);
        match route.gateways.first() {
            Some(gateway) => format!("{destination} via {gateway} dev {device}"),
            None => format!("{destination} dev {device}"),
        }
    }
}

/// Whether the rule goes for all that sockets of this host, marked by nobody and bound to no device, send from
/// `net`.
fn takes_own(rule: &Rule, net: Ipv6Net) -> bool {
    let of_source = rule.source.is_none_or(|source| source.contains(&net));
    let of_device = rule.incoming.as_ref().is_none_or(|name| name == "lo") && rule.outgoing.is_none();
    let is_unmarked = rule.mark.is_none_or(|(mark, _)| mark == 0);
    if rule.is_inverted {
        let is_elsewhere = rule
            .source
            .is_some_and(|source| !source.contains(&net) && !net.contains(&source));
        return is_elsewhere || !of_device || !is_unmarked;
    }
    let of_everybody = rule.users.is_none() && rule.destination.is_none() && !rule.has_more;
    of_source && of_device && is_unmarked && of_everybody
}
