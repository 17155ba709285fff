//! From a destination to a connection: resolve, ask the policy, dial from the chosen address.

pub(crate) mod delivery;
pub(crate) mod kept;
pub(crate) mod lookup;
pub(crate) mod policy;
pub(crate) mod source;
pub(crate) mod turns;

use std::cell::RefCell;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use v6kit_net::{DialError, RateLimit, ResolveError, dial, dial_to_speak};

use crate::data::refusal::Refusal;
use crate::data::target::{Host, Target};
use crate::data::username::SourceRequest;
use delivery::Watch;
use kept::Source;
use lookup::Names;
use policy::Policy;
use source::{NoPlace, Sources};
use turns::{By, SessionName};

/// What happens to destinations that have IPv4 addresses only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ipv4Destinations {
    /// They are refused.
    Refuse,
    /// They are dialled from the host's own IPv4 address, with a warning.
    Direct,
}

/// Destinations that were warned about. More share one warning.
const MAX_WARNINGS: usize = 1000;

/// The way out, for one thread.
#[derive(Debug)]
pub(crate) struct Egress {
    /// `None` sends from the host's own address.
    pub(crate) sources: Option<Sources>,
    /// Whether the prefix is delivered here, where that can be seen.
    pub(crate) delivery: Option<Watch>,
    pub(crate) policy: Policy,
    pub(crate) v4: Ipv4Destinations,
    /// For resolution and connection together.
    pub(crate) timeout: Duration,
    /// How often a connection may be begun, over all threads.
    pub(crate) connects: Arc<RateLimit>,
    pub(crate) names: Names,
    pub(crate) warned: RefCell<HashSet<Host>>,
}

/// A connection to a destination.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) stream: TcpStream,
    pub(crate) to: SocketAddrV6,
}

impl Upstream {
    /// The address that the destination sees, with the port.
    pub(crate) fn local(&self) -> Option<std::net::SocketAddr> {
        let address = self.stream.local_addr().ok()?;
        Some(std::net::SocketAddr::new(
            address.ip().to_canonical(),
            address.port(),
        ))
    }
}

impl Egress {
    /// The source address for a source request or a pin, `None` where there is no prefix.
    pub(crate) fn source(
        &self,
        user: &str,
        request: SourceRequest<'_>,
        pin: Option<Ipv6Addr>,
    ) -> Result<Option<Source>, Refusal> {
        let source = match (&self.sources, pin) {
            (Some(sources), Some(pin)) if sources.allows(pin) => sources.chosen(pin),
            (_, Some(address)) => return Err(Refusal::Pin { address }),
            (Some(sources), None) => sources.choose(user, request),
            (None, None) => return Ok(None),
        };
        let full = |NoPlace { places }| Refusal::Addresses { places };
        source.map(Some).map_err(full)
    }

    /// The source for `host`, where each destination has one of its own.
    pub(crate) fn source_of_host(&self, user: &str, host: &Host) -> Result<Option<Source>, Refusal> {
        let Some(sources) = &self.sources else {
            return Ok(None);
        };
        let full = |NoPlace { places }| Refusal::Addresses { places };
        sources.of_host(user, &host.to_string()).transpose().map_err(full)
    }

    /// Has a session leave from elsewhere if it still leaves from `address`.
    pub(crate) fn turn_away(&self, name: &SessionName, address: Ipv6Addr, by: By) {
        if let Some(sources) = &self.sources
            && sources.turn(name, address, by)
        {
            tracing::debug!("the session {} turns away from {address}", name.id);
        }
    }

    /// Connects to `target` from `source`.
    pub(crate) async fn connect(
        &self,
        target: &Target,
        source: Option<Ipv6Addr>,
    ) -> Result<Upstream, Refusal> {
        let mut deadline = Instant::now() + self.timeout;
        let (addresses, source) = match self.destinations(target, deadline).await? {
            Destinations::V6(addresses) => (addresses, source),
            Destinations::V4(addresses) => (addresses, None),
        };
        self.ensure_delivered(source).await?;
        let mut failed = None;
        for (index, to) in addresses.iter().enumerate() {
            deadline += self.turn().await?;
            let share = share_of(deadline, addresses.len() - index);
            let dialled = if target.is_asked_first() {
                dial_to_speak(*to, source, share).await
            } else {
                dial(*to, source, share).await
            };
            match dialled {
                Ok(stream) => {
                    if let (Some(watch), Some(_)) = (&self.delivery, source) {
                        watch.heard();
                    }
                    return Ok(Upstream { stream, to: *to });
                }
                Err(error) if is_local(&error) => return Err(self.explain(source, error).await),
                Err(error) => failed = Some(error),
            }
        }
        // `destinations` never returns an empty list.
        match failed {
            Some(error) => Err(self.explain(source, error).await),
            None => Err(Refusal::Silent),
        }
    }

