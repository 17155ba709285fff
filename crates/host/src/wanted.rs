//! What the user asks setup for.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use v6kit_net::{Code, Hint, Prefix};

/// What the host is to be prepared for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The prefix that is routed to this host.
    pub prefix: Prefix,
    /// The device that it arrives on.
    pub device: String,
    /// The device that carries the local route. On `lo` it outlives every link.
    pub route_device: String,
    /// What becomes of connection tracking.
    pub conntrack: Conntrack,
    /// What becomes of connections that come in to the prefix.
    pub inbound: Inbound,
    /// File descriptors that one process may need.
    pub nofile: u64,
    /// What the host will do.
    pub purpose: Purpose,
    /// Where the user is logged in from, as SSH_CONNECTION says (ssh(1)).
    pub session: Option<Ipv6Addr>,
    /// What becomes of the setup where it cuts somebody off.
    pub cut_off: CutOff,
    /// For how long it is set up.
    pub span: Span,
    /// Whose connections are given addresses of the prefix on their way; `None` for nobody's.
    pub rotation: Option<Rotation>,
}

/// Connections that are given addresses of a prefix on their way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Whose they are.
    pub from: Vec<Origin>,
    /// What addresses are drawn by where none were drawn before.
    pub seed: u32,
}

/// Whose connections are given other addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// What comes in by this device; `lo` for this host itself.
    Device(String),
    /// What comes from this network, this host itself excepted.
    Net(Ipv6Net),
}

/// Why a text is not an [`Origin`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Something of IPv4.
    #[error("`{text}` is of IPv4, which is not translated here")]
    Ipv4 {
        /// What was given.
        text: String,
    },
    /// A network with bits behind its length.
    #[error("`{given}` has host bits set behind /{}", .given.prefix_len())]
    HostBits {
        /// What was given.
        given: Ipv6Net,
    },
    /// Neither a network nor the name of a device (netdevice(7)).
    #[error("`{text}` is neither a device nor an IPv6 network")]
    Syntax {
        /// What was given.
        text: String,
    },
}

impl Hint for OriginError {
    fn code(&self) -> Code {
        Code::BadValue
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Ipv4 { .. } => {
                "name the device that it comes in by, such as br0: its IPv4 stays as it is".to_owned()
            }
            Self::HostBits { given } => format!("the network is {}", given.trunc()),
            Self::Syntax { .. } => {
                "write the device that it comes in by, such as br0, or a network, such as fd00:1::/64"
                    .to_owned()
            }
        })
    }
}

impl Origin {
    /// Whether it means what this host itself sends.
    #[must_use]
    pub fn is_this_host(&self) -> bool {
        matches!(self, Self::Device(device) if device == "lo")
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let own = || text.to_owned();
        if let Ok(given) = text.parse::<Ipv6Net>() {
            let is_network = given.trunc() == given;
            return if is_network {
                Ok(Self::Net(given))
            } else {
                Err(OriginError::HostBits { given })
            };
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self::Net(address.into()));
        }
        if text.parse::<ipnet::Ipv4Net>().is_ok() || text.parse::<std::net::Ipv4Addr>().is_ok() {
            return Err(OriginError::Ipv4 { text: own() });
        }
        // IFNAMSIZ, and what nft takes between quotes.
        let is_name = (1..16).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"/:\"\\*".contains(&byte));
        if is_name {
            Ok(Self::Device(own()))
        } else {
            Err(OriginError::Syntax { text: own() })
        }
    }
}

/// For how long a host is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Until teardown, or the next boot.
    Lasting,
    /// As long as a program runs, which gets its limit on open files itself: no file is written.
    Program,
}

/// What becomes of a setup that would take packets away from others in the prefix, to whom no route of ours can
/// lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutOff {
    /// It is refused before anything is changed.
    Refuse,
    /// It goes on.
    Accept,
}

/// What becomes of connection tracking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conntrack {
    /// Nothing while nothing is tracked, otherwise room for what is expected.
    Auto,
    /// The prefix is not tracked.
    Notrack,
    /// Nothing.
    Keep,
    /// Room for this many connections.
    Max(u64),
}

/// What becomes of connections that come in to the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inbound {
    /// They are dropped.
    Drop,
    /// They reach whatever listens on every address.
    Allow,
}

/// What the host will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Open connections.
    Crawl,
    /// Open connections for others, and relay UDP.
    Proxy,
    /// Take connections.
    Server,
    /// Give addresses of the prefix to connections of others.
    Everything,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(device) => f.write_str(device),
            Self::Net(net) => net.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_addresses_to_give_is_a_device_or_a_network_of_ipv6() {
        let parsed = |text: &str| text.parse::<Origin>();
        assert_eq!(parsed("virbr0").unwrap(), Origin::Device("virbr0".to_owned()));
        assert_eq!(parsed("eth0.100").unwrap().to_string(), "eth0.100");
        assert_eq!(parsed("fd00:1::/64").unwrap().to_string(), "fd00:1::/64");
        assert_eq!(parsed("fd00:1::5").unwrap().to_string(), "fd00:1::5/128");
        assert!(parsed("lo").unwrap().is_this_host());
        assert!(matches!(parsed("10.0.0.0/8"), Err(OriginError::Ipv4 { .. })));
        assert_eq!(
            parsed("fd00:1::5/64").unwrap_err().hint().unwrap(),
            "the network is fd00:1::/64"
        );
        for wrong in [
            "",
            "a b",
            "x/64",
            "fd00::/129",
            "a:b",
            "quote\"",
            "averyverylongname",
        ] {
            assert!(
                matches!(parsed(wrong), Err(OriginError::Syntax { .. })),
                "{wrong}"
            );
        }
    }
}
