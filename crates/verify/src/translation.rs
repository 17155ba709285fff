//! Where source addresses are replaced: here, or behind this host.

use std::net::Ipv6Addr;
use std::time::Duration;

use tokio::time::Instant;

use crate::evidence::{Evidence, Observation};
use crate::probe::Target;
use crate::routes::Device;
use crate::wire::{self, Seen, Wire};

/// What a connection looked like when it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Translation {
    /// It left with the source that it was made from.
    Unchanged,
    /// It left as this one.
    Here(Ipv6Addr),
    /// It was not seen.
    Unknown,
}

/// Makes another connection to `target` from `from`, whose address the endpoint saw as another, and looks at what
/// leaves by `device`.
pub(crate) async fn look(
    target: &Target,
    from: Ipv6Addr,
    device: &Device,
    patience: Duration,
) -> Translation {
    let Ok(wire) = Wire::watch(device, &[from], target.to, 0) else {
        return Translation::Unknown;
    };
    let ask = target.ask(Some(from), Instant::now() + patience);
    let (reply, seen) = wire::during(vec![wire], ask).await;
    // Without an answer it is not known whether anything left at all.
    let (Ok(_), Some((_, Ok(Seen::Packets(packets))))) = (reply, seen.into_iter().next()) else {
        return Translation::Unknown;
    };
    match packets.sent.iter().next() {
        _ if packets.left_from(from) => Translation::Unchanged,
        Some((other, _)) => Translation::Here(*other),
        None => Translation::Unknown,
    }
}

impl Translation {
    pub(crate) fn observe(self, evidence: &mut Evidence) {
        evidence.add_if(matches!(self, Self::Here(_)), Observation::LeftAsOther);
        evidence.add_if(self == Self::Unchanged, Observation::LeftUnchanged);
    }
}
