//! The nftables table `inet v6kit`, and what other tables mean for us, through nft(8).

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::Ipv6Addr;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use v6kit_net::{Hint, Prefix};

use crate::resource::Want;
use crate::value::Value;

/// Where nft is looked for after `PATH`, which lacks the last two for plain users.
const PROGRAMS: [&str; 3] = ["nft", "/usr/sbin/nft", "/sbin/nft"];

/// Rules that close a prefix to what nobody here asked for, and leave replies alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InboundRules {
    /// The prefix.
    pub(crate) prefix: Prefix,
    /// Addresses in the prefix that stay open: those configured on this host.
    pub(crate) open: Vec<Ipv6Addr>,
    /// Which UDP packets are let in.
    pub(crate) udp: Udp,
}

/// Which UDP packets to the prefix are let in. UDP has no flag that tells a reply from a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Udp {
    /// None.
    Closed,
    /// Those to a socket that is bound to that very address, as a UDP relay's is. A service that
    /// listens on every address is not reached. Needs no connection tracking.
    BoundSockets,
}

/// Rules that keep a prefix out of connection tracking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NotrackRules {
    /// The prefix.
    pub(crate) prefix: Prefix,
    /// Addresses in the prefix that stay tracked: those configured on this host.
    pub(crate) tracked: Vec<Ipv6Addr>,
}

/// Why nft did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NftError {
    /// There is no nft to run.
    #[error("nft is not installed")]
    Missing,
    /// It cannot be run, for another reason.
    #[error("nft cannot be run")]
    Run(#[source] io::Error),
    /// It ran and failed.
    #[error("nft: {message}")]
    Failed {
        /// Its first line about it.
        message: String,
    },
    /// It printed something that is no ruleset.
    #[error("nft printed something unexpected")]
    Output(#[source] serde_json::Error),
}

impl NftError {
    /// Whether CAP_NET_ADMIN is missing.
    pub(crate) fn is_denial(&self) -> bool {
        matches!(self, Self::Failed { message } if message.contains("Operation not permitted"))
    }
}

impl Hint for NftError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing => "install it: `apt install nftables`".to_owned(),
            Self::Run(_) => "check the nft program: `nft --version`".to_owned(),
            Self::Failed { .. } | Self::Output(_) => {
                "see what nft says by itself: `nft list ruleset`".to_owned()
            }
        })
    }
}

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

/// Reads the rules of this network namespace.
pub(crate) fn ruleset() -> Result<Ruleset, NftError> {
    let output = run(&["-j", "list", "ruleset"], "")?;
    let document: Json = serde_json::from_str(&output).map_err(NftError::Output)?;
    Ok(read_ruleset(&document))
}

/// The listing of our table.
pub(crate) fn read() -> Result<Value, NftError> {
    Ok(ruleset()?.table)
}

/// Makes our table what `script` says, or removes it, in one transaction.
pub(crate) fn write(script: &Value) -> Result<(), NftError> {
    // A table must exist to be deleted, and adding one that exists is no error.
    let text = script
        .as_text()
        .unwrap_or("add table inet v6kit\ndelete table inet v6kit\n");
    run(&["-f", "-"], text).map(|_| ())
}

/// Runs nft with `input`. It inherits the lock on the state directory, so that nobody else starts while
/// an nft of a killed run is still at work.
fn run(arguments: &[&str], input: &str) -> Result<String, NftError> {
    let mut child = PROGRAMS
        .iter()
        .map(|program| {
            Command::new(program)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
        })
        .find(|child| !matches!(child, Err(error) if error.kind() == io::ErrorKind::NotFound))
        .unwrap_or(Err(io::ErrorKind::NotFound.into()))
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => NftError::Missing,
            _ => NftError::Run(error),
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(input.as_bytes()) {
            // It says why it went away.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(NftError::Run(error)),
            _ => {}
        }
    }
    let output = child.wait_with_output().map_err(NftError::Run)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let message = stderr
        .lines()
        .find_map(|line| line.split_once("Error: ").map(|(_, message)| message.trim()))
        .or_else(|| stderr.lines().find(|line| !line.trim().is_empty()))
        .map_or_else(|| output.status.to_string(), |line| line.trim().to_owned());
    Err(NftError::Failed { message })
}

