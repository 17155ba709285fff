//! The routed prefix.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use crate::{Code, Hint};

/// A routed IPv6 prefix, /16 to /128, with no host bits set.
///
/// Only prefixes that can be routed to a host are accepted: multicast, link-local, loopback and
/// IPv4-mapped ranges are refused (RFC 4291).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix(Ipv6Net);

/// Why a text is not a [`Prefix`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Neither an address nor a network.
    #[error("`{text}` is not an IPv6 prefix")]
    Syntax {
        /// What was given.
        text: String,
    },
    /// An address without `/LENGTH`.
    #[error("`{address}` has no prefix length")]
    NoLength {
        /// What was given.
        address: Ipv6Addr,
    },
    /// An IPv4 network.
    #[error("`{text}` is an IPv4 network; v6kit works with IPv6 prefixes")]
    Ipv4 {
        /// What was given.
        text: String,
    },
    /// Bits behind the prefix length are set.
    #[error("`{given}` has host bits set behind /{}", .given.prefix_len())]
    HostBits {
        /// What was given.
        given: Ipv6Net,
    },
    /// Shorter than /16.
    #[error("a /{length} is too wide: the prefix length must be 16 to 128")]
    TooWide {
        /// The length that was given.
        length: u8,
    },
    /// A range that is never routed to a host.
    #[error("`{given}` is {kind}, which cannot be routed to a host")]
    NotRoutable {
        /// What was given.
        given: Ipv6Net,
        /// The name of the range it lies in.
        kind: &'static str,
    },
}

impl Hint for PrefixError {
    fn code(&self) -> Code {
        Code::BadPrefix
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::HostBits { given } => format!("the network is {}", given.trunc()),
            Self::NoLength { address } => {
                format!("add the length, such as {address}/64, or {address}/128 for one fixed address")
            }
            Self::TooWide { .. } => "give the part that is routed to you, such as a /48 or a /64".to_owned(),
            Self::Syntax { .. } | Self::Ipv4 { .. } | Self::NotRoutable { .. } => {
                "write the prefix that is routed to this host, such as 2001:db8:1:2::/64".to_owned()
            }
        })
    }
}

impl Prefix {
    /// No prefix at all: what is wanted of a host whatever its addresses. `::/128` in files; no text that a user
    /// gives is read as it.
    pub const THIS_HOST: Self = Self(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128));

    /// The shortest prefix length that is accepted.
    pub const MIN_LENGTH: u8 = 16;

    /// Checks a network.
    ///
    /// # Errors
    /// [`PrefixError`] when it is too wide, has host bits set or is not routable.
    pub fn new(net: Ipv6Net) -> Result<Self, PrefixError> {
        let length = net.prefix_len();
        if let Some(kind) = unroutable(net) {
            return Err(PrefixError::NotRoutable { given: net, kind });
        }
        if length < Self::MIN_LENGTH {
            return Err(PrefixError::TooWide { length });
        }
        if net.trunc() != net {
            return Err(PrefixError::HostBits { given: net });
        }
        Ok(Self(net))
    }

    /// Whether this is [`Prefix::THIS_HOST`].
    #[must_use]
    pub fn is_this_host(self) -> bool {
        self == Self::THIS_HOST
    }

    /// The network address.
    #[must_use]
    pub fn network(self) -> Ipv6Addr {
        self.0.network()
    }

    /// The prefix length in bits, 16 to 128.
    #[must_use]
    pub fn length(self) -> u8 {
        self.0.prefix_len()
    }

    /// The number of bits behind the prefix, 0 to 112.
    #[must_use]
    pub fn host_bits(self) -> u32 {
        128 - u32::from(self.length())
    }

    /// Whether `address` lies in the prefix.
    #[must_use]
    pub fn contains(self, address: Ipv6Addr) -> bool {
        self.0.contains(&address)
    }

    /// Whether the two prefixes share an address.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.network()) || other.contains(self.network())
    }

    /// The network of `length` bits around `address`, such as its /64.
    ///
    /// # Panics
    /// When `length` is above 128.
    #[must_use]
    pub fn around(address: Ipv6Addr, length: u8) -> Ipv6Net {
        Ipv6Net::new(address, length)
            .expect("a prefix length of at most 128")
            .trunc()
    }

    /// The address whose host bits are those of `host`.
    pub(crate) fn address(self, host: u128) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.network().to_bits() | (host & self.host_mask()))
    }

    /// Ones where the host bits are.
    pub(crate) fn host_mask(self) -> u128 {
        u128::from(self.0.hostmask())
    }
}

