//! What to do about a finding, in lines that run as they are printed.

use crate::endpoint::PUBLIC_ENDPOINTS;
use crate::finding::Finding;
use crate::firewall::Direction;
use crate::probe::ProbeError;
use crate::ways::Ways;
use v6kit_net::{Hint, Prefix};

use super::{Surroundings, UNKNOWN_DEVICE};
use crate::retry::Retry;
use crate::routes::Device;

/// What tells whether the table of a Linux router is full.
const LOOK_AT_TABLE: &str =
    "`sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max; dmesg | grep conntrack`";

/// How many places are named where a rule may stand.
const NAMED: usize = 3;

pub(super) fn hint(of: &Surroundings<'_>, finding: Finding) -> Option<String> {
    let prefix = of.prefix;
    let device = of.device_name();
    let command = &of.command;
    Some(match finding {
        Finding::Works | Finding::Ipv6Off => return None,
        Finding::OnLink => {
            let device = of.retry().and_then(Retry::solicited_on).map_or(device, |on| on.name.as_str());
            format!(
                "have the prefix routed to {}, or answer for it: `sudo v6kit ndp --prefix {prefix} --dev {device}`",
                host(of)
            )
        }
        Finding::AnsweredInVain => format!(
            "see on the router whether it has entries for them: `ip -6 neigh`; a switch or hypervisor may let only addresses pass that it gave out: have the prefix routed to {}",
            host(of)
        ),
        Finding::NoReturn | Finding::NoAnswer => return no_return(of),
        Finding::Forbidden | Finding::FilteredBeyond => format!(
            "let packets from {prefix} and the answers to them pass in the firewall of {}, and ask the provider whether it is delegated to you",
            filter(of)
        ),
        Finding::RefusedBeyond => {
            let other = other_endpoint(of);
            format!("{other}: one that answers shows that nobody near this host refuses {prefix}")
        }
        Finding::FilteredSomewhere => format!(
            "`sudo v6kit {command}` sees whether it is this host; if not, allow {prefix} as a source on {}",
            filter(of)
        ),
        Finding::TranslatedHere => "look for masquerade, snat or redirect: `sudo nft -a list ruleset`, `sudo ip6tables -t nat -S`; leave the prefix out of it".to_owned(),
        Finding::TranslatedBeyond | Finding::TranslatedOnTheWay => format!(
            "turn off address translation (NAT66, masquerading) and transparent proxies for {prefix} on {}",
            of.router()
        ),
        Finding::Translated | Finding::TranslatedSomewhere => format!(
            "`sudo v6kit {command}` sees whether this host does it; turn off address translation (NAT66, masquerading) and transparent proxies for {prefix}"
        ),
        Finding::DoesNotTell => other_endpoint(of),
        Finding::PathMtu => {
            "let ICMPv6 \"packet too big\" pass on the way (RFC 4890), and see that no device there takes less than its neighbours send; until then smaller packets help: an mtu of 1280 on this host's default route (`ip -6 route show default`)".to_owned()
        }
        Finding::TooLate => return of.late_error().and_then(Hint::hint),
        Finding::NotSetUp => {
            let command = setup(of, "");
            format!("`sudo v6kit {command}`")
        }
        Finding::TableFullHere => {
            let command = setup(of, " --conntrack notrack");
            format!(
            "`sudo v6kit {command}` keeps the prefix out of it; or raise net.netfilter.nf_conntrack_max"
            )
        }
        Finding::TableLooksFull => format!(
            "look at the router: `v6kit router check`, or on it {LOOK_AT_TABLE}; then keep {prefix} out of it (`v6kit help router`), or raise net.netfilter.nf_conntrack_max"
        ),
        Finding::NameServers if !of.swallowed_name_servers.is_empty() => format!(
            "set up a part of {prefix} that no name server lies in, or name another server in /etc/resolv.conf"
        ),
        Finding::Endpoint if of.uplink.error().is_some_and(|(_, error)| error.was_answered()) => other_endpoint(of),
        Finding::NameServers | Finding::Endpoint => return of.endpoint_hint(),
        Finding::TurnedAway if of.error().is_some_and(ProbeError::was_answered) => other_endpoint(of),
        Finding::TurnedAway => return of.error().and_then(Hint::hint),
        Finding::NoWayOut => format!("see {}`ip -6 rule`, and mend the rule or its table", look_up(of)),
        Finding::NoWay => format!(
            "see {}`ip -6 route`: a route that discards or refuses, or whose table has none, takes these packets before the default route does",
            look_up(of)
        ),
        Finding::NotBegun => return of.error().and_then(Hint::hint),
        Finding::NoRouteBeyond => format!(
            "have {} route packets from {prefix} as it does those of this host's own address; a provider may do so only for what is delegated to you",
            of.router()
        ),
        Finding::NotDelivered => format!(
            "see {}`ip -6 rule`: what comes in has to find the local route of {prefix}",
            look_up_inward(of)
        ),
        Finding::GatewaySilent => format!("see {}`ip -6 neigh show dev {device}`", look_up(of)),
        Finding::GatewayAway => format!(
            "see `ip -6 neigh show dev {device}`, and whether the rules of this host let neighbour discovery pass (RFC 4890 section 4.4.1): `sudo nft -a list ruleset`, `sudo ip6tables -S`"
        ),
        Finding::OtherWayOut => other_way_out(of),
        Finding::DroppedInbound => dropped(of, Direction::In),
        Finding::DroppedOutbound | Finding::RefusedHere => dropped(of, Direction::Out),
        Finding::Renumbered => renumbered(of),
        Finding::NoUplink if of.uplink.is_silent() && of.gateway().is_some() => format!(
            "see whether {0} reaches the internet; where connections from before go on, a full connection table on {0} looks the same: {LOOK_AT_TABLE}",
            of.router()
        ),
        Finding::NoUplink => return of.uplink_hint(),
    })
}

