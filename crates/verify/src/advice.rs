//! What a finding means here, and what to do about it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use v6kit_net::{Hint, Ipv6, Prefix, chain, name_servers};

use crate::attempt::Attempt;
use crate::finding::Finding;
use crate::firewall::Direction;
use crate::limits::Table;
use crate::probe::ProbeError;
use crate::report::Egress;
use crate::retry::Retry;
use crate::routes::Device;
use crate::segments::SMALL;
use crate::trace::Hop;
use crate::tracking::Tracking;
use crate::translation::Translation;
use crate::uplink::Uplink;
use crate::ways::Ways;

mod failed;
mod hints;
mod told;

/// What stands for the name of a device that is not known.
const UNKNOWN_DEVICE: &str = "DEV";

/// What is known of the host and the way out, to fill into the advice.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) prefix: Prefix,
    /// What was asked, as arguments of v6kit.
    pub(crate) command: String,
    /// The host's own address, as the endpoint was asked from it.
    pub(crate) own: Option<Ipv6Addr>,
    pub(crate) uplink: &'a Uplink,
    pub(crate) has_default: bool,
    /// Name servers in the prefix that this host takes for its own.
    pub(crate) swallowed_name_servers: &'a [Ipv6Addr],
    pub(crate) ways: Option<&'a Ways>,
    pub(crate) attempt: Option<&'a Attempt>,
    /// The device on which answers arrive that do not reach their connections.
    pub(crate) arrived_on: Option<&'a Device>,
    /// The device that was named, or leads out.
    pub(crate) device: Option<&'a Device>,
    pub(crate) own_addresses: BTreeSet<Ipv6Addr>,
}

/// The meaning and the hint of a host that speaks no IPv6.
pub(crate) fn of_no_ipv6(ipv6: &Ipv6) -> (String, String) {
    match ipv6 {
        Ipv6::Off { settings } => {
            let on: Vec<String> = settings.iter().map(|setting| format!("{setting}=0")).collect();
            (
                format!("IPv6 is switched off on this host ({} is 1)", settings.join(", ")),
                format!("switch it on: `sudo sysctl -w {}`", on.join(" ")),
            )
        }
        _ => (
            "this system has no IPv6".to_owned(),
            "boot without `ipv6.disable=1`, or give the container IPv6".to_owned(),
        ),
    }
}

