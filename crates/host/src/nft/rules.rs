//! The rules of our table.

use std::fmt::Write as _;
use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};
use v6kit_net::Prefix;

use crate::resource::Want;

/// Rules that close a prefix to what nobody here asked for, and leave replies alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InboundRules {
    /// The prefix.
    pub(crate) prefix: Prefix,
    /// Addresses in the prefix that stay open: those configured on this host.
    pub(crate) open: Vec<Ipv6Addr>,
    /// Which UDP packets are let in.
    pub(crate) udp: Udp,
}

/// Which UDP packets to the prefix are let in. UDP has no flag that tells a reply from a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Udp {
    /// None.
    Closed,
    /// Those to a socket that is bound to that very address, as a UDP relay's is. A service that
    /// listens on every address is not reached. Needs no connection tracking.
    BoundSockets,
}

/// Rules that keep a prefix out of connection tracking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NotrackRules {
    /// The prefix.
    pub(crate) prefix: Prefix,
    /// Addresses in the prefix that stay tracked: those configured on this host.
    pub(crate) tracked: Vec<Ipv6Addr>,
}

/// The script that replaces our table by one with all the rules wanted.
pub(crate) fn script(wants: &[&Want]) -> String {
    let inbound: Vec<&InboundRules> = wants
        .iter()
        .filter_map(|want| match want {
            Want::Inbound(rules) => Some(rules),
            _ => None,
        })
        .collect();
    let notrack: Vec<&NotrackRules> = wants
        .iter()
        .filter_map(|want| match want {
            Want::Notrack(rules) => Some(rules),
            _ => None,
        })
        .collect();
    let mut text = "add table inet v6kit\ndelete table inet v6kit\ntable inet v6kit {\n".to_owned();
    if !inbound.is_empty() {
        let rules: String = inbound.iter().map(|rules| inbound_rules(rules)).collect();
        chain(&mut text, "inbound", "input priority filter", &rules);
    }
    if !notrack.is_empty() {
        let rules = |side| -> String {
            notrack
                .iter()
                .map(|rules| notrack_rule(rules, side))
                .collect::<String>()
        };
        chain(
            &mut text,
            "untracked_in",
            "prerouting priority raw",
            &rules("daddr"),
        );
        chain(&mut text, "untracked_out", "output priority raw", &rules("saddr"));
    }
    text.push_str("}\n");
    text
}

fn chain(text: &mut String, name: &str, hook: &str, rules: &str) {
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\tchain {name} {{\n\t\ttype filter hook {hook}; policy accept;\n{rules}\t}}\n"
    );
}

fn inbound_rules(rules: &InboundRules) -> String {
    let prefix = rules.prefix;
    // What this host sends to itself is not inbound.
    let to = format!(
        "iifname != \"lo\" ip6 daddr {prefix}{}",
        except("daddr", &rules.open)
    );
    let mut text = format!(
        "\t\t{to} tcp flags & (syn | ack) == syn drop comment \"{}\"\n",
        tcp_comment(prefix)
    );
    if rules.udp == Udp::BoundSockets {
        text += &format!(
            "\t\t{to} meta l4proto udp socket wildcard 0 accept comment \"{prefix}: UDP to sockets of that very address\"\n"
        );
    }
    text += &format!("\t\t{to} meta l4proto udp drop comment \"{prefix}: no UDP\"\n");
    text += &format!("\t\t{to} icmpv6 type echo-request drop comment \"{prefix}: no ping\"\n");
    text += &format!("\t\t{to} meta l4proto {{ sctp, dccp }} drop comment \"{prefix}: no other services\"\n");
    text
}

/// What is written beside the rule that drops new TCP connections to a prefix.
pub(super) fn tcp_comment(prefix: Prefix) -> String {
    format!("{prefix}: no new TCP connections")
}

fn notrack_rule(rules: &NotrackRules, side: &str) -> String {
    let prefix = rules.prefix;
    format!(
        "\t\tip6 {side} {prefix}{} notrack comment \"{prefix}: not tracked\"\n",
        except(side, &rules.tracked)
    )
}

fn except(side: &str, addresses: &[Ipv6Addr]) -> String {
    if addresses.is_empty() {
        return String::new();
    }
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    format!(" ip6 {side} != {{ {} }}", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> InboundRules {
        InboundRules {
            prefix: "2001:db8:1::/64".parse().unwrap(),
            open: vec!["2001:db8:1::5".parse().unwrap()],
            udp: Udp::Closed,
        }
    }

    #[test]
    fn the_script_replaces_the_table_and_leaves_the_own_addresses_open() {
        let want = Want::Inbound(rules());
        let script = script(&[&want]);
        assert!(script.starts_with("add table inet v6kit\ndelete table inet v6kit\ntable inet v6kit {"));
        assert!(script.contains(
            "iifname != \"lo\" ip6 daddr 2001:db8:1::/64 ip6 daddr != { 2001:db8:1::5 } tcp flags & (syn | ack) == syn drop"
        ));
        assert!(!script.contains("socket wildcard"));
        assert!(!script.contains("notrack"));
    }
}
