//! Connections from random addresses, and a retry of those that were not answered.

use std::net::Ipv6Addr;
use std::time::Duration;

use tokio::time::Instant;
use v6kit_net::{Code, Prefix, chain, own_addresses};

use crate::egress::{self, Outcomes};
use crate::probe::{ProbeError, Reply, Session, Target};
use crate::report::Check;
use crate::retry::{self, Retry, Scene};
use crate::routes::Device;
use crate::segments::{self, Stalled};
use crate::told::{self, Told};
use crate::tracking::{self, Tracking};
use crate::translation::{self, Translation};
use crate::uplink::Uplink;
use crate::wire;

/// How random addresses fared.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) target: Target,
    pub(crate) outcomes: Outcomes,
    /// `None` where every address was answered at once.
    pub(crate) retry: Option<Retry>,
    /// `None` where every answer told the address that was asked from.
    pub(crate) translation: Option<Translation>,
    /// `None` where every answer told the address that was asked from.
    pub(crate) told: Option<Told>,
    pub(crate) stalled: Stalled,
    /// Whether an address of the prefix that the host has for its own was answered.
    pub(crate) own_inside: bool,
    /// `None` where every address was answered in the end.
    pub(crate) tracking: Option<Tracking>,
}

/// Who to ask: the endpoint that answered the host's own address. A host without one may still be
/// answered on addresses of the prefix: then the first endpoint that does so, or else the first of all.
pub(crate) async fn choose_target(
    uplink: &Uplink,
    addresses: &[Ipv6Addr],
    patience: Duration,
) -> Option<Target> {
    if let Some((target, _)) = &uplink.answered {
        return Some(target.clone());
    }
    let address = addresses.first().copied();
    for target in &uplink.silent {
        if target.ask(address, Instant::now() + patience).await.is_ok() {
            return Some(target.clone());
        }
    }
    uplink.silent.first().cloned()
}

/// Asks `target` from each address of `prefix`, and once more from those that got no answer, watching `devices`. `own` is
/// the answer to the host's own address.
pub(crate) async fn attempt(
    target: Target,
    prefix: Prefix,
    addresses: &[Ipv6Addr],
    own: Option<Reply>,
    devices: &[Device],
    patience: Duration,
) -> Attempt {
    let before: Vec<u64> = devices.iter().map(solicitations).collect();
    let mut outcomes = egress::ask_from(&target, addresses, patience).await;
    let failed = outcomes.failed_addresses();
    let mut retried = None;
    if let Some(&first) = failed.first() {
        let usual =
            |(device, before): (&Device, u64)| (device.clone(), solicitations(device).saturating_sub(before));
        let scene = Scene {
            target: &target,
            prefix,
            failed: &failed,
            first,
            own: own.map(|reply| reply.bound),
            devices: devices.iter().zip(before).map(usual).collect(),
        };
        let (again, retry) = retry::retry(scene, patience).await;
        outcomes = outcomes.with_retries(again);
        retried = Some(retry);
    }
    let translation = match (outcomes.mismatch(), devices.first()) {
        (Some(reply), Some(device)) => Some(translation::look(&target, reply.bound, device, patience).await),
        _ => None,
    };
    Attempt {
        told: told::look(&target, prefix, &outcomes, own, patience).await,
        stalled: stalled(&target, &outcomes, patience).await,
        target,
        outcomes,
        retry: retried,
        translation,
        own_inside: false,
        tracking: None,
    }
}

/// Finds out whether large packets are lost: where connections came about and were not answered, or with a large
/// request where all were.
async fn stalled(target: &Target, outcomes: &Outcomes, patience: Duration) -> Stalled {
    let stalled: Vec<Option<Ipv6Addr>> = outcomes.failed_with(ProbeError::has_stalled).map(Some).collect();
    if !stalled.is_empty() {
        return segments::look(target, &stalled, patience).await;
    }
    match outcomes.replies.first() {
        Some(reply) if outcomes.failures.is_empty() => {
            segments::look_at_requests(target, reply.bound, patience).await
        }
        _ => Stalled::Nothing,
    }
}

/// A device whose counter cannot be read counts nothing, and then tells nothing later on either.
fn solicitations(device: &Device) -> u64 {
    wire::solicitations_so_far(device).unwrap_or(0)
}

impl Attempt {
    /// Finds out whether addresses of the prefix that the host has for its own are answered, when others
    /// are not.
    pub(crate) async fn compare_with_own(&mut self, prefix: Prefix, patience: Duration) {
        if self.outcomes.failures.is_empty() {
            return;
        }
        // Without a list there is nothing to compare with.
        let mut own = own_addresses().unwrap_or_default();
        own.retain(|address| prefix.contains(*address));
        let replies = egress::ask_from(&self.target, &own, patience).await.replies;
        self.own_inside = replies.into_iter().any(Reply::matches);
    }

    /// Finds out whether new connections hang where `established` goes on, when addresses are not answered.
    pub(crate) async fn compare_with_established(
        &mut self,
        established: Option<&mut Session>,
        own: Option<Ipv6Addr>,
        patience: Duration,
    ) {
        let hanging = |failure: &egress::Failure| failure.error.no_connection_in_time();
        if self.outcomes.failures.iter().any(hanging) {
            self.tracking = Some(tracking::look(&self.target, established, own, patience).await);
        }
    }

    pub(crate) fn check(&self) -> Check {
        const ID: &str = "egress";
        let egress = self.outcomes.egress();
        let endpoint = &self.target.endpoint;
        let counts = match (egress.tried, egress.answered, self.outcomes.replies.first()) {
            (1, 1, Some(reply)) => format!("the one address tried, {}, answered by {endpoint}", reply.bound),
            (1, ..) => format!("the one address tried not answered by {endpoint}"),
            (tried, answered, _) => format!("{answered} of {tried} random addresses answered by {endpoint}"),
        };
        let different = match egress.tried {
            1 => String::new(),
            _ => format!(", {} different ones", egress.distinct),
        };
        if let Some(reply) = self.outcomes.mismatch() {
            let detail = format!(
                "{counts}, {} of them told as another address ({} as {})",
                egress.mismatched, reply.bound, reply.reported
            );
            return Check::failed(ID, detail);
        }
        match (self.outcomes.turned_away(), self.outcomes.failures.first()) {
            (Some(error), _) => Check::failed(ID, format!("{counts}: {}", chain(error))).hint_of(error),
            (None, Some(failure)) => Check::failed(
                ID,
                format!("{counts}; from {}: {}", failure.from, chain(&failure.error)),
            ),
            (None, None) if self.retry.is_some() => {
                Check::warning(ID, format!("{counts}{different}; some only at the second try"))
                    .hint(Code::PacketLoss, "packets are lost on the way: expect retries")
            }
            (None, None) => Check::ok(ID, format!("{counts}{different}")),
        }
    }
}
