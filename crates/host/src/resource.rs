//! The things that setup changes, what is wanted of them, and the value that satisfies all who want.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};
use v6kit_net::{Prefix, shell_word};

use crate::delivery::{METRIC, RouteTable};
use crate::limits::Limits;
use crate::netlink::PROTOCOL;
use crate::nft::{self, InboundRules, NotrackRules, RotationRules, Rules};
use crate::ports;
use crate::value::Value;

/// Something on the host that several prefixes may want something of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Resource {
    /// `local PREFIX dev DEVICE`, which delivers the prefix to this host.
    Route {
        /// The destination.
        prefix: Prefix,
        /// Mostly `lo`.
        device: String,
        /// Journals of earlier versions do not name it: they knew the local table only.
        #[serde(default, skip_serializing_if = "RouteTable::is_local")]
        table: RouteTable,
    },
    /// A route to one address inside a prefix that is somebody else's: a gateway, a name server, a neighbour.
    Neighbour {
        /// The destination.
        address: Ipv6Addr,
        /// The device that leads there.
        device: String,
        /// The next hop; `None` where it is on the link.
        via: Option<Ipv6Addr>,
        /// That of the prefix's route.
        table: RouteTable,
    },
    /// A file below /proc/sys.
    Sysctl {
        /// As in `net.ipv4.tcp_tw_reuse`.
        name: String,
    },
    /// The limits.d file of pam_limits(8).
    LimitsFile,
    /// The nftables table `inet v6kit`.
    Table,
    /// The nftables table that translates to addresses of a prefix.
    Rotation {
        /// The prefix.
        prefix: Prefix,
    },
}

/// What one prefix wants of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "want", rename_all = "snake_case")]
pub(crate) enum Want {
    /// It exists.
    Present,
    /// This and nothing else.
    Exactly {
        /// The text of the sysctl.
        value: String,
    },
    /// A number that is large enough.
    AtLeast {
        /// From here on it is.
        need: u64,
        /// What it is raised to where it is not.
        value: u64,
    },
    /// A port range that is wide enough.
    PortRange {
        /// The lowest port.
        low: u16,
        /// The highest port.
        high: u16,
    },
    /// Ports on the list, among others.
    Ports {
        /// The ports.
        ports: BTreeSet<u16>,
    },
    /// Limits on open files.
    Limits(Limits),
    /// Rules that close a prefix to what nobody here asked for.
    Inbound(InboundRules),
    /// A rule that leaves a prefix open inside a wider one that is closed.
    Open {
        /// The prefix.
        prefix: Prefix,
    },
    /// Rules that keep a prefix out of connection tracking.
    Notrack(NotrackRules),
    /// Rules that translate.
    Rotation(RotationRules),
}

impl Resource {
    pub(crate) fn sysctl(name: &str) -> Self {
        Self::Sysctl {
            name: name.to_owned(),
        }
    }

    /// The routing table that it lies in; `None` for what is no route.
    pub(crate) fn table(&self) -> Option<RouteTable> {
        match self {
            Self::Route { table, .. } | Self::Neighbour { table, .. } => Some(*table),
            Self::Sysctl { .. } | Self::LimitsFile | Self::Table | Self::Rotation { .. } => None,
        }
    }

    /// Whether a boot puts it back by itself.
    pub(crate) fn is_volatile(&self) -> bool {
        !matches!(self, Self::LimitsFile)
    }

    /// Whether it is seen with CAP_NET_ADMIN only, and what is listed of it is known only after it was made.
    pub(crate) fn is_firewall(&self) -> bool {
        matches!(self, Self::Table | Self::Rotation { .. })
    }

    /// Whether what was read at one time and what was read at another are the same thing.
    pub(crate) fn is_same(&self, one: &Value, other: &Value) -> bool {
        match (self, one.as_text(), other.as_text()) {
            (Self::Table | Self::Rotation { .. }, Some(one), Some(other)) => nft::is_same_listing(one, other),
            _ => one == other,
        }
    }

