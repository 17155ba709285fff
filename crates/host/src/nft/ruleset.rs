//! All rules of a network namespace, and what those of others mean for us.

use serde_json::Value as Json;
use v6kit_net::Prefix;

use super::listing::{is_of, listed, table_of, text};
use crate::value::Value;

/// What the names of our tables that translate begin with.
pub(super) const ROTATION_NAME: &str = "v6kit_";
/// The priority of their chain: before `srcnat` (100), where docker, libvirt and firewalld translate. Of two chains the
/// first that translates a connection decides.
pub(super) const ROTATION_PRIORITY: i64 = 90;

/// The rules of this host, as far as they matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ruleset {
    /// The listing of `inet v6kit`.
    pub(crate) table: Value,
    /// Whether some rule asks for connection tracking.
    pub(crate) tracks: bool,
    /// Chains of other tables that may drop untracked packets: they are read, not tried.
    pub(crate) suspects: Vec<Chain>,
    /// The names and listings of our tables that translate sources.
    pub(crate) rotations: Vec<(String, Value)>,
    /// Chains of others that translate sources before ours do, as nft names them.
    pub(crate) translators: Vec<String>,
    /// Chains of others whose policy drops what passes this host, as nft names them.
    pub(crate) closed_ways: Vec<String>,
}

/// A base chain that may drop untracked packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    /// As nft writes it: `ip6`, `inet`.
    pub(crate) family: String,
    /// Its table.
    pub(crate) table: String,
    /// Its name.
    pub(crate) name: String,
    /// Which way its packets go.
    pub(crate) direction: Direction,
}

/// Which way the packets of a base chain go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Hooks prerouting and input.
    In,
    /// Hooks output and postrouting.
    Out,
}

impl Chain {
    /// Whether ip6tables made it: its table must stay readable to that program.
    fn is_of_iptables(&self) -> bool {
        self.family == "ip6"
            && ["filter", "raw", "mangle", "nat", "security"].contains(&self.table.as_str())
            && ["INPUT", "OUTPUT", "PREROUTING", "POSTROUTING"].contains(&self.name.as_str())
    }

    /// The line that lets untracked packets of `prefix` through.
    pub(crate) fn accept_line(&self, prefix: Prefix) -> String {
        let Self {
            family,
            table,
            name,
            direction,
        } = self;
        let side = match direction {
            Direction::In => "daddr",
            Direction::Out => "saddr",
        };
        if self.is_of_iptables() {
            return iptables_line("ip6tables", table, name, *direction, prefix);
        }
        format!("nft insert rule {family} {table} {name} ip6 {side} {prefix} ct state untracked accept")
    }
}

/// The line that lets untracked packets of `prefix` through a chain of ip6tables(8).
pub(crate) fn iptables_line(
    program: &str,
    table: &str,
    chain: &str,
    direction: Direction,
    prefix: Prefix,
) -> String {
    let side = match direction {
        Direction::In => "-d",
        Direction::Out => "-s",
    };
    let table = if table == "filter" {
        String::new()
    } else {
        format!(" -t {table}")
    };
    format!("{program}{table} -I {chain} {side} {prefix} -m conntrack --ctstate UNTRACKED -j ACCEPT")
}

impl Ruleset {
    /// Reads what `nft -j -t list ruleset` prints (libnftables-json(5)).
    pub(super) fn parse(document: &Json) -> Self {
        let mut rotations = Vec::new();
        let mut chains = Vec::new();
        let mut rules = Vec::new();
        for object in document["nftables"].as_array().into_iter().flatten() {
            let Some((kind, body)) = object.as_object().and_then(|object| object.iter().next()) else {
                continue;
            };
            let is_rotation = is_rotation(kind, body);
            if is_of(kind, body, "inet", "v6kit") || is_rotation {
                if is_rotation && kind == "table" {
                    rotations.push((text(&body["name"]), Value::ABSENT));
                }
            } else if kind == "chain" {
                chains.push(body);
            } else if kind == "rule" {
                rules.push(body);
            }
        }
        let listing = listed(document, "inet", "v6kit");
        let table = listing.and_then(|listing| serde_json::to_string(&listing).ok());
        let translates = |chain: &Json| {
            let reached = reached(chain, &rules);
            reached.iter().any(|rule| translates(&rule["expr"]))
        };
        Self {
            table: table.into(),
            translators: chains
                .iter()
                .filter_map(|chain| translator(chain, || translates(chain)))
                .collect(),
            closed_ways: chains.iter().filter_map(|chain| closed_way(chain)).collect(),
            rotations,
            tracks: rules.iter().any(|rule| tracks(&rule["expr"])),
            suspects: chains.iter().filter_map(|chain| suspect(chain, &rules)).collect(),
        }
    }
}

