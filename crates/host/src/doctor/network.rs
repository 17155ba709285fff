//! The prefix, its routes, connection tracking and the firewall.

use std::path::Path;

use serde::Serialize;
use v6kit_net::{Code, InboundFilter, Prefix, chain, shell_word};

use super::finding::{Finding, FindingState};
use super::text::count;
use crate::device::Device;
use crate::error::HostError;
use crate::exposure::filter;
use crate::facts::{
    CONNTRACK_BUCKETS, CONNTRACK_COUNT, CONNTRACK_MAX, is_without_advertisements, is_without_ipv6,
    may_administer_network,
};
use crate::netlink::{Link, Netlink, NetlinkError, PROTOCOL, Route};
use crate::nft::{self, NftError};
use crate::place::Place;
use crate::report::{StatusReport, StatusState, StatusStep};
use crate::sysctl;
use crate::{SetUp, Summary};

/// What the network of this host is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Whether the kernel has IPv6.
    pub ipv6: bool,
    /// The IPv6 default routes, as ip-route(8) writes them.
    pub default_routes: Vec<String>,
    /// `net.ipv4.ip_local_port_range`, which holds for IPv6 too.
    pub port_range: Option<String>,
    /// `net.ipv6.ip_nonlocal_bind`.
    pub nonlocal_bind: Option<bool>,
    /// The prefixes that are set up, the latest first.
    pub setups: Vec<PrefixState>,
    /// The table of tracked connections, where there is one.
    pub conntrack: Option<Tracking>,
    /// The version of nft; `None` where it is not installed.
    pub nft: Option<String>,
}

/// A prefix that is set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrefixState {
    /// The prefix.
    pub prefix: Prefix,
    /// The device that it is routed to.
    pub device: String,
    /// Whether it was set up since this host was booted.
    pub this_boot: bool,
    /// Whether the kernel delivers it to this host; `None` where routes cannot be read.
    pub delivered: Option<bool>,
}

/// The table of tracked connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tracking {
    /// Entries of this network namespace.
    pub entries: u64,
    /// How many there may be.
    pub max: u64,
    /// In how many buckets they lie.
    pub buckets: Option<u64>,
}

/// Links and routes.
struct Routing {
    links: Vec<Link>,
    routes: Vec<Route>,
}

/// Reads the network, and judges it.
pub(super) async fn examine(state_dir: &Path, findings: &mut Vec<Finding>) -> Network {
    let mut network = Network {
        ipv6: Path::new("/proc/sys/net/ipv6").exists(),
        port_range: read("net.ipv4.ip_local_port_range"),
        nonlocal_bind: read("net.ipv6.ip_nonlocal_bind").map(|value| value != "0"),
        conntrack: tracking(),
        ..Network::default()
    };
    let summary = Summary::read(state_dir);
    let routing = routing().await;
    let setups: Vec<SetUp> = match &summary {
        Ok(Some(summary)) => summary.setups.clone(),
        _ => Vec::new(),
    };
    findings.push(ipv6(&network, routing.as_ref().ok(), &setups));
    let has_ipv6 = findings
        .last()
        .is_some_and(|finding| finding.state != FindingState::Failed);
    findings.push(match &routing {
        Ok(routing) => {
            network.default_routes = default_routes(routing);
            default_route(&network, &routing.links, &setups, has_ipv6)
        }
        Err(error) => Finding::unknown("route", chain(error)).hint_of(error),
    });
    match summary {
        Err(error) => {
            findings.push(Finding::failed("setup", chain(&error)).hint_of(&error));
        }
        Ok(None) => findings.push(Finding::ok("setup", "no prefix is set up")),
        Ok(Some(_)) => {
            let boot = Place::here().ok().map(|place| place.boot_id);
            for setup in setups {
                let device = match &routing {
                    Ok(routing) => Device::find(&setup.device, setup.device_index, &routing.links),
                    Err(_) => Device::Present,
                };
                let state = prefix_state(setup, boot.as_deref(), routing.as_ref().ok());
                findings.push(setup_finding(&state, &device, state_dir).await);
                network.setups.push(state);
            }
        }
    }
    findings.extend(ports(&network));
    findings.push(conntrack(network.conntrack, &network.setups));
    let (version, finding) = firewall(&network.setups);
    network.nft = version;
    findings.push(finding);
    network
}

