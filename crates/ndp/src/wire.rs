//! Neighbour solicitations read, and advertisements and router-discovery messages written.
//!
//! Everything here works on packets that begin with the IPv6 header.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::Ipv6Addr;

use etherparse::icmpv6::{
    NdpOptionHeader, NdpOptionReadError, NdpOptionType, NeighborAdvertisementHeader,
    NeighborSolicitationPayloadSlice, SourceLinkLayerAddressOptionSlice, TYPE_NEIGHBOR_SOLICITATION,
};
use etherparse::{Icmpv6Slice, Icmpv6Type, IpNumber, Ipv6Header, Ipv6HeaderSlice};
use serde::Serialize;

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Where Ethernet delivers packets for an IPv6 multicast group (RFC 2464 section 7).
    #[must_use]
    pub fn of_group(group: Ipv6Addr) -> Self {
        let [.., a, b, c, d] = group.octets();
        Self([0x33, 0x33, a, b, c, d])
    }
}

impl TryFrom<&[u8]> for Mac {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A valid neighbour solicitation (RFC 4861 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Solicitation {
    /// Who asks; `None` is the unspecified source of duplicate address detection (RFC 4862).
    pub source: Option<Ipv6Addr>,
    /// The solicited-node group, or the target itself when its reachability is probed.
    pub destination: Ipv6Addr,
    /// The address that is asked for.
    pub target: Ipv6Addr,
    /// The source link-layer address option.
    pub link_address: Option<Mac>,
}

/// Why a packet is not a valid solicitation (RFC 4861 section 7.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Invalid {
    /// Shorter than its own headers say.
    #[error("the packet is cut off")]
    Truncated,
    /// Another protocol or message.
    #[error("not a neighbour solicitation")]
    OtherMessage,
    /// A hop limit other than 255: it passed a router.
    #[error("the hop limit is {0} instead of 255")]
    HopLimit(u8),
    /// The ICMPv6 checksum does not match.
    #[error("wrong checksum")]
    Checksum,
    /// An ICMPv6 code other than 0.
    #[error("the code is {0} instead of 0")]
    Code(u8),
    /// Less than 24 bytes of ICMPv6.
    #[error("shorter than 24 bytes")]
    Length,
    /// An option of length zero, that goes beyond the packet, or not of Ethernet's size.
    #[error("a malformed option")]
    Options,
    /// A target that is multicast.
    #[error("the target is multicast")]
    MulticastTarget,
    /// A source that no host has.
    #[error("the source is multicast or loopback")]
    Source,
    /// Unspecified source, but not sent to a solicited-node group.
    #[error("duplicate address detection not sent to a solicited-node group")]
    ProbeDestination,
    /// Unspecified source, but with a source link-layer address.
    #[error("duplicate address detection with a link-layer address")]
    ProbeLinkAddress,
}

impl Solicitation {
    /// Reads and validates a packet. Bytes behind the length that the IPv6 header states are padding.
    ///
    /// # Errors
    /// The first rule of RFC 4861 section 7.1.1 that the packet breaks.
    pub fn parse(packet: &[u8]) -> Result<Self, Invalid> {
        let (header, message) = icmpv6_of(packet)?;
        if message.first() != Some(&TYPE_NEIGHBOR_SOLICITATION) {
            return Err(Invalid::OtherMessage);
        }
        if header.hop_limit() != 255 {
            return Err(Invalid::HopLimit(header.hop_limit()));
        }
        let icmp = Icmpv6Slice::from_slice(message).map_err(length)?;
        if !icmp.is_checksum_valid(header.source(), header.destination()) {
            return Err(Invalid::Checksum);
        }
        if icmp.code_u8() != 0 {
            return Err(Invalid::Code(icmp.code_u8()));
        }
        let body = NeighborSolicitationPayloadSlice::from_slice(icmp.payload()).map_err(length)?;
        let solicitation = Self {
            source: Some(header.source_addr()).filter(|source| !source.is_unspecified()),
            destination: header.destination_addr(),
            target: body.target_address(),
            link_address: source_link_address(body.options())?,
        };
        solicitation.check()
    }

    fn check(self) -> Result<Self, Invalid> {
        if self.target.is_multicast() {
            return Err(Invalid::MulticastTarget);
        }
        match self.source {
            Some(source) if source.is_multicast() || source.is_loopback() => Err(Invalid::Source),
            Some(_) => Ok(self),
            None if !is_solicited_node(self.destination) => Err(Invalid::ProbeDestination),
            None if self.link_address.is_some() => Err(Invalid::ProbeLinkAddress),
            None => Ok(self),
        }
    }

    /// How it was sent.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.source.is_none() {
            Kind::Duplicate
        } else if self.destination.is_multicast() {
            Kind::Resolution
        } else {
            Kind::Reachability
        }
    }
}

/// What a solicitation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Sent to a group: somebody looks for the link-layer address.
    Resolution,
    /// Sent to the target itself: somebody checks that it is still there (RFC 4861 section 7.3).
    Reachability,
    /// From the unspecified address: somebody wants to have the address (RFC 4862 section 5.4).
    Duplicate,
}

fn icmpv6_of(packet: &[u8]) -> Result<(Ipv6HeaderSlice<'_>, &[u8]), Invalid> {
    let header = Ipv6HeaderSlice::from_slice(packet).map_err(|error| match error {
        etherparse::err::ipv6::HeaderSliceError::Len(_) => Invalid::Truncated,
        etherparse::err::ipv6::HeaderSliceError::Content(_) => Invalid::OtherMessage,
    })?;
    if header.next_header() != IpNumber::IPV6_ICMP {
        return Err(Invalid::OtherMessage);
    }
    let message = packet
        .get(Ipv6Header::LEN..Ipv6Header::LEN + usize::from(header.payload_length()))
        .ok_or(Invalid::Truncated)?;
    Ok((header, message))
}

