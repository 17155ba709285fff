//! The same for routers that are not OpenWrt, to be copied by hand.

use serde::Serialize;
use v6kit_net::Prefix;

use crate::openwrt::{Ping, Tracking};
use crate::values::{Chain, DeviceName, NextHop};

/// Whose configuration is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// Commands of ip(8): the route alone.
    Iproute2,
    /// A ruleset for nft(8): the rules alone.
    Nftables,
    /// Commands of VyOS 1.4 and newer in configuration mode.
    Vyos,
    /// Commands of RouterOS 7.
    Routeros,
    /// A drop-in of systemd.network(5): the route alone.
    SystemdNetworkd,
}

/// What such a router is to do.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// The prefix that the host is to get.
    pub prefix: Prefix,
    /// The host's address; not one in the prefix.
    pub host: NextHop,
    /// The router's device towards the host.
    pub lan: DeviceName,
    /// The router's device towards the internet.
    pub wan: DeviceName,
    /// Whether the prefix is tracked.
    pub tracking: Tracking,
    /// Remote UDP ports that are not tracked.
    pub udp_ports: Vec<u16>,
    /// What becomes of pings from outside.
    pub ping: Ping,
    /// The chains of nftables that drop what is forwarded; for nftables alone.
    pub chains: Vec<Chain>,
}

/// The configuration, ready to be pasted, with remarks in the dialect's own comments.
#[must_use]
pub fn render(wanted: &Foreign, dialect: Dialect) -> String {
    let lines = match dialect {
        Dialect::Iproute2 => iproute2(wanted),
        Dialect::Nftables => nftables(wanted),
        Dialect::Vyos => vyos(wanted),
        Dialect::Routeros => routeros(wanted),
        Dialect::SystemdNetworkd => systemd_networkd(wanted),
    };
    lines.join("\n") + "\n"
}

fn iproute2(wanted: &Foreign) -> Vec<String> {
    let Foreign {
        prefix, host, lan, ..
    } = wanted;
    vec![
        "# Until the next boot. To undo: the same with `del`.".to_owned(),
        format!("ip -6 route replace {prefix} via {host} dev {lan}"),
    ]
}

fn nftables(wanted: &Foreign) -> Vec<String> {
    let Foreign { prefix, lan, wan, .. } = wanted;
    let mut lines: Vec<String> = [
        "# A jump stands in each chain that drops: name them with --chain where they are others.",
        "# To undo, for each: `nft -a list chain ...`, delete the rule that jumps, then the chain",
        "# v6kit_inbound of its table; and `nft delete table inet v6kit`.",
    ]
    .map(ToOwned::to_owned)
    .into();
    if wanted.tracking == Tracking::Off {
        lines.extend(notrack(wanted));
    }
    let mut tables: Vec<String> = Vec::new();
    for chain in &wanted.chains {
        let table = chain.table();
        if !tables.contains(&table) {
            lines.extend(inbound(wanted, &table));
            tables.push(table);
        }
        lines.push(format!(
            "insert rule {chain} iifname \"{wan}\" oifname \"{lan}\" ip6 daddr {prefix} jump v6kit_inbound"
        ));
    }
    lines
}

/// The table that keeps the prefix out of connection tracking. What goes to the router itself stays tracked.
fn notrack(wanted: &Foreign) -> Vec<String> {
    let Foreign { prefix, lan, wan, .. } = wanted;
    let mut lines = vec![
        "table inet v6kit {".to_owned(),
        "\tchain prerouting {".to_owned(),
        "\t\ttype filter hook prerouting priority raw; policy accept;".to_owned(),
        format!(
            "\t\tiifname \"{lan}\" ip6 saddr {prefix} ip6 daddr 2000::/3 fib daddr type != local meta l4proto tcp notrack"
        ),
        format!("\t\tiifname \"{wan}\" ip6 daddr {prefix} meta l4proto tcp notrack"),
    ];
    for port in &wanted.udp_ports {
        lines.push(format!(
            "\t\tiifname \"{lan}\" ip6 saddr {prefix} fib daddr type != local udp dport {port} notrack"
        ));
        lines.push(format!(
            "\t\tiifname \"{wan}\" ip6 daddr {prefix} udp sport {port} notrack"
        ));
    }
    lines.extend(["\t}".to_owned(), "}".to_owned()]);
    lines
}

