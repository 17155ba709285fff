//! Whether large packets are lost where small ones pass, as behind a path MTU that nobody told this host of (RFC 8201).

use std::fmt;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use nix::sys::socket::getsockopt;
use nix::{getsockopt_impl, libc, sockopt_impl};
use tokio::time::Instant;

use crate::evidence::{Evidence, Observation};
use crate::probe::{Size, Target};
use crate::report::Check;

/// Bytes of a segment that fits into the smallest MTU of IPv6, 1280, behind its headers of 40 and 20 bytes.
pub(crate) const SMALL: u32 = 1220;

/// Addresses from which is asked again in small segments.
const TRIED: usize = 4;

const ID: &str = "mtu";

sockopt_impl!(
    /// The path MTU of a connected socket in bytes, as far as this host knows it: of the device, of the route, or what a
    /// "packet too big" has told (ipv6(7)).
    PathMtu,
    GetOnly,
    libc::IPPROTO_IPV6,
    libc::IPV6_MTU,
    libc::c_int
);

/// How large packets are that this host sends, in bytes; `None` where that cannot be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Largest(Option<i32>);

impl Largest {
    /// Of those to `to`. Nothing is sent.
    pub(crate) fn to(to: SocketAddrV6) -> Self {
        let connected = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).and_then(|socket| {
            socket.connect(to)?;
            Ok(socket)
        });
        Self(
            connected
                .ok()
                .and_then(|socket| getsockopt(&socket, PathMtu).ok()),
        )
    }
}

/// A clause, or nothing.
impl fmt::Display for Largest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => write!(
                f,
                " (this host sends packets of up to {bytes} bytes there: its device, its route and what it was told of the path permit them)"
            ),
            None => Ok(()),
        }
    }
}

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
    pub(crate) fn check(self, to: SocketAddrV6) -> Option<Check> {
        match self {
            Self::Nothing => None,
            Self::Requests => Some(Check::warning(
                ID,
                format!(
                    "a request larger than a packet gets no answer, and does in segments of {SMALL} bytes: packets of full size are lost on the way out{}",
                    Largest::to(to)
                ),
            )),
            Self::Connections => Some(Check::failed(
                ID,
                format!(
                    "connections that stall are answered in segments of {SMALL} bytes: packets of full size are lost, in one direction or both{}",
                    Largest::to(to)
                ),
            )),
        }
    }
}
