//! Making a connection: through a proxy or not, to one address of the destination after another.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use v6kit_http1::Buffers;
use v6kit_model::{ErrorKind, Fault, HttpVersion, Protocol};
use v6kit_net::ResolveError;
use v6kit_store::Timing;

use crate::connect::connection::{Connection, Far, LazyTls, Opened, Target, Tunnel};
use crate::connect::source_lease::{SourceChoice, SourcePicker};
use crate::site::connects::Connects;
use crate::site::conntrack::Dialled;
use crate::site::outage::Outage;
use crate::site::reach::Bounds;
use crate::site::{Reached, Site};
use crate::stats::progress::Progress;

/// The least that one of several addresses is given to answer, where there is as much time.
const LEAST: Duration = Duration::from_secs(1);

/// What connections are made with.
pub(crate) struct Dialer {
    /// Where they leave from.
    pub(crate) sources: SourcePicker,
    pub(crate) tls: LazyTls,
    /// For sites that want to be asked over HTTP/1.1.
    pub(crate) tls_of_http1: LazyTls,
    pub(crate) http: HttpVersion,
    /// Streams of a connection at a time.
    pub(crate) streams: u64,
    pub(crate) progress: Arc<Progress>,
    /// How fast connections are begun.
    pub(crate) connects: Connects,
    /// The way out of this host.
    pub(crate) outage: Arc<Outage>,
    /// What connections read into.
    pub(crate) buffers: Rc<Buffers>,
}

/// The address a connection leaves from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WantedSource {
    /// Whichever is drawn next.
    Any,
    /// This one.
    Only(Ipv6Addr),
}

/// What is known about an attempt to connect, also where it came to nothing.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// From where it was tried last.
    pub(crate) from: Option<Ipv6Addr>,
    /// How long it waited until a further connection might be begun, for which nobody but this host is to blame.
    pub(crate) waited: Duration,
    /// How long its parts took.
    pub(crate) timing: Timing,
}

/// A connection to `site`, ready for a request. Whoever calls it has waited for the first turn of [`Connects`].
///
/// # Errors
/// What the last address that was tried said.
pub(crate) async fn connect(
    dialer: &Dialer,
    site: &Site,
    wanted: WantedSource,
    bounds: Bounds<'_>,
    mut deadline: Instant,
    trace: &mut Trace,
) -> Result<Opened, Fault> {
    let mut all = addresses(site, deadline).await?;
    trace.timing.name = site.destination().take_look_up();
    if let Bounds::Public { .. } = bounds {
        // A proxy alone knows the addresses of names.
        match site.destination().proxy() {
            None => all = bounds.within(site, &all)?.into(),
            Some(_) => bounds.judge_host(site)?,
        }
    }
    let mut order = site.rotation.order(&all, Instant::now()).into_iter();
    let mut left = order.len() as u32;
    loop {
        // A name has an address at least.
        let Some(to) = order.next() else {
            return Err(Fault::new(ErrorKind::Dns, "the name has no address"));
        };
        let now = Instant::now();
        let part = (deadline.saturating_duration_since(now) / left).max(LEAST);
        left -= 1;
        let from = match wanted {
            // An IPv4 proxy cannot be reached from an IPv6 address.
            _ if to.ip().to_ipv4_mapped().is_some() => SourceChoice::Kernel,
            WantedSource::Any => dialer.sources.draw(&site.destination().origin().host),
            WantedSource::Only(from) => SourceChoice::Address(from),
        };
        trace.from = from.address();
        let deadline_of_one = deadline.min(now + part);
        let opened = open(
            dialer,
            site,
            (to, from),
            bounds,
            deadline_of_one,
            &mut trace.timing,
        )
        .await;
        match opened {
            Err(fault) if left > 0 && is_of_address(fault.kind) && Instant::now() < deadline => {
                tracing::debug!(%to, %fault, "the next address is tried");
                site.rotation.set_aside(to, Instant::now());
                let Some(waited) = dialer.connects.wait().await else {
                    return Err(fault);
                };
                trace.waited += waited;
                deadline += waited;
            }
            opened => return opened,
        }
    }
}

