//! Asking: hosts(5) and DNS by hickory, and then whatever else the system's resolver knows.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::Name as DnsName;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;
use v6kit_net::{ResolveError, descriptor_shortage, is_shortage, resolve};

use super::{Found, Name};

/// Names that are asked for at a time.
const AT_ONCE: usize = 64;

/// How long one may take, whatever resolv.conf(5) says about timeouts and attempts.
const PATIENCE: Duration = Duration::from_secs(15);

/// The bounds of what records may say about how long they hold.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(86_400);

/// How long holds what the system's resolver says, which tells no times.
const OF_SYSTEM: Duration = Duration::from_secs(60);

/// Who is asked.
enum Source {
    Dns(Box<TokioResolver>),
    /// The system's resolver, where DNS is not set up in a way that hickory can read.
    System,
}

/// Starts the thread that asks for the names of `queue`, until nobody can put one there any more.
///
/// # Errors
/// This host has no room for another thread, or for what it waits with.
pub(super) fn start(mut queue: UnboundedReceiver<Arc<Name>>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let serve = move || {
        runtime.block_on(async {
            let source = Arc::new(Source::of_system());
            let turns = Arc::new(Semaphore::new(AT_ONCE));
            while let Some(name) = queue.recv().await {
                // The semaphore is never closed.
                let turn = Arc::clone(&turns).acquire_owned().await;
                let source = Arc::clone(&source);
                tokio::spawn(async move {
                    let _turn = turn;
                    let found = source.find(&name.host).await;
                    tracing::debug!(name = name.host, ?found, "looked up");
                    name.learn(found);
                });
            }
        });
        // Whoever still waits for the system's resolver is not waited for.
        runtime.shutdown_background();
    };
    std::thread::Builder::new()
        .name("names".to_owned())
        .spawn(serve)
        .map(drop)
}

impl Source {
    fn of_system() -> Self {
        // A name server on a link needs its interface, which hickory does not keep.
        let scoped = std::fs::read_to_string("/etc/resolv.conf").is_ok_and(|text| {
            text.lines()
                .any(|line| line.trim_start().starts_with("nameserver") && line.contains('%'))
        });
        if scoped {
            return Self::System;
        }
        let built = TokioResolver::builder_tokio().and_then(|mut builder| {
            let options = builder.options_mut();
            options.ip_strategy = LookupIpStrategy::Ipv6Only;
            options.use_hosts_file = ResolveHosts::Always;
            builder.build().map(Box::new)
        });
        built.map_or_else(
            |error| {
                tracing::debug!(%error, "DNS is not set up: the system's resolver is asked");
                Self::System
            },
            Self::Dns,
        )
    }

    async fn find(&self, host: &str) -> Found {
        let asking = async {
            match self {
                Self::Dns(dns) => ask_dns(dns, host).await,
                Self::System => ask_system(host).await,
            }
        };
        let found = tokio::time::timeout(PATIENCE, asking)
            .await
            .unwrap_or_else(|_elapsed| {
                Found::Unknown(ResolveError::TimedOut {
                    host: host.to_owned(),
                })
            });
        // Without a descriptor nobody can be asked, and files of names seem to be missing.
        match (&found, descriptor_shortage()) {
            (Found::None(_) | Found::Unknown(_), Some(source)) => Found::Unknown(ResolveError::Resources {
                host: host.to_owned(),
                source,
            }),
            _ => found,
        }
    }
}

async fn ask_dns(dns: &TokioResolver, host: &str) -> Found {
    // DNS puts no limit on what a label holds (RFC 2181 section 11); it is in ASCII already.
    let Ok(name) = DnsName::from_ascii(host) else {
        return ask_system(host).await;
    };
    match dns.lookup_ip(name).await {
        Ok(found) => {
            let all: Vec<Ipv6Addr> = found.iter().filter_map(as_v6).collect();
            let now = Instant::now();
            let until = found.valid_until().clamp(now + SHORTEST, now + LONGEST);
            if all.is_empty() {
                ask_system(host).await
            } else {
                Found::Addresses { all, until }
            }
        }
        // The system may know it from elsewhere (nsswitch.conf(5)), or that it has IPv4 addresses only.
        Err(error) if is_final(&error) => ask_system(host).await,
        Err(NetError::Timeout) => Found::Unknown(ResolveError::TimedOut {
            host: host.to_owned(),
        }),
        Err(error) => Found::Unknown(match shortage(&error) {
            Some(source) => ResolveError::Resources {
                host: host.to_owned(),
                source,
            },
            None => ResolveError::NameServers {
                host: host.to_owned(),
                source: io::Error::other(error),
            },
        }),
    }
}

/// What the system said, where it was for want of descriptors or memory that nobody was asked.
fn shortage(error: &NetError) -> Option<io::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>().filter(|io| is_shortage(io)) {
            return io.raw_os_error().map(io::Error::from_raw_os_error);
        }
        cause = error.source();
    }
    None
}

/// Whether the name servers say that there is no such record, rather than that they cannot tell.
fn is_final(error: &NetError) -> bool {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            matches!(none.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
        }
        _ => false,
    }
}

fn as_v6(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_none() => Some(address),
        IpAddr::V6(_) | IpAddr::V4(_) => None,
    }
}

async fn ask_system(host: &str) -> Found {
    let now = Instant::now();
    match resolve(host, 0, (now + PATIENCE).into()).await {
        Ok(found) => Found::Addresses {
            all: found.iter().map(|address| *address.ip()).collect(),
            until: now + OF_SYSTEM,
        },
        Err(
            error @ (ResolveError::TimedOut { .. }
            | ResolveError::NameServers { .. }
            | ResolveError::Resources { .. }),
        ) => Found::Unknown(error),
        Err(error) => Found::None(error),
    }
}
