//! Whether a router asks for each address of a prefix, or has a route for it.

use std::net::Ipv6Addr;
use std::time::Duration;

use futures_util::future::join_all;
use v6kit_net::{Prefix, SourcePool};

use crate::routes::{Question, Routes, Way, WayOut};
use crate::trace::{Hop, hop};
use crate::uplink::ANYWHERE;
use crate::wire::{self, Seen, Wire};

/// Addresses from which the router is asked: each is new to it, and it solicits each where it takes them for on-link.
const ADDRESSES: usize = 4;

/// How long the router is waited for. One that asks does so at once; its answer comes after that.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How packets to a prefix come to this host, as far as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The router solicited addresses that it had never heard of: the prefix is on-link.
    Solicited,
    /// The router's answers came to such addresses, and nobody solicited them: it has a route.
    Routed,
    /// Neither was seen.
    Unknown,
}

/// Sends packets that the first router drops (UDP with a hop limit of 1) from random addresses of `prefix`, and looks
/// whether they are solicited and whether the router's answers come. Needs no privileges, and a local route for the
/// prefix.
pub async fn delivery(prefix: Prefix, reserved: Vec<Ipv6Addr>, seed: u64) -> Delivery {
    look(prefix, reserved, seed).await.unwrap_or(Delivery::Unknown)
}

/// The device by which packets from `prefix` leave towards the internet, as the routing tables and policy rules of this
/// host have it; nothing is sent. `None` where there is no way, or it cannot be looked up.
pub async fn leaves_by(prefix: Prefix) -> Option<String> {
    let mut pool = SourcePool::new(prefix, 1, []).ok()?;
    let routes = Routes::open().ok()?;
    let question = Question {
        from: Some(pool.draw()),
        to: ANYWHERE,
        arriving_by: None,
    };
    Some(routes.look_up(question).await.ok()?.out()?.device.name)
}

/// `None` where it cannot be looked at.
async fn look(prefix: Prefix, reserved: Vec<Ipv6Addr>, seed: u64) -> Option<Delivery> {
    let mut pool = SourcePool::new(prefix, seed, reserved).ok()?;
    let addresses: Vec<Ipv6Addr> = (0..ADDRESSES).map(|_| pool.draw()).collect();
    let routes = Routes::open().ok()?;
    let question = Question {
        from: addresses.first().copied(),
        to: ANYWHERE,
        arriving_by: None,
    };
    let Way::Out(WayOut { device, .. }) = routes.look_up(question).await.ok()? else {
        return None;
    };
    let endpoint = std::net::SocketAddrV6::new(ANYWHERE, 0, 0, 0);
    let wire = Wire::watch(&device, &addresses, endpoint, 0).ok()?;
    let asking = join_all(addresses.iter().map(|from| hop(*from, ANYWHERE, 1, PATIENCE)));
    let (answers, seen) = wire::during(vec![wire], asking).await;
    let (_, seen) = seen.into_iter().next()?;
    let is_solicited = match seen.ok()? {
        Seen::Packets(packets) => addresses
            .iter()
            .any(|address| packets.solicited.contains(address)),
        Seen::Counter { solicitations } => solicitations > 0,
    };
    let is_heard = |answer: &std::io::Result<Option<Hop>>| matches!(answer, Ok(Some(_)));
    Some(if is_solicited {
        Delivery::Solicited
    } else if answers.iter().any(is_heard) {
        Delivery::Routed
    } else {
        Delivery::Unknown
    })
}