async fn routing() -> Result<Routing, NetlinkError> {
    let netlink = Netlink::open()?;
    Ok(Routing {
        links: netlink.links().await?,
        routes: netlink.routes(|_| true).await?,
    })
}

fn read(name: &str) -> Option<String> {
    sysctl::read(name).ok()?.as_text().map(ToOwned::to_owned)
}

fn tracking() -> Option<Tracking> {
    let number = |name| read(name)?.parse().ok();
    Some(Tracking {
        entries: number(CONNTRACK_COUNT)?,
        max: number(CONNTRACK_MAX)?,
        buckets: number(CONNTRACK_BUCKETS),
    })
}

fn ipv6(network: &Network, routing: Option<&Routing>, setups: &[SetUp]) -> Finding {
    const ID: &str = "ipv6";
    if !Path::new("/proc/sys").exists() {
        return Finding::unknown(ID, "/proc is not mounted");
    }
    if !network.ipv6 {
        return Finding::failed(ID, "this system has no IPv6").hint_of(&HostError::NoIpv6);
    }
    let links = routing
        .map(|routing| routing.links.as_slice())
        .unwrap_or_default();
    if let Some(finding) = below_ipv6(links, setups).or_else(|| loopback_down(links, setups)) {
        return finding;
    }
    let off: Vec<&Link> = links.iter().filter(|link| is_without_ipv6(&link.name)).collect();
    if off.is_empty() {
        return Finding::ok(ID, "on");
    }
    let names: Vec<&str> = off.iter().map(|link| link.name.as_str()).collect();
    let names = names.join(", ");
    let switched_off = |device: &str| HostError::Ipv6Off {
        device: device.to_owned(),
    };
    // Where nothing but loopback is there, loopback is what counts.
    let leads_out = links.iter().any(|link| !link.is_loopback);
    let counts = |link: &&Link| !leads_out || !link.is_loopback;
    if links.iter().filter(counts).all(|link| off.contains(&link)) {
        let everywhere = if is_without_ipv6("all") {
            "all"
        } else {
            &off[0].name
        };
        return Finding::failed(ID, format!("switched off on every device: {names}"))
            .hint_of(&switched_off(everywhere));
    }
    let is_needed = |link: &&&Link| {
        let name = &link.name;
        setups
            .iter()
            .any(|setup| setup.device == *name || setup.route_device == *name)
    };
    match off.iter().find(is_needed) {
        Some(link) => Finding::failed(
            ID,
            format!("switched off on {}, which the setup needs", link.name),
        )
        .hint_of(&switched_off(&link.name)),
        None => Finding::ok(ID, format!("on; switched off on {names}")),
    }
}

/// A device that is down and that answers are delivered by.
fn loopback_down(links: &[Link], setups: &[SetUp]) -> Option<Finding> {
    let delivers =
        |link: &&Link| link.name == "lo" || setups.iter().any(|setup| setup.route_device == link.name);
    let down = links.iter().filter(delivers).find(|link| !link.is_up)?;
    let device = down.name.clone();
    let detail = format!("{device} is down: what arrives for a prefix is not delivered");
    Some(Finding::failed("ipv6", detail).hint_of(&HostError::DeviceDown { device }))
}

/// A device that carries no IPv6 because of its MTU, where a setup needs it or no other one leads out.
fn below_ipv6(links: &[Link], setups: &[SetUp]) -> Option<Finding> {
    let leads_out = |link: &&Link| !link.is_loopback;
    let no_other = links
        .iter()
        .filter(leads_out)
        .all(|link| link.below_ipv6().is_some());
    let is_needed = |link: &&Link| no_other || setups.iter().any(|setup| setup.device == link.name);
    let link = links
        .iter()
        .filter(leads_out)
        .filter(is_needed)
        .find(|link| link.below_ipv6().is_some())?;
    let error = HostError::MtuTooSmall {
        device: link.name.clone(),
        mtu: link.below_ipv6()?,
    };
    Some(Finding::failed("ipv6", error.to_string()).hint_of(&error))
}

fn default_routes(routing: &Routing) -> Vec<String> {
    let name = |index: Option<u32>| {
        routing
            .links
            .iter()
            .find(|link| Some(link.index) == index)
            .map_or("several devices", |link| link.name.as_str())
    };
    routing
        .routes
        .iter()
        .filter(|route| route.is_default())
        .map(|route| match route.gateways.first() {
            Some(gateway) => format!("default via {gateway} dev {}", name(route.link)),
            None => format!("default dev {}", name(route.link)),
        })
        .collect()
}