/// The chain v6kit_inbound in `table`: replies, never a bare SYN.
fn inbound(wanted: &Foreign, table: &str) -> Vec<String> {
    let mut lines = vec![format!("table {table} {{"), "\tchain v6kit_inbound {".to_owned()];
    if wanted.ping == Ping::Drop {
        lines.push("\t\ticmpv6 type echo-request drop".to_owned());
    }
    if wanted.tracking == Tracking::Off {
        lines.push(
            "\t\ticmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } limit rate 1000/second accept"
                .to_owned(),
        );
        lines.push("\t\tct state untracked tcp flags & (ack | rst) != 0 accept".to_owned());
        for port in &wanted.udp_ports {
            lines.push(format!("\t\tct state untracked udp sport {port} accept"));
        }
    }
    lines.extend(["\t}".to_owned(), "}".to_owned()]);
    lines
}

fn vyos(wanted: &Foreign) -> Vec<String> {
    let Foreign {
        prefix,
        host,
        lan,
        wan,
        ..
    } = wanted;
    let mut lines = vec![match host {
        NextHop::LinkLocal(_) => {
            format!("set protocols static route6 {prefix} next-hop {host} interface '{lan}'")
        }
        NextHop::Global(_) => format!("set protocols static route6 {prefix} next-hop {host}"),
    }];
    let ignore = |rule: u32, interface: &DeviceName, end: &str, what: &str| {
        let start = format!("set system conntrack ignore ipv6 rule {rule}");
        vec![
            format!("{start} description 'v6kit'"),
            format!("{start} inbound-interface '{interface}'"),
            format!("{start} {end} address '{prefix}'"),
            format!("{start} {what}"),
        ]
    };
    let accept = |rule: u32, action: &str, matches: &[String]| {
        let start = format!("set firewall ipv6 forward filter rule {rule}");
        let mut lines = vec![
            format!("{start} description 'v6kit'"),
            format!("{start} action '{action}'"),
            format!("{start} inbound-interface name '{wan}'"),
            format!("{start} destination address '{prefix}'"),
        ];
        lines.extend(matches.iter().map(|text| format!("{start} {text}")));
        lines
    };
    if wanted.ping == Ping::Drop {
        let matches = ["protocol 'ipv6-icmp'", "icmpv6 type-name 'echo-request'"].map(ToOwned::to_owned);
        lines.extend(accept(1, "drop", &matches));
    }
    if wanted.tracking == Tracking::Off {
        lines.extend(ignore(9001, lan, "source", "protocol 'tcp'"));
        lines.extend(ignore(9002, wan, "destination", "protocol 'tcp'"));
        lines.extend(accept(
            2,
            "accept",
            &["protocol 'tcp'", "tcp flags ack"].map(ToOwned::to_owned),
        ));
        lines.extend(accept(
            3,
            "accept",
            &["protocol 'tcp'", "tcp flags rst"].map(ToOwned::to_owned),
        ));
        for (index, port) in (0_u32..).zip(&wanted.udp_ports) {
            lines.extend(ignore(9010 + 2 * index, lan, "source", "protocol 'udp'"));
            lines.push(format!(
                "set system conntrack ignore ipv6 rule {} destination port '{port}'",
                9010 + 2 * index
            ));
            lines.extend(ignore(9011 + 2 * index, wan, "destination", "protocol 'udp'"));
            lines.push(format!(
                "set system conntrack ignore ipv6 rule {} source port '{port}'",
                9011 + 2 * index
            ));
            let matches = ["protocol 'udp'".to_owned(), format!("source port '{port}'")];
            lines.extend(accept(4 + index, "accept", &matches));
        }
    }
    lines.push(
        "# Rules are tried by number: where these are taken, use free ones before your state rules."
            .to_owned(),
    );
    lines.push("commit".to_owned());
    lines
}

