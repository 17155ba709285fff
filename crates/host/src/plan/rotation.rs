//! Addresses of the prefix for what cannot take one by itself: what passes this host, and the host itself where that
//! is asked for.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use v6kit_net::{Prefix, shell_word};

use super::{Action, Importance, Step, View};
use crate::facts::{Firewall, Lack};
use crate::nft::{self, MOST, MOST_ON_LINK, ROTATION_REVISION, RotationRules};
use crate::resource::{Resource, Want};
use crate::state::Phase;
use crate::wanted::{CutOff, Origin, Rotation};

/// The step's name.
pub(crate) const ID: &str = "rotation";
/// The first kernel that knows in postrouting where a packet came in.
const KERNEL: (u32, u32) = (5, 7);

impl View<'_> {
    pub(super) fn rotation(&self) -> Vec<Step> {
        let Some(wish) = &self.wanted.rotation else {
            return Vec::new();
        };
        let mut steps = Vec::new();
        if wish.from.iter().any(|from| !from.is_this_host()) {
            steps.push(self.forwarding(wish));
            steps.extend(self.advertisements());
        }
        steps.push(self.translation(wish));
        steps
    }

    /// The parts of the prefix whose connections have to be tracked, those of other setups included.
    pub(super) fn translated_parts(&self) -> Vec<Prefix> {
        let own = self.wanted.rotation.as_ref().map(|wish| self.rules(wish).part);
        let others = self.rotations().map(|rules| rules.part);
        let mut parts: Vec<Prefix> = own.into_iter().chain(others).collect();
        parts.retain(|part| part.overlaps(self.wanted.prefix));
        parts.sort_unstable();
        parts.dedup();
        parts
    }

    /// What the user should know of it besides.
    pub(super) fn rotation_remarks(&self) -> Vec<String> {
        let Some(wish) = &self.wanted.rotation else {
            return Vec::new();
        };
        let device = &self.wanted.device;
        let mut remarks = Vec::new();
        let named = list(&wish.from);
        if wish.from.iter().any(|from| !from.is_this_host()) {
            remarks.push(format!(
                "clients of {named} with unique local addresses (fc00::/7) alone prefer IPv4 for names that have both (RFC 6724), and their IPv4 leaves as before; what is bridged onto {device} itself does not pass this host and leaves as before, too"
            ));
        }
        for from in &wish.from {
            if let Origin::Device(name) = from
                && self.facts.link(name).is_none()
            {
                remarks.push(format!(
                    "there is no device `{name}` now: once it is there, it is served"
                ));
            }
        }
        if let Firewall::Rules(rules) = &self.facts.firewall {
            remarks.extend(rules.closed_ways.iter().map(|chain| {
                format!(
                    "the chain {chain} drops what passes this host unless a rule of it accepts that; whether one does for {named} was not tried: `sudo nft list chain {chain}`"
                )
            }));
        }
        if self.is_on_link_prefix() {
            remarks.push(format!(
                "where the router asks for each address, have all of them answered, as no socket shows that they are used: `sudo v6kit ndp --all --prefix {} --dev {}`",
                self.wanted.prefix,
                shell_word(device)
            ));
        }
        remarks
    }

    fn translation(&self, wish: &Rotation) -> Step {
        let resource = Resource::Rotation {
            prefix: self.wanted.prefix,
        };
        let rules = self.rules(wish);
        let count = rules.addresses().len();
        let action = match &self.facts.firewall {
            Firewall::Unusable { reason, hint, lack } => {
                let (value, why, hint) = (None, reason.clone(), hint.clone());
                match lack {
                    Lack::Denied => Action::Skip { value, why, hint },
                    Lack::NotThere | Lack::Failed => Action::Conflict { value, why, hint },
                }
            }
            Firewall::Rules(found) => match self.against(wish, count) {
                Some((why, hint)) => Action::Conflict {
                    value: None,
                    why,
                    hint,
                },
                None => self.translation_action(&resource, &rules, found, count),
            },
        };
        let whose = list(&wish.from);
        Step {
            id: ID.to_owned(),
            reason: format!(
                "each connection of {whose} to the world leaves from one of {count} addresses of {}; it costs some 9 us of CPU and a tracked connection",
                rules.part
            ),
            resource: Some(resource),
            importance: Importance::Essential,
            action,
        }
    }

    fn translation_action(
        &self,
        resource: &Resource,
        rules: &RotationRules,
        found: &nft::Ruleset,
        count: usize,
    ) -> Action {
        let table = nft::rotation_table(self.wanted.prefix);
        let present = found.rotations.iter().find(|(name, _)| *name == table);
        let before = present.and_then(|(_, listing)| resource.describe(listing));
        let want = Want::Rotation(rules.clone());
        let held = self.state.held(resource).filter(|held| held.is_live(self.here));
        let action = match (held, present) {
            (None, Some(_)) => {
                return Action::Conflict {
                    value: before,
                    why: format!("a table `ip6 {table}` is there that no setup known here has made"),
                    hint: format!(
                        "remove it if it is not needed, and run setup again: `sudo nft delete table ip6 {table}`"
                    ),
                };
            }
            (Some(held), Some((_, listing)))
                if held.is_ours(listing)
                    && held
                        .holder(self.wanted.prefix, ID)
                        .is_some_and(|holder| holder.want == want && holder.phase == Phase::Done) =>
            {
                Action::Keep {
                    want: Some(want),
                    value: before,
                }
            }
            _ => Action::Change {
                want,
                before,
                after: Some(format!("table ip6 {table} with {count} addresses")),
            },
        };
        match found.translators.as_slice() {
            [] => action,
            others => Action::Partly {
                action: Box::new(action),
                why: comes_first(others),
                hint: look_at(others),
            },
        }
    }

    /// Why connections cannot be given addresses, and what to do.
    fn against(&self, wish: &Rotation, count: usize) -> Option<(String, String)> {
        let prefix = self.wanted.prefix;
        if count == 0 {
            return Some((
                format!("no address of {prefix} is free"),
                "take a wider prefix".to_owned(),
            ));
        }
        for from in &wish.from {
            let against = match from {
                Origin::Net(net) => self.against_net(*net),
                Origin::Device(_) if from.is_this_host() => self.against_this_host(),
                Origin::Device(device) => self.against_device(device),
            };
            if against.is_some() {
                return against;
            }
        }
        let part = self.rules(wish).part;
        let untracked = self.untracked_by_others().find(|other| other.overlaps(part))?;
        Some((
            format!(
                "{untracked} is kept out of connection tracking by its own setup: answers to translated connections would never be translated back"
            ),
            format!(
                "set that one up with tracking first: `sudo v6kit setup --prefix {untracked} --conntrack auto`"
            ),
        ))
    }

    fn against_net(&self, net: Ipv6Net) -> Option<(String, String)> {
        let prefix = self.wanted.prefix;
        Ipv6Net::from(prefix).contains(&net).then(|| {
            (
                format!("what comes from {net} has addresses of {prefix} already, and leaves with them"),
                "leave it out".to_owned(),
            )
        })
    }

    fn against_this_host(&self) -> Option<(String, String)> {
        (self.wanted.cut_off == CutOff::Refuse).then(|| {
            (
                "`--from lo` is this host itself: all that it sends unasked for an address would leave from changing ones, mail, updates and logins elsewhere included".to_owned(),
                "add --yes if that is meant".to_owned(),
            )
        })
    }

    fn against_device(&self, device: &str) -> Option<(String, String)> {
        if *device == self.wanted.device {
            return Some((
                format!(
                    "{device} is where {} arrives: what comes in there does not leave there",
                    self.wanted.prefix
                ),
                "name the device of the LAN, the containers or the virtual machines, such as br0".to_owned(),
            ));
        }
        if self.facts.kernel.is_some_and(|kernel| kernel < KERNEL) {
            return Some((
                format!("before Linux 5.7 it is not known at the way out that a packet came in by {device}"),
                "name the network instead, such as --from fd00:1::/64".to_owned(),
            ));
        }
        let above = self.facts.link(device)?.port_of?;
        let above = self.facts.link_name(Some(above));
        Some((
            format!("{device} is a port of {above}, by which its packets come in"),
            format!("--from {}", shell_word(above)),
        ))
    }

    /// Where the addresses lie and what they are drawn by: as an earlier run chose it, if nobody lives there now.
    fn rules(&self, wish: &Rotation) -> RotationRules {
        let prefix = self.wanted.prefix;
        let known = self.known_addresses();
        let is_empty = |part: Prefix| !known.iter().any(|address| part.contains(*address));
        let resource = Resource::Rotation { prefix };
        let held = self
            .state
            .held(&resource)
            .and_then(|held| held.holder(prefix, ID));
        let earlier = held.and_then(|holder| match &holder.want {
            Want::Rotation(rules) => Some(rules),
            _ => None,
        });
        let parts = parts(prefix);
        let part = match earlier {
            Some(rules) if is_empty(rules.part) || !parts.iter().copied().any(is_empty) => rules.part,
            _ => {
                let free = parts.iter().copied().find(|part| is_empty(*part));
                free.or(parts.first().copied()).unwrap_or(prefix)
            }
        };
        RotationRules {
            prefix,
            part,
            device: self.wanted.device.clone(),
            from: wish.from.clone(),
            on_link: self.facts.on_link_of(&self.wanted.device),
            seed: earlier.map_or(wish.seed, |rules| rules.seed),
            most: if self.is_on_link_prefix() {
                MOST_ON_LINK
            } else {
                MOST
            },
            except: known
                .into_iter()
                .filter(|address| part.contains(*address))
                .collect(),
            revision: ROTATION_REVISION,
        }
    }

    /// Addresses of the prefix that are somebody's.
    fn known_addresses(&self) -> BTreeSet<Ipv6Addr> {
        let used = self.in_use(&mut Vec::new()).into_keys();
        used.chain(self.own_addresses()).collect()
    }

    /// The translations of other setups.
    fn rotations(&self) -> impl Iterator<Item = &RotationRules> {
        self.wants_of_others().filter_map(|want| match want {
            Want::Rotation(rules) => Some(rules),
            _ => None,
        })
    }

    fn untracked_by_others(&self) -> impl Iterator<Item = Prefix> {
        self.wants_of_others().filter_map(|want| match want {
            Want::Notrack(rules) => Some(rules.prefix),
            _ => None,
        })
    }

    fn wants_of_others(&self) -> impl Iterator<Item = &Want> {
        let prefix = self.wanted.prefix;
        let keys = self.state.holds(move |holder| holder.prefix != prefix);
        keys.into_iter().filter_map(move |key| {
            let holder = self.state.held(&key.resource)?.holder(key.prefix, &key.step)?;
            (!holder.is_gone(&key.resource, self.here)).then_some(&holder.want)
        })
    }
}

