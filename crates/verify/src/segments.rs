//! Whether large packets are lost where small ones pass, as behind a path MTU that nobody told this host of (RFC 8201).

use std::net::Ipv6Addr;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use crate::evidence::{Evidence, Observation};
use crate::probe::{Size, Target};
use crate::report::Check;

/// Bytes of a segment that fits into the smallest MTU of IPv6, 1280, behind its headers of 40 and 20 bytes.
pub(crate) const SMALL: u32 = 1220;

/// Addresses from which is asked again in small segments.
const TRIED: usize = 4;

const ID: &str = "mtu";

/// What passed in small segments only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stalled {
    /// Nothing that was looked at.
    Nothing,
    /// Large requests.
    Requests,
    /// Connections that came about.
    Connections,
}

/// Asks once more from `stalled`, whose connections came about and were never answered, in small segments.
pub(crate) async fn look(target: &Target, stalled: &[Option<Ipv6Addr>], patience: Duration) -> Stalled {
    let small = target.in_segments(SMALL);
    let passed = stream::iter(stalled.iter().take(TRIED))
        .map(|from| small.ask(*from, Instant::now() + patience))
        .buffer_unordered(TRIED)
        .any(|answer| std::future::ready(answer.is_ok()));
    if passed.await {
        Stalled::Connections
    } else {
        Stalled::Nothing
    }
}

/// Asks from `from`, which is answered, with a request that takes several segments.
pub(crate) async fn look_at_requests(target: &Target, from: Ipv6Addr, patience: Duration) -> Stalled {
    let large = target.of_size(Size::Large);
    for _ in 0..2 {
        let answer = large.ask(Some(from), Instant::now() + patience).await;
        if !matches!(&answer, Err(error) if error.has_stalled()) {
            return Stalled::Nothing;
        }
    }
    let answer = large
        .in_segments(SMALL)
        .ask(Some(from), Instant::now() + patience)
        .await;
    // Whatever it says, it heard the whole request.
    match answer {
        Err(error) if !error.was_answered() => Stalled::Nothing,
        _ => Stalled::Requests,
    }
}

impl Stalled {
    pub(crate) fn observe(self, evidence: &mut Evidence) {
        evidence.add_if(self == Self::Connections, Observation::SmallPass);
    }

    /// `None` where nothing stalled.
    pub(crate) fn check(self) -> Option<Check> {
        match self {
            Self::Nothing => None,
            Self::Requests => Some(Check::warning(
                ID,
                format!(
                    "a request larger than a packet gets no answer, and does in segments of {SMALL} bytes: packets of full size are lost on the way out"
                ),
            )),
            Self::Connections => Some(Check::failed(
                ID,
                format!(
                    "connections that stall are answered in segments of {SMALL} bytes: packets of full size are lost, in one direction or both"
                ),
            )),
        }
    }
}