fn default_route(network: &Network, links: &[Link], setups: &[SetUp], has_ipv6: bool) -> Finding {
    const ID: &str = "route";
    if !network.default_routes.is_empty() {
        return Finding::ok(ID, network.default_routes.join("; "));
    }
    let finding = if setups.is_empty() {
        Finding::warning(ID, "there is no IPv6 default route")
    } else {
        Finding::failed(ID, "there is no IPv6 default route: nothing outside is reached")
    };
    if !has_ipv6 {
        return finding;
    }
    let hint = without_advertisements(links, setups).unwrap_or_else(|| {
        "check the uplink: `ip -6 route`, and that router advertisements arrive".to_owned()
    });
    finding.hint(Code::NoUplink, hint)
}

/// The devices that take no advertisements, and the command for the one that the prefix arrives on.
fn without_advertisements(links: &[Link], setups: &[SetUp]) -> Option<String> {
    let deaf: Vec<&str> = links
        .iter()
        .filter(|link| link.is_up && link.port_of.is_none() && is_without_advertisements(&link.name))
        .map(|link| link.name.as_str())
        .collect();
    let uplink = deaf
        .iter()
        .find(|name| setups.iter().any(|setup| setup.device == **name))
        .or(deaf.first())?;
    Some(format!(
        "this host forwards (forwarding=1), so router advertisements are not taken on {} (accept_ra=1); where the uplink is {uplink}: `sudo sysctl -w {}`",
        deaf.join(", "),
        shell_word(&format!("net/ipv6/conf/{uplink}/accept_ra=2"))
    ))
}

fn prefix_state(setup: SetUp, boot: Option<&str>, routing: Option<&Routing>) -> PrefixState {
    PrefixState {
        this_boot: boot.is_none_or(|boot| boot == setup.boot_id) || has_route_of_ours(setup.prefix, routing),
        delivered: routing.map(|routing| routing.routes.iter().any(|route| route.delivers(setup.prefix))),
        prefix: setup.prefix,
        device: setup.device,
    }
}

/// A route with our mark is of this boot, whatever boot id this process sees (systemd-nspawn shows two).
fn has_route_of_ours(prefix: Prefix, routing: Option<&Routing>) -> bool {
    let routes = routing
        .map(|routing| routing.routes.as_slice())
        .unwrap_or_default();
    routes
        .iter()
        .any(|route| route.protocol == PROTOCOL && route.destination == prefix.into())
}

async fn setup_finding(state: &PrefixState, present: &Device, state_dir: &Path) -> Finding {
    const ID: &str = "setup";
    let PrefixState { prefix, device, .. } = state;
    if let Some(remark) = present.remark(device, *prefix) {
        return Finding::failed(ID, format!("{prefix} was set up on {device}, which is not there"))
            .hint(Code::Drifted, remark);
    }
    let again = format!(
        "run it again: `sudo v6kit setup --prefix {prefix} --dev {}`",
        shell_word(device)
    );
    if !state.this_boot {
        return Finding::failed(ID, format!("{prefix} was set up before this host was booted"))
            .hint(Code::Drifted, again);
    }
    if state.delivered == Some(false) {
        return Finding::failed(ID, format!("{prefix} on {device}: its route is gone"))
            .hint(Code::Drifted, again);
    }
    let drifted = |report: &StatusReport| {
        let is_off = |step: &&StatusStep| step.state != StatusState::InOrder;
        let hint = report
            .steps
            .iter()
            .filter(is_off)
            .find_map(|step| step.hint.clone());
        Finding::failed(ID, format!("{prefix} on {device}: {}", faults(report)))
            .hint(Code::Drifted, hint.unwrap_or_else(|| again.clone()))
    };
    match crate::status(state_dir, Some(*prefix)).await {
        Ok(Some(report)) if report.in_order => Finding::ok(
            ID,
            format!("{prefix} on {device}: {} steps in order", report.steps.len()),
        ),
        Ok(Some(report)) => drifted(&report),
        Ok(None) => Finding::failed(ID, format!("{prefix} on {device}: the journal does not know it"))
            .hint(Code::Drifted, again.clone()),
        Err(HostError::NotPrivileged { .. }) => {
            match crate::status::status_without_firewall(state_dir, *prefix).await {
                Ok(report) if report.in_order => Finding::ok(
                    ID,
                    format!(
                        "{prefix} on {device}: delivered to this host, {} steps in order (the firewall is visible to root only)",
                        report.steps.len()
                    ),
                ),
                Ok(report) => drifted(&report),
                Err(error) => {
                    Finding::unknown(ID, format!("{prefix} on {device}: {}", chain(&error))).hint_of(&error)
                }
            }
        }
        Err(error) => {
            Finding::unknown(ID, format!("{prefix} on {device}: {}", chain(&error))).hint_of(&error)
        }
    }
}