/// A base chain of somebody else that translates sources before ours does, with what it is called and its priority.
fn translator(chain: &Json, translates: impl FnOnce() -> bool) -> Option<String> {
    let priority = chain["prio"].as_i64()?;
    let family = chain["family"].as_str().filter(|f| ["ip6", "inet"].contains(f))?;
    let is_ahead = chain["hook"] == "postrouting" && chain["type"] == "nat" && priority <= ROTATION_PRIORITY;
    let (table, name) = (chain["table"].as_str()?, chain["name"].as_str()?);
    (is_ahead && translates()).then(|| format!("{family} {table} {name} (priority {priority})"))
}

/// Whether it is, or belongs to, a table of ours that translates.
fn is_rotation(kind: &str, body: &Json) -> bool {
    let name = table_of(kind, body).as_str();
    body["family"] == "ip6" && name.is_some_and(|name| name.starts_with(ROTATION_NAME))
}

/// A chain that lets nothing pass this host but what its rules accept.
fn closed_way(chain: &Json) -> Option<String> {
    let family = chain["family"].as_str().filter(|f| ["ip6", "inet"].contains(f))?;
    let (table, name) = (chain["table"].as_str()?, chain["name"].as_str()?);
    (chain["hook"] == "forward" && chain["policy"] == "drop").then(|| format!("{family} {table} {name}"))
}

/// Whether an expression replaces sources.
fn translates(expression: &Json) -> bool {
    match expression {
        Json::Object(object) => object.iter().any(|(key, value)| {
            let is_target = || {
                let name = value["name"].as_str().unwrap_or_default();
                ["MASQUERADE", "SNAT", "NETMAP"].contains(&name)
            };
            ["snat", "masquerade"].contains(&key.as_str()) || key == "xt" && is_target() || translates(value)
        }),
        Json::Array(array) => array.iter().any(translates),
        _ => false,
    }
}

/// Whether an expression needs the connection of a packet: `ct …`, address translation, or a match of
/// iptables, which lists its own as `xt`.
fn tracks(expression: &Json) -> bool {
    const TRACKING: [&str; 7] = [
        "ct",
        "snat",
        "dnat",
        "masquerade",
        "redirect",
        "flow",
        "ct helper",
    ];
    match expression {
        Json::Object(object) => object.iter().any(|(key, value)| {
            TRACKING.contains(&key.as_str()) || (key == "xt" && xt_tracks(value)) || tracks(value)
        }),
        Json::Array(array) => array.iter().any(tracks),
        _ => false,
    }
}

fn xt_tracks(extension: &Json) -> bool {
    match extension["name"].as_str() {
        Some(name) => {
            let name = name.to_ascii_lowercase();
            ["conntrack", "state", "nat", "masquerade", "connlimit", "ct"]
                .iter()
                .any(|word| name.contains(word))
        }
        None => true,
    }
}

/// A base chain that drops by its policy, without a condition or by the state of a connection, in itself or in
/// what it jumps to, and accepts no untracked packet there.
fn suspect(chain: &Json, rules: &[&Json]) -> Option<Chain> {
    let direction = match chain["hook"].as_str()? {
        "prerouting" | "input" => Direction::In,
        "output" | "postrouting" => Direction::Out,
        _ => return None,
    };
    let family = chain["family"].as_str().filter(|f| ["ip6", "inet"].contains(f))?;
    let reached = reached(chain, rules);
    let drops = chain["policy"] == "drop" || reached.iter().any(|rule| drops_untracked(&rule["expr"]));
    let accepts = reached.iter().any(|rule| accepts_untracked(&rule["expr"]));
    (drops && !accepts).then(|| Chain {
        family: family.to_owned(),
        table: text(&chain["table"]),
        name: text(&chain["name"]),
        direction,
    })
}

/// The rules of a chain and of all chains that it jumps to.
fn reached<'a>(chain: &Json, rules: &[&'a Json]) -> Vec<&'a Json> {
    let mut names = vec![text(&chain["name"])];
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(name) = names.get(next).cloned() {
        next += 1;
        let own = rules.iter().filter(|rule| {
            rule["family"] == chain["family"] && rule["table"] == chain["table"] && rule["chain"] == *name
        });
        for rule in own {
            found.push(*rule);
            let mut targets = Vec::new();
            jumps(&rule["expr"], &mut targets);
            for target in targets {
                if !names.contains(&target) {
                    names.push(target);
                }
            }
        }
    }
    found
}

/// The chains that an expression may jump to, those of a verdict map included.
fn jumps(expression: &Json, targets: &mut Vec<String>) {
    match expression {
        Json::Object(object) => {
            for (key, value) in object {
                match value["target"].as_str() {
                    Some(target) if ["jump", "goto"].contains(&key.as_str()) => {
                        targets.push(target.to_owned());
                    }
                    _ => jumps(value, targets),
                }
            }
        }
        Json::Array(array) => array.iter().for_each(|part| jumps(part, targets)),
        _ => {}
    }
}

