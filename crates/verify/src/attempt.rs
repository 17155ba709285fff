//! Connections from random addresses, and a retry of those that were not answered.

use std::net::Ipv6Addr;
use std::time::Duration;

use tokio::time::Instant;
use v6kit_net::{Code, Prefix, chain, own_addresses};

use crate::egress::{self, Outcomes};
use crate::probe::{Reply, Session, Target};
use crate::report::Check;
use crate::retry::{self, Retry, Scene};
use crate::routes::Device;
use crate::tracking::{self, Tracking};
use crate::translation::{self, Translation};
use crate::uplink::Uplink;
use crate::wire;

/// How random addresses fared.
#[derive(Debug)]
pub(crate) struct Attempt {
    target: Target,
    pub(crate) outcomes: Outcomes,
    /// `None` where every address was answered at once.
    pub(crate) retry: Option<Retry>,
    /// `None` where every answer told the address that was asked from.
    pub(crate) translation: Option<Translation>,
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

/// Asks `target` from each address of `prefix`, and once more from those that got no answer, watching `devices`.
pub(crate) async fn attempt(
    target: Target,
    prefix: Prefix,
    addresses: &[Ipv6Addr],
    own: Option<Ipv6Addr>,
    devices: &[Device],
    patience: Duration,
) -> Attempt {
    let before: Vec<u64> = devices.iter().map(solicitations).collect();
    let outcomes = egress::ask_from(&target, addresses, patience).await;
    let failed = outcomes.failed_addresses();
    let mut attempt = Attempt {
        target,
        outcomes,
        retry: None,
        translation: None,
        own_inside: false,
        tracking: None,
    };
    if let (Some(reply), Some(device)) = (attempt.outcomes.mismatch(), devices.first()) {
        attempt.translation = Some(translation::look(&attempt.target, reply.bound, device, patience).await);
    }
    let Some(&first) = failed.first() else {
        return attempt;
    };
    let usual =
        |(device, before): (&Device, u64)| (device.clone(), solicitations(device).saturating_sub(before));
    let scene = Scene {
        target: &attempt.target,
        prefix,
        failed: &failed,
        first,
        own,
        devices: devices.iter().zip(before).map(usual).collect(),
    };
    let (again, retry) = retry::retry(scene, patience).await;
    attempt.outcomes = attempt.outcomes.with_retries(again);
    attempt.retry = Some(retry);
    attempt
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
        let counts = format!(
            "{} of {} random addresses answered by {}",
            egress.answered, egress.tried, self.target.endpoint
        );
        if let Some(reply) = self.outcomes.mismatch() {
            let detail = format!(
                "{counts}, {} of them seen as another address ({} as {})",
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
            (None, None) if self.retry.is_some() => Check::warning(
                ID,
                format!(
                    "{counts}, {} different ones; some only at the second try",
                    egress.distinct
                ),
            )
            .hint(Code::PacketLoss, "packets are lost on the way: expect retries"),
            (None, None) => Check::ok(ID, format!("{counts}, {} different ones", egress.distinct)),
        }
    }
}
