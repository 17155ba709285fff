//! Layer by layer, from the host outwards.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::time::Duration;

use v6kit_net::{Code, Exposure, Hint, Ipv6, PoolError, Prefix, SourcePool, name_servers, shell_word};

use crate::advice::{self, Surroundings};
use crate::attempt::{self, Attempt};
use crate::egress;
use crate::endpoint::Endpoint;
use crate::evidence::{Evidence, Observation};
use crate::finding::{self, Finding};
use crate::inbound;
use crate::limits;
use crate::local::Local;
use crate::report::{Check, Diagnosis, Egress, Outcome, Report};
use crate::retry::Retry;
use crate::routes::{Device, Question, Routes, RoutesError, Way};
use crate::tracking::{self, Tracking};
use crate::uplink::{self, Uplink};
use crate::ways::Ways;

/// What to verify, and how.
#[derive(Debug, Clone)]
pub struct VerifySettings {
    /// The prefix whose addresses are tried.
    pub prefix: Prefix,
    /// Who is asked for the caller's address: the first that answers.
    pub endpoints: Vec<Endpoint>,
    /// How many random addresses are tried.
    pub count: NonZeroUsize,
    /// How long one connection may take, name resolution and answer included.
    pub timeout: Duration,
    /// The device to watch when answers are missing; where `None`, the one that leads to the endpoint.
    pub device: Option<String>,
    /// The device that the prefix is set up on, where that is known.
    pub home: Option<String>,
    /// Addresses that must not be tried: those of the host and its gateways.
    pub reserved: Vec<Ipv6Addr>,
    /// Chooses the random addresses.
    pub seed: u64,
    /// What is reachable from outside.
    pub inbound: Exposure,
}

impl VerifySettings {
    /// The arguments of v6kit that ask the same once more.
    fn command(&self) -> String {
        let mut words = format!("verify --prefix {}", self.prefix);
        let mut add = |option: &str, value: &str| {
            words.push_str(&format!(" {option} {}", shell_word(value)));
        };
        if self.endpoints != Endpoint::public() {
            for endpoint in &self.endpoints {
                add("--endpoint", &endpoint.to_string());
            }
        }
        if let Some(device) = &self.device {
            add("--dev", device);
        }
        words
    }
}

/// Why nothing could be verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no such device.
    #[error("there is no device `{name}`")]
    NoDevice {
        /// Its name.
        name: String,
    },
    /// No address can be drawn.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The routing tables cannot be read.
    #[error(transparent)]
    Routes(#[from] RoutesError),
}

