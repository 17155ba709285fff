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
}