fn unroutable(net: Ipv6Net) -> Option<&'static str> {
    let address = net.addr();
    let length = net.prefix_len();
    if address.is_multicast() {
        Some("multicast")
    } else if address.is_unicast_link_local() && length >= 10 {
        Some("link-local")
    } else if address.is_loopback() {
        Some("loopback")
    } else if address.is_unspecified() && length > 0 {
        Some("unspecified")
    } else if address.to_ipv4_mapped().is_some() {
        Some("IPv4-mapped")
    } else {
        None
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let text = text.trim();
        if let Ok(net) = text.parse::<Ipv6Net>() {
            return Self::new(net);
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Err(PrefixError::NoLength { address });
        }
        let text = text.to_owned();
        if text.parse::<ipnet::Ipv4Net>().is_ok() || text.parse::<Ipv4Addr>().is_ok() {
            return Err(PrefixError::Ipv4 { text });
        }
        Err(PrefixError::Syntax { text })
    }
}

impl TryFrom<String> for Prefix {
    type Error = PrefixError;

    fn try_from(text: String) -> Result<Self, PrefixError> {
        if text == Self::THIS_HOST.to_string() {
            return Ok(Self::THIS_HOST);
        }
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

impl From<Prefix> for Ipv6Net {
    fn from(prefix: Prefix) -> Self {
        prefix.0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> PrefixError {
        text.parse::<Prefix>().unwrap_err()
    }

    #[test]
    fn a_prefix_is_written_as_it_was_read() {
        for text in [
            "2001:db8::/32",
            "2001:db8:1:2::/64",
            "fd00::/16",
            "2001:db8::1/128",
            "2001:db8::/127",
        ] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn no_prefix_at_all_comes_from_files_and_not_from_users() {
        let written = String::from(Prefix::THIS_HOST);
        assert_eq!(written, "::/128");
        assert!(matches!(error(&written), PrefixError::NotRoutable { .. }));
        assert!(Prefix::try_from(written).unwrap().is_this_host());
    }

    #[test]
    fn set_host_bits_are_refused_with_the_right_network() {
        let error = error("2409:1:2:3:abcd::5/80");
        assert_eq!(
            error.to_string(),
            "`2409:1:2:3:abcd::5/80` has host bits set behind /80"
        );
        assert_eq!(error.hint().unwrap(), "the network is 2409:1:2:3:abcd::/80");
    }

    #[test]
    fn each_kind_of_wrong_text_has_its_own_error() {
        assert!(matches!(error("foo"), PrefixError::Syntax { .. }));
        assert!(matches!(error("2001:db8::/129"), PrefixError::Syntax { .. }));
        assert!(matches!(error(""), PrefixError::Syntax { .. }));
        assert!(matches!(error("2001:db8::1"), PrefixError::NoLength { .. }));
        assert!(matches!(error("10.0.0.0/8"), PrefixError::Ipv4 { .. }));
        assert!(matches!(error("192.0.2.1"), PrefixError::Ipv4 { .. }));
        assert!(matches!(error("2000::/15"), PrefixError::TooWide { length: 15 }));
        assert!(matches!(error("::/0"), PrefixError::TooWide { length: 0 }));
        for text in [
            "ff02::/16",
            "fe80::/64",
            "::1/128",
            "::/16",
            "::ffff:10.0.0.0/104",
        ] {
            assert!(matches!(error(text), PrefixError::NotRoutable { .. }), "{text}");
        }
    }

    #[test]
    fn a_prefix_is_the_same_network_for_messages_and_for_the_kernel() {
        let prefix: Prefix = "2001:db8:1::/48".parse().unwrap();
        assert_eq!(Ipv6Net::from(prefix), "2001:db8:1::/48".parse().unwrap());
        assert_eq!(format!("{prefix:?}"), "2001:db8:1::/48");
    }

    #[test]
    fn overlap_is_symmetric() {
        let wide: Prefix = "2001:db8::/48".parse().unwrap();
        let inside: Prefix = "2001:db8:0:7::/64".parse().unwrap();
        let beside: Prefix = "2001:db8:1::/64".parse().unwrap();
        assert!(wide.overlaps(inside) && inside.overlaps(wide));
        assert!(!wide.overlaps(beside) && !beside.overlaps(wide));
    }

    #[test]
    fn json_holds_the_text_form_and_is_checked_when_read() {
        let prefix: Prefix = "2001:db8::/64".parse().unwrap();
        let json = serde_json::to_string(&prefix).unwrap();
        assert_eq!(json, "\"2001:db8::/64\"");
        assert_eq!(serde_json::from_str::<Prefix>(&json).unwrap(), prefix);
        assert!(serde_json::from_str::<Prefix>("\"2001:db8::1/64\"").is_err());
    }
}
