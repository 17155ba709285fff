//! What a rule asks of a packet, and whether packets of connections of the prefix are such.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::ops::RangeInclusive;

use ipnet::Ipv6Net;

/// Bits of the TCP header (RFC 9293 section 3.1).
pub(super) const SYN: u8 = 0x02;
pub(super) const ACK: u8 = 0x10;

/// Which way packets go that meet a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
}

/// Connections of the prefix without an answer: what leaves is their first packet, what comes in the answer to it.
#[derive(Debug, Clone)]
pub(crate) struct Flow<'a> {
    pub(crate) direction: Direction,
    /// Their addresses in the prefix.
    pub(crate) addresses: &'a [Ipv6Addr],
    pub(crate) endpoint: SocketAddrV6,
    /// The devices by which they leave, or on which answers arrive.
    pub(crate) devices: Vec<&'a str>,
}

/// Whether packets of a flow meet a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meets {
    All,
    None,
    /// Some of them, or it cannot be told.
    Perhaps,
}

/// A side of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
}

/// What is asked of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// The name of the device that it comes in by (`incoming`) or leaves by; `*` at the end stands for any rest.
    Device {
        incoming: bool,
        names: Vec<String>,
    },
    Address {
        side: Side,
        networks: Vec<Ipv6Net>,
    },
    Port {
        side: Side,
        ranges: Vec<RangeInclusive<u16>>,
    },
    /// Whether it is TCP over IPv6.
    Protocol {
        is_ours: bool,
    },
    /// Whether the bits of `mask` are those of `value`.
    Flags {
        mask: u8,
        value: u8,
    },
    /// Whether any of these bits is set.
    AnyFlag(u8),
    /// What is not looked into.
    Other,
}

/// A subject, or its opposite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) subject: Subject,
    pub(super) negated: bool,
}

impl Condition {
    pub(super) fn of(subject: Subject) -> Self {
        Self {
            subject,
            negated: false,
        }
    }

    /// One of which nothing is known.
    pub(super) fn other() -> Self {
        Self::of(Subject::Other)
    }

    /// Whether packets of `flow` meet it.
    pub(super) fn met_by(&self, flow: &Flow<'_>) -> Meets {
        match (self.subject.met_by(flow), self.negated) {
            (Meets::All, true) => Meets::None,
            (Meets::None, true) => Meets::All,
            (meets, _) => meets,
        }
    }
}

impl Subject {
    fn met_by(&self, flow: &Flow<'_>) -> Meets {
        let here = match flow.direction {
            Direction::In => Side::Destination,
            Direction::Out => Side::Source,
        };
        match self {
            Self::Device { incoming, names } => {
                // What leaves came in by none, and what comes in leaves by none yet.
                if *incoming != (flow.direction == Direction::In) {
                    return Meets::None;
                }
                let is_named = |device: &&str| names.iter().any(|name| is_called(device, name));
                share(flow.devices.iter().map(is_named))
            }
            Self::Address { side, networks } if *side == here => {
                let is_inside = |address: &Ipv6Addr| networks.iter().any(|network| network.contains(address));
                share(flow.addresses.iter().map(is_inside))
            }
            Self::Address { networks, .. } => {
                let is_inside = |network: &Ipv6Net| network.contains(flow.endpoint.ip());
                all_or_none(networks.iter().any(is_inside))
            }
            // The kernel chooses our ports.
            Self::Port { side, .. } if *side == here => Meets::Perhaps,
            Self::Port { ranges, .. } => {
                all_or_none(ranges.iter().any(|range| range.contains(&flow.endpoint.port())))
            }
            Self::Protocol { is_ours } => all_or_none(*is_ours),
            Self::Flags { mask, value } => all_or_none(flow.flags() & mask == *value),
            Self::AnyFlag(bits) => all_or_none(flow.flags() & bits != 0),
            Self::Other => Meets::Perhaps,
        }
    }
}

impl Flow<'_> {
    fn flags(&self) -> u8 {
        match self.direction {
            Direction::In => SYN | ACK,
            Direction::Out => SYN,
        }
    }
}

fn all_or_none(all: bool) -> Meets {
    if all { Meets::All } else { Meets::None }
}

/// Of nothing nothing is known.
fn share(met: impl Iterator<Item = bool>) -> Meets {
    let (mut yes, mut no) = (false, false);
    for one in met {
        yes |= one;
        no |= !one;
    }
    match (yes, no) {
        (true, false) => Meets::All,
        (false, true) => Meets::None,
        _ => Meets::Perhaps,
    }
}

fn is_called(device: &str, name: &str) -> bool {
    match name.strip_suffix('*') {
        Some(beginning) => device.starts_with(beginning),
        None => device == name,
    }
}