impl Surroundings<'_> {
    /// The finding in a sentence.
    pub(crate) fn meaning(&self, finding: Finding) -> String {
        let prefix = self.prefix;
        match finding {
            Finding::Works => self.works(),
            Finding::Ipv6Off => "IPv6 is switched off on this host".to_owned(),
            Finding::NotSetUp => format!("this host does not take {prefix} for its own"),
            Finding::TranslatedHere
            | Finding::TranslatedOnTheWay
            | Finding::TranslatedBeyond
            | Finding::TranslatedSomewhere
            | Finding::Translated => self.translated(finding),
            Finding::DoesNotTell => self.does_not_tell(),
            Finding::PathMtu => format!(
                "packets of full size are lost between this host and {}: connections come about and stall, and are answered in segments of {SMALL} bytes. Not known: who drops them, and whether on the way there or back",
                self.endpoint()
            ),
            Finding::TooLate => format!(
                "answers come back to {prefix}, later than --timeout allows{}",
                self.late_error()
                    .map_or_else(String::new, |error| format!(": {}", chain(error)))
            ),
            Finding::NameServers => self.name_servers_fail(),
            Finding::Endpoint => format!(
                "no endpoint tells this host its address: {}",
                self.uplink
                    .error()
                    .map_or_else(String::new, |(_, error)| chain(error))
            ),
            Finding::TurnedAway => self.turned_away(),
            Finding::RefusedBeyond => format!(
                "{} answers the host's own address, and connections from {prefix} are refused, by it or by a firewall in its place",
                self.endpoint()
            ),
            Finding::TableFullHere | Finding::TableLooksFull => self.table_full(),
            Finding::NotBegun => self.not_begun(),
            Finding::NoWayOut
            | Finding::NoWay
            | Finding::NotDelivered
            | Finding::GatewaySilent
            | Finding::OtherWayOut => self.misrouted(finding),
            Finding::DroppedInbound => format!(
                "answers to {prefix} arrive on {}, and this host drops them before they reach their connections: a rule of its own firewall, or another filter here",
                self.arrival()
            ),
            Finding::DroppedOutbound => format!(
                "connections from {prefix} do not leave by {}, although there is a way: a rule of this host's own firewall drops them, or another filter here",
                self.device_name()
            ),
            Finding::RefusedHere => format!(
                "this host itself refuses to send from {prefix}: a rule of its own firewall, or of the unit that this runs in (IPAddressDeny)"
            ),
            Finding::Forbidden => match self
                .retry()
                .and_then(|retry| retry.forbidden_by(&self.own_addresses))
            {
                Some(router) => format!("{router} forbids packets from {prefix}"),
                None => format!("a router or firewall behind this host forbids packets from {prefix}"),
            },
            Finding::NoRouteBeyond => format!(
                "connections from {prefix} leave by {}, and a router behind it answers that it has no route for them (ICMPv6, code 0): it may route by source address, or lack a route to {}",
                self.watched(),
                self.endpoint()
            ),
            Finding::OnLink => format!(
                "{} takes {prefix} for on-link: it asks for each address instead of routing the prefix to this host",
                self.router()
            ),
            Finding::AnsweredInVain => format!(
                "{} takes {prefix} for on-link and asks for each address; this host advertises them (a responder runs here), and no answer to their connections arrives all the same. Not known: whether the router takes the advertisements, or something before it drops them",
                self.router()
            ),
            Finding::GatewayAway => format!(
                "no endpoint answers this host over IPv6: {} does not answer neighbour solicitations on {}. Not known: whether it is there, or a rule of this host keeps ICMPv6 from leaving or arriving",
                self.router(),
                self.device_name()
            ),
            Finding::NoUplink => self.no_uplink(),
            Finding::Renumbered => self.renumbered(),
            Finding::FilteredBeyond => format!(
                "connections from {prefix} leave by {} and get no answer, although {} hears packets from it and is heard: a filter there, behind it or before it drops them",
                self.watched(),
                self.way_back()
            ),
            Finding::FilteredSomewhere => self.filtered_somewhere(),
            Finding::NoReturn => self.no_return(),
            Finding::NoAnswer => self.no_answer(),
        }
    }

    fn works(&self) -> String {
        let prefix = self.prefix;
        let replies = self.attempt.map_or(&[][..], |attempt| &attempt.outcomes.replies);
        match replies {
            [only] if prefix.length() == 128 => {
                format!("a connection left from {} and was answered", only.bound)
            }
            [only] => format!(
                "a connection left from {} and was answered; one address shows nothing of the others of {prefix}",
                only.bound
            ),
            _ => format!("connections leave from random addresses of {prefix} and are answered"),
        }
    }

    fn endpoint(&self) -> String {
        match self.attempt {
            Some(attempt) => attempt.target.endpoint.to_string(),
            None => "the endpoint".to_owned(),
        }
    }

    fn late_error(&self) -> Option<&ProbeError> {
        let failures = &self.attempt?.outcomes.failures;
        failures
            .iter()
            .map(|failure| &failure.error)
            .find(|error| error.was_late())
    }

    /// The address that connections of the prefix leave with instead of their own.
    fn leaves_as(&self) -> Option<Ipv6Addr> {
        match self.attempt?.translation {
            Some(Translation::Here(address)) => Some(address),
            _ => self.retry()?.leaves_as(),
        }
    }

    fn name_servers_fail(&self) -> String {
        let prefix = self.prefix;
        let list = |servers: Vec<String>| servers.join(", ");
        let swallowed = self.swallowed_name_servers;
        if !swallowed.is_empty() {
            return format!(
                "no name is resolved: the name server {} lies in {prefix}, and this host takes it for an address of its own",
                list(swallowed.iter().map(ToString::to_string).collect())
            );
        }
        let all: Vec<IpAddr> = name_servers();
        match all.as_slice() {
            [] => "no name is resolved: this host has no name server (/etc/resolv.conf)".to_owned(),
            all => format!(
                "no name is resolved: the name servers give no answer ({}). Not known: whether the endpoints are reached",
                list(all.iter().map(ToString::to_string).collect())
            ),
        }
    }

    fn turned_away(&self) -> String {
        let prefix = self.prefix;
        let outcomes = self.attempt.map(|attempt| &attempt.outcomes);
        let error = outcomes.and_then(|outcomes| outcomes.turned_away().or(outcomes.first_error()));
        let reason = error.map_or_else(String::new, |error| format!(": {}", chain(error)));
        match error {
            Some(error) if error.was_refused() => format!(
                "connections from {prefix} are refused, by the endpoint or by a firewall in its place{reason}"
            ),
            _ => {
                format!("connections from {prefix} come about, and are not answered with an address{reason}")
            }
        }
    }

    fn table_full(&self) -> String {
        match (self.full_here(), self.retry().and_then(Retry::reached_from_own)) {
            (Some(Table { count, max }), _) => format!(
                "this host's own table of tracked connections is full ({count} of {max}): new ones are dropped"
            ),
            (None, Some(Hop { router, .. })) => format!(
                "looks like a full connection table behind {router}, or an endpoint that is overloaded: new connections hang, established ones go on"
            ),
            (None, None) => format!(
                "looks like a full connection table on {}: new connections hang, established ones go on",
                self.router()
            ),
        }
    }

    fn full_here(&self) -> Option<Table> {
        self.attempt?.tracking.as_ref().and_then(Tracking::full_here)
    }

    fn misrouted(&self, finding: Finding) -> String {
        let prefix = self.prefix;
        let rules = self.rules();
        match finding {
            Finding::NoWayOut => {
                let why = self.ways.and_then(|ways| ways.of_prefix.as_ref().err());
                format!(
                    "this host has no way out for packets from {prefix}: the route look-up ends with `{}`{rules}",
                    why.map_or("no route", String::as_str)
                )
            }
            Finding::NoWay => {
                let ways = self.ways;
                let why = ways.and_then(|ways| ways.of_prefix.as_ref().err());
                format!(
                    "this host has no way to {}, neither for its own address nor for {prefix}: the route look-up ends with `{}`{rules}",
                    self.endpoint(),
                    why.map_or("no route", String::as_str)
                )
            }
            Finding::NotDelivered => format!(
                "answers to {prefix} arrive on {0}, and the routing of this host does not deliver what comes in by {0}{rules}",
                self.arrival()
            ),
            Finding::GatewaySilent => format!(
                "packets from {prefix} go to {} by {}, which does not answer neighbour solicitations",
                self.router(),
                self.device_name()
            ),
            _ => match self.ways.and_then(Ways::other_way_out) {
                Some((device, home)) => format!(
                    "packets from {prefix} leave by {} ({}), not by {home}, on which it is set up, and no answer comes back",
                    device.name,
                    self.router()
                ),
                None => format!("packets from {prefix} leave by another device than it is set up on"),
            },
        }
    }

    /// The policy rules that concern the prefix.
    fn rules(&self) -> String {
        match self.ways.map_or(&[][..], |ways| ways.rules.as_slice()) {
            [] => String::new(),
            rules => format!(" (policy rules: `{}`)", rules.join("`, `")),
        }
    }

    fn no_uplink(&self) -> String {
        let whom = match self.attempt {
            Some(_) => format!("neither its own address nor {}", self.prefix),
            None => "from its own address".to_owned(),
        };
        if self.has_default {
            format!("no endpoint answers this host over IPv6, {whom}")
        } else {
            "this host has no default route for IPv6, and no endpoint answers it".to_owned()
        }
    }

    fn renumbered(&self) -> String {
        let prefix = self.prefix;
        match self.ways.and_then(Ways::successor) {
            Some(change) => format!(
                "{prefix} belongs to the address {} of {}, which the network has deprecated; {1} has {} now, and {prefix} gets no answer",
                change.old.address,
                self.device_name(),
                change.new.address
            ),
            None => format!("the network has deprecated the address that {prefix} belongs to"),
        }
    }

    fn no_return(&self) -> String {
        let prefix = self.prefix;
        match (self.only_part(), self.partly()) {
            (Some(part), _) => format!("answers come back to {part} only, not to the rest of {prefix}"),
            (None, Some(partly)) => {
                format!(
                    "{partly}. Their connections leave by {}, and no answer arrives there",
                    self.watched()
                )
            }
            (None, None) => format!(
                "connections from {prefix} leave by {}, and no answer arrives. Not known which of the two: {} has no route for {prefix} to this host, or a filter discards them (of a router, a hypervisor or the provider)",
                self.watched(),
                self.router()
            ),
        }
    }

    fn no_answer(&self) -> String {
        let prefix = self.prefix;
        let Some(attempt) = self.attempt else {
            return format!("{prefix} was not tried: there is no endpoint to ask");
        };
        if let Some(part) = self.only_part() {
            return format!("answers come back to {part} only, not to the rest of {prefix}");
        }
        let partly = self.partly();
        let what = partly.unwrap_or_else(|| {
            let error = attempt.outcomes.first_error();
            match error.filter(|error| !error.no_connection_in_time()) {
                Some(error) => format!("no connection from {prefix} comes about ({})", chain(error)),
                None => format!("no answer comes back to {prefix}"),
            }
        });
        if self.retry().is_some_and(Retry::saw_packets) {
            format!("{what}. Not known: where they are lost")
        } else {
            format!(
                "{what}. Not known: whether connections leave this host and answers arrive; if they leave and none does, {} has no route for {prefix} to this host, or a filter discards them",
                self.router()
            )
        }
    }

    /// How many addresses were not answered, where others were.
    fn partly(&self) -> Option<String> {
        let Egress { tried, answered, .. } = self.attempt?.outcomes.egress();
        (answered > 0).then(|| {
            format!(
                "{} of {tried} addresses of {} get no answer, the others do",
                tried - answered,
                self.prefix
            )
        })
    }

    fn only_part(&self) -> Option<ipnet::Ipv6Net> {
        self.attempt?.outcomes.only_part(self.prefix)
    }

    fn retry(&self) -> Option<&Retry> {
        self.attempt?.retry.as_ref()
    }

    /// Who says that packets of the prefix reach it.
    fn way_back(&self) -> String {
        match self.retry().and_then(|retry| retry.way_back(&self.own_addresses)) {
            Some(Hop { number, router }) => format!("{router} (hop {number})"),
            None => "who answers an address of it that this host has".to_owned(),
        }
    }

    /// The next hop of the prefix.
    fn gateway(&self) -> Option<Ipv6Addr> {
        let ways = self.ways?;
        let of_prefix = ways.of_prefix.as_ref().ok();
        of_prefix.or(ways.own.as_ref())?.gateway
    }

    fn router(&self) -> String {
        self.gateway().map_or_else(
            || "the router".to_owned(),
            |gateway| format!("the router {gateway}"),
        )
    }

    fn device_name(&self) -> &str {
        let of_prefix = self.ways.and_then(|ways| ways.of_prefix.as_ref().ok());
        of_prefix
            .map(|way| &way.device)
            .or(self.device)
            .map_or(UNKNOWN_DEVICE, |device| device.name.as_str())
    }

    /// The device on which answers arrive.
    fn arrival(&self) -> &str {
        self.arrived_on
            .map_or_else(|| self.device_name(), |device| device.name.as_str())
    }

    /// The devices that were watched.
    fn watched(&self) -> String {
        self.retry()
            .map_or_else(|| self.device_name().to_owned(), Retry::devices)
    }

    fn error(&self) -> Option<&ProbeError> {
        let outcomes = &self.attempt?.outcomes;
        outcomes.turned_away().or(outcomes.first_error())
    }

    /// What to do.
    pub(crate) fn hint(&self, finding: Finding) -> Option<String> {
        hints::hint(self, finding)
    }

    /// Where to look for the rule that drops packets in `direction`.
    fn suspects(&self, direction: Direction) -> Vec<String> {
        let device = match direction {
            Direction::In => self.arrived_on,
            Direction::Out => self
                .ways
                .and_then(|ways| ways.of_prefix.as_ref().ok())
                .map(|way| &way.device),
        };
        let devices = device.map(|device| device.name.as_str()).into_iter().collect();
        let suspects = self
            .retry()
            .map(|retry| retry.suspects(direction, devices))
            .unwrap_or_default();
        suspects
            .into_iter()
            .map(|(command, grown)| match grown {
                Some(grown) if grown > 0 => format!("`{command}` (its counter went up by {grown} meanwhile)"),
                _ => format!("`{command}`"),
            })
            .collect()
    }

    /// The hint of the error that stands in for the uplink.
    fn uplink_hint(&self) -> Option<String> {
        self.uplink.check(self.has_default).hint
    }

    fn endpoint_hint(&self) -> Option<String> {
        self.uplink.error().and_then(|(_, error)| error.hint())
    }
}
