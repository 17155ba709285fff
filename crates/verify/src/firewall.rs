//! Rules of this host that drop packets, read where this process may (CAP_NET_ADMIN).
//!
//! They are a pointer, not a proof: what a packet meets cannot be told from a listing. That a packet was dropped here is
//! seen by its missing on the device, or at the socket; these say where to look, and whose counter has grown meanwhile.

use std::collections::HashMap;
use std::io;

use serde_json::Value;
use tokio::process::Command;
use v6kit_net::Prefix;

/// Where programs are looked for after `PATH`, which lacks the last two for plain users.
const DIRECTORIES: [&str; 3] = ["", "/usr/sbin/", "/sbin/"];

/// Lists the tables of ip6tables-legacy, where its module is loaded: looking any other way would load it.
const LEGACY_TABLES: &str = "/proc/thread-self/net/ip6_tables_names";

/// Which way packets go that meet a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
    /// In a chain that others jump to.
    Either,
}

/// A rule, or the policy of a chain, that drops or rejects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DropRule {
    pub(crate) direction: Direction,
    /// How to look at it: `sudo nft -a list chain inet mine in`.
    pub(crate) command: String,
    /// What tells it from the others there.
    name: String,
    /// Packets that it has counted, where it counts.
    packets: Option<u64>,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Firewall {
    rules: Vec<DropRule>,
    /// Our own rule that keeps the prefix out of connection tracking.
    pub(crate) our_notrack: bool,
    /// What could not be read, and why.
    pub(crate) unseen: Vec<String>,
}

impl Firewall {
    /// Reads nftables, and ip6tables-legacy where it is in use.
    pub(crate) async fn read(prefix: Prefix) -> Self {
        let mut firewall = Self::default();
        match output("nft", &["-t", "-j", "list", "ruleset"]).await {
            Ok(text) => firewall.take_nft(&text, prefix),
            Err(error) => firewall.unseen.push(format!("nftables: {error}")),
        }
        if std::fs::read_to_string(LEGACY_TABLES).is_ok_and(|tables| !tables.trim().is_empty()) {
            match output("ip6tables-legacy-save", &["-c"]).await {
                Ok(text) => firewall.rules.extend(legacy(&text)),
                Err(error) => firewall.unseen.push(format!("ip6tables-legacy: {error}")),
            }
        }
        firewall
    }

    /// Where rules that drop packets in this direction are looked at, those first whose counters have grown since
    /// `before`, with by how much.
    pub(crate) fn suspects(&self, before: &Self, direction: Direction) -> Vec<(&str, Option<u64>)> {
        let mut suspects: Vec<(&str, Option<u64>)> = Vec::new();
        for rule in &self.rules {
            if rule.direction != direction && rule.direction != Direction::Either {
                continue;
            }
            let grown = rule
                .packets
                .zip(before.packets_of(rule))
                .map(|(now, then)| now.saturating_sub(then));
            match suspects.iter_mut().find(|(command, _)| *command == rule.command) {
                Some((_, most)) => *most = (*most).max(grown),
                None => suspects.push((&rule.command, grown)),
            }
        }
        suspects.sort_by_key(|(_, grown)| std::cmp::Reverse(grown.unwrap_or(0)));
        suspects
    }

    fn packets_of(&self, rule: &DropRule) -> Option<u64> {
        let same = |other: &&DropRule| other.command == rule.command && other.name == rule.name;
        self.rules.iter().find(same)?.packets
    }

    fn take_nft(&mut self, text: &str, prefix: Prefix) {
        let document: Value = match serde_json::from_str(text) {
            Ok(document) => document,
            Err(error) => return self.unseen.push(format!("nftables: {error}")),
        };
        let objects = document["nftables"].as_array().map_or(&[][..], Vec::as_slice);
        let place = |object: &Value, key: &str| -> Option<[String; 3]> {
            let part = |key: &str| object[key].as_str().map(ToOwned::to_owned);
            Some([part("family")?, part("table")?, part(key)?])
        };
        let mut hooks = HashMap::new();
        for chain in objects.iter().filter_map(|object| object.get("chain")) {
            let (Some(place), Some(hook)) = (place(chain, "name"), chain["hook"].as_str()) else {
                continue;
            };
            if chain["policy"] == "drop" {
                self.rules
                    .extend(nft_rule(&place, Some(hook), "policy".to_owned(), None));
            }
            hooks.insert(place, hook);
        }
        for rule in objects.iter().filter_map(|object| object.get("rule")) {
            let Some(place) = place(rule, "chain") else {
                continue;
            };
            let expressions = rule["expr"].as_array().map_or(&[][..], Vec::as_slice);
            let ours = format!("{prefix}: not tracked");
            self.our_notrack |= place[1] == "v6kit" && rule["comment"] == ours;
            if !expressions
                .iter()
                .any(|one| one.get("drop").is_some() || one.get("reject").is_some())
            {
                continue;
            }
            let packets = expressions
                .iter()
                .find_map(|one| one["counter"]["packets"].as_u64());
            let hook = hooks.get(&place).copied();
            self.rules
                .extend(nft_rule(&place, hook, rule["handle"].to_string(), packets));
        }
    }
}

