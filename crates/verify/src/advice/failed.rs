//! What connections failed with, in the meaning of a finding.

use v6kit_net::chain;

use super::Surroundings;
use crate::egress::Outcomes;

impl Surroundings<'_> {
    pub(super) fn filtered_somewhere(&self) -> String {
        let prefix = self.prefix;
        let error = self.attempt.and_then(|attempt| attempt.outcomes.first_error());
        let (what, how) = match error.filter(|error| !error.no_connection_in_time()) {
            Some(error) => (
                format!("fail ({})", chain(error)),
                "something refuses them. Not known: whether that is on this host or on the way",
            ),
            None => (
                "get no answer".to_owned(),
                "a filter drops them. Not known: whether that is one of this host or on the way",
            ),
        };
        format!(
            "connections from {prefix} {what}, although {} hears packets from it and is heard: {how}",
            self.way_back()
        )
    }

    /// Nothing is said of the network, which nothing reached.
    pub(super) fn not_begun(&self) -> String {
        let outcomes = self.attempt.map(|attempt| &attempt.outcomes);
        let error = outcomes.and_then(Outcomes::not_begun);
        let failed = outcomes.map_or(0, |outcomes| outcomes.failures.len());
        format!(
            "{failed} connections from {} were not begun: {}",
            self.prefix,
            error.map_or_else(
                || "this host has no room for them".to_owned(),
                |error| chain(error)
            )
        )
    }
}