fn no_return(of: &Surroundings<'_>) -> Option<String> {
    let prefix = of.prefix;
    if let Some(part) = of.only_part() {
        return Some(format!(
            "use the part that works, {part}, or have all of {prefix} routed to this host"
        ));
    }
    let attempt = of.attempt?;
    let error = attempt
        .outcomes
        .first_error()
        .filter(|error| !error.no_connection_in_time());
    if let Some(hint) = error.and_then(Hint::hint) {
        return Some(hint);
    }
    if of.partly().is_some() {
        return Some(format!(
            "see whether the whole of {prefix} is routed here, and whether a table of the router is full: `v6kit router check`"
        ));
    }
    let first = if of.retry().is_some_and(Retry::saw_packets) {
        String::new()
    } else {
        let command = &of.command;
        format!("`sudo v6kit {command}` sees whether it is this host; ")
    };
    Some(format!(
        "{first}see whether the router has a route for it: `ip -6 route get {}` there; if not: `ip -6 route add {prefix} via {}`{}; if it has one, look for a filter of source addresses there and before it",
        prefix.network(),
        host(of),
        by_link_local(of)
    ))
}

/// Arguments of v6kit that set the prefix up, with `more`.
fn setup(of: &Surroundings<'_>, more: &str) -> String {
    let prefix = of.prefix;
    match of.device_name() {
        // Without a device setup finds it by itself.
        UNKNOWN_DEVICE => format!("setup --prefix {prefix}{more}"),
        device => format!("setup --prefix {prefix} --dev {device}{more}"),
    }
}

/// A server that tells callers' addresses and was not asked yet.
fn other_endpoint(of: &Surroundings<'_>) -> String {
    let asked = of.endpoint();
    let other = PUBLIC_ENDPOINTS
        .into_iter()
        .find(|other| *other != asked)
        .unwrap_or_default();
    let command = format!("verify --prefix {} --endpoint {other}", of.prefix);
    format!(
        "ask a server that answers with the caller's address alone: `v6kit {command}`, or one of your own on a host elsewhere: `v6kit help echo`"
    )
}

