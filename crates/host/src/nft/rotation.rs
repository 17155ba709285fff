//! The table of one prefix that translates the sources of connections from elsewhere to its addresses.
//!
//! `numgen` would give two packets of one UDP flow two addresses where two CPUs see them at once; a hash of the
//! flow gives the same one always, also after the flow was forgotten.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use v6kit_net::Prefix;

use super::listing::{Listing, listed};
use super::ruleset::{ROTATION_NAME, ROTATION_PRIORITY};
use super::{NftError, document, run};
use crate::value::Value;
use crate::wanted::Origin;

/// Which rules this version writes.
pub(crate) const ROTATION_REVISION: u32 = 1;
/// So many addresses are drawn: 16 bits of the hash.
pub(crate) const MOST: u32 = 65_536;
/// So many where the prefix is on-link: the router's neighbour table holds each of them.
pub(crate) const MOST_ON_LINK: u32 = 400;
/// Elements of one transaction. In a user namespace netlink takes no message of all of them.
const PIECE: usize = 4096;
/// Destinations that no address of a prefix is for: link-local, unique local (RFC 4193), multicast, unspecified and
/// loopback.
const NOT_GLOBAL: &str = "fe80::/10, fc00::/7, ff00::/8, ::/127";

/// The addresses and whose sources become one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RotationRules {
    /// The prefix: what has an address in it leaves with that.
    pub(crate) prefix: Prefix,
    /// The part of it that the addresses are drawn from.
    pub(crate) part: Prefix,
    /// The device that translated packets leave by.
    pub(crate) device: String,
    /// Whose.
    pub(crate) from: Vec<Origin>,
    /// Networks on the link of the device, which are reached without a router.
    pub(crate) on_link: Vec<Ipv6Net>,
    /// What the addresses are drawn by, and the hash begins with.
    pub(crate) seed: u32,
    /// How many addresses there are at most.
    pub(crate) most: u32,
    /// Addresses of the part that are somebody's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) except: Vec<Ipv6Addr>,
    /// [`ROTATION_REVISION`] of the version that wrote them.
    pub(crate) revision: u32,
}

/// The name of the table for a prefix. No two prefixes share one: their texts differ in more than these signs.
pub(crate) fn rotation_table(prefix: Prefix) -> String {
    format!("{ROTATION_NAME}{}", prefix.to_string().replace([':', '/'], "_"))
}

