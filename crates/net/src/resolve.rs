//! Names to IPv6 destinations, and the host's own addresses.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo};
use nix::errno::Errno;
use tokio::time::{Instant, timeout_at};

use crate::{Code, Hint};

/// Why a name has no IPv6 destination.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Only IPv4 addresses exist; a source address of an IPv6 prefix cannot reach them.
    #[error("`{host}` has IPv4 addresses only")]
    Ipv4Only {
        /// The name or the IPv4 literal.
        host: String,
        /// The addresses, with the port that was asked for.
        addresses: Vec<SocketAddrV4>,
    },
    /// The resolver knows no address.
    #[error("`{host}` cannot be resolved")]
    NotFound {
        /// The name.
        host: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// No name server answered, or those that did cannot tell (EAI_AGAIN, EAI_FAIL; getaddrinfo(3)). Whether the name
    /// exists is not known.
    #[error("no name server gives an answer for `{host}`")]
    NameServers {
        /// The name.
        host: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// This host lacks what asking takes: descriptors, memory or threads. Whether the name exists is not known.
    #[error("this host lacks what it takes to look `{host}` up")]
    Resources {
        /// The name.
        host: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The resolver did not answer before the deadline.
    #[error("`{host}` was not resolved in time")]
    TimedOut {
        /// The name.
        host: String,
    },
}

impl Hint for ResolveError {
    fn code(&self) -> Code {
        match self {
            Self::Ipv4Only { .. } => Code::Ipv4Only,
            Self::NotFound { .. } | Self::NameServers { .. } | Self::TimedOut { .. } => Code::NoName,
            Self::Resources { .. } => Code::OpenFiles,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Ipv4Only { host, .. } => {
                format!("v6kit reaches IPv6 destinations only; ask the operator of {host} for an AAAA record")
            }
            Self::NotFound { host, .. } => format!("check the name with `getent ahostsv6 {host}`"),
            Self::Resources { .. } => {
                "raise the limit on open files, `ulimit -n`, or use fewer connections".to_owned()
            }
            Self::NameServers { .. } | Self::TimedOut { .. } => name_server_hint(&name_servers()),
        })
    }
}

/// The IPv6 socket addresses of `host`, an IPv6 literal (with or without brackets) or a name.
///
/// Names go through the system's resolver, /etc/hosts included.
///
/// # Errors
/// [`ResolveError`], also when `deadline` passes first.
pub async fn resolve(host: &str, port: u16, deadline: Instant) -> Result<Vec<SocketAddrV6>, ResolveError> {
    let bare = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => return Ok(vec![SocketAddrV6::new(address, port, 0, 0)]),
        Ok(IpAddr::V4(address)) => {
            return Err(ResolveError::Ipv4Only {
                host: host.to_owned(),
                addresses: vec![SocketAddrV4::new(address, port)],
            });
        }
        Err(_) => {}
    }
    let name = bare.to_owned();
    let found = timeout_at(
        deadline,
        tokio::task::spawn_blocking(move || look_up(&name, port)),
    )
    .await
    .map_err(|_elapsed| ResolveError::TimedOut {
        host: host.to_owned(),
    })?
    .map_err(io::Error::other)
    .map_err(|source| ResolveError::NameServers {
        host: host.to_owned(),
        source,
    })?
    .map_err(|error| match descriptor_shortage() {
        // The resolver cannot tell: it takes a file that it cannot open for one that is not there.
        Some(source) => ResolveError::Resources {
            host: host.to_owned(),
            source,
        },
        None => not_resolved(host, error),
    })?;
    let (v4, v6) = split_by_family(&found);
    if v6.is_empty() {
        Err(ResolveError::Ipv4Only {
            host: host.to_owned(),
            addresses: v4,
        })
    } else {
        Ok(v6)
    }
}

/// What the system says where this process cannot open a descriptor at present; `None` where it can.
#[must_use]
pub fn descriptor_shortage() -> Option<io::Error> {
    let error = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::DGRAM, None).err()?;
    is_shortage(&error).then_some(error)
}

/// Whether `error` says that this process or the system lacks descriptors or memory.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(
        errno,
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS)
    )
}

/// Asks the system's resolver, and waits for it.
fn look_up(name: &str, port: u16) -> Result<Vec<SocketAddr>, LookupError> {
    let hints = AddrInfoHints {
        socktype: SockType::Stream.into(),
        ..AddrInfoHints::default()
    };
    let mut found = Vec::new();
    for answer in getaddrinfo(Some(name), None, Some(hints))? {
        let mut address = answer?.sockaddr;
        address.set_port(port);
        found.push(address);
    }
    Ok(found)
}