impl Hint for VerifyError {
    fn code(&self) -> Code {
        match self {
            Self::NoDevice { .. } => Code::NoDevice,
            Self::Pool(error) => error.code(),
            Self::Routes(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoDevice { .. } => Some("see the devices of this host with `ip link`".to_owned()),
            Self::Pool(error) => error.hint(),
            Self::Routes(error) => error.hint(),
        }
    }
}

/// Finds out whether connections leave from random addresses of the prefix and are answered, and if not,
/// why not. Changes nothing, and contacts nobody but the endpoints and the routers on the way to them.
///
/// # Errors
/// [`VerifyError`] when it cannot even begin. What it finds wrong is in the report.
pub async fn verify(settings: &VerifySettings) -> Result<Report, VerifyError> {
    let named_device = settings.device.as_deref().map(device_named).transpose()?;
    let mut pool = SourcePool::new(settings.prefix, settings.seed, settings.reserved.iter().copied())?;
    if let Some(report) = without_ipv6(&Ipv6::here()) {
        return Ok(report);
    }
    let routes = Routes::open()?;

    let local = Local::look(&routes, settings.prefix, pool.draw()).await?;
    let mut uplink = uplink::find(&settings.endpoints, settings.timeout).await;
    let mut ways = match uplink.any_target() {
        Some(target) => {
            let (to, home) = (*target.to.ip(), settings.home.clone());
            Some(Ways::look(&routes, settings.prefix, pool.draw(), to, home).await?)
        }
        None => None,
    };
    let devices = devices_to_watch(named_device, settings.home.as_deref(), ways.as_ref());
    let attempt = if local.is_set_up() {
        let addresses = egress::draw(&mut pool, settings.count.get());
        attempt(settings, &mut uplink, &addresses, &devices).await
    } else {
        None
    };
    if let Some(ways) = &mut ways {
        ways.look_at_next_hop(&routes).await?;
    }
    let mut findings = Findings {
        has_default: uplink::has_default(&routes).await?,
        swallowed_name_servers: swallowed_name_servers(&routes, settings.prefix).await?,
        not_delivered: false,
        local,
        uplink,
        ways,
        attempt,
        devices,
    };
    findings.look_at_delivery(&routes).await?;
    Ok(findings.report(settings))
}

/// The report of a host that speaks no IPv6, where nothing else can be looked at.
fn without_ipv6(ipv6: &Ipv6) -> Option<Report> {
    let mut evidence = Evidence::default();
    evidence.add_if(
        matches!(ipv6, Ipv6::NotInKernel | Ipv6::Off { .. }),
        Observation::Ipv6Off,
    );
    let finding = finding::find(evidence);
    if finding != Finding::Ipv6Off {
        return None;
    }
    let (meaning, hint) = advice::of_no_ipv6(ipv6);
    let diagnosis = finding.diagnosis();
    let mut check = Check::failed("ipv6", meaning.clone());
    check.hint = Some(hint.clone());
    check.code = diagnosis.code();
    Some(Report {
        ok: false,
        diagnosis,
        checks: vec![check],
        egress: Egress::default(),
        meaning,
        hint: Some(hint),
    })
}

/// The name servers inside the prefix that this host takes for its own.
async fn swallowed_name_servers(routes: &Routes, prefix: Prefix) -> Result<Vec<Ipv6Addr>, RoutesError> {
    let mut swallowed = Vec::new();
    for server in name_servers() {
        let IpAddr::V6(to) = server else { continue };
        let question = Question {
            from: None,
            to,
            arriving_by: None,
        };
        if prefix.contains(to) && matches!(routes.look_up(question).await?, Way::Here) {
            swallowed.push(to);
        }
    }
    Ok(swallowed)
}

/// The device of the prefix's own way out first, then the one that it is set up on, and that of the host's own address.
fn devices_to_watch(named: Option<Device>, home: Option<&str>, ways: Option<&Ways>) -> Vec<Device> {
    let of_prefix = ways.and_then(|ways| ways.of_prefix.as_ref().ok());
    let own = ways.and_then(|ways| ways.own.as_ref());
    let all = [
        named,
        of_prefix.map(|way| way.device.clone()),
        home.and_then(Device::named),
        own.map(|way| way.device.clone()),
    ];
    let mut devices: Vec<Device> = Vec::new();
    for device in all.into_iter().flatten() {
        if !devices.contains(&device) {
            devices.push(device);
        }
    }
    devices
}

fn device_named(name: &str) -> Result<Device, VerifyError> {
    Device::named(name).ok_or_else(|| VerifyError::NoDevice {
        name: name.to_owned(),
    })
}

async fn attempt(
    settings: &VerifySettings,
    uplink: &mut Uplink,
    addresses: &[Ipv6Addr],
    devices: &[Device],
) -> Option<Attempt> {
    let patience = settings.timeout;
    let target = attempt::choose_target(uplink, addresses, patience).await?;
    let own = uplink.reply();
    let mut attempt = attempt::attempt(target, settings.prefix, addresses, own, devices, patience).await;
    let own = own.map(|reply| reply.bound);
    attempt.compare_with_own(settings.prefix, patience).await;
    let established = uplink.established.as_mut();
    attempt.compare_with_established(established, own, patience).await;
    Some(attempt)
}

/// Everything that was seen.
struct Findings {
    has_default: bool,
    swallowed_name_servers: Vec<Ipv6Addr>,
    /// The look-up for what comes in does not deliver the prefix here.
    not_delivered: bool,
    local: Local,
    uplink: Uplink,
    ways: Option<Ways>,
    attempt: Option<Attempt>,
    devices: Vec<Device>,
}

impl Findings {
    /// Finds out whether answers that arrive are routed to this host.
    async fn look_at_delivery(&mut self, routes: &Routes) -> Result<(), RoutesError> {
        if let (Some(ways), Some(device)) = (&self.ways, self.arrived_on()) {
            self.not_delivered = !ways.is_delivered_from(routes, device).await?;
        }
        Ok(())
    }

    fn report(self, settings: &VerifySettings) -> Report {
        let finding = finding::find(self.evidence());
        let diagnosis = finding.diagnosis();
        let surroundings = self.surroundings(settings);
        let hint = surroundings.hint(finding);
        Report {
            ok: diagnosis == Diagnosis::Ok,
            diagnosis,
            meaning: surroundings.meaning(finding),
            checks: self.checks(settings, diagnosis, hint.as_deref()),
            egress: self.egress(),
            hint,
        }
    }

    fn retry(&self) -> Option<&Retry> {
        self.attempt.as_ref()?.retry.as_ref()
    }

    fn tracking(&self) -> Option<&Tracking> {
        self.attempt.as_ref()?.tracking.as_ref()
    }

    fn egress(&self) -> Egress {
        self.attempt
            .as_ref()
            .map(|attempt| attempt.outcomes.egress())
            .unwrap_or_default()
    }

    fn own_addresses(&self) -> BTreeSet<Ipv6Addr> {
        self.ways.as_ref().map(Ways::own_addresses).unwrap_or_default()
    }

    /// The device on which answers arrived that did not reach their connections.
    fn arrived_on(&self) -> Option<&Device> {
        let attempt = self.attempt.as_ref()?;
        let silent: Vec<Ipv6Addr> = attempt.outcomes.silent().collect();
        attempt.retry.as_ref()?.arrived_on(&silent)
    }

