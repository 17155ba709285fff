//! The rules of our table.

use std::fmt::Write as _;
use std::net::Ipv6Addr;

use super::own::{ALL, BY_DEVICE};
use serde::{Deserialize, Serialize};
use v6kit_net::Prefix;

use crate::owner::Owner;

/// Which rules this version writes: those of another one are written anew.
pub(crate) const REVISION: u32 = 2;

/// Rules that close a prefix to what nobody here asked for, and leave replies alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InboundRules {
    /// The prefix.
    pub(crate) prefix: Prefix,
    /// [`REVISION`] of the version that wrote them; earlier ones wrote none.
    #[serde(default)]
    pub(crate) revision: u32,
    /// The addresses that the rules of earlier versions leave open, whatever this host has since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) open: Vec<Ipv6Addr>,
}

/// Rules that keep a prefix out of connection tracking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NotrackRules {
    /// The prefix.
    pub(crate) prefix: Prefix,
    /// As in [`InboundRules`].
    #[serde(default)]
    pub(crate) revision: u32,
    /// Parts whose connections are translated, which only tracking can undo in the answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) except: Vec<Prefix>,
}

impl InboundRules {
    /// Those of this version.
    pub(crate) fn new(prefix: Prefix) -> Self {
        Self {
            prefix,
            revision: REVISION,
            open: Vec::new(),
        }
    }
}

