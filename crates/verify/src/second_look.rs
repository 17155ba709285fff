//! Addresses that were not answered, tried once more while the wire and the routers are watched.

use std::io;
use std::net::Ipv6Addr;
use std::time::Duration;

use futures_util::future::{OptionFuture, join3};
use v6kit_net::{Code, Prefix, chain};

use crate::egress::{self, Outcomes};
use crate::probe::Target;
use crate::report::Check;
use crate::routes::Device;
use crate::trace::{Hop, Trace, trace};
use crate::wire::{How, HowMany, Seen, Wire};

/// Addresses whose solicitations are looked for. More would prove no more.
const WATCHED: usize = 64;

/// What the second look showed.
#[derive(Debug)]
pub(crate) struct SecondLook {
    seen: Option<io::Result<Seen>>,
    from_prefix: io::Result<Trace>,
    from_own: Option<io::Result<Trace>>,
}

/// How long routers are listened for at most: they answer at once or not at all.
const TRACE: Duration = Duration::from_secs(3);

/// Where to look, and from where to send.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) target: &'a Target,
    /// Addresses of the prefix that were not answered.
    pub(crate) failed: &'a [Ipv6Addr],
    /// The one from which the routers are asked.
    pub(crate) first: Ipv6Addr,
    /// The host's own address, where that was answered.
    pub(crate) own: Option<Ipv6Addr>,
    /// The device to watch.
    pub(crate) device: Option<&'a Device>,
    /// How many solicitations arrived on it during the first try.
    pub(crate) usual_solicitations: u64,
}

/// Looks for as long as a connection may take, which is `patience`, and says how the addresses fared
/// this time.
pub(crate) async fn look(scene: Scene<'_>, patience: Duration) -> (Outcomes, SecondLook) {
    let to = *scene.target.to.ip();
    let watched = scene.failed.iter().copied().take(WATCHED).collect();
    let wire = scene
        .device
        .map(|device| Wire::watch(device, watched, scene.usual_solicitations));
    let attempts = join3(
        egress::ask_from(scene.target, scene.failed, patience),
        trace(scene.first, to, patience.min(TRACE)),
        OptionFuture::from(scene.own.map(|own| trace(own, to, patience.min(TRACE)))),
    );
    let ((outcomes, from_prefix, from_own), seen) = match wire {
        Some(Ok(wire)) => {
            let (attempts, seen) = wire.during(attempts).await;
            (attempts, Some(seen))
        }
        Some(Err(error)) => (attempts.await, Some(Err(error))),
        None => (attempts.await, None),
    };
    let look = SecondLook {
        seen,
        from_prefix,
        from_own,
    };
    (outcomes, look)
}

impl SecondLook {
    /// Whether neighbour solicitations for the addresses arrived.
    pub(crate) fn solicited(&self) -> bool {
        matches!(&self.seen, Some(Ok(seen)) if seen.how_many != HowMany::None)
    }

    /// The router that says it forbids packets from the prefix.
    pub(crate) fn forbidden_by(&self) -> Option<Ipv6Addr> {
        self.from_prefix.as_ref().ok()?.forbidden_by
    }

    /// The farthest router whose answer found its way back to an address of the prefix.
    pub(crate) fn way_back(&self) -> Option<Hop> {
        self.from_prefix.as_ref().ok()?.farthest
    }

    /// The farthest router whose answer to a new flow came back to the host's own address.
    pub(crate) fn reached_from_own(&self) -> Option<Hop> {
        self.from_own.as_ref()?.as_ref().ok()?.farthest
    }

    /// What arrived on the device.
    pub(crate) fn wire_check(&self, device: Option<&Device>, prefix: Prefix) -> Check {
        const ID: &str = "wire";
        let Some(device) = device else {
            return Check::skipped(ID, "no device leads to the endpoint")
                .hint(Code::NoDevice, "name it: --dev DEV");
        };
        let seen = match &self.seen {
            Some(Ok(seen)) => seen,
            Some(Err(error)) => {
                return Check::skipped(ID, format!("{} cannot be watched: {error}", device.name));
            }
            None => return Check::skipped(ID, "nothing was watched"),
        };
        let name = &device.name;
        let counted = match seen.how {
            How::Packets => "",
            How::Counter => " (counted by the kernel: without CAP_NET_RAW the packets cannot be seen)",
        };
        match seen.how_many {
            HowMany::None => Check::ok(
                ID,
                format!("no neighbour solicitations for addresses of {prefix} on {name}{counted}"),
            ),
            HowMany::Addresses(n) => Check::failed(
                ID,
                format!("neighbour solicitations for {n} of the unanswered addresses arrive on {name}"),
            ),
            HowMany::Solicitations(n) => Check::failed(
                ID,
                format!("{n} neighbour solicitations for unanswered addresses arrive on {name}{counted}"),
            ),
        }
    }

    /// What the routers said.
    pub(crate) fn path_check(&self, prefix: Prefix) -> Check {
        const ID: &str = "path";
        let trace = match &self.from_prefix {
            Ok(trace) => trace,
            Err(error) => return Check::skipped(ID, format!("routers cannot be asked: {}", chain(error))),
        };
        if let Some(router) = trace.forbidden_by {
            return Check::failed(ID, format!("{router} says that it forbids packets from {prefix}"));
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
