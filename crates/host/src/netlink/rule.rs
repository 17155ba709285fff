//! Policy rules: which tables are looked into, in which order (ip-rule(8)).

use std::fmt;
use std::net::IpAddr;

use ipnet::Ipv6Net;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use v6kit_net::shell_word;

use super::{LOCAL_TABLE, MAIN_TABLE};

/// A policy rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The lowest is looked at first.
    pub(crate) priority: u32,
    /// It goes for what does not match.
    pub(crate) is_inverted: bool,
    pub(crate) source: Option<Ipv6Net>,
    pub(crate) destination: Option<Ipv6Net>,
    /// The device that a packet came in by; `lo` for those of this host.
    pub(crate) incoming: Option<String>,
    /// The device that a socket is bound to.
    pub(crate) outgoing: Option<String>,
    /// The packet's mark, and the bits of it that count.
    pub(crate) mark: Option<(u32, u32)>,
    /// The users whose sockets it goes for.
    pub(crate) users: Option<(u32, u32)>,
    /// Whether it asks for a protocol, a port or a tunnel besides.
    pub(crate) has_more: bool,
    /// Results of this length and shorter are passed over.
    pub(crate) suppressed: Option<u8>,
    pub(crate) target: RuleTarget,
}

/// What a rule leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum RuleTarget {
    /// A table.
    Table(u32),
    /// The table of the VRF that the device is a part of.
    Vrf,
    /// Nothing: the packet is refused or dropped.
    Nowhere(Refusal),
    /// The rules after it, or another rule.
    #[default]
    On,
}

/// How a rule keeps a packet from going anywhere (ip-rule(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Blackhole,
    Unreachable,
    Prohibit,
}

impl Refusal {
    fn name(self) -> &'static str {
        match self {
            Self::Blackhole => "blackhole",
            Self::Unreachable => "unreachable",
            Self::Prohibit => "prohibit",
        }
    }
}

impl Rule {
    /// The command that removes this rule and no other.
    pub(crate) fn removal(&self) -> String {
        let text = self.to_string();
        let selectors = text
            .split_once(": ")
            .map_or(text.as_str(), |(_, selectors)| selectors);
        let words: Vec<_> = selectors.split(' ').map(shell_word).collect();
        format!("sudo ip -6 rule del pref {} {}", self.priority, words.join(" "))
    }

    pub(super) fn read(message: &RuleMessage) -> Option<Self> {
        let header = &message.header;
        let mut rule = Self {
            is_inverted: header.flags.contains(RuleFlags::Invert),
            ..Self::default()
        };
        let mut table = u32::from(header.table);
        let (mut mark, mut mask, mut is_vrf) = (0, None, false);
        for attribute in &message.attributes {
            match attribute {
                RuleAttribute::Priority(number) => rule.priority = *number,
                RuleAttribute::Source(IpAddr::V6(address)) => {
                    rule.source = Ipv6Net::new(*address, header.src_len).ok();
                }
                RuleAttribute::Destination(IpAddr::V6(address)) => {
                    rule.destination = Ipv6Net::new(*address, header.dst_len).ok();
                }
                RuleAttribute::Iifname(name) => rule.incoming = Some(name.clone()),
                RuleAttribute::Oifname(name) => rule.outgoing = Some(name.clone()),
                RuleAttribute::FwMark(number) => mark = *number,
                RuleAttribute::FwMask(number) => mask = Some(*number),
                RuleAttribute::UidRange(range) => rule.users = Some((range.start, range.end)),
                RuleAttribute::Table(id) => table = *id,
                RuleAttribute::L3MDev(flag) => is_vrf = *flag,
                // -1: nothing is passed over.
                RuleAttribute::SuppressPrefixLen(length) => rule.suppressed = u8::try_from(*length).ok(),
                RuleAttribute::IpProtocol(_)
                | RuleAttribute::SourcePortRange(_)
                | RuleAttribute::DestinationPortRange(_) => rule.has_more = true,
                RuleAttribute::TunId(id) => rule.has_more |= *id != 0,
                _ => {}
            }
        }
        rule.mark = mask
            .map(|mask| (mark, mask))
            .filter(|(mark, mask)| (*mark, *mask) != (0, 0));
        rule.target = match header.action {
            _ if is_vrf => RuleTarget::Vrf,
            RuleAction::ToTable => RuleTarget::Table(table),
            RuleAction::Blackhole => RuleTarget::Nowhere(Refusal::Blackhole),
            RuleAction::Unreachable => RuleTarget::Nowhere(Refusal::Unreachable),
            RuleAction::Prohibit => RuleTarget::Nowhere(Refusal::Prohibit),
            _ => RuleTarget::On,
        };
        Some(rule)
    }
}

/// As ip-rule(8) lists it.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}",
            self.priority,
            if self.is_inverted { "not " } else { "" }
        )?;
        match self.source {
            Some(net) => write!(f, "from {net}")?,
            None => f.write_str("from all")?,
        }
        if let Some(net) = self.destination {
            write!(f, " to {net}")?;
        }
        match self.mark {
            Some((mark, u32::MAX)) => write!(f, " fwmark {mark:#x}")?,
            Some((mark, mask)) => write!(f, " fwmark {mark:#x}/{mask:#x}")?,
            None => {}
        }
        if let Some(name) = &self.incoming {
            write!(f, " iif {name}")?;
        }
        if let Some(name) = &self.outgoing {
            write!(f, " oif {name}")?;
        }
        match self.target {
            RuleTarget::Table(MAIN_TABLE) => f.write_str(" lookup main")?,
            RuleTarget::Table(LOCAL_TABLE) => f.write_str(" lookup local")?,
            RuleTarget::Table(id) => write!(f, " lookup {id}")?,
            RuleTarget::Vrf => f.write_str(" lookup [l3mdev-table]")?,
            RuleTarget::Nowhere(refusal) => write!(f, " {}", refusal.name())?,
            RuleTarget::On => {}
        }
        match self.suppressed {
            Some(length) => write!(f, " suppress_prefixlength {length}"),
            None => Ok(()),
        }
    }
}