/// Whether another address of the same name may do better.
fn is_of_address(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::BadAddress
            | ErrorKind::ConnectRefused
            | ErrorKind::ConnectTimeout
            | ErrorKind::NoRoute
            | ErrorKind::Prohibited
            | ErrorKind::Reset
            | ErrorKind::Tls
            | ErrorKind::Proxy
    )
}

/// The addresses that are dialled: those of the destination, or of the proxy.
pub(crate) async fn addresses(site: &Site, deadline: Instant) -> Result<Arc<[SocketAddrV6]>, Fault> {
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
        ResolveError::NotFound { .. } => ErrorKind::NoName,
        ResolveError::Resources { .. } => ErrorKind::Resources,
        ResolveError::NameServers { .. } | ResolveError::TimedOut { .. } => ErrorKind::Dns,
    };
    Fault::from_error(kind, error)
}

async fn open(
    dialer: &Dialer,
    site: &Site,
    (to, from): (SocketAddrV6, SourceChoice),
    bounds: Bounds<'_>,
    deadline: Instant,
    timing: &mut Timing,
) -> Result<Opened, Fault> {
    let tls = match &site.server_name {
        Some(name) if site.wants_http1() => Some((dialer.tls_of_http1.get()?, name)),
        Some(name) => Some((dialer.tls.get()?, name)),
        None => None,
    };
    let reached = site.destination().proxy();
    let tunnel = match reached.filter(|_| !site.is_forwarded) {
        None => None,
        // Its room is for those that need it.
        Some(reached) => Some(Box::pin(tunnel(site, reached, bounds, deadline)).await?),
    };
    let source = from.address();
    let target = Target {
        to,
        from,
        tunnel,
        proxy: reached.map(|reached| &*reached.proxy),
        tls,
        deadline: deadline.into(),
        otherwise: match dialer.http {
            HttpVersion::Two if !site.wants_http1() => Protocol::Http2,
            HttpVersion::Two | HttpVersion::Auto | HttpVersion::One => Protocol::Http1,
        },
        changed: Rc::clone(&site.changed),
        streams: dialer.streams,
        buffers: Rc::clone(&dialer.buffers),
        timing,
    };
    let began = Instant::now();
    site.tried.set(Some((to, source)));
    let opened = Connection::open(target, &dialer.progress.open_connections).await;
    let dialled = match &opened {
        Ok(_) => {
            tracing::debug!(%to, from = ?source, took = ?began.elapsed(), "dialled");
            dialer.outage.reached(to, source);
            Dialled::Connected
        }
        Err(fault) if fault.kind == ErrorKind::ConnectTimeout => Dialled::TimedOut,
        Err(_) => Dialled::Failed,
    };
    if site.conntrack.dialled(dialled, began, Instant::now()) {
        dialer.progress.table_full.add(1);
    }
    opened
}

/// What a proxy has to be told before it passes anything on.
async fn tunnel<'a>(
    site: &'a Site,
    reached: &'a Reached,
    bounds: Bounds<'_>,
    deadline: Instant,
) -> Result<Tunnel<'a>, Fault> {
    let destination = site.destination();
    let origin = destination.origin();
    let to = if reached.proxy.resolves() {
        Far::Name(&origin.host, origin.port)
    } else {
        let all = destination
            .addresses(deadline)
            .await
            .map_err(|error| resolve_fault(&error))?;
        let all = bounds.within(site, &all)?;
        let order = site.far_rotation.order(&all, Instant::now());
        // A name has an address at least.
        let first = order.first().copied();
        Far::Address(first.ok_or_else(|| Fault::new(ErrorKind::Dns, "the name has no address"))?)
    };
    Ok(Tunnel {
        proxy: &reached.proxy,
        to,
    })
}
