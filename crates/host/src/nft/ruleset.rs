//! All rules of a network namespace, and what those of others mean for us.

use serde_json::Value as Json;
use v6kit_net::Prefix;

use super::listing::Listing;
use crate::value::Value;

/// The rules of this host, as far as they matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ruleset {
    /// The listing of `inet v6kit`.
    pub(crate) table: Value,
    /// Whether some rule asks for connection tracking.
    pub(crate) tracks: bool,
    /// Chains of other tables that drop untracked packets.
    pub(crate) blocking: Vec<Chain>,
}

/// A base chain that would drop untracked packets.
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
        format!("nft insert rule {family} {table} {name} ip6 {side} {prefix} ct state untracked accept")
    }
}

impl Ruleset {
    /// Reads what `nft -j list ruleset` prints (libnftables-json(5)).
    pub(super) fn parse(document: &Json) -> Self {
        let mut version = String::new();
        let mut ours = Vec::new();
        let mut chains = Vec::new();
        let mut rules = Vec::new();
        for object in document["nftables"].as_array().into_iter().flatten() {
            let Some((kind, body)) = object.as_object().and_then(|object| object.iter().next()) else {
                continue;
            };
            if kind == "metainfo" {
                version = text(&body["version"]);
            } else if is_ours(kind, body) {
                ours.push(without_handle(kind, body));
            } else if kind == "chain" {
                chains.push(body);
            } else if kind == "rule" {
                rules.push(body);
            }
        }
        let table = if ours.is_empty() {
            Value::ABSENT
        } else {
            let listing = Listing {
                version,
                objects: ours,
            };
            serde_json::to_string(&listing).ok().into()
        };
        Self {
            table,
            tracks: rules.iter().any(|rule| tracks(&rule["expr"])),
            blocking: chains
                .iter()
                .filter_map(|chain| blocking(chain, &rules))
                .collect(),
        }
    }
}

fn is_ours(kind: &str, body: &Json) -> bool {
    let name = if kind == "table" { "name" } else { "table" };
    body["family"] == "inet" && body[name] == "v6kit"
}

fn without_handle(kind: &str, body: &Json) -> Json {
    let mut body = body.clone();
    if let Some(body) = body.as_object_mut() {
        body.remove("handle");
    }
    serde_json::json!({ kind: body })
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

/// Base chains that end in a drop and have no rule that accepts untracked packets.
fn blocking(chain: &Json, rules: &[&Json]) -> Option<Chain> {
    let direction = match chain["hook"].as_str()? {
        "prerouting" | "input" => Direction::In,
        "output" | "postrouting" => Direction::Out,
        _ => return None,
    };
    let family = chain["family"].as_str().filter(|f| ["ip6", "inet"].contains(f))?;
    let in_table = |rule: &&&Json| rule["family"] == chain["family"] && rule["table"] == chain["table"];
    let mut own = rules
        .iter()
        .filter(in_table)
        .filter(|rule| rule["chain"] == chain["name"]);
    let drops = chain["policy"] == "drop" || own.any(|rule| drops_everything(&rule["expr"]));
    // The accept may lie in a chain that this one jumps to.
    let accepts = rules
        .iter()
        .filter(in_table)
        .any(|rule| accepts_untracked(&rule["expr"]));
    (drops && !accepts).then(|| Chain {
        family: family.to_owned(),
        table: text(&chain["table"]),
        name: text(&chain["name"]),
        direction,
    })
}

/// A rule without any condition that drops or rejects.
fn drops_everything(expression: &Json) -> bool {
    let statements: Vec<&str> = expression
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_object)
        .flat_map(|statement| statement.keys().map(String::as_str))
        .collect();
    statements
        .iter()
        .any(|statement| ["drop", "reject"].contains(statement))
        && !statements
            .iter()
            .any(|statement| ["match", "xt", "vmap", "limit"].contains(statement))
}

fn accepts_untracked(expression: &Json) -> bool {
    let has = |word: &str| expression.to_string().contains(&format!("\"{word}\""));
    has("untracked") && has("accept")
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
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
        let [chain] = found.blocking.as_slice() else {
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
        assert_eq!(ruleset(&accepted).blocking, []);
        assert!(found.table.is_absent());
    }

    #[test]
    fn a_reject_at_the_end_blocks_and_one_with_a_condition_does_not() {
        let chain = r#"{"chain":{"family":"ip6","table":"f","name":"i","type":"filter","hook":"input","policy":"accept"}}"#;
        let reject = r#"{"rule":{"family":"ip6","table":"f","chain":"i","expr":[{"counter":{"packets":0,"bytes":0}},{"reject":null}]}}"#;
        let banned = r#"{"rule":{"family":"ip6","table":"f","chain":"i","expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip6","field":"saddr"}},"right":"@banned"}},{"drop":null}]}}"#;
        assert_eq!(ruleset(&format!("{chain},{reject}")).blocking.len(), 1);
        assert_eq!(ruleset(&format!("{chain},{banned}")).blocking, []);
        assert!(!ruleset(&format!("{chain},{banned}")).tracks);
    }
}
