//! Values that end in a shell, in UCI or in a configuration file: each is parsed into a type that cannot
//! hold anything with a meaning there.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::Serialize;
use v6kit_net::{Code, Hint};

/// Why a text is not the value it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not {what}", .text.escape_debug())]
pub struct ValueError {
    /// What was given.
    pub text: String,
    /// What it should be.
    pub what: &'static str,
    /// What such a value looks like.
    pub example: &'static str,
}

impl Hint for ValueError {
    fn code(&self) -> Code {
        Code::BadValue
    }

    fn hint(&self) -> Option<String> {
        Some(format!("give one such as {}", self.example))
    }
}

/// The link-local address of a host, fe80::/10 (RFC 4291, 2.5.6), without a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LinkLocal(Ipv6Addr);

impl LinkLocal {
    /// `address` if it is link-local.
    #[must_use]
    pub fn new(address: Ipv6Addr) -> Option<Self> {
        address.is_unicast_link_local().then_some(Self(address))
    }
}

impl FromStr for LinkLocal {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        // `ip` and others print it with the zone, which means nothing on the router.
        let bare = text.split_once('%').map_or(text, |(address, _)| address);
        bare.parse().ok().and_then(Self::new).ok_or_else(|| ValueError {
            text: text.to_owned(),
            what: "a link-local address (fe80::/10)",
            example: "fe80::1234:56ff:fe78:9abc, as `ip -6 addr show scope link` shows it",
        })
    }
}

impl fmt::Display for LinkLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a router that is not OpenWrt sends the prefix: a link-local or a global address of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextHop {
    /// Reached through the device that is named beside it.
    LinkLocal(LinkLocal),
    /// Reached by the router's own routes: a unicast address of any other scope.
    Global(Ipv6Addr),
}

impl FromStr for NextHop {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if let Ok(host) = text.parse() {
            return Ok(Self::LinkLocal(host));
        }
        text.parse::<Ipv6Addr>()
            .ok()
            .filter(|address| {
                !address.is_unspecified()
                    && !address.is_loopback()
                    && !address.is_multicast()
                    && address.to_ipv4_mapped().is_none()
            })
            .map(Self::Global)
            .ok_or_else(|| ValueError {
                text: text.to_owned(),
                what: "a link-local address (fe80::/10) or another IPv6 address of a host",
                example: "fe80::1234:56ff:fe78:9abc or 2001:db8:1:2::9",
            })
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkLocal(host) => host.fmt(f),
            Self::Global(address) => address.fmt(f),
        }
    }
}

/// The name of a section or of an interface in UCI: letters, digits, underscores; at most 32.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Name(String);

impl FromStr for Name {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let fits = !text.is_empty()
            && text.len() <= 32
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        fits.then(|| Self(text.to_owned())).ok_or_else(|| ValueError {
            text: text.to_owned(),
            what: "a name in OpenWrt's configuration (letters, digits and underscores)",
            example: "lan, wan6 or crawler",
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of the section for a host: any but `main`, which holds what is common to all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SectionName(Name);

impl FromStr for SectionName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let name: Name = text.parse()?;
        if name.0 == "main" {
            return Err(ValueError {
                text: text.to_owned(),
                what: "a name for a host: that section holds what is common to all",
                example: "crawler",
            });
        }
        Ok(Self(name))
    }
}

impl fmt::Display for SectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A chain of nftables as nft(8) names it: family, table and chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    family: &'static str,
    table: String,
    chain: String,
}

impl Chain {
    /// Family and table, such as `inet filter`.
    #[must_use]
    pub fn table(&self) -> String {
        format!("{} {}", self.family, self.table)
    }
}

impl Default for Chain {
    /// `inet filter forward`, as in nftables' own examples.
    fn default() -> Self {
        Self {
            family: "inet",
            table: "filter".to_owned(),
            chain: "forward".to_owned(),
        }
    }
}

