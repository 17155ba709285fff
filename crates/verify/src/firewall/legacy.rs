//! Rules of ip6tables-legacy (`ip6tables-legacy-save -c`).

use std::ops::RangeInclusive;

use super::condition::{Condition, Side, Subject};
use super::{Chain, Hook, Policy, Rule, Verdict};

/// The chains in the output of `ip6tables-legacy-save -c`.
pub(super) fn chains(text: &str) -> Vec<Chain> {
    let mut table = "filter";
    let mut chains: Vec<Chain> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let Some(declared) = line.strip_prefix(':') {
            chains.extend(chain(table, declared));
        } else if let Some((counter, rule)) = line.split_once(" -A ") {
            let (name, rule) = rule.split_once(' ').unwrap_or((rule, ""));
            let id = id(table, name);
            if let Some(chain) = chains.iter_mut().find(|chain| chain.id == id) {
                chain.rules.push(parsed(table, counter, rule));
            }
        }
    }
    chains
}

/// `NAME POLICY [PACKETS:BYTES]`
fn chain(table: &str, declared: &str) -> Option<Chain> {
    let mut words = declared.split_whitespace();
    let (name, policy, counter) = (words.next()?, words.next()?, words.next());
    Some(Chain {
        id: id(table, name),
        command: format!("sudo ip6tables-legacy -t {table} -vS {name}"),
        hook: match name {
            "INPUT" | "PREROUTING" => Hook::In,
            "OUTPUT" | "POSTROUTING" => Hook::Out,
            "FORWARD" => Hook::Elsewhere,
            _ => Hook::None,
        },
        devices: Vec::new(),
        policy: (policy == "DROP").then(|| Policy {
            packets: counter.and_then(packets),
        }),
        rules: Vec::new(),
    })
}

fn id(table: &str, name: &str) -> [String; 3] {
    ["ip6tables-legacy", table, name].map(ToOwned::to_owned)
}

/// The packets of `[PACKETS:BYTES]`.
fn packets(counter: &str) -> Option<u64> {
    counter.strip_prefix('[')?.split_once(':')?.0.parse().ok()
}

fn parsed(table: &str, counter: &str, text: &str) -> Rule {
    let mut rule = Rule {
        name: text.to_owned(),
        conditions: Vec::new(),
        packets: packets(counter),
        verdict: Verdict::None,
    };
    let mut words = text.split_whitespace();
    let mut negated = false;
    while let Some(word) = words.next() {
        if word == "!" {
            negated = true;
            continue;
        }
        let subject = match (word, words.next().unwrap_or_default()) {
            ("-j", target) => {
                rule.verdict = match target {
                    "DROP" | "REJECT" => Verdict::Drop,
                    "REDIRECT" | "DNAT" | "TPROXY" | "NFQUEUE" => Verdict::Divert,
                    "ACCEPT" => Verdict::Accept,
                    "RETURN" => Verdict::Return,
                    chain => Verdict::Call(vec![id(table, chain)]),
                };
                continue;
            }
            ("-g", chain) => {
                rule.verdict = Verdict::Call(vec![id(table, chain)]);
                continue;
            }
            // A module by itself asks nothing.
            ("-m" | "--reject-with", _) => continue,
            ("-i" | "-o", name) => Subject::Device {
                incoming: word == "-i",
                names: vec![name.replace('+', "*")],
            },
            ("-s" | "-d", network) => match network.parse() {
                Ok(network) => Subject::Address {
                    side: side(word == "-s"),
                    networks: vec![network],
                },
                Err(_) => Subject::Other,
            },
            ("-p", name) => Subject::Protocol {
                is_ours: ["tcp", "6", "all"].contains(&name),
            },
            ("--sport" | "--dport" | "--sports" | "--dports", list) => match ports(list) {
                Some(ranges) => Subject::Port {
                    side: side(word.starts_with("--s")),
                    ranges,
                },
                None => Subject::Other,
            },
            _ => Subject::Other,
        };
        rule.conditions.push(Condition { subject, negated });
        negated = false;
    }
    rule
}

fn side(is_source: bool) -> Side {
    if is_source {
        Side::Source
    } else {
        Side::Destination
    }
}

/// `80,443:445`
fn ports(list: &str) -> Option<Vec<RangeInclusive<u16>>> {
    list.split(',')
        .map(|range| {
            let (low, high) = range.split_once(':').unwrap_or((range, range));
            Some(low.parse().ok()?..=high.parse().ok()?)
        })
        .collect()
}