    /// Waits until another connection may be begun, and says how long that took. Nobody queues for longer than a
    /// connection may take.
    async fn turn(&self) -> Result<Duration, Refusal> {
        let Some(rate) = self.connects.per_second() else {
            return Ok(Duration::ZERO);
        };
        let began = Instant::now();
        let due = self
            .connects
            .reserve_within(began.into_std(), self.timeout)
            .map_err(|_wait| Refusal::ConnectRate { rate })?;
        tokio::time::sleep_until(due.into()).await;
        Ok(began.elapsed())
    }

    /// Refuses what would leave from a prefix that is known not to be delivered to this host.
    pub(crate) async fn ensure_delivered(&self, source: Option<Ipv6Addr>) -> Result<(), Refusal> {
        match (&self.delivery, source) {
            (Some(watch), Some(_)) => watch.check().await,
            _ => Ok(()),
        }
    }

    async fn explain(&self, source: Option<Ipv6Addr>, error: DialError) -> Refusal {
        match (&self.delivery, source) {
            (Some(watch), Some(_)) => watch.explain(error).await,
            _ => Refusal::Dial(error),
        }
    }

    /// The addresses of `target` that the policy lets us reach.
    pub(crate) async fn destinations(
        &self,
        target: &Target,
        deadline: Instant,
    ) -> Result<Destinations, Refusal> {
        let found = match &target.host {
            Host::Literal(IpAddr::V6(address)) => Destinations::V6(vec![with_port(*address, target.port)]),
            Host::Literal(IpAddr::V4(address)) => self.ipv4_only(target, vec![*address])?,
            Host::Name(name) => self.resolve(name, target, deadline).await?,
        };
        self.permitted(found)
    }

    async fn resolve(&self, name: &str, target: &Target, deadline: Instant) -> Result<Destinations, Refusal> {
        let answer = timeout_at(deadline, self.names.resolve(name))
            .await
            .map_err(|_elapsed| {
                Refusal::Resolve(ResolveError::TimedOut {
                    host: name.to_owned(),
                })
            })?;
        match &*answer {
            Ok(addresses) => Ok(Destinations::V6(
                addresses
                    .iter()
                    .map(|address| with_port(*address.ip(), target.port))
                    .collect(),
            )),
            Err(ResolveError::Ipv4Only { addresses, .. }) => {
                self.ipv4_only(target, addresses.iter().map(|address| *address.ip()).collect())
            }
            Err(error) => Err(Refusal::Resolve(copy_of(error))),
        }
    }

    fn ipv4_only(
        &self,
        target: &Target,
        addresses: Vec<std::net::Ipv4Addr>,
    ) -> Result<Destinations, Refusal> {
        match self.v4 {
            Ipv4Destinations::Refuse => Err(Refusal::Ipv4Only(ResolveError::Ipv4Only {
                host: target.host.to_string(),
                addresses: addresses
                    .into_iter()
                    .map(|address| SocketAddrV4::new(address, target.port))
                    .collect(),
            })),
            Ipv4Destinations::Direct => {
                self.warn_of_direct(&target.host);
                // IPv4-mapped addresses reach IPv4 destinations through IPv6 sockets (RFC 4291 section 2.5.5.2).
                Ok(Destinations::V4(
                    addresses
                        .into_iter()
                        .map(|address| with_port(address.to_ipv6_mapped(), target.port))
                        .collect(),
                ))
            }
        }
    }

    fn warn_of_direct(&self, host: &Host) {
        let mut warned = self.warned.borrow_mut();
        if warned.len() < MAX_WARNINGS && warned.insert(host.clone()) {
            tracing::warn!(
                "{host} has no IPv6 address: it is shown this host's own IPv4 address (--v4 direct)"
            );
            if warned.len() == MAX_WARNINGS {
                tracing::warn!("no further IPv4-only destinations are named");
            }
        }
    }

    fn permitted(&self, found: Destinations) -> Result<Destinations, Refusal> {
        let mut denied = None;
        let keep = |address: &SocketAddrV6| {
            let destination = IpAddr::V6(*address.ip()).to_canonical();
            match self.policy.denies(destination) {
                None => true,
                Some(why) => {
                    denied = Some(Refusal::Denied { destination, why });
                    false
                }
            }
        };
        let permitted = match found {
            Destinations::V6(addresses) => Destinations::V6(addresses.into_iter().filter(keep).collect()),
            Destinations::V4(addresses) => Destinations::V4(addresses.into_iter().filter(keep).collect()),
        };
        match denied {
            Some(denied) if permitted.is_empty() => Err(denied),
            _ => Ok(permitted),
        }
    }
}

/// The addresses of a destination, never none.
#[derive(Debug)]
pub(crate) enum Destinations {
    /// Reached from the prefix.
    V6(Vec<SocketAddrV6>),
    /// Reached from the host's own IPv4 address, written as IPv4-mapped addresses.
    V4(Vec<SocketAddrV6>),
}