fn not_resolved(host: &str, error: LookupError) -> ResolveError {
    let host = host.to_owned();
    match error.kind() {
        LookupErrorKind::Again | LookupErrorKind::Fail => ResolveError::NameServers {
            host,
            source: error.into(),
        },
        _ => ResolveError::NotFound {
            host,
            source: error.into(),
        },
    }
}

/// The name servers of resolv.conf(5), in the order in which they are asked.
#[must_use]
pub fn name_servers() -> Vec<IpAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    name_servers_in(&text)
}

fn name_servers_in(text: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let is_server = words.next() == Some("nameserver");
            let address = words.next().filter(|_| is_server)?;
            // A link-local one has its device behind it.
            address.split('%').next()?.parse().ok()
        })
        .collect()
}

fn name_server_hint(servers: &[IpAddr]) -> String {
    let list: Vec<String> = servers.iter().map(ToString::to_string).collect();
    match list.as_slice() {
        [] => "/etc/resolv.conf names no name server: add one, or see why none is announced".to_owned(),
        list => format!(
            "see whether the name servers of /etc/resolv.conf are reached: {}",
            list.join(", ")
        ),
    }
}

/// IPv4 addresses, mapped ones among them, apart from IPv6 addresses.
fn split_by_family(found: &[SocketAddr]) -> (Vec<SocketAddrV4>, Vec<SocketAddrV6>) {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for address in found {
        match address {
            SocketAddr::V4(address) => v4.push(*address),
            SocketAddr::V6(address) => match address.ip().to_ipv4_mapped() {
                Some(mapped) => v4.push(SocketAddrV4::new(mapped, address.port())),
                None => v6.push(*address),
            },
        }
    }
    (v4, v6)
}

/// The IPv6 addresses configured on this host's interfaces, as getifaddrs(3) lists them.
///
/// # Errors
/// What getifaddrs(3) failed with.
pub fn own_addresses() -> io::Result<Vec<Ipv6Addr>> {
    Ok(nix::ifaddrs::getifaddrs()?
        .filter_map(|interface| interface.address)
        .filter_map(|address| address.as_sockaddr_in6().map(nix::sys::socket::SockaddrIn6::ip))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test]
    async fn literals_need_no_resolver() {
        let expected: SocketAddrV6 = "[2001:db8::1]:80".parse().unwrap();
        assert_eq!(resolve("2001:db8::1", 80, soon()).await.unwrap(), [expected]);
        assert_eq!(resolve("[2001:db8::1]", 80, soon()).await.unwrap(), [expected]);
    }

    #[tokio::test]
    async fn an_ipv4_destination_is_its_own_error() {
        let error = resolve("192.0.2.1", 80, soon()).await.unwrap_err();
        let ResolveError::Ipv4Only { addresses, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(addresses, ["192.0.2.1:80".parse().unwrap()]);
    }

    #[test]
    fn a_name_that_nobody_knows_is_told_from_name_servers_that_do_not_answer() {
        let error = |kind| not_resolved("h.example", LookupError::new(kind));
        let again = error(nix::libc::EAI_AGAIN);
        assert!(matches!(again, ResolveError::NameServers { .. }), "{again}");
        let failing = error(nix::libc::EAI_FAIL);
        assert!(matches!(failing, ResolveError::NameServers { .. }), "{failing}");
        let unknown = error(nix::libc::EAI_NONAME);
        assert!(matches!(unknown, ResolveError::NotFound { .. }), "{unknown}");
    }

    #[test]
    fn name_servers_are_read_from_resolv_conf() {
        let text = "# nameserver 192.0.2.9\nsearch example\nnameserver 2001:db8::53\n nameserver fe80::1%eth0 # near\nnameserver\n";
        let servers = name_servers_in(text);
        let expected: [IpAddr; 2] = ["2001:db8::53".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert_eq!(servers, expected);
        assert!(name_server_hint(&servers).contains("2001:db8::53, fe80::1"));
        assert!(name_server_hint(&[]).contains("names no name server"));
    }

    #[test]
    fn loopback_is_among_the_own_addresses() {
        assert!(own_addresses().unwrap().contains(&Ipv6Addr::LOCALHOST));
    }
}
