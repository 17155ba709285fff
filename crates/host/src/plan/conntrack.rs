//! Connection tracking: left alone, given room, or kept away from the prefix.

use std::net::Ipv6Addr;

use super::{Action, Importance, Step, View};
use crate::facts::{CONNTRACK_BUCKETS, CONNTRACK_COUNT, CONNTRACK_MAX, Firewall};
use crate::nft::{NotrackRules, REVISION};
use crate::resource::{Resource, Want};
use crate::trial::Trial;
use crate::wanted::Conntrack;

/// How long a closed connection is tracked, in seconds: nf_conntrack_tcp_timeout_time_wait
/// (Documentation/networking/nf_conntrack-sysctl.rst).
const TIME_WAIT: u64 = 120;
/// Memory of a tracked connection, in bytes.
const ENTRY: u64 = 320;
/// At most this part of the memory goes into tracked connections.
const MEMORY_SHARE: u64 = 16;
/// The kernel rounds the number of buckets up to whole pages of 8-byte pointers; this is a whole number
/// of the largest pages (64 KiB), so that it sets exactly what it is told.
const BUCKET_UNIT: u64 = 8192;

impl View<'_> {
    pub(super) fn conntrack(&self) -> Vec<Step> {
        match self.wanted.conntrack {
            Conntrack::Keep => vec![self.untouched_conntrack("left alone as asked")],
            Conntrack::Notrack if self.wanted.prefix.is_this_host() => {
                vec![self.untouched_conntrack("there is no prefix to keep out of it")]
            }
            Conntrack::Notrack => vec![self.notrack()],
            Conntrack::Max(max) => self.conntrack_room(max, max),
            Conntrack::Auto => self.conntrack_auto(),
        }
    }

    fn conntrack_auto(&self) -> Vec<Step> {
        let Some(max) = self.facts.number(CONNTRACK_MAX) else {
            if self.wanted.rotation.is_some() {
                return vec![self.untouched_conntrack(
                    "what is translated is tracked; there is room to make once tracking is loaded, which the step before does",
                )];
            }
            return vec![self.untouched_conntrack("connection tracking is not loaded: nothing to raise")];
        };
        let is_ours = self.is_held(&Resource::sysctl(CONNTRACK_MAX));
        if !is_ours && !self.is_tracked() {
            return vec![self.untouched_conntrack("nothing is tracked on this host: nothing to raise")];
        }
        let live = self.facts.number(CONNTRACK_COUNT).unwrap_or(0);
        let need = TIME_WAIT * self.connections_per_second() + live;
        let affordable = self.facts.memory / MEMORY_SHARE / ENTRY;
        let need = need.min(affordable);
        if max >= need && !is_ours {
            let reason = format!("room for {max} tracked connections is enough for the {need} expected");
            return vec![self.untouched_conntrack(&reason)];
        }
        self.conntrack_room(need, (need + need / 2).min(affordable))
    }

    /// Whether something on this host tracks connections.
    fn is_tracked(&self) -> bool {
        let by_rule = match &self.facts.firewall {
            Firewall::Rules(rules) => rules.tracks || !rules.rotations.is_empty(),
            Firewall::Unusable { .. } => false,
        };
        by_rule
            || self.wanted.rotation.is_some()
            || self.facts.has_legacy_rules
            || self.facts.number(CONNTRACK_COUNT).unwrap_or(0) > 0
    }

    fn conntrack_room(&self, need: u64, value: u64) -> Vec<Step> {
        let per_bucket = value.div_ceil(BUCKET_UNIT) * BUCKET_UNIT;
        vec![
            self.sysctl(
                CONNTRACK_MAX,
                Want::AtLeast { need, value },
                format!(
                    "a connection is tracked for {TIME_WAIT} s after it closed; {need} at once are expected"
                ),
            ),
            self.sysctl(
                CONNTRACK_BUCKETS,
                Want::AtLeast {
                    need,
                    value: per_bucket,
                },
                "one bucket per tracked connection keeps looking them up cheap",
            ),
        ]
    }

    fn untouched_conntrack(&self, reason: &str) -> Step {
        Step {
            id: "conntrack".to_owned(),
            reason: reason.to_owned(),
            resource: None,
            importance: Importance::Helpful,
            action: Action::Keep {
                want: None,
                value: self.facts.number(CONNTRACK_MAX).map(|max| max.to_string()),
            },
        }
    }

    fn notrack(&self) -> Step {
        let want = Want::Notrack(NotrackRules {
            prefix: self.wanted.prefix,
            revision: REVISION,
            except: self.translated_parts(),
        });
        let action = match &self.facts.firewall {
            Firewall::Unusable { reason, hint, .. } => Action::Skip {
                value: None,
                why: reason.clone(),
                hint: hint.clone(),
            },
            Firewall::Rules(rules) => self.table_action("notrack", want, rules),
        };
        Step {
            id: "notrack".to_owned(),
            reason: "connections of the prefix take no room in the tracking table".to_owned(),
            resource: Some(Resource::Table),
            importance: Importance::Helpful,
            action,
        }
    }

    /// What a connection without tracking is tried with: the default gateways, and what may drop its answers.
    pub(super) fn trial(&self) -> Trial {
        let defaults = self.facts.routes.iter().filter(|route| route.is_default());
        let suspects = match &self.facts.firewall {
            Firewall::Rules(rules) => rules.suspects.clone(),
            Firewall::Unusable { .. } => Vec::new(),
        };
        Trial {
            prefix: self.wanted.prefix,
            gateways: defaults
                .filter_map(|route| Some((*route.gateways.first()?, route.link?)))
                .collect(),
            own: self
                .facts
                .addresses
                .iter()
                .map(|address| address.net.addr())
                .find(|address| {
                    !self.wanted.prefix.contains(*address)
                        && !address.is_unicast_link_local()
                        && !address.is_loopback()
                })
                .unwrap_or(Ipv6Addr::LOCALHOST),
            not_from: self.own_addresses(),
            suspects,
            has_legacy_rules: self.facts.has_legacy_rules,
        }
    }
}
