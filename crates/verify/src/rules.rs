//! Policy rules (ip-rule(8)) as text.

use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::Ipv6Net;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use v6kit_net::Prefix;

/// RT_TABLE_LOCAL, RT_TABLE_MAIN and RT_TABLE_DEFAULT (rtnetlink(7)).
const NAMED_TABLES: [(u32, &str); 3] = [(255, "local"), (254, "main"), (253, "default")];

/// Whether `rule` concerns addresses of `prefix` or what comes in by `device`, and not simply everything.
pub(crate) fn is_about(rule: &RuleMessage, prefix: Prefix, device: Option<&str>) -> bool {
    let source = rule.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Source(IpAddr::V6(source)) => Some(*source),
        _ => None,
    });
    let destination = rule.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Destination(IpAddr::V6(destination)) => Some(*destination),
        _ => None,
    });
    let prefix = Ipv6Net::from(prefix);
    let concerns = |address, length| {
        let network = Prefix::around(address, length);
        network.contains(&prefix) || prefix.contains(&network)
    };
    let is_of_device = rule
        .attributes
        .iter()
        .any(|attribute| matches!(attribute, RuleAttribute::Iifname(name) if Some(name.as_str()) == device));
    source.is_some_and(|source| concerns(source, rule.header.src_len))
        || destination.is_some_and(|destination| concerns(destination, rule.header.dst_len))
        || is_of_device
}

/// The rule as `ip -6 rule` writes it.
pub(crate) fn text(rule: &RuleMessage) -> String {
    let mut priority = 0;
    let mut source = "all".to_owned();
    let mut selectors = String::new();
    let mut table = u32::from(rule.header.table);
    for attribute in &rule.attributes {
        // Writing to a String cannot fail.
        let _ = match attribute {
            RuleAttribute::Priority(number) => {
                priority = *number;
                Ok(())
            }
            RuleAttribute::Source(address) => {
                source = format!("{address}/{}", rule.header.src_len);
                Ok(())
            }
            RuleAttribute::Destination(address) => {
                write!(selectors, " to {address}/{}", rule.header.dst_len)
            }
            RuleAttribute::Iifname(name) => write!(selectors, " iif {name}"),
            RuleAttribute::Oifname(name) => write!(selectors, " oif {name}"),
            RuleAttribute::FwMark(mark) => write!(selectors, " fwmark {mark:#x}"),
            RuleAttribute::Table(number) => {
                table = *number;
                Ok(())
            }
            _ => Ok(()),
        };
    }
    let action = match rule.header.action {
        RuleAction::Blackhole => "blackhole".to_owned(),
        RuleAction::Unreachable => "unreachable".to_owned(),
        RuleAction::Prohibit => "prohibit".to_owned(),
        _ => match NAMED_TABLES.iter().find(|(number, _)| *number == table) {
            Some((_, name)) => format!("lookup {name}"),
            None => format!("lookup {table}"),
        },
    };
    format!("{priority}: from {source}{selectors} {action}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(source: Option<(&str, u8)>, attributes: &[RuleAttribute]) -> RuleMessage {
        let mut rule = RuleMessage::default();
        rule.header.action = RuleAction::ToTable;
        if let Some((address, length)) = source {
            rule.header.src_len = length;
            rule.attributes
                .push(RuleAttribute::Source(address.parse().unwrap()));
        }
        rule.attributes.extend_from_slice(attributes);
        rule
    }

    #[test]
    fn a_rule_is_written_as_ip_does() {
        let leads = [RuleAttribute::Priority(1000), RuleAttribute::Table(99)];
        assert_eq!(
            text(&rule(Some(("2001:db8:6::", 64)), &leads)),
            "1000: from 2001:db8:6::/64 lookup 99"
        );
        let by_device = [
            RuleAttribute::Priority(7),
            RuleAttribute::Iifname("eth0".to_owned()),
            RuleAttribute::Table(254),
        ];
        assert_eq!(text(&rule(None, &by_device)), "7: from all iif eth0 lookup main");
        let mut prohibit = rule(Some(("2001:db8::", 32)), &[]);
        prohibit.header.action = RuleAction::Prohibit;
        assert_eq!(text(&prohibit), "0: from 2001:db8::/32 prohibit");
    }

    #[test]
    fn rules_of_other_prefixes_and_of_everybody_are_left_out() {
        let prefix: Prefix = "2001:db8:6::/64".parse().unwrap();
        let about = |rule: &RuleMessage| is_about(rule, prefix, Some("eth0"));
        for source in [("2001:db8:6::", 80), ("2001:db8::", 32), ("2001:db8:6::", 64)] {
            assert!(about(&rule(Some(source), &[])), "{source:?}");
        }
        assert!(!about(&rule(Some(("2001:db8:7::", 64)), &[])));
        assert!(!about(&rule(None, &[RuleAttribute::Table(254)])));
        assert!(about(&rule(None, &[RuleAttribute::Iifname("eth0".to_owned())])));
        assert!(!about(&rule(None, &[RuleAttribute::Iifname("eth1".to_owned())])));
    }
}