/// Our own rules come first.
fn dropped(of: &Surroundings<'_>, direction: Direction) -> String {
    let mut hints = Vec::new();
    let firewall = of.retry().map(|retry| &retry.firewall);
    if firewall.is_some_and(|firewall| firewall.our_notrack) {
        let command = setup(of, " --conntrack keep");
        hints.push(format!(
            "our own notrack rules first: untracked packets pass no rule for established connections; `sudo v6kit {command}` takes them back"
        ));
    }
    let suspects = of.suspects(direction);
    if suspects.is_empty() {
        let unseen = firewall
            .map(|firewall| firewall.unseen.join(", "))
            .unwrap_or_default();
        hints.push(if unseen.is_empty() {
            "no rule of nftables or ip6tables here can have dropped or diverted them: look at tc, eBPF and policy (`tc filter show`, `ip xfrm policy`)".to_owned()
        } else {
            format!("which rule is not known ({unseen}): see `sudo nft -a list ruleset` and `sudo ip6tables -S`")
        });
    } else {
        let rest = suspects.len().saturating_sub(NAMED);
        let more = if rest == 0 {
            String::new()
        } else {
            format!(" and {rest} more")
        };
        let named: Vec<String> = suspects.into_iter().take(NAMED).collect();
        hints.push(format!(
            "rules that can drop or divert them stand in {}{more}",
            named.join(", ")
        ));
    }
    hints.join("; then: ")
}

fn renumbered(of: &Surroundings<'_>) -> String {
    let Some(change) = of.ways.and_then(Ways::successor) else {
        return format!("`sudo v6kit teardown` takes {} back", of.prefix);
    };
    let network = Prefix::around(change.new.address, change.new.length);
    format!(
        "`sudo v6kit teardown`, then `sudo v6kit setup --prefix {network} --dev {}`, or a part of it that is yours",
        of.device_name()
    )
}

fn other_way_out(of: &Surroundings<'_>) -> String {
    let prefix = of.prefix;
    match of.ways.and_then(Ways::other_way_out) {
        Some((_, home)) => format!(
            "lead it out by {home}: `sudo ip -6 rule add from {prefix} lookup 100`, with a default route by the router of {home} in that table (sudo ip -6 route add default via ROUTER dev {home} table 100)"
        ),
        None => "see `ip -6 rule`".to_owned(),
    }
}

fn look_up(of: &Surroundings<'_>) -> String {
    of.ways
        .map_or_else(String::new, |ways| format!("`{}` and ", ways.command()))
}

fn look_up_inward(of: &Surroundings<'_>) -> String {
    match (of.ways, of.arrived_on) {
        (Some(ways), Some(device)) => format!("`{}` and ", ways.command_inward(device)),
        _ => String::new(),
    }
}

fn filter(of: &Surroundings<'_>) -> String {
    let retry = of.retry();
    let forbidden_by = retry.and_then(|retry| retry.forbidden_by(&of.own_addresses));
    let way_back = retry.and_then(|retry| retry.way_back(&of.own_addresses));
    let router = forbidden_by.or(way_back.map(|hop| hop.router));
    router.map_or_else(|| of.router(), |router| router.to_string())
}

/// This host, as the router of the prefix reaches it.
fn host(of: &Surroundings<'_>) -> String {
    let own = of.ways.and_then(Ways::host_address).or_else(|| {
        let is_outside = |own: &std::net::Ipv6Addr| !of.prefix.contains(*own);
        of.own.filter(|own| of.ways.is_none() && is_outside(own))
    });
    own.or_else(|| link_local(of))
        .map_or_else(|| "HOST".to_owned(), |address| address.to_string())
}

fn link_local(of: &Surroundings<'_>) -> Option<std::net::Ipv6Addr> {
    Device::named(of.device_name())?.link_local()
}

fn by_link_local(of: &Surroundings<'_>) -> String {
    match (of.ways.and_then(Ways::host_address), link_local(of)) {
        (Some(_), Some(link_local)) => {
            format!(" (or, where that address may change, `via {link_local} dev` its LAN device)")
        }
        _ => String::new(),
    }
}