/// The script that replaces our table by one with all the rules wanted.
pub(crate) fn script(wants: &[&Want]) -> String {
    let inbound: Vec<&InboundRules> = wants
        .iter()
        .filter_map(|want| match want {
            Want::Inbound(rules) => Some(rules),
            _ => None,
        })
        .collect();
    let notrack: Vec<&NotrackRules> = wants
        .iter()
        .filter_map(|want| match want {
            Want::Notrack(rules) => Some(rules),
            _ => None,
        })
        .collect();
    let mut text = "add table inet v6kit\ndelete table inet v6kit\ntable inet v6kit {\n".to_owned();
    if !inbound.is_empty() {
        let rules: String = inbound.iter().map(|rules| inbound_rules(rules)).collect();
        chain(&mut text, "inbound", "input priority filter", &rules);
    }
    if !notrack.is_empty() {
        let rules = |side| -> String {
            notrack
                .iter()
                .map(|rules| notrack_rule(rules, side))
                .collect::<String>()
        };
        chain(
            &mut text,
            "untracked_in",
            "prerouting priority raw",
            &rules("daddr"),
        );
        chain(&mut text, "untracked_out", "output priority raw", &rules("saddr"));
    }
    text.push_str("}\n");
    text
}

fn chain(text: &mut String, name: &str, hook: &str, rules: &str) {
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\tchain {name} {{\n\t\ttype filter hook {hook}; policy accept;\n{rules}\t}}\n"
    );
}

fn inbound_rules(rules: &InboundRules) -> String {
    let prefix = rules.prefix;
    // What this host sends to itself is not inbound.
    let to = format!(
        "iifname != \"lo\" ip6 daddr {prefix}{}",
        except("daddr", &rules.open)
    );
    let mut text = format!(
        "\t\t{to} tcp flags & (syn | ack) == syn drop comment \"{}\"\n",
        tcp_comment(prefix)
    );
    if rules.udp == Udp::BoundSockets {
        text += &format!(
            "\t\t{to} meta l4proto udp socket wildcard 0 accept comment \"{prefix}: UDP to sockets of that very address\"\n"
        );
    }
    text += &format!("\t\t{to} meta l4proto udp drop comment \"{prefix}: no UDP\"\n");
    text += &format!("\t\t{to} icmpv6 type echo-request drop comment \"{prefix}: no ping\"\n");
    text += &format!("\t\t{to} meta l4proto {{ sctp, dccp }} drop comment \"{prefix}: no other services\"\n");
    text
}

/// What is written beside the rule that drops new TCP connections to a prefix.
fn tcp_comment(prefix: Prefix) -> String {
    format!("{prefix}: no new TCP connections")
}

/// Whether the listing of our table has the rule that drops new TCP connections to `prefix`.
pub(crate) fn drops_inbound(table: &Value, prefix: Prefix) -> bool {
    let listing = table
        .as_text()
        .and_then(|text| serde_json::from_str::<Listing>(text).ok());
    let objects = listing.into_iter().flat_map(|listing| listing.objects);
    let comment = tcp_comment(prefix);
    objects
        .into_iter()
        .any(|object| object["rule"]["comment"] == comment)
}

fn notrack_rule(rules: &NotrackRules, side: &str) -> String {
    let prefix = rules.prefix;
    format!(
        "\t\tip6 {side} {prefix}{} notrack comment \"{prefix}: not tracked\"\n",
        except(side, &rules.tracked)
    )
}

fn except(side: &str, addresses: &[Ipv6Addr]) -> String {
    if addresses.is_empty() {
        return String::new();
    }
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    format!(" ip6 {side} != {{ {} }}", list.join(", "))
}

/// Our table out of a listing, without the numbers that change when it is made anew.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Listing {
    /// Of nft: the same table is listed differently by another one.
    version: String,
    objects: Vec<Json>,
}

/// Whether two listings are the same table.
pub(crate) fn is_same_listing(one: &str, other: &str) -> bool {
    let (Ok(one), Ok(other)) = (
        serde_json::from_str::<Listing>(one),
        serde_json::from_str::<Listing>(other),
    ) else {
        return one == other;
    };
    if one.version == other.version {
        return one == other;
    }
    // nft was upgraded in between: what every version lists alike must do.
    one.outline() == other.outline()
}

