//! Addresses that were not answered, tried once more while the devices, the routers and this host's own rules are
//! watched.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use futures_util::future::{OptionFuture, join3};
use v6kit_net::{Code, Prefix, chain};

use crate::egress::{self, Outcomes};
use crate::evidence::{Evidence, Observation};
use crate::firewall::{Direction, Firewall, Flow};
use crate::probe::{ProbeError, Target};
use crate::report::Check;
use crate::routes::Device;
use crate::trace::{Hop, Trace, trace};
use crate::wire::{self, Packets, Seen, Wire};

/// Addresses whose packets are looked for. More would prove no more.
const WATCHED: usize = 64;

/// How long routers are listened for at most: they answer at once or not at all.
const TRACE: Duration = Duration::from_secs(3);

/// How long is looked at least. A router that asks for an address does so three times, a second apart, and then for some
/// time not at all (RetransTimer and MAX_MULTICAST_SOLICIT, RFC 4861 section 10): what was asked for at the first try is
/// asked for again within this time, and so is what is asked for anew.
const LONG_ENOUGH: Duration = Duration::from_secs(4);

/// An answer that comes in this part of the time a connection may take was not too late.
const IN_TIME: f64 = 0.75;

/// What the retry showed.
#[derive(Debug)]
pub(crate) struct Retry {
    watched: Vec<Ipv6Addr>,
    endpoint: SocketAddrV6,
    patience: Duration,
    seen: Vec<(Device, io::Result<Seen>)>,
    from_prefix: io::Result<Trace>,
    from_own: Option<io::Result<Trace>>,
    firewall_before: Firewall,
    pub(crate) firewall: Firewall,
}

/// Where to look, and from where to send.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) target: &'a Target,
    pub(crate) prefix: Prefix,
    /// Addresses of the prefix that were not answered.
    pub(crate) failed: &'a [Ipv6Addr],
    /// The one from which the routers are asked.
    pub(crate) first: Ipv6Addr,
    /// The host's own address, where that was answered.
    pub(crate) own: Option<Ipv6Addr>,
    /// The devices to watch, with how many solicitations arrived on each during the first try.
    pub(crate) devices: Vec<(Device, u64)>,
}

/// Looks for as long as a connection may take, which is `patience`, or [`LONG_ENOUGH`], and says how the addresses fared
/// this time.
pub(crate) async fn retry(scene: Scene<'_>, patience: Duration) -> (Outcomes, Retry) {
    let to = *scene.target.to.ip();
    let longer = patience.max(LONG_ENOUGH);
    let watched: Vec<Ipv6Addr> = scene.failed.iter().copied().take(WATCHED).collect();
    let firewall_before = Firewall::read(scene.prefix).await;
    let mut wires = Vec::new();
    let mut seen = Vec::new();
    for (device, usual) in scene.devices {
        // What arrives anyway was counted for the time of a first try.
        let usual = (usual as f64 * longer.div_duration_f64(patience)).ceil() as u64;
        match Wire::watch(&device, &watched, scene.target.to, usual) {
            Ok(wire) => wires.push(wire),
            Err(error) => seen.push((device, Err(error))),
        }
    }
    let attempts = join3(
        egress::ask_longer(scene.target, scene.failed, patience, longer),
        trace(scene.first, to, longer.min(TRACE)),
        OptionFuture::from(scene.own.map(|own| trace(own, to, longer.min(TRACE)))),
    );
    let ((outcomes, from_prefix, from_own), watched_devices) = wire::during(wires, attempts).await;
    seen.extend(watched_devices);
    let retry = Retry {
        watched,
        endpoint: scene.target.to,
        patience,
        seen,
        from_prefix,
        from_own,
        firewall_before,
        firewall: Firewall::read(scene.prefix).await,
    };
    (outcomes, retry)
}