fn routeros(wanted: &Foreign) -> Vec<String> {
    let Foreign {
        prefix,
        host,
        lan,
        wan,
        ..
    } = wanted;
    let filter = |rest: String| {
        format!(
            "/ipv6 firewall filter add chain=forward in-interface={wan} dst-address={prefix} {rest} comment=v6kit place-before=0"
        )
    };
    let gateway = match host {
        NextHop::LinkLocal(_) => format!("{host}%{lan}"),
        NextHop::Global(_) => host.to_string(),
    };
    let raw =
        |rest: String| format!("/ipv6 firewall raw add chain=prerouting action=notrack {rest} comment=v6kit");
    let mut lines = vec![
        "# To undo: /ipv6 route remove [find comment=v6kit], and the same under /ipv6 firewall raw and filter."
            .to_owned(),
        format!("/ipv6 route add dst-address={prefix} gateway={gateway} comment=v6kit"),
    ];
    if wanted.tracking == Tracking::Off {
        lines.push(raw(format!(
            "in-interface={lan} src-address={prefix} dst-address=2000::/3 protocol=tcp"
        )));
        lines.push(raw(format!(
            "in-interface={wan} dst-address={prefix} protocol=tcp"
        )));
        for port in &wanted.udp_ports {
            lines.push(raw(format!(
                "in-interface={lan} src-address={prefix} protocol=udp dst-port={port}"
            )));
            lines.push(raw(format!(
                "in-interface={wan} dst-address={prefix} protocol=udp src-port={port}"
            )));
            lines.push(filter(format!(
                "protocol=udp src-port={port} connection-state=untracked action=accept"
            )));
        }
        // The stock rules accept whatever is untracked: unsolicited connections are dropped first. Each
        // line goes in front of the one before it.
        lines.push(filter(
            "protocol=tcp connection-state=untracked action=accept".to_owned(),
        ));
        lines.push(filter(
            "protocol=tcp tcp-flags=!ack,!rst connection-state=untracked action=drop".to_owned(),
        ));
    }
    if wanted.ping == Ping::Drop {
        lines.push(filter(
            "protocol=icmpv6 icmp-options=128:0-255 action=drop".to_owned(),
        ));
    }
    lines
}

fn systemd_networkd(wanted: &Foreign) -> Vec<String> {
    let Foreign {
        prefix, host, lan, ..
    } = wanted;
    vec![
        format!("# Into /etc/systemd/network/FILE.d/v6kit.conf, where FILE is the .network file of {lan} as"),
        format!(
            "# `networkctl status {lan}` names it; then `networkctl reload`. To undo: delete it, and reload."
        ),
        "[Route]".to_owned(),
        format!("Destination={prefix}"),
        format!("Gateway={host}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Foreign {
        Foreign {
            prefix: "2001:db8:1:2:abcd::/80".parse().unwrap(),
            host: "fe80::9".parse().unwrap(),
            lan: "eth1".parse().unwrap(),
            wan: "eth0".parse().unwrap(),
            tracking: Tracking::Off,
            udp_ports: vec![443],
            ping: Ping::Drop,
            chains: vec![Chain::default()],
        }
    }

    #[test]
    fn vyos_is_rendered() {
        insta::assert_snapshot!(render(&wanted(), Dialect::Vyos));
    }

    #[test]
    fn routeros_is_rendered() {
        insta::assert_snapshot!(render(&wanted(), Dialect::Routeros));
    }

    #[test]
    fn without_notrack_only_route_and_ping_are_left() {
        let tracked = Foreign {
            tracking: Tracking::On,
            ..wanted()
        };
        for dialect in [Dialect::Nftables, Dialect::Vyos, Dialect::Routeros] {
            let text = render(&tracked, dialect);
            assert!(!text.contains("notrack") && !text.contains("accept"), "{text}");
        }
    }

    #[test]
    fn a_global_next_hop_needs_no_device() {
        let wanted = Foreign {
            host: "2001:db8:1:2::9".parse().unwrap(),
            ..wanted()
        };
        let line = |dialect, start: &str| {
            render(&wanted, dialect)
                .lines()
                .find(|line| line.starts_with(start))
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            line(Dialect::Vyos, "set protocols"),
            "set protocols static route6 2001:db8:1:2:abcd::/80 next-hop 2001:db8:1:2::9"
        );
        assert!(line(Dialect::Routeros, "/ipv6 route").contains("gateway=2001:db8:1:2::9 "));
    }
}
