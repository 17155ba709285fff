//! Inbound protection and the table it lies in.

use std::net::Ipv6Addr;

use super::{Action, Importance, Step, View};
use crate::facts::Firewall;
use crate::listeners;
use crate::nft::{InboundRules, Ruleset, Udp};
use crate::resource::{Resource, Want};
use crate::state::Phase;
use crate::wanted::{Inbound, Purpose};

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
            let action = Action::Keep {
                want: None,
                value: Some("open".to_owned()),
            };
            return step(reason, None, action);
        }
        let udp = match self.wanted.purpose {
            Purpose::Proxy => Udp::BoundSockets,
            Purpose::Crawl | Purpose::Server => Udp::Closed,
        };
        let reason = match udp {
            Udp::Closed => "no new TCP connection, UDP packet or ping from outside reaches the prefix",
            Udp::BoundSockets => {
                "no new TCP connection or ping from outside reaches the prefix, and UDP only the relay's own sockets"
            }
        };
        let want = Want::Inbound(InboundRules {
            prefix: self.wanted.prefix,
            open: self.own_addresses(),
            udp,
        });
        let action = match &self.facts.firewall {
            Firewall::Rules(rules) => self.table_action("inbound", want, rules),
            Firewall::Unusable { reason, hint, .. } => Action::Skip {
                value: Some("open".to_owned()),
                why: format!("{reason}; {}", self.exposed()),
                hint: hint.clone(),
            },
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
                why: "a table `inet v6kit` is there that no setup known here has made".to_owned(),
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

    /// The addresses of this host in the prefix, which stay as they are. Privacy addresses come and go
    /// and nobody connects to them.
    pub(super) fn own_addresses(&self) -> Vec<Ipv6Addr> {
        let mut own: Vec<Ipv6Addr> = self
            .facts
            .addresses
            .iter()
            .filter(|address| !address.is_temporary)
            .map(|address| address.net.addr())
            .filter(|address| self.wanted.prefix.contains(*address))
            .collect();
        own.sort_unstable();
        own.dedup();
        own
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
