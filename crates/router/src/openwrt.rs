//! What is wanted of an OpenWrt router, as arguments of the script, as UCI, and as files.

use ipnet::Ipv6Net;
use serde::Serialize;
use v6kit_net::Prefix;

use crate::package::{PackageFile, files};
use crate::values::{LinkLocal, Name, SectionName};

/// What an OpenWrt router is to do.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The name of the section in /etc/config/v6kit-router, one for each host.
    pub name: SectionName,
    /// The prefix that the host is to get.
    pub prefix: Prefix,
    /// The host's address on the router's LAN.
    pub host: LinkLocal,
    /// The interface towards the host; `None`: as configured, at first `lan`.
    pub lan: Option<Name>,
    /// The interface towards the internet; `None`: as configured, at first found by its delegated prefix.
    pub wan: Option<Name>,
    /// Whether the prefix is tracked; `None`: as configured, at first not.
    pub tracking: Option<Tracking>,
    /// Remote UDP ports that are not tracked, instead of those that are configured; `None`: as configured.
    pub udp_ports: Option<Vec<u16>>,
    /// What becomes of pings from outside; `None`: as configured, at first kept.
    pub ping: Option<Ping>,
    /// The size of the connection table; `None`: as configured, at first by RAM.
    pub table: Option<TableSize>,
}

/// Whether the router keeps an entry for each connection of the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracking {
    /// No entry, and the accept for replies that this needs.
    Off,
    /// One entry for each connection.
    On,
}

/// What becomes of echo requests from outside to the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ping {
    /// They pass as the firewall has it.
    Keep,
    /// They are dropped.
    Drop,
}

/// The size of the connection table, which is only ever raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableSize {
    /// An eighth of RAM.
    Auto,
    /// As it is.
    Keep,
    /// So many entries.
    Entries(u32),
}

/// Whether the prefix is to follow a delegated one that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// If it lies in the prefix of the LAN or of the WAN's delegation.
    Auto,
    /// The one that is named.
    Base(Base),
    /// Not at all.
    Never,
}

/// What a prefix that follows is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// The prefix that is assigned to the LAN.
    Lan,
    /// The prefix that is delegated to the WAN.
    Wan,
}

impl Base {
    /// As UCI and the script spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Wan => "wan",
        }
    }
}

/// What is installed and set on the router.
#[derive(Debug, Clone, Serialize)]
pub struct Rendering {
    /// Lines for `uci batch`.
    pub uci: Vec<String>,
    /// What goes into the firewall's sets at the start (nft(8)), without the interfaces, which the router
    /// finds by itself.
    pub nft: Vec<String>,
    /// The files, in the order in which they are written.
    pub files: &'static [PackageFile],
}

/// What would be installed on an OpenWrt router, without asking it anything.
#[must_use]
pub fn render(wanted: &Wanted, base: Option<Base>) -> Rendering {
    Rendering {
        uci: uci(wanted, base),
        nft: nft(wanted),
        files: files(),
    }
}

/// `prefix` with everything cleared that `base` will fill in: 2001:db8:1:2:abcd::/80 in a /64 becomes
/// ::abcd:0:0:0/80.
pub(crate) fn part(prefix: Prefix, base_length: u8) -> String {
    let inner = u128::MAX.checked_shr(base_length.into()).unwrap_or(0);
    let address = u128::from(prefix.network()) & inner;
    format!("{}/{}", std::net::Ipv6Addr::from(address), prefix.length())
}

/// The options of the script, in pairs. Every value is made of letters, digits and `.:/_-`.
pub(crate) fn arguments(wanted: &Wanted, base: Option<(Base, u8)>) -> Vec<String> {
    let mut pairs = vec![
        ("--name", wanted.name.to_string()),
        ("--host", wanted.host.to_string()),
    ];
    match base {
        Some((base, length)) => {
            pairs.push(("--base", base.as_str().to_owned()));
            pairs.push(("--part", part(wanted.prefix, length)));
        }
        None => pairs.push(("--prefix", wanted.prefix.to_string())),
    }
    pairs.extend(options(wanted));
    match wanted.udp_ports.as_deref() {
        None => {}
        Some([]) => pairs.push(("--udp-port", "none".to_owned())),
        Some(ports) => pairs.extend(ports.iter().map(|port| ("--udp-port", port.to_string()))),
    }
    pairs
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect()
}

/// What is set in section `main`, named as the script names it.
fn options(wanted: &Wanted) -> Vec<(&'static str, String)> {
    let tracking = wanted.tracking.map(|tracking| match tracking {
        Tracking::Off => "1".to_owned(),
        Tracking::On => "0".to_owned(),
    });
    let ping = wanted.ping.map(|ping| match ping {
        Ping::Keep => "keep".to_owned(),
        Ping::Drop => "drop".to_owned(),
    });
    let table = wanted.table.map(|table| match table {
        TableSize::Auto => "auto".to_owned(),
        TableSize::Keep => "keep".to_owned(),
        TableSize::Entries(entries) => entries.to_string(),
    });
    [
        ("--lan", wanted.lan.as_ref().map(ToString::to_string)),
        ("--wan", wanted.wan.as_ref().map(ToString::to_string)),
        ("--notrack", tracking),
        ("--ping", ping),
        ("--conntrack", table),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.map(|value| (name, value)))
    .collect()
}