    /// What it should be: `original` where nobody wants anything, otherwise what satisfies every want
    /// and is never lower than `original`.
    ///
    /// For a table this is the script or the rules that make it, for everything else the value that is read back.
    pub(crate) fn target(&self, original: &Value, wants: &[&Want]) -> Value {
        if wants.is_empty() {
            return original.clone();
        }
        match self {
            Self::Route {
                prefix,
                device,
                table,
            } => Value::text(route_text(*prefix, device, *table)),
            Self::Neighbour {
                address,
                device,
                via,
                table,
            } => Value::text(neighbour_text(*address, device, *via, *table)),
            Self::LimitsFile => Value::text(
                Limits::strictest(wants.iter().filter_map(|want| match want {
                    Want::Limits(limits) => Some(limits),
                    _ => None,
                }))
                .render(),
            ),
            Self::Table => {
                let rules: Vec<Rules<'_>> = wants.iter().filter_map(|want| want.rules()).collect();
                Value::text(nft::script(&rules))
            }
            Self::Rotation { .. } => {
                let rules = wants.iter().find_map(|want| match want {
                    Want::Rotation(rules) => serde_json::to_string(rules).ok(),
                    _ => None,
                });
                rules.into()
            }
            Self::Sysctl { .. } => wants
                .iter()
                .fold(original.clone(), |value, want| want.raise(&value)),
        }
    }

    /// The command that makes it `original` by hand where `found` is there.
    pub(crate) fn by_hand(&self, found: &Value, original: &Value) -> String {
        match self {
            Self::Table => "sudo nft delete table inet v6kit".to_owned(),
            Self::Rotation { prefix } => {
                format!("sudo nft delete table ip6 {}", nft::rotation_table(*prefix))
            }
            Self::LimitsFile => format!("sudo rm {}", crate::limits::FILE),
            Self::Route {
                prefix,
                device,
                table,
            } => {
                let table = if table.is_local() { "local" } else { "main" };
                let mut words = found.as_text().unwrap_or_default().split(' ');
                // That of whoever made the route what it is now.
                let protocol = words.by_ref().skip_while(|word| *word != "proto").nth(1);
                let protocol = protocol.map_or_else(String::new, |number| format!(" proto {number}"));
                format!(
                    "sudo ip -6 route del local {prefix} dev {} table {table}{protocol}",
                    shell_word(device)
                )
            }
            Self::Neighbour {
                address,
                device,
                table,
                ..
            } => {
                let table = if table.is_local() { "local" } else { "main" };
                format!(
                    "sudo ip -6 route del {address} dev {} table {table} proto {PROTOCOL}",
                    shell_word(device)
                )
            }
            Self::Sysctl { name } => {
                format!(
                    "sudo sysctl -w {name}='{}'",
                    original.as_text().unwrap_or_default()
                )
            }
        }
    }

    /// What a person reads of `value`.
    pub(crate) fn describe(&self, value: &Value) -> Option<String> {
        match self {
            Self::Table => value.as_text().map(nft::describe_listing),
            Self::Rotation { prefix } => {
                let describe = |listing: &str| nft::describe_rotation(&nft::rotation_table(*prefix), listing);
                value.as_text().map(describe)
            }
            Self::LimitsFile => value.as_text().map(Limits::describe),
            Self::Route { .. } | Self::Neighbour { .. } | Self::Sysctl { .. } => {
                value.as_text().map(ToOwned::to_owned)
            }
        }
    }
}

