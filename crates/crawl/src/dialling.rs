//! Making a connection: through a proxy or not, to one address of the destination after another.

use std::cell::{Cell, RefCell};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::rc::Rc;
use std::time::{Duration, Instant};

use v6kit_net::ResolveError;

use crate::connection::{Connection, Far, HttpVersion, Opened, Protocol, Target, Tunnel};
use crate::outcome::{ErrorKind, Fault};
use crate::shard::Shard;
use crate::site::{Reached, Site};
use crate::tenure::Drawn;
use crate::tracking::Dialled;

/// How long an address that could not be reached comes last.
const SET_ASIDE: Duration = Duration::from_secs(30);

/// The least that one of several addresses is given to answer, where there is as much time.
const LEAST: Duration = Duration::from_secs(1);

/// Whose turn it is among the addresses of a destination.
#[derive(Debug, Default)]
pub(crate) struct Rota {
    next: Cell<usize>,
    /// Addresses that could not be reached, and until when they come last.
    aside: RefCell<Vec<(SocketAddrV6, Instant)>>,
}

impl Rota {
    /// `all` in the order in which they are to be tried.
    fn order(&self, all: &[SocketAddrV6], now: Instant) -> Vec<SocketAddrV6> {
        if let [_] = all {
            return all.to_vec();
        }
        let turn = self.next.get();
        self.next.set(turn.wrapping_add(1));
        let mut aside = self.aside.borrow_mut();
        aside.retain(|(_, until)| *until > now);
        let is_aside = |address: &&SocketAddrV6| aside.iter().any(|(other, _)| other == *address);
        let (last, mut order): (Vec<_>, Vec<_>) = all.iter().partition(is_aside);
        if !order.is_empty() {
            let first = turn % order.len();
            order.rotate_left(first);
        }
        order.extend(last);
        order
    }

    fn set_aside(&self, address: SocketAddrV6, now: Instant) {
        let mut aside = self.aside.borrow_mut();
        aside.retain(|(other, _)| *other != address);
        aside.push((address, now + SET_ASIDE));
    }
}

/// Where a connection leaves from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Departing {
    /// From whichever address is drawn next.
    Anywhere,
    /// From here.
    From(Ipv6Addr),
}

/// A connection to `site`, ready for a request; `left_from` says from where it was tried last.
///
/// # Errors
/// What the last address that was tried said.
pub(crate) async fn connect(
    shard: &Shard,
    site: &Site,
    departing: Departing,
    deadline: Instant,
    left_from: &mut Option<Ipv6Addr>,
) -> Result<Opened, Fault> {
    let all = addresses(site, deadline).await?;
    let mut order = site.rota.order(&all, Instant::now()).into_iter();
    let mut left = order.len() as u32;
    loop {
        // A name has an address at least.
        let Some(to) = order.next() else {
            return Err(Fault::new(ErrorKind::Dns, "the name has no address"));
        };
        let now = Instant::now();
        let part = (deadline.saturating_duration_since(now) / left).max(LEAST);
        left -= 1;
        let from = match departing {
            // An IPv4 proxy cannot be reached from an IPv6 address.
            _ if to.ip().to_ipv4_mapped().is_some() => Drawn::Kernel,
            Departing::Anywhere => shard.draw_source(),
            Departing::From(from) => Drawn::Address(from),
        };
        *left_from = from.address();
        let opened = open(shard, site, to, from, deadline.min(now + part)).await;
        match opened {
            Err(fault) if left > 0 && is_of_address(fault.kind) && Instant::now() < deadline => {
                tracing::debug!(%to, %fault, "the next address is tried");
                site.rota.set_aside(to, Instant::now());
            }
            opened => return opened,
        }
    }
}

/// Whether another address of the same name may do better.
fn is_of_address(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectRefused
            | ErrorKind::ConnectTimeout
            | ErrorKind::NoRoute
            | ErrorKind::Prohibited
            | ErrorKind::Reset
            | ErrorKind::Tls
            | ErrorKind::Proxy
    )
}