fn uci(wanted: &Wanted, base: Option<Base>) -> Vec<String> {
    let name = &wanted.name;
    let mut lines = vec![
        "set v6kit-router.main='settings'".to_owned(),
        "set v6kit-router.main.enabled='1'".to_owned(),
    ];
    for (option, value) in options(wanted) {
        let option = option.trim_start_matches('-');
        lines.push(format!("set v6kit-router.main.{option}='{value}'"));
    }
    // An option that is set to nothing is deleted.
    if wanted.udp_ports.is_some() {
        lines.push("set v6kit-router.main.udp_port=''".to_owned());
    }
    for port in wanted.udp_ports.iter().flatten() {
        lines.push(format!("add_list v6kit-router.main.udp_port='{port}'"));
    }
    lines.push(format!("set v6kit-router.{name}='prefix'"));
    lines.push(format!("set v6kit-router.{name}.host='{}'", wanted.host));
    match base {
        Some(base) => {
            // An interface has a /64 of its own; how long the delegation is only the router knows, and
            // what it fills in does not matter.
            let length = if base == Base::Lan { 64 } else { 0 };
            lines.push(format!("set v6kit-router.{name}.base='{}'", base.as_str()));
            lines.push(format!(
                "set v6kit-router.{name}.part='{}'",
                part(wanted.prefix, length)
            ));
        }
        None => lines.push(format!("set v6kit-router.{name}.prefix='{}'", wanted.prefix)),
    }
    lines.push("commit v6kit-router".to_owned());
    lines
}

fn nft(wanted: &Wanted) -> Vec<String> {
    let element = Ipv6Net::new(wanted.prefix.network(), wanted.prefix.length())
        .map_or_else(|_| wanted.prefix.to_string(), |net| net.to_string());
    let mut lines = Vec::new();
    if wanted.tracking != Some(Tracking::On) {
        lines.push(format!("add element inet fw4 v6kit_prefix {{ {element} }}"));
    }
    if wanted.ping == Some(Ping::Drop) {
        lines.push(format!("add element inet fw4 v6kit_quiet {{ {element} }}"));
    }
    for port in wanted.udp_ports.iter().flatten() {
        lines.push(format!("add element inet fw4 v6kit_udp {{ {port} }}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            name: "crawler".parse().unwrap(),
            prefix: "2001:db8:1:2:abcd::/80".parse().unwrap(),
            host: "fe80::9".parse().unwrap(),
            lan: Some("lan".parse().unwrap()),
            wan: None,
            tracking: None,
            udp_ports: Some(vec![443]),
            ping: Some(Ping::Drop),
            table: Some(TableSize::Entries(65536)),
        }
    }

    #[test]
    fn the_part_is_what_the_base_does_not_fill_in() {
        let prefix = "2001:db8:1:2:abcd::/80".parse().unwrap();
        assert_eq!(part(prefix, 64), "::abcd:0:0:0/80");
        assert_eq!(part(prefix, 56), "::2:abcd:0:0:0/80");
        assert_eq!(part(prefix, 0), "2001:db8:1:2:abcd::/80");
        assert_eq!(part("2001:db8::1/128".parse().unwrap(), 128), "::/128");
    }

    #[test]
    fn what_is_not_asked_for_is_not_set() {
        let plain = Wanted {
            lan: None,
            udp_ports: None,
            ping: None,
            table: None,
            ..wanted()
        };
        assert_eq!(
            arguments(&plain, None),
            [
                "--name",
                "crawler",
                "--host",
                "fe80::9",
                "--prefix",
                "2001:db8:1:2:abcd::/80"
            ]
        );
    }

    #[test]
    fn ports_are_taken_back_by_name() {
        let none = Wanted {
            udp_ports: Some(Vec::new()),
            ..wanted()
        };
        let words = arguments(&none, None);
        assert!(
            words.windows(2).any(|pair| pair == ["--udp-port", "none"]),
            "{words:?}"
        );
        assert!(
            render(&none, None)
                .uci
                .contains(&"set v6kit-router.main.udp_port=''".to_owned())
        );
    }

    #[test]
    fn arguments_need_no_quoting() {
        for argument in arguments(&wanted(), Some((Base::Lan, 64))) {
            assert!(
                argument
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".:/_-".contains(&byte)),
                "{argument}"
            );
        }
    }

    #[test]
    fn the_settings_are_rendered_for_uci() {
        insta::assert_snapshot!(render(&wanted(), Some(Base::Lan)).uci.join("\n"));
    }
}