impl Retry {
    /// What was seen of the addresses that were not answered this time either. `own` are the addresses of this host,
    /// `can_leave` says that there is a way out whose next hop is known.
    pub(crate) fn observe(
        &self,
        outcomes: &Outcomes,
        own: &BTreeSet<Ipv6Addr>,
        can_leave: bool,
        evidence: &mut Evidence,
    ) {
        let silent = self.watched_among(outcomes.silent());
        evidence.add_if(
            !silent.is_empty() && self.all_left(&silent),
            Observation::SynsLeft,
        );
        let held = can_leave && !silent.is_empty() && self.none_left(&silent);
        let as_others = held && self.left_as_others() >= self.watched.len();
        evidence.add_if(held && !as_others, Observation::SynsHeld);
        evidence.add_if(as_others, Observation::LeftAsOther);
        evidence.add_if(self.arrived_on(&silent).is_some(), Observation::AnswersArrived);
        evidence.add_if(self.no_answer_came(&silent), Observation::AnswersMissing);
        evidence.add_if(self.solicited(), Observation::Solicited);
        evidence.add_if(self.advertised(&silent), Observation::Advertised);
        let late = outcomes.failed_with(ProbeError::was_late).next();
        evidence.add_if(late.is_some(), Observation::AnswersLate);

        let refused = self.watched_among(outcomes.failed_with(ProbeError::was_refused));
        let prohibited = self.watched_among(outcomes.failed_with(ProbeError::was_prohibited));
        let left = |addresses: &[Ipv6Addr]| !addresses.is_empty() && self.all_left(addresses);
        let kept = |addresses: &[Ipv6Addr]| !addresses.is_empty() && self.none_left(addresses);
        let offender = self.offender();
        let refused_here = outcomes
            .failed_with(ProbeError::was_refused_here)
            .next()
            .is_some()
            || self.from_prefix.as_ref().is_ok_and(|trace| trace.refused_here)
            || offender.is_some_and(|offender| own.contains(&offender))
            || can_leave && (kept(&refused) || kept(&prohibited));
        evidence.add_if(refused_here, Observation::RefusedHere);
        evidence.add_if(
            outcomes.turned_away().is_some() || left(&refused),
            Observation::TurnedAway,
        );
        evidence.add_if(left(&refused), Observation::Refused);
        evidence.add_if(
            self.forbidden_by(own).is_some() || left(&prohibited),
            Observation::Forbidden,
        );
        let routeless = self.watched_among(outcomes.failed_with(ProbeError::had_no_route));
        evidence.add_if(left(&routeless), Observation::NoRouteSaid);
        evidence.add_if(self.way_back(own).is_some(), Observation::WayBack);
    }

    fn watched_among(&self, addresses: impl Iterator<Item = Ipv6Addr>) -> Vec<Ipv6Addr> {
        addresses
            .filter(|address| self.watched.contains(address))
            .collect()
    }

    /// The devices whose packets were seen.
    fn captured(&self) -> impl Iterator<Item = (&Device, &Packets)> {
        self.seen.iter().filter_map(|(device, seen)| match seen {
            Ok(Seen::Packets(packets)) => Some((device, packets)),
            _ => None,
        })
    }

    /// Whether packets were seen on every device that was to be watched.
    fn all_captured(&self) -> bool {
        !self.seen.is_empty() && self.captured().count() == self.seen.len()
    }

    fn all_left(&self, addresses: &[Ipv6Addr]) -> bool {
        addresses
            .iter()
            .all(|address| self.captured().any(|(_, packets)| packets.left_from(*address)))
    }

    fn none_left(&self, addresses: &[Ipv6Addr]) -> bool {
        let left = |address: &Ipv6Addr| self.captured().any(|(_, packets)| packets.left_from(*address));
        self.all_captured() && !addresses.iter().any(left)
    }

    /// Connections to the endpoint that left from other addresses than those tried.
    fn left_as_others(&self) -> usize {
        self.captured().map(|(_, packets)| packets.sent.len()).sum()
    }

