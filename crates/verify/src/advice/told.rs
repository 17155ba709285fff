//! What is said of addresses that the endpoint told in place of those that it was asked from.

use super::Surroundings;
use crate::finding::Finding;
use crate::probe::Reply;
use crate::told::Own;

impl Surroundings<'_> {
    pub(super) fn translated(&self, finding: Finding) -> String {
        let prefix = self.prefix;
        let seen_as = self.attempt.and_then(|attempt| attempt.outcomes.mismatch());
        let seen_as = seen_as.map_or_else(
            || "another address".to_owned(),
            |reply| reply.reported.to_string(),
        );
        let told = self.attempt.and_then(|attempt| attempt.told.as_ref());
        let as_seen_as = told.map_or_else(String::new, |told| {
            format!("{} as {}", told.example.bound, told.example.reported)
        });
        match finding {
            Finding::TranslatedHere => format!(
                "this host itself replaces source addresses: connections of {prefix} leave {} as {}",
                self.device_name(),
                self.leaves_as().map_or(seen_as, |address| address.to_string())
            ),
            Finding::TranslatedOnTheWay if told.is_some_and(|told| told.is_translated) => format!(
                "connections from {prefix} leave this host unchanged and arrive with another prefix ({as_seen_as}): something behind {} translates prefixes",
                self.device_name()
            ),
            Finding::TranslatedOnTheWay => format!(
                "connections from {prefix} leave this host unchanged and arrive as {seen_as}, which lies on the way to {}: something behind {} replaces source addresses",
                self.endpoint(),
                self.device_name()
            ),
            Finding::TranslatedBeyond => format!(
                "connections from {prefix} leave this host unchanged and arrive as {seen_as}: something behind {} replaces source addresses, or answers in the endpoint's place",
                self.device_name()
            ),
            _ => format!(
                "connections from {prefix} arrive as {seen_as}. Not known: whether this host or something behind it replaces source addresses"
            ),
        }
    }

    /// The endpoint told other addresses, and nothing shows that these are sources that packets came with.
    pub(super) fn does_not_tell(&self) -> String {
        let Some(told) = self.attempt.and_then(|attempt| attempt.told.as_ref()) else {
            return "the endpoint does not tell callers' addresses".to_owned();
        };
        let (endpoint, prefix) = (self.endpoint(), self.prefix);
        let Reply { bound, reported } = told.example;
        if let Some(impossible) = told.impossible {
            return format!(
                "{endpoint} does not tell callers' addresses: it answers {impossible}, which no packet from here can have as its source (as a server behind a proxy of its own does). Not known: whether connections from {prefix} keep their addresses"
            );
        }
        if told.is_cached {
            return format!(
                "{endpoint} answers from a cache: {reported} to {bound}, and to the same question with another query {bound}"
            );
        }
        if told.rightly > 0 {
            return format!(
                "{endpoint} told {} addresses of {prefix} as they are, and others as another ({bound} as {reported}). Not known: whether several servers answer there, some of them behind a proxy, or something replaces some addresses",
                told.rightly
            );
        }
        match told.own {
            Own::Otherwise(own) => format!(
                "{endpoint} tells {reported} to connections from {prefix}, and {} to the host's own address {} as well. Not known: whether it tells callers' addresses at all (one behind a proxy does not), or something replaces them all",
                own.reported, own.bound
            ),
            _ if told.is_of_this_host => format!(
                "{endpoint} tells this host's address {reported} to connections from {prefix}, though they leave with their own. Not known: whether it remembers an earlier caller, or something replaces source addresses"
            ),
            _ => format!(
                "{endpoint} tells {reported} to connections from {prefix}. Not known: whether it tells callers' addresses at all; from the host's own address it could not be asked"
            ),
        }
    }
}