impl FromStr for Chain {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let error = |what| ValueError {
            text: text.to_owned(),
            what,
            example: "'inet filter forward', as `nft list ruleset` shows family, table and chain",
        };
        let words: Vec<&str> = text.split(' ').collect();
        let &[family, table, chain] = words.as_slice() else {
            return Err(error("a chain of nftables"));
        };
        let family = ["inet", "ip6"]
            .into_iter()
            .find(|known| *known == family)
            .ok_or_else(|| error("a chain of nftables that sees IPv6"))?;
        if ![table, chain].into_iter().all(is_nft_name) {
            return Err(error("a chain of nftables"));
        }
        // A rule of nft's in them makes them unreadable to ip6tables.
        let of_iptables = ["filter", "mangle", "nat", "raw", "security"].contains(&table)
            && chain.bytes().all(|byte| byte.is_ascii_uppercase());
        if family == "ip6" && of_iptables {
            return Err(error("a chain for nft: it is ip6tables' own"));
        }
        Ok(Self {
            family,
            table: table.to_owned(),
            chain: chain.to_owned(),
        })
    }
}

/// An identifier of nft(8) that needs no quoting.
fn is_nft_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.family, self.table, self.chain)
    }
}

/// The name of a network device, at most 15 bytes (IFNAMSIZ in linux/if.h).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceName(String);

impl FromStr for DeviceName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let fits = !text.is_empty()
            && text.len() <= 15
            && !text.starts_with('-')
            && text != "."
            && text != ".."
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte));
        fits.then(|| Self(text.to_owned())).ok_or_else(|| ValueError {
            text: text.to_owned(),
            what: "the name of a network device",
            example: "br-lan, eth0 or eth1.2",
        })
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: [&str; 12] = [
        "",
        " ",
        "a b",
        "a;reboot",
        "$(reboot)",
        "`reboot`",
        "a\nb",
        "a'b",
        "a\"b",
        "-oProxyCommand=x",
        "a/b",
        "é",
    ];

    #[test]
    fn hostile_texts_are_no_values() {
        for text in HOSTILE {
            assert!(text.parse::<Name>().is_err(), "{text:?}");
            assert!(text.parse::<DeviceName>().is_err(), "{text:?}");
            assert!(text.parse::<LinkLocal>().is_err(), "{text:?}");
            assert!(text.parse::<crate::Destination>().is_err(), "{text:?}");
            assert!(text.parse::<NextHop>().is_err(), "{text:?}");
            assert!(
                format!("inet filter {text}").parse::<Chain>().is_err(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_message_shows_a_hostile_text_harmlessly() {
        let error = "a\n\u{1b}[2J".parse::<Name>().unwrap_err().to_string();
        assert!(!error.contains(['\n', '\u{1b}']), "{error:?}");
    }

    #[test]
    fn a_zone_is_dropped_and_a_global_address_refused() {
        assert_eq!(
            "fe80::9%eth0".parse::<LinkLocal>().unwrap().to_string(),
            "fe80::9"
        );
        assert!("2001:db8::1".parse::<LinkLocal>().is_err());
    }

    #[test]
    fn names_have_a_length() {
        assert!("a".repeat(32).parse::<Name>().is_ok());
        assert!("a".repeat(33).parse::<Name>().is_err());
        assert!("a".repeat(15).parse::<DeviceName>().is_ok());
        assert!("a".repeat(16).parse::<DeviceName>().is_err());
    }

    #[test]
    fn the_section_that_is_common_to_all_is_no_name_for_a_host() {
        assert!("main".parse::<SectionName>().is_err());
        assert!("main2".parse::<SectionName>().is_ok());
    }

    #[test]
    fn a_next_hop_is_an_address_that_a_host_can_have() {
        for text in ["2001:db8::9", "fd00::9", "fe80::9%eth0"] {
            assert!(text.parse::<NextHop>().is_ok(), "{text}");
        }
        for text in [
            "::",
            "::1",
            "ff02::1",
            "::ffff:192.0.2.1",
            "192.0.2.1",
            "2001:db8::9%eth0",
        ] {
            assert!(text.parse::<NextHop>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_chain_is_named_as_nft_names_it_and_is_not_that_of_ip6tables() {
        for text in ["inet filter forward", "inet my-fw FORWARD", "ip6 nat forward"] {
            assert_eq!(text.parse::<Chain>().unwrap().to_string(), text);
        }
        for text in [
            "forward",
            "ip filter forward",
            "ip6 filter FORWARD",
            "inet filter forward x",
            "inet  forward",
        ] {
            assert!(text.parse::<Chain>().is_err(), "{text}");
        }
    }
}