/// The sixteenths of a prefix, the last one first; a prefix that is too small for that is one part.
fn parts(prefix: Prefix) -> Vec<Prefix> {
    let length = prefix.length() + 4;
    if length > 124 {
        return vec![prefix];
    }
    let part = |index: u128| {
        let network = prefix.network().to_bits() | index << (128 - u32::from(length));
        Prefix::new(Prefix::around(Ipv6Addr::from_bits(network), length)).ok()
    };
    (0..16).rev().filter_map(part).collect()
}

/// Those named, as people read them.
pub(super) fn list(from: &[Origin]) -> String {
    let names: Vec<String> = from
        .iter()
        .map(|from| {
            if from.is_this_host() {
                "this host".to_owned()
            } else {
                from.to_string()
            }
        })
        .collect();
    names.join(", ")
}

/// What it means that others translate before us.
pub(crate) fn comes_first(others: &[String]) -> String {
    let (verb, object) = if others.len() == 1 {
        ("translates", "it")
    } else {
        ("translate", "them")
    };
    format!(
        "{} {verb} sources before v6kit does: what matches {object} does not leave from the prefix",
        others.join(", ")
    )
}

/// The command that shows the first of them.
fn look_at(others: &[String]) -> String {
    let name = others.first().map_or("", String::as_str);
    let chain = name.split(" (").next().unwrap_or_default();
    format!(
        "see what it matches, and give it a priority of 100 (srcnat) or more: `sudo nft list chain {chain}`"
    )
}