impl Destinations {
    fn is_empty(&self) -> bool {
        let (Self::V6(addresses) | Self::V4(addresses)) = self;
        addresses.is_empty()
    }
}

fn with_port(address: Ipv6Addr, port: u16) -> SocketAddrV6 {
    SocketAddrV6::new(address, port, 0, 0)
}

/// The moment at which the next of `left` addresses gets its turn.
fn share_of(deadline: Instant, left: usize) -> Instant {
    let now = Instant::now();
    let left = u32::try_from(left).unwrap_or(u32::MAX).max(1);
    now + deadline.saturating_duration_since(now) / left
}

/// Whether another destination address would fail in the same way.
fn is_local(error: &DialError) -> bool {
    matches!(
        error,
        DialError::ProcessFiles
            | DialError::SystemFiles
            | DialError::SourceNotLocal { .. }
            | DialError::SourcePorts { .. }
            | DialError::Memory
    )
}

/// An error of the system with its number.
fn copy_of_io(error: &std::io::Error) -> std::io::Error {
    match error.raw_os_error() {
        Some(number) => std::io::Error::from_raw_os_error(number),
        None => std::io::Error::new(error.kind(), error.to_string()),
    }
}

/// An error for one more of those who waited for the same answer.
fn copy_of(error: &ResolveError) -> ResolveError {
    match error {
        ResolveError::Ipv4Only { host, addresses } => ResolveError::Ipv4Only {
            host: host.clone(),
            addresses: addresses.clone(),
        },
        ResolveError::NotFound { host, source } => ResolveError::NotFound {
            host: host.clone(),
            source: std::io::Error::new(source.kind(), source.to_string()),
        },
        ResolveError::NameServers { host, source } => ResolveError::NameServers {
            host: host.clone(),
            source: std::io::Error::new(source.kind(), source.to_string()),
        },
        ResolveError::Resources { host, source } => ResolveError::Resources {
            host: host.clone(),
            source: copy_of_io(source),
        },
        ResolveError::TimedOut { host } => ResolveError::TimedOut { host: host.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(v4: Ipv4Destinations, allowed: &[&str]) -> Egress {
        Egress {
            sources: None,
            delivery: None,
            policy: Policy::new(None, allowed.iter().map(|net| net.parse().unwrap()).collect()),
            v4,
            timeout: Duration::from_secs(10),
            connects: Arc::new(RateLimit::even(None, Duration::ZERO, Instant::now().into_std())),
            names: Names::default(),
            warned: RefCell::default(),
        }
    }

    async fn connect(egress: &Egress, target: &str) -> Result<Upstream, Refusal> {
        egress.connect(&Target::parse(target, None).unwrap(), None).await
    }

    #[tokio::test]
    async fn a_name_that_points_inside_is_denied_after_resolution() {
        let refusal = connect(&egress(Ipv4Destinations::Direct, &[]), "localhost:80").await;
        assert_eq!(refusal.unwrap_err().kind(), "denied");
    }

    #[tokio::test]
    async fn ipv4_is_refused_unless_it_may_go_direct() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let refused = connect(&egress(Ipv4Destinations::Refuse, &["127.0.0.0/8"]), &target).await;
        assert_eq!(refused.unwrap_err().kind(), "ipv4_only");
        let direct = connect(&egress(Ipv4Destinations::Direct, &["127.0.0.0/8"]), &target).await;
        assert_eq!(direct.unwrap().local().unwrap().ip().to_string(), "127.0.0.1");
    }

    #[tokio::test]
    async fn who_would_wait_longer_than_a_connection_may_take_is_refused_and_delays_nobody() {
        let connects = RateLimit::even(Some(20.0), Duration::ZERO, Instant::now().into_std());
        let egress = Egress {
            timeout: Duration::from_millis(200),
            connects: Arc::new(connects),
            ..egress(Ipv4Destinations::Refuse, &[])
        };
        let turns: Vec<_> = (0..10).map(|_| egress.turn()).collect();
        let mut turns: Vec<_> = futures_util::future::join_all(turns).await;
        let refused = turns.split_off(5);
        assert!(turns.iter().all(Result::is_ok), "{turns:?}");
        assert!(
            refused
                .iter()
                .all(|turn| matches!(turn, Err(Refusal::ConnectRate { .. }))),
            "{refused:?}"
        );
        // Those that were refused have not taken a turn.
        assert!(egress.turn().await.unwrap() < Duration::from_millis(150));
    }

    #[tokio::test]
    async fn a_pin_without_a_prefix_is_refused() {
        let egress = egress(Ipv4Destinations::Refuse, &[]);
        let pin = Some("2001:db8::1".parse().unwrap());
        assert!(matches!(
            egress.source("", SourceRequest::Another, pin),
            Err(Refusal::Pin { .. })
        ));
    }
}