fn faults(report: &StatusReport) -> String {
    let steps: Vec<String> = report
        .steps
        .iter()
        .filter_map(|step| match step.state {
            StatusState::InOrder => None,
            StatusState::Drifted => Some(format!("{} drifted", step.id)),
            StatusState::Missing => Some(format!("{} is missing", step.id)),
        })
        .chain(report.remarks.iter().cloned())
        .collect();
    steps.join(", ")
}

/// Only where IPv4's part of /proc is there, which holds the range for IPv6 as well.
fn ports(network: &Network) -> Option<Finding> {
    const ID: &str = "ports";
    let range = network.port_range.as_deref()?;
    let bind = match network.nonlocal_bind {
        Some(true) => "other programs may send from any address",
        Some(false) => "other programs may not send from any address (ip_nonlocal_bind is 0)",
        None => "ip_nonlocal_bind cannot be read",
    };
    Some(Finding::ok(
        ID,
        format!("{} per address and destination; {bind}", range.replace(' ', "-")),
    ))
}

fn conntrack(tracking: Option<Tracking>, setups: &[PrefixState]) -> Finding {
    const ID: &str = "conntrack";
    let Some(Tracking {
        entries,
        max,
        buckets,
    }) = tracking
    else {
        return Finding::ok(ID, "this host does not track connections");
    };
    let mut detail = format!("{} of {} entries", count(entries), count(max));
    if let Some(buckets) = buckets {
        detail = format!("{detail}, {} buckets", count(buckets));
    }
    let raise = format!("`sudo sysctl -w {CONNTRACK_MAX}={}`", max.saturating_mul(2));
    let hint = match setups.first() {
        Some(PrefixState { prefix, device, .. }) => format!(
            "keep the prefix out of the table: `sudo v6kit setup --prefix {prefix} --dev {} --conntrack notrack`; or raise it: {raise}",
            shell_word(device)
        ),
        None => format!("raise it: {raise}"),
    };
    // The kernel evicts an entry here and there when it is full (early_drop), so the count trembles.
    if max > 0 && entries >= max - max / 50 {
        Finding::failed(ID, format!("{detail}: full, new connections are dropped"))
            .hint(Code::TableFull, hint)
    } else if max > 0 && entries >= max / 4 * 3 {
        Finding::warning(ID, detail).hint(Code::TableFull, hint)
    } else {
        Finding::ok(ID, detail)
    }
}

fn firewall(setups: &[PrefixState]) -> (Option<String>, Finding) {
    const ID: &str = "nft";
    let version = match nft::version() {
        Ok(version) => version,
        Err(error @ NftError::Missing) => {
            return (
                None,
                Finding::warning(ID, "not installed: the prefix cannot be shielded from callers")
                    .hint_of(&error),
            );
        }
        Err(error) => return (None, Finding::warning(ID, chain(&error)).hint_of(&error)),
    };
    if !may_administer_network().unwrap_or(false) {
        let finding = Finding::ok(ID, format!("{version}; rules are visible to root only"));
        return (Some(version), finding);
    }
    let open: Vec<String> = setups
        .iter()
        .filter(|setup| setup.this_boot && filter(setup.prefix) == InboundFilter::Missing)
        .map(|setup| setup.prefix.to_string())
        .collect();
    let finding = match nft::read() {
        Err(error) => Finding::warning(ID, format!("{version}; {}", chain(&error))).hint_of(&error),
        Ok(_) if !open.is_empty() => Finding::warning(
            ID,
            format!("{version}; callers from outside reach {}", open.join(", ")),
        )
        .hint(
            Code::Inbound,
            format!(
                "`sudo v6kit setup --prefix {} --inbound drop` shuts it; with --inbound allow it is meant so",
                open[0]
            ),
        ),
        Ok(table) => match table.as_text().map(nft::describe_listing) {
            Some(table) => Finding::ok(ID, format!("{version}; {table}")),
            None => Finding::ok(ID, format!("{version}; no table of ours")),
        },
    };
    (Some(version), finding)
}
