//! Rules of nftables, as `nft -j` lists them (libnftables-json(5)).

use std::ops::RangeInclusive;

use ipnet::Ipv6Net;
use serde_json::Value;

use super::condition::{ACK, Condition, SYN, Side, Subject};
use super::{Chain, Hook, Policy, Rule, Verdict};

/// Families whose rules IPv6 packets meet.
const FAMILIES: [&str; 3] = ["ip6", "inet", "netdev"];

/// Statements that ask nothing of a packet and end nothing.
const NEUTRAL: [&str; 4] = ["counter", "log", "notrack", "mangle"];

/// The chains in the objects of a listing.
pub(super) fn chains(objects: &[Value]) -> Vec<Chain> {
    let mut chains: Vec<Chain> = objects
        .iter()
        .filter_map(|object| chain(object.get("chain")?))
        .collect();
    for rule in objects.iter().filter_map(|object| object.get("rule")) {
        let place = id(rule, "chain");
        if let Some(chain) = chains.iter_mut().find(|chain| Some(&chain.id) == place.as_ref()) {
            let parsed = parsed(rule, &chain.id);
            chain.rules.push(parsed);
        }
    }
    chains
}

/// Family, table and name of the chain that `object` is, or lies in.
pub(super) fn id(object: &Value, key: &str) -> Option<[String; 3]> {
    let part = |key: &str| object[key].as_str().map(ToOwned::to_owned);
    Some([part("family")?, part("table")?, part(key)?])
}