    /// The address that connections of the prefix leave with instead.
    pub(crate) fn leaves_as(&self) -> Option<Ipv6Addr> {
        let mut sent = self.captured().flat_map(|(_, packets)| &packets.sent);
        sent.find(|(from, _)| !self.watched.contains(from))
            .map(|(from, _)| *from)
    }

    /// The device on which an answer to one of `silent` arrived in time.
    pub(crate) fn arrived_on(&self, silent: &[Ipv6Addr]) -> Option<&Device> {
        let in_time = self.patience.mul_f64(IN_TIME);
        let has_come = |packets: &Packets| {
            silent
                .iter()
                .any(|to| packets.answered.get(to).is_some_and(|at| *at < in_time))
        };
        self.captured()
            .find(|(_, packets)| has_come(packets))
            .map(|(device, _)| device)
    }

    fn no_answer_came(&self, silent: &[Ipv6Addr]) -> bool {
        let came = |packets: &Packets| silent.iter().any(|to| packets.answered.contains_key(to));
        self.all_captured() && !silent.is_empty() && !self.captured().any(|(_, packets)| came(packets))
    }

    /// Whether neighbour solicitations for the addresses arrived.
    fn solicited(&self) -> bool {
        self.seen
            .iter()
            .any(|(_, seen)| seen.as_ref().is_ok_and(|seen| self.solicitations(seen) > 0))
    }

    /// Whether somebody here answered solicitations for addresses that got no answer all the same.
    fn advertised(&self, silent: &[Ipv6Addr]) -> bool {
        let told = |packets: &Packets| silent.iter().any(|address| packets.advertised.contains(address));
        self.captured().any(|(_, packets)| told(packets))
    }

    fn solicitations(&self, seen: &Seen) -> u64 {
        match seen {
            Seen::Packets(packets) => self
                .watched
                .iter()
                .filter(|address| packets.solicited.contains(address))
                .count() as u64,
            Seen::Counter { solicitations } => *solicitations,
        }
    }

    /// The device on which neighbour solicitations for the addresses arrived.
    pub(crate) fn solicited_on(&self) -> Option<&Device> {
        self.seen
            .iter()
            .find(|(_, seen)| seen.as_ref().is_ok_and(|seen| self.solicitations(seen) > 0))
            .map(|(device, _)| device)
    }

    fn offender(&self) -> Option<Ipv6Addr> {
        self.from_prefix.as_ref().ok()?.forbidden_by
    }

    /// The router that says it forbids packets from the prefix; not this host, whose addresses are `own`.
    pub(crate) fn forbidden_by(&self, own: &BTreeSet<Ipv6Addr>) -> Option<Ipv6Addr> {
        self.offender().filter(|offender| !own.contains(offender))
    }

    /// The farthest router whose answer found its way back to an address of the prefix.
    pub(crate) fn way_back(&self, own: &BTreeSet<Ipv6Addr>) -> Option<Hop> {
        let farthest = self.from_prefix.as_ref().ok()?.farthest;
        farthest.filter(|hop| !own.contains(&hop.router))
    }

    /// The farthest router whose answer to a new flow came back to the host's own address.
    pub(crate) fn reached_from_own(&self) -> Option<Hop> {
        self.from_own.as_ref()?.as_ref().ok()?.farthest
    }

    /// Where this host's own rules are looked at that can have dropped packets in `direction`, by one of `devices` where
    /// that is known; those whose counters grew first.
    pub(crate) fn suspects(&self, direction: Direction, devices: Vec<&str>) -> Vec<(&str, Option<u64>)> {
        let flow = Flow {
            direction,
            addresses: &self.watched,
            endpoint: self.endpoint,
            devices,
        };
        self.firewall.suspects(&self.firewall_before, &flow)
    }

    /// The names of the devices that were watched, as in `eth0 and eth1`.
    pub(crate) fn devices(&self) -> String {
        let names: Vec<&str> = self.seen.iter().map(|(device, _)| device.name.as_str()).collect();
        names.join(" and ")
    }

    /// Whether packets could be seen, which takes CAP_NET_RAW.
    pub(crate) fn saw_packets(&self) -> bool {
        self.all_captured()
    }