/// The addresses that are dialled: those of the destination, or of the proxy.
async fn addresses(site: &Site, deadline: Instant) -> Result<std::sync::Arc<[SocketAddrV6]>, Fault> {
    let destination = site.destination();
    let Some(proxy) = destination.proxy() else {
        return destination
            .addresses(deadline)
            .await
            .map_err(|error| resolve_fault(&error));
    };
    match destination.look_up(&proxy.name, deadline).await {
        Ok(found) => Ok(found),
        // Only destinations have to be reached from an IPv6 address.
        Err(error) => match &*error {
            ResolveError::Ipv4Only { addresses, .. } => Ok(addresses
                .iter()
                .map(|address| SocketAddrV6::new(address.ip().to_ipv6_mapped(), proxy.proxy.port, 0, 0))
                .collect()),
            error => Err(Fault::from_error(ErrorKind::Proxy, error)),
        },
    }
}

fn resolve_fault(error: &ResolveError) -> Fault {
    let kind = match error {
        ResolveError::Ipv4Only { .. } => ErrorKind::NoIpv6,
        ResolveError::NotFound { .. } | ResolveError::TimedOut { .. } => ErrorKind::Dns,
    };
    Fault::from_error(kind, error)
}

async fn open(
    shard: &Shard,
    site: &Site,
    to: SocketAddrV6,
    from: Drawn,
    deadline: Instant,
) -> Result<Opened, Fault> {
    let tls = match &site.server_name {
        Some(name) => Some((shard.tls()?, name)),
        None => None,
    };
    let reached = site.destination().proxy();
    let tunnel = match reached.filter(|_| !site.is_forwarded) {
        None => None,
        // Its room is for those that need it.
        Some(reached) => Some(Box::pin(tunnel(site, reached, deadline)).await?),
    };
    let target = Target {
        to,
        from,
        tunnel,
        proxy: reached.map(|reached| &*reached.proxy),
        tls,
        deadline: deadline.into(),
        otherwise: match shard.settings.http {
            HttpVersion::Two => Protocol::Http2,
            HttpVersion::Auto | HttpVersion::One => Protocol::Http1,
        },
        changed: Rc::clone(&site.changed),
    };
    let began = Instant::now();
    let opened = Connection::open(target, &shard.progress).await;
    let dialled = match &opened {
        Ok(_) => Dialled::Connected,
        Err(fault) if fault.kind == ErrorKind::ConnectTimeout => Dialled::TimedOut,
        Err(_) => Dialled::Failed,
    };
    if site.tracking.dialled(dialled, began, Instant::now()) {
        shard.progress.table_full.add(1);
    }
    opened
}

/// What a proxy has to be told before it passes anything on.
async fn tunnel<'a>(site: &'a Site, reached: &'a Reached, deadline: Instant) -> Result<Tunnel<'a>, Fault> {
    let destination = site.destination();
    let origin = destination.origin();
    let to = if reached.proxy.resolves() {
        Far::Name(&origin.host, origin.port)
    } else {
        let all = destination
            .addresses(deadline)
            .await
            .map_err(|error| resolve_fault(&error))?;
        let order = site.far_rota.order(&all, Instant::now());
        // A name has an address at least.
        let first = order.first().copied();
        Far::Address(first.ok_or_else(|| Fault::new(ErrorKind::Dns, "the name has no address"))?)
    };
    Ok(Tunnel {
        proxy: &reached.proxy,
        to,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_take_turns_and_those_that_failed_come_last() {
        let all: Vec<SocketAddrV6> = ["[::1]:1", "[::2]:1", "[::3]:1"]
            .map(|text| text.parse().unwrap())
            .into();
        let (rota, now) = (Rota::default(), Instant::now());
        let firsts: Vec<SocketAddrV6> = (0..3).map(|_| rota.order(&all, now)[0]).collect();
        assert_eq!(firsts, all);
        rota.set_aside(all[0], now);
        let firsts: Vec<SocketAddrV6> = (0..4).map(|_| rota.order(&all, now)[0]).collect();
        assert_eq!(firsts, [all[2], all[1], all[2], all[1]]);
        assert_eq!(rota.order(&all, now)[2], all[0]);
        assert_eq!(rota.order(&all, now + SET_ASIDE).len(), 3);
        assert!(rota.aside.borrow().is_empty());
    }
}
