//! Layer by layer, from the host outwards.

use std::net::Ipv6Addr;
use std::num::NonZeroUsize;
use std::time::Duration;

use v6kit_net::{Code, Exposure, Hint, PoolError, Prefix, SourcePool};

use crate::advice::Surroundings;
use crate::attempt::{self, Attempt};
use crate::diagnosis::Evidence;
use crate::egress::{self, Outcomes};
use crate::endpoint::Endpoint;
use crate::inbound;
use crate::limits;
use crate::local::Local;
use crate::report::{Check, Diagnosis, Egress, Outcome, Report};
use crate::routes::{Device, Routes, RoutesError, WayOut};
use crate::second_look::SecondLook;
use crate::tracking::{self, Tracking};
use crate::uplink::{self, Uplink};

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
    /// Addresses that must not be tried: those of the host and its gateways.
    pub reserved: Vec<Ipv6Addr>,
    /// Chooses the random addresses.
    pub seed: u64,
    /// What is reachable from outside.
    pub inbound: Exposure,
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
    let routes = Routes::open()?;

    let local = Local::look(&routes, settings.prefix, pool.draw()).await?;
    let mut uplink = uplink::find(&settings.endpoints, settings.timeout).await;
    let way_out = match uplink.any_target() {
        Some(target) => routes.way_out(*target.to.ip()).await?,
        None => None,
    };
    let device = named_device.or_else(|| way_out.as_ref().map(|way| way.device.clone()));
    let attempt = if local.is_set_up() {
        let addresses = egress::draw(&mut pool, settings.count.get());
        attempt(settings, &mut uplink, &addresses, device.as_ref()).await
    } else {
        None
    };

    let findings = Findings {
        uplink_check: uplink.check(&routes).await?,
        local,
        uplink,
        attempt,
        device,
        gateway: way_out.and_then(|WayOut { gateway, .. }| gateway),
    };
    Ok(findings.report(settings))
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
    device: Option<&Device>,
) -> Option<Attempt> {
    let patience = settings.timeout;
    let target = attempt::choose_target(uplink, addresses, patience).await?;
    let own = uplink.reply().map(|reply| reply.bound);
    let mut attempt = attempt::attempt(target, addresses, own, device, patience).await;
    attempt.compare_with_own(settings.prefix, patience).await;
    let established = uplink.established.as_mut();
    attempt.compare_with_established(established, own, patience).await;
    Some(attempt)
}

/// Everything that was seen.
struct Findings {
    local: Local,
    uplink: Uplink,
    uplink_check: Check,
    attempt: Option<Attempt>,
    device: Option<Device>,
    gateway: Option<Ipv6Addr>,
}

impl Findings {
    fn report(self, settings: &VerifySettings) -> Report {
        let diagnosis = self.evidence().diagnosis();
        let surroundings = self.surroundings(settings.prefix);
        let hint = surroundings.hint(diagnosis);
        Report {
            ok: diagnosis == Diagnosis::Ok,
            diagnosis,
            meaning: surroundings.meaning(diagnosis),
            checks: self.checks(settings, diagnosis, hint.as_deref()),
            egress: self.egress(),
            hint,
        }
    }

    fn second_look(&self) -> Option<&SecondLook> {
        self.attempt.as_ref()?.second_look.as_ref()
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

    fn evidence(&self) -> Evidence {
        let attempt = self.attempt.as_ref();
        let look = self.second_look();
        Evidence {
            set_up: self.local.is_set_up(),
            uplink: self.uplink.answered.is_some(),
            own_inside: attempt.is_some_and(|attempt| attempt.own_inside),
            egress: self.egress(),
            forbidden: attempt.is_some_and(|attempt| attempt.outcomes.forbidden())
                || look.is_some_and(|look| look.forbidden_by().is_some()),
            turned_away: attempt.is_some_and(|attempt| attempt.outcomes.turned_away().is_some()),
            solicited: look.is_some_and(SecondLook::solicited),
            way_back: look.is_some_and(|look| look.way_back().is_some()),
            table_full: self
                .tracking()
                .is_some_and(|tracking| tracking.looks_full() || tracking.full_here().is_some()),
        }
    }

    fn surroundings(&self, prefix: Prefix) -> Surroundings<'_> {
        let outcomes = self.attempt.as_ref().map(|attempt| &attempt.outcomes);
        let look = self.second_look();
        Surroundings {
            prefix,
            device: self.device.as_ref().map(|device| device.name.as_str()),
            own: self.uplink.reply().map(|reply| reply.bound),
            link_local: self.device.as_ref().and_then(Device::link_local),
            gateway: self.gateway,
            forbidden_by: look.and_then(SecondLook::forbidden_by),
            way_back: look.and_then(SecondLook::way_back),
            only_part: outcomes.and_then(|outcomes| outcomes.only_part(prefix)),
            rewritten_to: outcomes.and_then(Outcomes::mismatch).map(|reply| reply.reported),
            uplink_hint: self.uplink_check.hint.as_deref(),
            full_here: self.tracking().and_then(Tracking::full_here),
            new_flows_reach: look.and_then(SecondLook::reached_from_own),
            silent: self.uplink.is_silent(),
        }
    }

    /// The checks. What failed and has no advice of its own gets that of the diagnosis.
    fn checks(&self, settings: &VerifySettings, diagnosis: Diagnosis, hint: Option<&str>) -> Vec<Check> {
        let mut checks = vec![
            self.local.route_check(),
            self.local.bind_check(),
            self.uplink_check(diagnosis),
            self.egress_check(),
        ];
        checks.extend(self.cause_checks(settings.prefix));
        checks.extend(limits::checks());
        checks.push(if self.local.is_delivered() {
            inbound::check(settings.prefix, &settings.inbound)
        } else {
            Check::skipped("inbound", "the prefix is not delivered to this host")
        });
        for check in &mut checks {
            if check.outcome == Outcome::Failed && check.hint.is_none() {
                check.hint = hint.map(ToOwned::to_owned);
                check.code = diagnosis.code();
            }
        }
        checks
    }

    /// A host that has no address but those of the prefix can do without an uplink of its own.
    fn uplink_check(&self, diagnosis: Diagnosis) -> Check {
        let mut check = self.uplink_check.clone();
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
        match self.second_look() {
            Some(look) => [
                look.wire_check(self.device.as_ref(), prefix),
                look.path_check(prefix),
                tracking,
            ],
            None => [not_needed("wire"), not_needed("path"), tracking],
        }
    }
}