fn chain(object: &Value) -> Option<Chain> {
    let id = id(object, "name")?;
    let [family, table, name] = &id;
    if !FAMILIES.contains(&family.as_str()) {
        return None;
    }
    Some(Chain {
        command: format!("sudo nft -a list chain {family} {table} {name}"),
        hook: match object["hook"].as_str() {
            Some("ingress" | "prerouting" | "input") => Hook::In,
            Some("output" | "postrouting" | "egress") => Hook::Out,
            Some(_) => Hook::Elsewhere,
            None => Hook::None,
        },
        devices: texts(&object["dev"]),
        policy: (object["policy"] == "drop").then_some(Policy { packets: None }),
        rules: Vec::new(),
        id,
    })
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(all) => all.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

fn parsed(rule: &Value, chain: &[String; 3]) -> Rule {
    let mut parsed = Rule {
        name: rule["handle"].to_string(),
        conditions: Vec::new(),
        packets: None,
        verdict: Verdict::None,
    };
    for expression in rule["expr"].as_array().map_or(&[][..], Vec::as_slice) {
        let Some((kind, value)) = expression.as_object().and_then(|object| object.iter().next()) else {
            continue;
        };
        if kind == "counter" {
            parsed.packets = value["packets"].as_u64();
        } else if kind == "match" {
            parsed.conditions.push(condition(value));
        } else if kind == "vmap" {
            // Which of its elements a packet finds is not looked into.
            parsed.conditions.push(Condition::other());
            parsed.verdict = of_map(&value["data"], chain);
        } else if let Some(verdict) = verdict(kind, value, chain) {
            parsed.verdict = verdict;
        } else if !NEUTRAL.contains(&kind.as_str()) {
            parsed.conditions.push(Condition::other());
        }
    }
    parsed
}

fn verdict(kind: &str, value: &Value, [family, table, _]: &[String; 3]) -> Option<Verdict> {
    Some(match kind {
        "drop" | "reject" => Verdict::Drop,
        "redirect" | "dnat" | "tproxy" | "queue" => Verdict::Divert,
        "accept" => Verdict::Accept,
        "return" => Verdict::Return,
        "jump" | "goto" => {
            let target = value["target"].as_str()?.to_owned();
            Verdict::Call(vec![[family.clone(), table.clone(), target]])
        }
        // Targets of iptables that nftables knows by name only.
        "xt" if value["type"] == "target" => match value["name"].as_str() {
            Some("REJECT" | "DROP") => Verdict::Drop,
            Some("REDIRECT" | "DNAT" | "TPROXY" | "NFQUEUE") => Verdict::Divert,
            _ => return None,
        },
        _ => return None,
    })
}

/// The verdicts of an anonymous map; of a named one nothing is known.
fn of_map(data: &Value, chain: &[String; 3]) -> Verdict {
    let elements = data["set"].as_array().map_or(&[][..], Vec::as_slice);
    let verdicts = elements.iter().filter_map(|element| {
        let (kind, value) = element.get(1)?.as_object()?.iter().next()?;
        verdict(kind, value, chain)
    });
    let mut called = Vec::new();
    for one in verdicts {
        match one {
            Verdict::Drop => return Verdict::Drop,
            Verdict::Call(chains) => called.extend(chains),
            Verdict::Divert | Verdict::Accept | Verdict::Return | Verdict::None => {}
        }
    }
    if called.is_empty() {
        Verdict::None
    } else {
        Verdict::Call(called)
    }
}

fn condition(expression: &Value) -> Condition {
    let (left, right) = (&expression["left"], &expression["right"]);
    let negated = match expression["op"].as_str() {
        Some("==" | "in") => false,
        Some("!=") => true,
        _ => return Condition::other(),
    };
    let is_any = expression["op"] == "in";
    let subject = of_meta(left, right)
        .or_else(|| of_payload(left, right, is_any))
        .or_else(|| of_masked_flags(left, right))
        .unwrap_or(Subject::Other);
    Condition { subject, negated }
}

/// The values of the right side; `None` where they stand elsewhere, or were left out.
fn values(right: &Value) -> Option<Vec<&Value>> {
    match right {
        Value::String(name) if name.starts_with('@') => None,
        Value::Object(object) if object.contains_key("set") => {
            let elements = object["set"].as_array()?;
            let values = elements.iter().map(|element| match element["elem"].get("val") {
                Some(value) => value,
                None => element,
            });
            Some(values.collect()).filter(|values: &Vec<_>| !values.is_empty())
        }
        Value::Array(elements) => Some(elements.iter().collect()),
        one => Some(vec![one]),
    }
}

fn of_meta(left: &Value, right: &Value) -> Option<Subject> {
    let key = left["meta"]["key"].as_str()?;
    let values = values(right)?;
    let named = |ours: &[&str], number: u64| Subject::Protocol {
        is_ours: values.iter().any(|value| {
            value.as_str().is_some_and(|name| ours.contains(&name)) || value.as_u64() == Some(number)
        }),
    };
    Some(match key {
        "iif" | "iifname" | "oif" | "oifname" => Subject::Device {
            incoming: key.starts_with('i'),
            names: values
                .iter()
                .map(|value| value.as_str().map(ToOwned::to_owned))
                .collect::<Option<_>>()?,
        },
        "l4proto" => named(&["tcp"], 6),
        "nfproto" => named(&["ipv6"], 10),
        "protocol" => named(&["ip6"], 0x86dd),
        _ => return None,
    })
}

fn of_payload(left: &Value, right: &Value, is_any: bool) -> Option<Subject> {
    let payload = &left["payload"];
    let (protocol, field) = (payload["protocol"].as_str()?, payload["field"].as_str()?);
    let side = match field {
        "saddr" | "sport" => Side::Source,
        _ => Side::Destination,
    };
    Some(match (protocol, field) {
        ("ip6", "saddr" | "daddr") => Subject::Address {
            side,
            networks: values(right)?
                .into_iter()
                .map(networks)
                .collect::<Option<Vec<_>>>()?
                .concat(),
        },
        ("ip6", "nexthdr") => Subject::Protocol {
            is_ours: values(right)?
                .iter()
                .any(|value| *value == "tcp" || value.as_u64() == Some(6)),
        },
        ("tcp" | "th", "sport" | "dport") => Subject::Port {
            side,
            ranges: values(right)?.into_iter().map(ports).collect::<Option<_>>()?,
        },
        ("tcp", "flags") => match (is_any, flags(right)?) {
            (true, bits) => Subject::AnyFlag(bits),
            (false, bits) => Subject::Flags {
                mask: 0x3f,
                value: bits,
            },
        },
        // These are no packets of TCP over IPv6.
        ("ip" | "arp" | "icmp" | "icmpv6" | "igmp" | "udp" | "udplite" | "sctp" | "dccp", _) => {
            return Some(Subject::Protocol { is_ours: false });
        }
        _ => return None,
    })
}

/// `tcp flags & (syn | ack) == syn`
fn of_masked_flags(left: &Value, right: &Value) -> Option<Subject> {
    let [of, mask] = left["&"].as_array()?.as_slice() else {
        return None;
    };
    let payload = &of["payload"];
    (payload["protocol"] == "tcp" && payload["field"] == "flags").then_some(())?;
    Some(Subject::Flags {
        mask: flags(mask)?,
        value: flags(right)?,
    })
}

/// Names of TCP flags, one or several, as bits.
fn flags(value: &Value) -> Option<u8> {
    match value {
        Value::Number(number) => number.as_u64()?.try_into().ok(),
        Value::String(name) => Some(match name.as_str() {
            "fin" => 0x01,
            "syn" => SYN,
            "rst" => 0x04,
            "psh" => 0x08,
            "ack" => ACK,
            "urg" => 0x20,
            "ecn" | "ece" => 0x40,
            "cwr" => 0x80,
            _ => return None,
        }),
        Value::Array(all) => all.iter().try_fold(0, |bits, one| Some(bits | flags(one)?)),
        Value::Object(object) => flags(object.get("|").or(object.get("set"))?),
        Value::Null | Value::Bool(_) => None,
    }
}

fn networks(value: &Value) -> Option<Vec<Ipv6Net>> {
    if let Some(text) = value.as_str() {
        return Some(vec![Ipv6Net::new(text.parse().ok()?, 128).ok()?]);
    }
    if let Some([low, high]) = value["range"].as_array().map(Vec::as_slice) {
        let (low, high) = (low.as_str()?.parse().ok()?, high.as_str()?.parse().ok()?);
        return Some(ipnet::Ipv6Subnets::new(low, high, 0).collect());
    }
    let prefix = &value["prefix"];
    let length = prefix["len"].as_u64()?.try_into().ok()?;
    Some(vec![
        Ipv6Net::new(prefix["addr"].as_str()?.parse().ok()?, length).ok()?,
    ])
}

fn ports(value: &Value) -> Option<RangeInclusive<u16>> {
    let number = |value: &Value| u16::try_from(value.as_u64()?).ok();
    match value["range"].as_array().map(Vec::as_slice) {
        Some([low, high]) => Some(number(low)?..=number(high)?),
        _ => number(value).map(|port| port..=port),
    }
}
