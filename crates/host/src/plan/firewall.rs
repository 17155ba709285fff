//! Inbound protection and the table it lies in.

use std::net::Ipv6Addr;

use v6kit_net::Prefix;

use super::{Action, Importance, Step, View};
use crate::facts::{Firewall, Lack};
use crate::listeners;
use crate::nft::{self, InboundRules, Ruleset};
use crate::owner::Owner;
use crate::resource::{Resource, Want};
use crate::state::Phase;
use crate::value::Value;
use crate::wanted::Inbound;

/// Whose table it is that no journal here holds, as far as it says.
fn stranger(table: &Value) -> String {
    let owner = nft::owner(table);
    match owner.as_ref().and_then(Owner::directory) {
        Some(directory) => format!(
            "a table `inet v6kit` is there that the setup in {} has made, which may still need it",
            directory.display()
        ),
        None => "a table `inet v6kit` is there that no setup known here has made".to_owned(),
    }
}

/// As people read it.
const TABLE: &str = "table inet v6kit";

impl View<'_> {
    pub(super) fn inbound(&self) -> Step {
        let step = |reason: String, resource, action| Step {
            id: "inbound".to_owned(),
            reason,
            resource,
            importance: Importance::Helpful,
            action,
        };
        if self.wanted.inbound == Inbound::Allow {
            let reason = format!("left open as asked; {}", self.exposed());
            if let (Some(wider), Firewall::Rules(rules)) = (self.closed_around(), &self.facts.firewall) {
                let want = Want::Open {
                    prefix: self.wanted.prefix,
                };
                let action = self.table_action("inbound", want, rules);
                let reason = format!("{reason}, while the rest of {wider} stays shut");
                return step(reason, Some(Resource::Table), action);
            }
            let action = Action::Keep {
                want: None,
                value: Some("open".to_owned()),
            };
            return step(reason, None, action);
        }
        let reason =
            "nothing from outside reaches the prefix but answers and UDP to sockets of that very address";
        let want = Want::Inbound(InboundRules::new(self.wanted.prefix));
        let action = match &self.facts.firewall {
            Firewall::Rules(rules) => self.table_action("inbound", want, rules),
            Firewall::Unusable { reason, hint, lack } => {
                let (value, hint) = (Some("open".to_owned()), hint.clone());
                let why = format!("{reason}; {}", self.exposed());
                // Where nft is there and fails, somebody who wanted to be shielded is not, from what is named.
                if *lack == Lack::NotThere || listeners::exposed(&self.facts.listeners).is_empty() {
                    Action::Skip { value, why, hint }
                } else {
                    Action::Conflict { value, why, hint }
                }
            }
        };
        step(reason.to_owned(), Some(Resource::Table), action)
    }

    /// What becomes of a step whose rules lie in our table.
    pub(super) fn table_action(&self, step: &str, want: Want, rules: &Ruleset) -> Action {
        let before = Resource::Table.describe(&rules.table);
        let held = self
            .state
            .held(&Resource::Table)
            .filter(|held| held.is_live(self.here));
        let Some(held) = held else {
            if rules.table.is_absent() {
                return Action::Change {
                    want,
                    before,
                    after: Some(TABLE.to_owned()),
                };
            }
            return Action::Conflict {
                value: before,
                why: stranger(&rules.table),
                hint: "look at it (`sudo nft list table inet v6kit`), remove it (`sudo nft delete table inet v6kit`), and run setup again".to_owned(),
            };
        };
        let is_as_wanted = held
            .holder(self.wanted.prefix, step)
            .is_some_and(|holder| holder.want == want && holder.phase == Phase::Done);
        if is_as_wanted && held.is_ours(&rules.table) {
            Action::Keep {
                want: Some(want),
                value: before,
            }
        } else {
            Action::Change {
                want,
                before,
                after: Some(TABLE.to_owned()),
            }
        }
    }

    /// The addresses of this host in the prefix.
    pub(super) fn own_addresses(&self) -> Vec<Ipv6Addr> {
        let mut own: Vec<Ipv6Addr> = self
            .facts
            .addresses
            .iter()
            .map(|address| address.net.addr())
            .filter(|address| self.wanted.prefix.contains(*address))
            .collect();
        own.sort_unstable();
        own.dedup();
        own
    }

    /// The wider prefix that another setup has closed, and this one with it.
    fn closed_around(&self) -> Option<Prefix> {
        self.said_of_inbound()
            .filter(|(closed, is_closed)| {
                *is_closed && *closed != self.wanted.prefix && closed.contains(self.wanted.prefix.network())
            })
            .map(|(closed, _)| closed)
            .filter(|closed| closed.length() < self.wanted.prefix.length())
            .max_by_key(|closed| closed.length())
    }

    /// The prefixes of which our table says that they are closed, or open.
    fn said_of_inbound(&self) -> impl Iterator<Item = (Prefix, bool)> {
        let held = self.state.held(&Resource::Table);
        held.into_iter()
            .flat_map(|held| &held.holders)
            .filter(|holder| !holder.is_gone(&Resource::Table, self.here))
            .filter_map(|holder| match &holder.want {
                Want::Inbound(rules) => Some((rules.prefix, true)),
                Want::Open { prefix } => Some((*prefix, false)),
                _ => None,
            })
    }

    /// What was set up open and is shut with this one.
    pub(super) fn shut_with_it(&self) -> Vec<String> {
        let prefix = self.wanted.prefix;
        let said: Vec<Prefix> = self.said_of_inbound().map(|(said_of, _)| said_of).collect();
        self.state
            .setups()
            .map(|(_, ready)| ready.prefix)
            .filter(|part| {
                part.length() > prefix.length() && prefix.contains(part.network()) && !said.contains(part)
            })
            .filter(|_| self.wanted.inbound == Inbound::Drop)
            .map(|part| {
                format!("{part} was set up open and is shut with {prefix}: run its setup again, and it is open in it")
            })
            .collect()
    }

    fn exposed(&self) -> String {
        let services = listeners::exposed(&self.facts.listeners);
        if services.is_empty() {
            "nothing listens on every address now".to_owned()
        } else {
            format!("reached at every address of the prefix: {}", services.join(", "))
        }
    }
}