    /// What arrived on the devices, and left by them.
    pub(crate) fn wire_check(&self, outcomes: &Outcomes, prefix: Prefix) -> Check {
        const ID: &str = "wire";
        if self.seen.is_empty() {
            return Check::skipped(ID, "no device leads to the endpoint")
                .hint(Code::NoDevice, "name it: --dev DEV");
        }
        let mut details = Vec::new();
        let mut is_bad = false;
        for (device, seen) in &self.seen {
            let name = &device.name;
            match seen {
                Err(error) => details.push(format!("{name} cannot be watched: {error}")),
                Ok(seen) => {
                    is_bad |= self.solicitations(seen) > 0;
                    details.push(self.solicitations_text(name, seen, prefix));
                }
            }
        }
        let silent = self.watched_among(outcomes.silent());
        if self.saw_packets() && !silent.is_empty() {
            let count = |has: &dyn Fn(&Packets, Ipv6Addr) -> bool| {
                let anywhere =
                    |address: &&Ipv6Addr| self.captured().any(|(_, packets)| has(packets, **address));
                silent.iter().filter(anywhere).count()
            };
            let left = count(&|packets, address| packets.left_from(address));
            let answered = count(&|packets, address| packets.answered.contains_key(&address));
            is_bad |= left == 0 || answered > 0;
            details.push(format!(
                "of {} connections without an answer {left} were seen to leave by {}, and answers to {answered} to arrive",
                silent.len(),
                self.devices()
            ));
        } else if !self.saw_packets() {
            details.push("not known: whether connections leave and answers arrive".to_owned());
        }
        let detail = details.join("; ");
        if self.seen.iter().all(|(_, seen)| seen.is_err()) {
            Check::skipped(ID, detail)
        } else if is_bad {
            Check::failed(ID, detail)
        } else {
            Check::ok(ID, detail)
        }
    }

    fn solicitations_text(&self, name: &str, seen: &Seen, prefix: Prefix) -> String {
        let counted = match seen {
            Seen::Packets(_) => "",
            Seen::Counter { .. } => {
                " (counted by the kernel: without CAP_NET_RAW the packets cannot be seen)"
            }
        };
        match (self.solicitations(seen), seen) {
            (0, _) => format!("no neighbour solicitations for addresses of {prefix} on {name}{counted}"),
            (n, Seen::Packets(_)) => {
                format!("neighbour solicitations for {n} of the unanswered addresses arrive on {name}")
            }
            (n, Seen::Counter { .. }) => {
                format!("{n} neighbour solicitations for unanswered addresses arrive on {name}{counted}")
            }
        }
    }

    /// What the routers said.
    pub(crate) fn path_check(&self, own: &BTreeSet<Ipv6Addr>, prefix: Prefix) -> Check {
        const ID: &str = "path";
        let trace = match &self.from_prefix {
            Ok(trace) => trace,
            Err(error) => return Check::skipped(ID, format!("routers cannot be asked: {}", chain(error))),
        };
        if let Some(offender) = trace.forbidden_by {
            let who = if own.contains(&offender) {
                format!("this host itself ({offender})")
            } else {
                offender.to_string()
            };
            return Check::failed(ID, format!("{who} says that it forbids packets from {prefix}"));
        }
        if trace.refused_here {
            return Check::failed(ID, format!("this host refuses to send from {prefix} (EPERM)"));
        }
        if let Some(Hop { number, router }) = trace.farthest {
            return Check::failed(
                ID,
                format!(
                    "packets from {prefix} get as far as {router} (hop {number}), whose answers come back"
                ),
            );
        }
        let first = match &self.from_own {
            Some(Ok(Trace {
                farthest: Some(Hop { number, router }),
                ..
            })) => format!(", while the host's own address hears from {router} (hop {number})"),
            _ => String::new(),
        };
        Check::failed(ID, format!("no router's answer comes back to {prefix}{first}"))
    }
}