/// A rule that drops or rejects without any condition, or by the state of a connection (other than `invalid`,
/// which an untracked packet is not).
fn drops_untracked(expression: &Json) -> bool {
    let statements: Vec<&serde_json::Map<String, Json>> = expression
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_object)
        .collect();
    let has = |words: &[&str]| {
        statements
            .iter()
            .flat_map(|statement| statement.keys())
            .any(|key| words.contains(&key.as_str()))
    };
    let by_state = statements.iter().any(|statement| {
        statement.get("match").is_some_and(|found| {
            found["left"]["ct"]["key"] == "state" && (found["op"] == "!=" || found["right"] != "invalid")
        })
    });
    has(&["drop", "reject"]) && (by_state || !has(&["match", "xt", "vmap", "limit"]))
}

fn accepts_untracked(expression: &Json) -> bool {
    let has = |word: &str| expression.to_string().contains(&format!("\"{word}\""));
    has("untracked") && has("accept")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruleset(objects: &str) -> Ruleset {
        let text = format!("{{\"nftables\":[{{\"metainfo\":{{\"version\":\"1.0.6\"}}}},{objects}]}}");
        Ruleset::parse(&serde_json::from_str(&text).unwrap())
    }

    const DEFAULT_DROP: &str = r#"{"chain":{"family":"inet","table":"f","name":"input","handle":1,"type":"filter","hook":"input","prio":0,"policy":"drop"}},
        {"rule":{"family":"inet","table":"f","chain":"input","handle":4,"expr":[{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["established","related"]}},{"accept":null}]}}"#;

    #[test]
    fn a_default_drop_chain_blocks_untracked_packets_until_it_accepts_them() {
        let found = ruleset(DEFAULT_DROP);
        assert!(found.tracks);
        let [chain] = found.suspects.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(
            chain.accept_line("2001:db8::/64".parse().unwrap()),
            "nft insert rule inet f input ip6 daddr 2001:db8::/64 ct state untracked accept"
        );
        let accepted = format!(
            "{DEFAULT_DROP},{}",
            r#"{"rule":{"family":"inet","table":"f","chain":"input","handle":5,"expr":[{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":"untracked"}},{"accept":null}]}}"#
        );
        assert_eq!(ruleset(&accepted).suspects, []);
        assert!(found.table.is_absent());
    }

    #[test]
    fn a_reject_at_the_end_blocks_and_one_with_a_condition_does_not() {
        let chain = r#"{"chain":{"family":"ip6","table":"f","name":"i","type":"filter","hook":"input","policy":"accept"}}"#;
        let reject = r#"{"rule":{"family":"ip6","table":"f","chain":"i","expr":[{"counter":{"packets":0,"bytes":0}},{"reject":null}]}}"#;
        let banned = r#"{"rule":{"family":"ip6","table":"f","chain":"i","expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip6","field":"saddr"}},"right":"@banned"}},{"drop":null}]}}"#;
        assert_eq!(ruleset(&format!("{chain},{reject}")).suspects.len(), 1);
        assert_eq!(ruleset(&format!("{chain},{banned}")).suspects, []);
        assert!(!ruleset(&format!("{chain},{banned}")).tracks);
    }

    #[test]
    fn a_drop_behind_a_jump_is_suspected_and_an_accept_elsewhere_clears_nobody() {
        let chains = r#"{"chain":{"family":"inet","table":"f","name":"in","hook":"input","policy":"accept"}},
            {"chain":{"family":"inet","table":"f","name":"fw","hook":"forward","policy":"accept"}},
            {"rule":{"family":"inet","table":"f","chain":"in","expr":[{"vmap":{"key":{"meta":{"key":"iifname"}},"data":{"set":[["eth0",{"jump":{"target":"guard"}}]]}}}]}},
            {"rule":{"family":"inet","table":"f","chain":"guard","expr":[{"goto":{"target":"in"}}]}},
            {"rule":{"family":"inet","table":"f","chain":"fw","expr":[{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":"untracked"}},{"accept":null}]}}"#;
        let state = |op: &str, right: &str| {
            format!(
                r#"{{"rule":{{"family":"inet","table":"f","chain":"guard","expr":[{{"match":{{"op":"{op}","left":{{"ct":{{"key":"state"}}}},"right":{right}}}}},{{"drop":null}}]}}}}"#
            )
        };
        let suspects = |rule: &str| ruleset(&format!("{chains},{rule}")).suspects.len();
        assert_eq!(suspects(&state("!=", r#"["established","related"]"#)), 1);
        assert_eq!(suspects(&state("in", r#"["new","untracked"]"#)), 1);
        assert_eq!(suspects(&state("in", r#""invalid""#)), 0);
    }

    #[test]
    fn a_chain_of_ip6tables_is_mended_by_ip6tables() {
        let chain =
            r#"{"chain":{"family":"ip6","table":"filter","name":"INPUT","hook":"input","policy":"drop"}}"#;
        let found = ruleset(chain);
        assert_eq!(
            found.suspects[0].accept_line("2001:db8::/64".parse().unwrap()),
            "ip6tables -I INPUT -d 2001:db8::/64 -m conntrack --ctstate UNTRACKED -j ACCEPT"
        );
    }
}