fn length(_: etherparse::err::LenError) -> Invalid {
    Invalid::Length
}

/// The source link-layer address option, where there is one.
///
/// RFC 4861 section 7.1.1 wants every length to be sound and the options of other types ignored, so
/// the body of those is not looked at.
fn source_link_address(mut options: &[u8]) -> Result<Option<Mac>, Invalid> {
    let mut found = None;
    while !options.is_empty() {
        let (header, _) = NdpOptionHeader::from_slice(options).map_err(unsound)?;
        let (option, rest) = options
            .split_at_checked(header.byte_len())
            .ok_or(Invalid::Options)?;
        if option.is_empty() {
            return Err(Invalid::Options);
        }
        if header.option_type == NdpOptionType::SOURCE_LINK_LAYER_ADDRESS {
            let option = SourceLinkLayerAddressOptionSlice::from_slice(option).map_err(unsound)?;
            let mac =
                Mac::try_from(option.link_layer_address()).map_err(|_of_another_link| Invalid::Options)?;
            found = found.or(Some(mac));
        }
        options = rest;
    }
    Ok(found)
}

fn unsound(_: NdpOptionReadError) -> Invalid {
    Invalid::Options
}

fn is_solicited_node(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0xff02, 0, 0, 0, 0, 1, top, _] if top >> 8 == 0xff)
}

/// `ff02::1`, every node of the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A neighbour advertisement (RFC 4861 section 4.4), always with the target link-layer address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertisement {
    /// The source of the IPv6 header.
    pub source: Ipv6Addr,
    /// Who asked, or [`ALL_NODES`].
    pub destination: Ipv6Addr,
    /// The address that is advertised.
    pub target: Ipv6Addr,
    /// Where it is.
    pub link_address: Mac,
    /// Solicited and Override.
    pub flags: Flags,
}

/// The flags of an advertisement. Router is never set: nobody should take the host for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags {
    /// Answers a solicitation that has a source (RFC 4861 section 7.2.4).
    pub solicited: bool,
    /// Replaces a link-layer address that the receiver has cached.
    pub overriding: bool,
}

impl Advertisement {
    /// The length of the packet in bytes: IPv6 header, ICMPv6 header, target, one option.
    pub const LENGTH: usize = Ipv6Header::LEN + 8 + 16 + 8;

    /// The packet, beginning with the IPv6 header.
    #[must_use]
    pub fn to_packet(self) -> [u8; Self::LENGTH] {
        let mut body = [0; 24];
        body[..16].copy_from_slice(&self.target.octets());
        // Target link-layer address, one unit of eight bytes.
        body[16..18].copy_from_slice(&[2, 1]);
        body[18..].copy_from_slice(&self.link_address.0);
        let message = Icmpv6Type::NeighborAdvertisement(NeighborAdvertisementHeader {
            router: false,
            solicited: self.flags.solicited,
            r#override: self.flags.overriding,
        });
        let header = Ipv6Header {
            payload_length: 32,
            next_header: IpNumber::IPV6_ICMP,
            hop_limit: 255,
            source: self.source.octets(),
            destination: self.destination.octets(),
            ..Ipv6Header::default()
        };
        let mut packet = [0; Self::LENGTH];
        packet[..40].copy_from_slice(&header.to_bytes());
        packet[40..48].copy_from_slice(&icmpv6_header(&message, &header, &body));
        packet[48..].copy_from_slice(&body);
        packet
    }
}

/// Tells snooping switches to send all multicast to this port, or that this is over
/// (Multicast Router Discovery, RFC 4286).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MulticastRouter {
    /// Advertisement, to be repeated every so many seconds.
    Advertisement {
        /// 4 to 180.
        interval_seconds: u8,
    },
    /// Termination.
    Termination,
}

impl MulticastRouter {
    /// `ff02::6a`, all snoopers.
    pub const ALL_SNOOPERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x6a);
    /// The length of the packet in bytes: IPv6 header, hop-by-hop options, ICMPv6.
    pub const LENGTH: usize = Ipv6Header::LEN + 8 + 8;

    /// The packet, beginning with the IPv6 header. `source` is a link-local address.
    #[must_use]
    pub fn to_packet(self, source: Ipv6Addr) -> [u8; Self::LENGTH] {
        let (type_u8, code_u8) = match self {
            Self::Advertisement { interval_seconds } => (151, interval_seconds),
            Self::Termination => (153, 0),
        };
        // Query interval and robustness variable are zero where the sender runs no MLD.
        let message = Icmpv6Type::Unknown {
            type_u8,
            code_u8,
            bytes5to8: [0; 4],
        };
        let header = Ipv6Header {
            payload_length: 16,
            next_header: IpNumber::IPV6_HEADER_HOP_BY_HOP,
            hop_limit: 1,
            source: source.octets(),
            destination: Self::ALL_SNOOPERS.octets(),
            ..Ipv6Header::default()
        };
        let mut packet = [0; Self::LENGTH];
        packet[..40].copy_from_slice(&header.to_bytes());
        // Router alert (RFC 2711) and two bytes of padding: snoopers look at nothing without it.
        packet[40..48].copy_from_slice(&[IpNumber::IPV6_ICMP.0, 0, 5, 2, 0, 0, 1, 0]);
        packet[48..].copy_from_slice(&icmpv6_header(&message, &header, &[]));
        packet
    }
}

fn icmpv6_header(message: &Icmpv6Type, ip: &Ipv6Header, body: &[u8]) -> [u8; 8] {
    let header = message
        .to_header(ip.source, ip.destination, body)
        .expect("a body of a few bytes");
    let bytes = header.to_bytes();
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes);
    eight
}