impl RotationRules {
    /// The addresses, the same ones each time.
    pub(crate) fn addresses(&self) -> Vec<Ipv6Addr> {
        let network = self.part.network().to_bits();
        let bits = self.part.host_bits();
        let most = self.most as usize;
        let is_free = |address: &Ipv6Addr| !self.except.contains(address);
        // The first address of a subnet is that of its routers (RFC 4291, section 2.6.1).
        let first = u128::from(bits > 0);
        if bits <= 16 {
            let all = (first..1 << bits).map(|host| Ipv6Addr::from_bits(network | host));
            return all.filter(is_free).take(most).collect();
        }
        let mask = (1_u128 << bits) - 1;
        let mut state = u64::from(self.seed);
        let mut draw = || u128::from(split_mix(&mut state)) << 64 | u128::from(split_mix(&mut state));
        let mut seen = HashSet::with_capacity(most);
        let mut addresses = Vec::with_capacity(most);
        while addresses.len() < most {
            let address = Ipv6Addr::from_bits(network | draw() & mask);
            if address.to_bits() & mask >= first && is_free(&address) && seen.insert(address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// Makes the table anew, with an empty map.
    fn beginning(&self, table: &str, count: usize) -> String {
        let map = if count > 1 {
            // A map of `typeof jhash …` makes `nft list ruleset` of 1.0 crash.
            format!(
                "\tmap sources {{\n\t\ttypeof numgen random mod {count} : ip6 saddr\n\t\tsize {count}\n\t}}\n"
            )
        } else {
            String::new()
        };
        format!("add table ip6 {table}\ndelete table ip6 {table}\ntable ip6 {table} {{\n{map}}}\n")
    }

    /// The rules, in place of those that are there, in one transaction.
    fn rules(&self, table: &str, addresses: &[Ipv6Addr]) -> String {
        let mut on_link = NOT_GLOBAL.to_owned();
        for net in &self.on_link {
            // Writing to a String cannot fail.
            let _ = write!(on_link, ", {net}");
        }
        let Self { prefix, device, .. } = self;
        let translate = |fields: &str| match addresses {
            // A hash of one value is no hash for nft.
            [only] => format!("snat to {only}"),
            all => format!(
                "snat to jhash {fields} mod {} seed 0x{:x} map @sources",
                all.len(),
                self.seed
            ),
        };
        let by_ports = translate("ip6 saddr . ip6 daddr . th sport . th dport");
        let by_hosts = translate("ip6 saddr . ip6 daddr");
        let frame = format!(
            "table ip6 {table} {{\n\
             \tset near {{\n\t\ttype ipv6_addr\n\t\tflags interval\n\t\tauto-merge\n\t}}\n\
             \tchain translate {{\n\t}}\n\
             \tchain out {{\n\t\ttype nat hook postrouting priority {ROTATION_PRIORITY}; policy accept;\n\t}}\n}}\n"
        );
        let anew = format!(
            "flush set ip6 {table} near\n\
             add element ip6 {table} near {{ {on_link} }}\n\
             flush chain ip6 {table} translate\n\
             flush chain ip6 {table} out\n"
        );
        let translate = [
            format!(
                "tcp flags & (fin | syn | rst | ack) == syn {by_ports} comment \"{prefix}: new TCP connections\""
            ),
            "meta l4proto tcp return comment \"connections from before go on\"".to_owned(),
            format!("meta l4proto {{ udp, udplite, sctp, dccp }} {by_ports} comment \"{prefix}: flows\""),
            format!("{by_hosts} comment \"{prefix}: what has no ports\""),
        ];
        let mut out = vec![
            format!("oifname != \"{device}\" return comment \"leaves elsewhere\""),
            format!("ip6 saddr {{ {prefix}, fe80::/10 }} return comment \"has its address\""),
            "ip6 daddr @near return comment \"not behind the router\"".to_owned(),
        ];
        out.extend(self.from.iter().map(|from| jump(from, *prefix)));
        let (translate, out) = (translate.join("\n\t\t"), out.join("\n\t\t"));
        format!(
            "{frame}{anew}table ip6 {table} {{\n\tchain translate {{\n\t\t{translate}\n\t}}\n\tchain out {{\n\t\t{out}\n\t}}\n}}\n"
        )
    }
}

/// The rule for those that one `--from` names.
fn jump(from: &Origin, prefix: Prefix) -> String {
    let whose = match from {
        Origin::Net(net) => format!("ip6 saddr {net} fib saddr type != local"),
        Origin::Device(_) if from.is_this_host() => "fib saddr . oif type local".to_owned(),
        Origin::Device(device) => format!("iifname \"{device}\""),
    };
    format!("{whose} jump translate comment \"{prefix}: from {from}\"")
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same on every machine and in every version.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A table of this kind as it is listed, with what its map holds in short; absent where there is none.
pub(crate) fn read_rotation(table: &str) -> Result<Value, NftError> {
    let listing = match run(&["-j", "-t", "list", "table", "ip6", table], "") {
        Ok(output) => listed(&document(&output)?, "ip6", table),
        Err(error) if error.is_absence() => None,
        Err(error) => return Err(error),
    };
    let Some(mut listing) = listing else {
        return Ok(Value::ABSENT);
    };
    let addresses = read_addresses(table)?;
    listing.objects.push(serde_json::json!({
        "elements": { "count": addresses.len(), "digest": digest(&addresses) }
    }));
    Ok(serde_json::to_string(&listing).ok().into())
}

/// What the map of a table holds, by its keys.
fn read_addresses(table: &str) -> Result<Vec<Ipv6Addr>, NftError> {
    let output = match run(&["-j", "list", "map", "ip6", table, "sources"], "") {
        Ok(output) => output,
        Err(error) if error.is_absence() => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let document = document(&output)?;
    let mut elements: Vec<(u64, Ipv6Addr)> = document["nftables"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|object| object["map"]["elem"].as_array())
        .flatten()
        .filter_map(|pair| Some((pair[0].as_u64()?, pair[1].as_str()?.parse().ok()?)))
        .collect();
    elements.sort_unstable();
    Ok(elements.into_iter().map(|(_, address)| address).collect())
}

/// FNV-1a of the addresses in their order.
fn digest(addresses: &[Ipv6Addr]) -> String {
    let bytes = addresses.iter().flat_map(Ipv6Addr::octets);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Makes the table what `target`, rules as JSON, says, or removes it. Where the map holds the addresses already the
/// rules alone are replaced, and nothing leaves untranslated meanwhile.
pub(crate) fn write_rotation(table: &str, target: &Value) -> Result<(), NftError> {
    let Some(text) = target.as_text() else {
        // A table must exist to be deleted, and adding one that exists is no error.
        return run(
            &["-f", "-"],
            &format!("add table ip6 {table}\ndelete table ip6 {table}\n"),
        )
        .map(|_| ());
    };
    let rules: RotationRules = serde_json::from_str(text).map_err(NftError::Output)?;
    let addresses = rules.addresses();
    if addresses.len() < 2 || read_addresses(table)? != addresses {
        run(&["-f", "-"], &rules.beginning(table, addresses.len()))?;
        fill(table, &addresses)?;
    }
    run(&["-f", "-"], &rules.rules(table, &addresses)).map(|_| ())
}

fn fill(table: &str, addresses: &[Ipv6Addr]) -> Result<(), NftError> {
    if addresses.len() < 2 {
        return Ok(());
    }
    let mut key = 0;
    for piece in addresses.chunks(PIECE) {
        let mut text = format!("add element ip6 {table} sources {{ ");
        for address in piece {
            let comma = if key % PIECE == 0 { "" } else { ", " };
            let _ = write!(text, "{comma}{key} : {address}");
            key += 1;
        }
        text.push_str(" }\n");
        run(&["-f", "-"], &text)?;
    }
    Ok(())
}

/// A listing in a few words.
pub(crate) fn describe_rotation(table: &str, listing: &str) -> String {
    let count = serde_json::from_str::<Listing>(listing).ok().and_then(|listing| {
        let found = listing.objects.iter().find_map(|object| object.get("elements"))?;
        found["count"].as_u64()
    });
    match count {
        Some(count) if count > 0 => format!("table ip6 {table} with {count} addresses"),
        _ => format!("table ip6 {table}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(part: &str, most: u32) -> RotationRules {
        let part: Prefix = part.parse().unwrap();
        RotationRules {
            prefix: part,
            part,
            device: "eth0".to_owned(),
            from: vec![Origin::Device("vm0".to_owned())],
            on_link: vec!["2001:db8:ffff::/64".parse().unwrap()],
            seed: 7,
            most,
            except: Vec::new(),
            revision: ROTATION_REVISION,
        }
    }

    #[test]
    fn the_addresses_are_drawn_from_the_part_once_each_and_are_the_same_every_time() {
        let rules = rules("2001:db8:1:0:f000::/68", MOST);
        let addresses = rules.addresses();
        assert_eq!(addresses.len(), MOST as usize);
        assert!(addresses.iter().all(|address| rules.part.contains(*address)));
        assert_eq!(addresses.iter().collect::<HashSet<_>>().len(), addresses.len());
        assert_eq!(rules.addresses(), addresses);
        let other = RotationRules { seed: 8, ..rules };
        assert_ne!(other.addresses(), addresses);
    }

    #[test]
    fn a_small_part_gives_all_it_has_but_what_is_somebodys() {
        let mut small = rules("2001:db8::f0/124", MOST);
        small.except = vec!["2001:db8::f5".parse().unwrap()];
        let addresses = small.addresses();
        assert_eq!(addresses.len(), 14, "neither that of routers nor the one in use");
        assert!(!addresses.contains(&small.except[0]));
        assert_eq!(
            rules("2001:db8::5/128", MOST).addresses(),
            ["2001:db8::5".parse::<Ipv6Addr>().unwrap()]
        );
        assert_eq!(rules("2001:db8::1000/116", 400).addresses().len(), 400);
        assert_eq!(rules("2001:db8::/111", 400).addresses().len(), 400);
    }

    #[test]
    fn tables_of_different_prefixes_have_different_names() {
        let names: HashSet<String> = [
            "2001:db8:1::/64",
            "2001:db8::1:0/112",
            "2001:db8:1::/60",
            "2001:db8:16::/64",
        ]
        .map(|prefix| rotation_table(prefix.parse().unwrap()))
        .into();
        assert_eq!(names.len(), 4, "{names:?}");
    }

    #[test]
    fn those_of_a_network_are_not_this_host_which_is_meant_by_lo_alone() {
        let rule = |from: &str| jump(&from.parse().unwrap(), "2001:db8::/64".parse().unwrap());
        assert!(rule("fd00::/8").contains("ip6 saddr fd00::/8 fib saddr type != local jump"));
        assert!(rule("lo").contains("fib saddr . oif type local jump"));
        assert!(rule("br0").contains("iifname \"br0\" jump"));
    }
}