impl Want {
    /// What it asks of our table.
    fn rules(&self) -> Option<Rules<'_>> {
        match self {
            Self::Inbound(rules) => Some(Rules::Inbound(rules)),
            Self::Open { prefix } => Some(Rules::Open(*prefix)),
            Self::Notrack(rules) => Some(Rules::Notrack(rules)),
            _ => None,
        }
    }

    /// Whether a sysctl of this value satisfies the want.
    pub(crate) fn is_met(&self, value: &Value) -> bool {
        self.raise(value) == *value
    }

    /// The nearest value of a sysctl to `value` that satisfies the want.
    fn raise(&self, value: &Value) -> Value {
        let text = value.as_text().unwrap_or_default();
        match self {
            Self::Exactly { value } => Value::text(value),
            Self::AtLeast { need, value: raised } => match text.parse::<u64>() {
                Ok(number) if number >= *need => value.clone(),
                _ => Value::text(raised.to_string()),
            },
            Self::PortRange { low, high } => {
                let (old_low, old_high) = ports::parse_range(text).unwrap_or((*low, *high));
                Value::text(format!("{} {}", old_low.min(*low), old_high.max(*high)))
            }
            Self::Ports { ports } => {
                let mut all = ports::parse_list(text);
                all.extend(ports);
                Value::text(ports::list(&all))
            }
            Self::Present
            | Self::Limits(_)
            | Self::Inbound(_)
            | Self::Open { .. }
            | Self::Notrack(_)
            | Self::Rotation(_) => value.clone(),
        }
    }
}

/// How the route of ours is written. In the local table as earlier versions journaled it.
pub(crate) fn route_text(prefix: Prefix, device: &str, table: RouteTable) -> String {
    match table {
        RouteTable::Local => format!("local {prefix} dev {device} proto {PROTOCOL}"),
        RouteTable::Main => {
            format!("local {prefix} dev {device} table main proto {PROTOCOL} metric {METRIC}")
        }
    }
}

/// How a route of ours to a neighbour is written.
pub(crate) fn neighbour_text(
    address: Ipv6Addr,
    device: &str,
    via: Option<Ipv6Addr>,
    table: RouteTable,
) -> String {
    let via = via.map_or_else(String::new, |gateway| format!(" via {gateway}"));
    let table = if table.is_local() { " table local" } else { "" };
    format!("{address}{via} dev {device}{table} proto {PROTOCOL}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(original: &str, wants: &[Want]) -> String {
        let wants: Vec<&Want> = wants.iter().collect();
        let target = Resource::sysctl("a.b").target(&Value::text(original), &wants);
        target.as_text().unwrap().to_owned()
    }

    #[test]
    fn a_number_is_raised_for_the_neediest_and_never_lowered() {
        let want = |need| Want::AtLeast {
            need,
            value: need + 10,
        };
        assert_eq!(target("5", &[want(100), want(200)]), "210");
        assert_eq!(target("5", &[want(200), want(100)]), "210");
        assert_eq!(target("500", &[want(100)]), "500");
        assert_eq!(target("105", &[want(100)]), "105");
        assert_eq!(target("500", &[]), "500");
        // fs.file-max goes up to 2^63 - 1, and further as unsigned.
        assert_eq!(
            target("18446744073709551615", &[want(100)]),
            "18446744073709551615"
        );
    }

    #[test]
    fn a_port_range_is_only_widened() {
        let want = Want::PortRange {
            low: 10240,
            high: 65535,
        };
        assert_eq!(target("32768 60999", std::slice::from_ref(&want)), "10240 65535");
        assert_eq!(target("1024 65535", std::slice::from_ref(&want)), "1024 65535");
        assert!(want.is_met(&Value::text("1024 65535")));
        assert!(!want.is_met(&Value::text("1024 60999")));
    }

    #[test]
    fn reserved_ports_join_those_that_were_reserved_before() {
        let want = |ports: &[u16]| Want::Ports {
            ports: ports.iter().copied().collect(),
        };
        assert_eq!(
            target("11000", &[want(&[12000]), want(&[11001])]),
            "11000-11001,12000"
        );
        assert_eq!(target("", &[want(&[12000])]), "12000");
        assert!(want(&[]).is_met(&Value::text("")));
    }
}