/// Rules of one prefix.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rules<'a> {
    /// They close it.
    Inbound(&'a InboundRules),
    /// They leave it open inside a wider one that is closed.
    Open(Prefix),
    /// They keep it out of connection tracking.
    Notrack(&'a NotrackRules),
}

/// The script that replaces our table by one with all the rules wanted.
pub(crate) fn script(wanted: &[Rules<'_>]) -> String {
    // The longest first: what is said of a part holds there, whatever is said of the whole.
    let mut inbound: Vec<(Prefix, String)> = wanted
        .iter()
        .filter_map(|rules| match rules {
            Rules::Inbound(rules) => Some((rules.prefix, closing_rules(rules.prefix))),
            Rules::Open(prefix) => Some((*prefix, opening_rule(*prefix))),
            Rules::Notrack(_) => None,
        })
        .collect();
    inbound.sort_by_key(|(prefix, _)| (std::cmp::Reverse(prefix.length()), prefix.network()));
    let notrack: Vec<&NotrackRules> = wanted
        .iter()
        .filter_map(|rules| match rules {
            Rules::Notrack(rules) => Some(*rules),
            Rules::Inbound(_) | Rules::Open(_) => None,
        })
        .collect();
    let mut text = format!(
        "add table inet v6kit\ndelete table inet v6kit\ntable inet v6kit {{\n\
         \tset {ALL} {{\n\t\ttype ipv6_addr\n\t}}\n\
         \tset {BY_DEVICE} {{\n\t\ttype ipv6_addr . ifname\n\t}}\n"
    );
    if !inbound.is_empty() {
        let rules: String = inbound.into_iter().map(|(_, rules)| rules).collect();
        let rules = format!("{ALWAYS_IN}{rules}");
        chain(&mut text, "inbound", "input priority filter", &rules);
    }
    if !notrack.is_empty() {
        let rules = |side, device| -> String {
            notrack
                .iter()
                .map(|rules| notrack_rule(rules, side, device))
                .collect()
        };
        let (incoming, outgoing) = (rules("daddr", "iif"), rules("saddr", "oif"));
        chain(&mut text, "untracked_in", "prerouting priority raw", &incoming);
        chain(&mut text, "untracked_out", "output priority raw", &outgoing);
    }
    text.push_str("}\n");
    text
}

/// The chain whose comments say for whom the table was made. No packet comes to it.
pub(super) const OWNER: &str = "owner";

/// What adds the mark of `owner` to the table.
pub(super) fn mark(owner: &Owner) -> String {
    let rules = owner
        .comments()
        .into_iter()
        .map(|comment| format!("add rule inet v6kit {OWNER} return comment \"{comment}\"\n"));
    std::iter::once(format!("add chain inet v6kit {OWNER}\n"))
        .chain(rules)
        .collect()
}

/// What is let in whatever the prefix. Only the first fragment of a packet shows its ports; the others are worth
/// nothing without it.
const ALWAYS_IN: &str = "\t\tiifname \"lo\" accept comment \"what this host sends to itself\"\n\
    \t\tfrag frag-off != 0 accept comment \"later fragments\"\n";

fn chain(text: &mut String, name: &str, hook: &str, rules: &str) {
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\tchain {name} {{\n\t\ttype filter hook {hook}; policy accept;\n{rules}\t}}\n"
    );
}

/// The own addresses stay open, also those that come later: on the device that a packet came in by the kernel
/// knows them (fib), on others the set does. Of an address that its device has no more the set is not believed.
fn closing_rules(prefix: Prefix) -> String {
    let rules = [
        ("fib daddr . iif type local accept", "own addresses".to_owned()),
        (
            "ip6 daddr @own ip6 daddr . iifname != @own_by_device accept",
            "own addresses of other devices".to_owned(),
        ),
        ("tcp flags & (syn | ack) == syn drop", NO_TCP.to_owned()),
        (
            "meta l4proto udp socket wildcard 0 accept",
            "UDP to sockets of that very address".to_owned(),
        ),
        ("meta l4proto { udp, udplite } drop", "no UDP".to_owned()),
        ("icmpv6 type echo-request drop", "no ping".to_owned()),
        // An INIT chunk is alone in its packet (RFC 9260, section 3).
        (
            "meta l4proto sctp @th,96,8 1 drop",
            "no new SCTP associations".to_owned(),
        ),
        ("dccp type request drop", "no new DCCP connections".to_owned()),
    ];
    rules
        .iter()
        .map(|(rule, comment)| format!("\t\tip6 daddr {prefix} {rule} comment \"{prefix}: {comment}\"\n"))
        .collect()
}

fn opening_rule(prefix: Prefix) -> String {
    format!("\t\tip6 daddr {prefix} accept comment \"{prefix}: {OPEN}\"\n")
}

/// What is written, after the prefix, beside the rule that drops new TCP connections.
pub(super) const NO_TCP: &str = "no new TCP connections";
/// The same beside the rule that leaves a prefix open.
pub(super) const OPEN: &str = "open";

/// The own addresses stay tracked.
fn notrack_rule(rules: &NotrackRules, side: &str, device: &str) -> String {
    let prefix = rules.prefix;
    let except: String = rules
        .except
        .iter()
        .map(|part| format!(" ip6 {side} != {part}"))
        .collect();
    format!(
        "\t\tip6 {side} {prefix}{except} fib {side} . {device} type != local ip6 {side} != @own notrack comment \"{prefix}: not tracked\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn the_script_replaces_the_table_and_names_no_address_of_this_host() {
        let rules = InboundRules::new(prefix("2001:db8:1::/64"));
        let script = script(&[Rules::Inbound(&rules)]);
        assert!(script.starts_with("add table inet v6kit\ndelete table inet v6kit\ntable inet v6kit {"));
        let rules: Vec<&str> = script.lines().filter(|line| line.contains("comment")).collect();
        assert!(rules[2].contains("fib daddr . iif type local accept"), "{script}");
        assert!(
            rules[4].contains("tcp flags & (syn | ack) == syn drop"),
            "{script}"
        );
        assert!(!script.contains("notrack"));
    }

    #[test]
    fn what_is_said_of_a_part_comes_before_what_is_said_of_the_whole() {
        let rules = InboundRules::new(prefix("2001:db8:1::/64"));
        let whole = Rules::Inbound(&rules);
        let part = Rules::Open(prefix("2001:db8:1:0:5::/80"));
        for wanted in [[whole, part], [part, whole]] {
            let script = script(&wanted);
            let open = script.find("2001:db8:1:0:5::/80 accept").unwrap();
            assert!(open < script.find("2001:db8:1::/64 tcp").unwrap(), "{script}");
        }
    }

    #[test]
    fn rules_of_an_earlier_version_are_told_from_those_of_this_one() {
        let old = r#"{"prefix":"2001:db8:1::/64","open":["2001:db8:1::2"],"udp":"closed"}"#;
        let old: InboundRules = serde_json::from_str(old).unwrap();
        assert_ne!(old, InboundRules::new(prefix("2001:db8:1::/64")));
        assert_eq!(old.open, ["2001:db8:1::2".parse::<Ipv6Addr>().unwrap()]);
    }
}