/// `None` for what IPv6 packets of this host do not meet.
fn nft_rule(
    [family, table, chain]: &[String; 3],
    hook: Option<&str>,
    name: String,
    packets: Option<u64>,
) -> Option<DropRule> {
    let direction = match hook {
        Some("ingress" | "prerouting" | "input") => Direction::In,
        Some("output" | "postrouting" | "egress") => Direction::Out,
        None => Direction::Either,
        Some(_) => return None,
    };
    ["ip6", "inet", "netdev"]
        .contains(&family.as_str())
        .then(|| DropRule {
            direction,
            command: format!("sudo nft -a list chain {family} {table} {chain}"),
            name,
            packets,
        })
}

/// The dropping rules in the output of `ip6tables-legacy-save -c`.
fn legacy(text: &str) -> Vec<DropRule> {
    let mut table = "filter";
    let mut rules = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let Some(policy) = line.strip_prefix(':') {
            let mut words = policy.split_whitespace();
            if let (Some(chain), Some("DROP"), counter) = (words.next(), words.next(), words.next()) {
                rules.push(legacy_rule(table, chain, "policy", counter));
            }
        } else if line.contains(" -j DROP") || line.contains(" -j REJECT") {
            let (counter, rule) = line.split_once(' ').unwrap_or(("", line));
            let chain = rule.split_whitespace().nth(1).unwrap_or("?");
            rules.push(legacy_rule(table, chain, rule, Some(counter)));
        }
    }
    rules.retain(|rule| !rule.command.ends_with(" FORWARD"));
    rules
}

fn legacy_rule(table: &str, chain: &str, name: &str, counter: Option<&str>) -> DropRule {
    // [PACKETS:BYTES]
    let packets = counter.and_then(|counter| counter.strip_prefix('[')?.split_once(':')?.0.parse().ok());
    DropRule {
        direction: match chain {
            "INPUT" | "PREROUTING" => Direction::In,
            "OUTPUT" | "POSTROUTING" => Direction::Out,
            _ => Direction::Either,
        },
        command: format!("sudo ip6tables-legacy -t {table} -vS {chain}"),
        name: name.to_owned(),
        packets,
    }
}

async fn output(program: &str, arguments: &[&str]) -> io::Result<String> {
    for directory in DIRECTORIES {
        let ran = Command::new(format!("{directory}{program}"))
            .args(arguments)
            .output()
            .await;
        match ran {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(output) if output.status.success() => {
                return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
            }
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stderr);
                let line = text.lines().next().unwrap_or("it failed").trim().to_owned();
                return Err(io::Error::other(line));
            }
        }
    }
    Err(io::Error::other(format!("{program} is not installed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nft(counted: u64) -> Firewall {
        let text = format!(
            r#"{{"nftables":[{{"metainfo":{{}}}},
            {{"chain":{{"family":"inet","table":"mine","name":"in","hook":"input","policy":"drop"}}}},
            {{"chain":{{"family":"inet","table":"mine","name":"out","hook":"postrouting","policy":"accept"}}}},
            {{"chain":{{"family":"ip","table":"old","name":"in","hook":"input","policy":"drop"}}}},
            {{"chain":{{"family":"inet","table":"mine","name":"sub"}}}},
            {{"rule":{{"family":"inet","table":"mine","chain":"out","handle":4,"expr":[{{"counter":{{"packets":{counted},"bytes":1}}}},{{"drop":null}}]}}}},
            {{"rule":{{"family":"inet","table":"mine","chain":"sub","handle":5,"expr":[{{"reject":null}}]}}}},
            {{"rule":{{"family":"inet","table":"mine","chain":"out","handle":6,"expr":[{{"accept":null}}]}}}},
            {{"rule":{{"family":"inet","table":"v6kit","chain":"untracked_in","handle":7,"comment":"2001:db8:6::/64: not tracked","expr":[{{"notrack":null}}]}}}}]}}"#
        );
        let mut firewall = Firewall::default();
        firewall.take_nft(&text, "2001:db8:6::/64".parse().unwrap());
        assert_eq!(firewall.unseen, Vec::<String>::new());
        firewall
    }

    #[test]
    fn rules_that_drop_are_found_by_direction_and_those_that_counted_come_first() {
        let (before, after) = (nft(3), nft(20));
        let outward = [
            ("sudo nft -a list chain inet mine out", Some(17)),
            ("sudo nft -a list chain inet mine sub", None),
        ];
        assert_eq!(after.suspects(&before, Direction::Out), outward);
        let inward = [
            ("sudo nft -a list chain inet mine in", None),
            ("sudo nft -a list chain inet mine sub", None),
        ];
        assert_eq!(after.suspects(&before, Direction::In), inward);
        assert!(after.our_notrack);
    }

    #[test]
    fn rules_of_ip6tables_legacy_are_read_with_their_counters() {
        let text = |packets: u64| {
            format!(
                "# Generated\n*filter\n:INPUT ACCEPT [9:9]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [7:70]\n\
                 [{packets}:99] -A INPUT -d 2001:db8:6::/64 -j DROP\n[1:1] -A INPUT -j ACCEPT\nCOMMIT\n"
            )
        };
        let firewall = |packets| Firewall {
            rules: legacy(&text(packets)),
            ..Firewall::default()
        };
        let (before, after) = (firewall(1), firewall(5));
        let inward = [("sudo ip6tables-legacy -t filter -vS INPUT", Some(4))];
        assert_eq!(after.suspects(&before, Direction::In), inward);
        let outward = [("sudo ip6tables-legacy -t filter -vS OUTPUT", Some(0))];
        assert_eq!(after.suspects(&before, Direction::Out), outward);
    }
}