/// A listing in a few words.
pub(crate) fn describe_listing(listing: &str) -> String {
    let rules = serde_json::from_str::<Listing>(listing).map_or(0, |listing| {
        let is_rule = |object: &&Json| object.get("rule").is_some();
        listing.objects.iter().filter(is_rule).count()
    });
    format!("table inet v6kit with {rules} rules")
}

impl Listing {
    /// The kind, chain, name and comment of each object.
    fn outline(&self) -> Vec<Vec<&Json>> {
        self.objects
            .iter()
            .filter_map(Json::as_object)
            .flatten()
            .map(|(_, body)| ["chain", "name", "comment"].map(|key| &body[key]).to_vec())
            .collect()
    }
}

fn read_ruleset(document: &Json) -> Ruleset {
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
    Ruleset {
        table,
        tracks: rules.iter().any(|rule| tracks(&rule["expr"])),
        blocking: chains
            .iter()
            .filter_map(|chain| blocking(chain, &rules))
            .collect(),
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

    fn rules() -> InboundRules {
        InboundRules {
            prefix: "2001:db8:1::/64".parse().unwrap(),
            open: vec!["2001:db8:1::5".parse().unwrap()],
            udp: Udp::Closed,
        }
    }

    fn ruleset(objects: &str) -> Ruleset {
        let text = format!("{{\"nftables\":[{{\"metainfo\":{{\"version\":\"1.0.6\"}}}},{objects}]}}");
        read_ruleset(&serde_json::from_str(&text).unwrap())
    }

    const DEFAULT_DROP: &str = r#"{"chain":{"family":"inet","table":"f","name":"input","handle":1,"type":"filter","hook":"input","prio":0,"policy":"drop"}},
        {"rule":{"family":"inet","table":"f","chain":"input","handle":4,"expr":[{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["established","related"]}},{"accept":null}]}}"#;

    #[test]
    fn the_script_replaces_the_table_and_leaves_the_own_addresses_open() {
        let want = Want::Inbound(rules());
        let script = script(&[&want]);
        assert!(script.starts_with("add table inet v6kit\ndelete table inet v6kit\ntable inet v6kit {"));
        assert!(script.contains(
            "iifname != \"lo\" ip6 daddr 2001:db8:1::/64 ip6 daddr != { 2001:db8:1::5 } tcp flags & (syn | ack) == syn drop"
        ));
        assert!(!script.contains("socket wildcard"));
        assert!(!script.contains("notrack"));
    }

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

    #[test]
    fn a_prefix_is_closed_when_its_own_rule_is_listed() {
        let found = ruleset(
            r#"{"table":{"family":"inet","name":"v6kit","handle":1}},
            {"rule":{"family":"inet","table":"v6kit","chain":"inbound","handle":9,"comment":"2001:db8:1::/64: no new TCP connections","expr":[{"drop":null}]}}"#,
        );
        assert!(drops_inbound(&found.table, "2001:db8:1::/64".parse().unwrap()));
        assert!(!drops_inbound(&found.table, "2001:db8:2::/64".parse().unwrap()));
        assert!(!drops_inbound(&Value::ABSENT, "2001:db8:1::/64".parse().unwrap()));
    }

    #[test]
    fn our_table_is_compared_without_handles_and_across_versions_by_its_outline() {
        let listed = |handle: u32, version: &str, expr: &str| {
            let text = format!(
                r#"{{"nftables":[{{"metainfo":{{"version":"{version}"}}}},{{"table":{{"family":"inet","name":"v6kit","handle":{handle}}}}},
                {{"rule":{{"family":"inet","table":"v6kit","chain":"inbound","handle":9,"comment":"c","expr":[{expr}]}}}}]}}"#
            );
            read_ruleset(&serde_json::from_str(&text).unwrap()).table
        };
        let same =
            |one: &Value, other: &Value| is_same_listing(one.as_text().unwrap(), other.as_text().unwrap());
        let drop = r#"{"drop":null}"#;
        let accept = r#"{"accept":null}"#;
        assert!(same(&listed(1, "1.0.6", drop), &listed(2, "1.0.6", drop)));
        assert!(!same(&listed(1, "1.0.6", drop), &listed(1, "1.0.6", accept)));
        assert!(same(&listed(1, "1.0.6", drop), &listed(1, "1.1.1", accept)));
        assert!(ruleset(DEFAULT_DROP).table.is_absent());
    }
}