    fn evidence(&self) -> Evidence {
        let mut evidence = Evidence::default();
        evidence.add_if(!self.local.is_set_up(), Observation::NotSetUp);
        self.uplink.observe(self.has_default, &mut evidence);
        let can_leave = self.ways.as_ref().is_some_and(Ways::can_leave);
        if let Some(ways) = &self.ways {
            ways.observe(self.has_default, &mut evidence);
        }
        let Some(attempt) = &self.attempt else {
            return evidence;
        };
        let Egress { tried, answered, .. } = self.egress();
        evidence.add_if(tried > 0 && answered == tried, Observation::AllAnswered);
        evidence.add_if(answered > 0 && answered < tried, Observation::SomeAnswered);
        evidence.add_if(attempt.outcomes.not_begun().is_some(), Observation::NotBegun);
        attempt.stalled.observe(&mut evidence);
        if let Some(told) = &attempt.told {
            told.observe(&mut evidence);
        }
        evidence.add_if(attempt.own_inside, Observation::WayBack);
        evidence.add_if(attempt.outcomes.turned_away().is_some(), Observation::TurnedAway);
        evidence.add_if(self.not_delivered, Observation::NotDelivered);
        if let Some(translation) = attempt.translation {
            translation.observe(&mut evidence);
        }
        if let Some(retry) = &attempt.retry {
            retry.observe(&attempt.outcomes, &self.own_addresses(), can_leave, &mut evidence);
        }
        if let Some(tracking) = &attempt.tracking {
            evidence.add_if(tracking.full_here().is_some(), Observation::TableFullHere);
            evidence.add_if(tracking.looks_full(), Observation::NewHang);
        }
        evidence
    }

    fn surroundings(&self, settings: &VerifySettings) -> Surroundings<'_> {
        Surroundings {
            prefix: settings.prefix,
            command: settings.command(),
            own: self.uplink.reply().map(|reply| reply.bound),
            uplink: &self.uplink,
            has_default: self.has_default,
            swallowed_name_servers: &self.swallowed_name_servers,
            ways: self.ways.as_ref(),
            attempt: self.attempt.as_ref(),
            arrived_on: self.arrived_on(),
            device: self.devices.first(),
            own_addresses: self.own_addresses(),
        }
    }

    fn checks(&self, settings: &VerifySettings, diagnosis: Diagnosis, hint: Option<&str>) -> Vec<Check> {
        let mut checks = vec![
            self.local.route_check(),
            self.local.bind_check(),
            self.uplink_check(diagnosis),
            self.egress_check(),
            match &self.ways {
                Some(ways) => ways.check(),
                None => Check::skipped("way", "there is no endpoint to look the way up to"),
            },
        ];
        checks.extend(self.cause_checks(settings.prefix));
        checks.extend(
            self.attempt
                .as_ref()
                .and_then(|attempt| attempt.stalled.check(attempt.target.to)),
        );
        checks.extend(limits::checks());
        checks.push(if self.local.is_delivered() {
            inbound::check(settings.prefix, &settings.inbound, &settings.command())
        } else {
            Check::skipped("inbound", "the prefix is not delivered to this host")
        });
        for check in &mut checks {
            // The diagnosis knows better than each of them what to do about the endpoint.
            let is_about_endpoint = [Diagnosis::PathMtu, Diagnosis::BadEndpoint].contains(&diagnosis);
            if is_about_endpoint && hint.is_some() && check.outcome == Outcome::Failed {
                check.hint = None;
            }
            if check.outcome == Outcome::Failed && check.hint.is_none() {
                check.hint = hint.map(ToOwned::to_owned);
                check.code = diagnosis.code();
            }
        }
        checks
    }

    /// A host that has no address but those of the prefix can do without an uplink of its own.
    fn uplink_check(&self, diagnosis: Diagnosis) -> Check {
        let mut check = self.uplink.check(self.has_default);
        if check.outcome == Outcome::Failed && diagnosis == Diagnosis::Ok {
            check.outcome = Outcome::Warning;
        }
        check
    }

    fn egress_check(&self) -> Check {
        match &self.attempt {
            Some(attempt) => attempt.check(),
            None if self.local.is_set_up() => Check::skipped("egress", "there is no endpoint to ask"),
            None => Check::skipped("egress", "no answer could arrive"),
        }
    }

    fn cause_checks(&self, prefix: Prefix) -> [Check; 3] {
        let not_needed = |id| Check::skipped(id, "looked at only when answers are missing");
        let tracking = self
            .tracking()
            .map_or_else(|| not_needed(tracking::ID), Tracking::check);
        match (&self.attempt, self.retry()) {
            (Some(attempt), Some(retry)) => [
                retry.wire_check(&attempt.outcomes, prefix),
                retry.path_check(&self.own_addresses(), prefix),
                tracking,
            ],
            _ => [not_needed("wire"), not_needed("path"), tracking],
        }
    }
}
