//! TCP connections from a chosen source address.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::{Code, Hint, Ipv6, file_limit};

/// Why a connection was not made, told apart by system call and errno.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// socket: EMFILE, or a descriptor of those that are kept for files.
    #[error("this process has no file descriptor left for connections")]
    ProcessFiles,
    /// socket: ENFILE.
    #[error("the system has no file descriptor left")]
    SystemFiles,
    /// bind: EADDRNOTAVAIL.
    #[error("{from} is not an address of this host")]
    SourceNotLocal {
        /// The source address.
        from: Ipv6Addr,
    },
    /// bind: EADDRINUSE.
    #[error("{from} has no free port")]
    SourcePorts {
        /// The source address.
        from: Ipv6Addr,
    },
    /// connect: EADDRNOTAVAIL.
    #[error("all ports from {from} to {to} are taken")]
    TuplePorts {
        /// The source address, `::` when the kernel chose.
        from: Ipv6Addr,
        /// The destination.
        to: SocketAddrV6,
    },
    /// connect: EADDRNOTAVAIL on a host that has no IPv6 address to choose from.
    #[error("this host has no IPv6 address to reach {to} from{}", because(.settings))]
    NoAddress {
        /// The destination.
        to: SocketAddrV6,
        /// What switches IPv6 off, as in `net.ipv6.conf.all.disable_ipv6`; none where it is on.
        settings: Vec<String>,
    },
    /// Nobody can be connected to at such an address.
    #[error("no connection can be made to {to}: {why}")]
    NoDestination {
        /// The destination.
        to: SocketAddrV6,
        /// What is wrong with it.
        why: &'static str,
    },
    /// connect: ENETUNREACH, or an ICMPv6 "no route to destination" (RFC 4443 section 3.1, code 0).
    #[error("no route to {to}")]
    NoRoute {
        /// The destination.
        to: SocketAddrV6,
        /// What connect(2) said.
        #[source]
        source: io::Error,
    },
    /// connect: EHOSTUNREACH: whoever has the last link before the destination, this host or a router far away, says
    /// that nobody there has its address (RFC 4443 section 3.1, code 3).
    /// The system's words for it, "No route to host", are those of another case, and left out.
    #[error("nobody answers at the address of {to} (EHOSTUNREACH)")]
    Unreachable {
        /// The destination.
        to: SocketAddrV6,
    },
    /// connect: EACCES, an ICMPv6 "administratively prohibited" or a local prohibit route.
    #[error("the network refuses packets from {from} to {to}")]
    Prohibited {
        /// The source address, `::` when the kernel chose.
        from: Ipv6Addr,
        /// The destination.
        to: SocketAddrV6,
    },
    /// connect: EPERM, from this host's own firewall.
    #[error("this host's firewall refuses connections to {to}")]
    Firewall {
        /// The destination.
        to: SocketAddrV6,
    },
    /// connect: ECONNREFUSED.
    #[error("{to} refused the connection")]
    Refused {
        /// The destination.
        to: SocketAddrV6,
    },
    /// connect: ECONNRESET.
    #[error("{to} reset the connection")]
    Reset {
        /// The destination.
        to: SocketAddrV6,
    },
    /// The deadline passed, or connect: ETIMEDOUT.
    #[error("{to} did not answer in time")]
    TimedOut {
        /// The destination.
        to: SocketAddrV6,
    },
    /// ENOBUFS or ENOMEM.
    #[error("the kernel is out of socket memory")]
    Memory,
    /// Everything else.
    #[error("{call} failed for {to}")]
    Other {
        /// The system call.
        call: &'static str,
        /// The destination.
        to: SocketAddrV6,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

impl Hint for DialError {
    fn code(&self) -> Code {
        match self {
            Self::ProcessFiles | Self::SystemFiles => Code::OpenFiles,
            Self::SourceNotLocal { .. } => Code::SourceNotLocal,
            Self::SourcePorts { .. } | Self::TuplePorts { .. } => Code::Ports,
            Self::NoAddress { .. } => Code::NoIpv6,
            Self::NoRoute { .. } | Self::NoDestination { .. } => Code::NoRoute,
            Self::Unreachable { .. } => Code::Unreachable,
            Self::Prohibited { .. } => Code::Prohibited,
            Self::Firewall { .. } => Code::Firewall,
            Self::Refused { .. } => Code::Refused,
            Self::Reset { .. } => Code::Reset,
            Self::TimedOut { .. } => Code::TimedOut,
            Self::Memory => Code::Memory,
            Self::Other { .. } => Code::Socket,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::ProcessFiles => "raise the limit on open files (`ulimit -n`), or use fewer connections".to_owned(),
            Self::SystemFiles => "raise fs.file-max, as setup does: `v6kit help setup`".to_owned(),
            Self::SourceNotLocal { .. } => {
                "set the prefix up (`v6kit help setup`); binding to it needs IP_FREEBIND, which this kernel denied"
                    .to_owned()
            }
            Self::SourcePorts { .. } => {
                "another program holds every port of this address without IP_BIND_ADDRESS_NO_PORT".to_owned()
            }
            Self::TuplePorts { .. } => {
                "use more source addresses (--prefix), or widen net.ipv4.ip_local_port_range, as setup does: `v6kit help setup`"
                    .to_owned()
            }
            Self::NoAddress { settings, .. } => return Some(no_address_hint(settings)),
            Self::NoDestination { .. } => "check the address".to_owned(),
            Self::NoRoute { to, .. } => {
                format!("see whether this host has one: `ip -6 route get {}`", to.ip())
            }
            Self::Unreachable { to, .. } => format!(
                "check the address; a router on the way says so, or this host of its own link: `ip -6 route get {}` tells the next hop, `ip -6 neigh` whether that answers",
                to.ip()
            ),
            Self::Prohibited { .. } => {
                "a router filters this source address: `v6kit verify` names the hop".to_owned()
            }
            Self::Firewall { .. } => "look for a matching rule: `sudo nft list ruleset`".to_owned(),
            Self::Refused { .. } => "check that the service listens on that port".to_owned(),
            Self::Reset { .. } | Self::TimedOut { .. } => {
                "check the address and the path: `v6kit verify`".to_owned()
            }
            Self::Memory => "use fewer connections".to_owned(),
            Self::Other { .. } => return None,
        })
    }
}

/// Connects to `to` from `from`, or from the address the kernel chooses.
///
/// The source needs no configuration and no privilege: the socket sets `IP_FREEBIND` where it must, and
/// `IP_BIND_ADDRESS_NO_PORT`, so that its port is chosen per destination at connect time (ip(7)).
/// Replies arrive only when the prefix is routed to this host and delivered locally.
/// The connection has `TCP_NODELAY` set.
///
/// # Errors
/// [`DialError`]; [`DialError::TimedOut`] when `deadline` passes first.
pub async fn dial(
    to: SocketAddrV6,
    from: Option<Ipv6Addr>,
    deadline: Instant,
) -> Result<TcpStream, DialError> {
    connect(socket(to, from)?, to, from, deadline).await
}

/// [`dial`] for protocols in which the client speaks first, such as HTTP and TLS: the acknowledgement that
/// completes the handshake waits for the first bytes, at most 200 ms, and saves a packet.
///
/// # Errors
/// As [`dial`].
pub async fn dial_to_speak(
    to: SocketAddrV6,
    from: Option<Ipv6Addr>,
    deadline: Instant,
) -> Result<TcpStream, DialError> {
    let socket = socket(to, from)?;
    // What cannot be had (tcp(7), TCP_QUICKACK) costs a packet and nothing else.
    let _ = socket.set_tcp_quickack(false);
    connect(socket, to, from, deadline).await
}

/// [`dial`] with segments of at most `bytes` bytes in both directions (TCP_MAXSEG, tcp(7)): packets that pass where larger
/// ones are lost.
///
/// # Errors
/// As [`dial`].
pub async fn dial_in_segments(
    to: SocketAddrV6,
    from: Option<Ipv6Addr>,
    bytes: u32,
    deadline: Instant,
) -> Result<TcpStream, DialError> {
    let socket = socket(to, from)?;
    setsockopt(&socket, sockopt::TcpMaxSeg, &bytes).map_err(|errno| DialError::Other {
        call: "setsockopt",
        to,
        source: errno.into(),
    })?;
    connect(socket, to, from, deadline).await
}

/// Descriptors that connections leave to files, name look-ups and programs that are started.
const KEPT_FOR_FILES: u64 = 32;

/// The first descriptor that is no connection's. The kernel gives the lowest that is free (socket(2)), so at least as
/// many are free as lie above it, whatever this process inherited.
static FILES_BEGIN: LazyLock<RawFd> = LazyLock::new(|| {
    let soft = file_limit().map_or(u64::MAX, |limit| limit.soft);
    RawFd::try_from(soft - KEPT_FOR_FILES.min(soft / 8)).unwrap_or(RawFd::MAX)
});

/// A socket at `from`, or at the address that the kernel chooses.
fn socket(to: SocketAddrV6, from: Option<Ipv6Addr>) -> Result<Socket, DialError> {
    if let Some(why) = not_a_destination(to) {
        return Err(DialError::NoDestination { to, why });
    }
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::IPV6, kind, Some(Protocol::TCP))
        .map_err(|source| socket_error(source, to))?;
    if socket.as_raw_fd() >= *FILES_BEGIN {
        return Err(DialError::ProcessFiles);
    }
    if let Some(from) = from {
        bind(&socket, from, to)?;
    }
    socket.set_tcp_nodelay(true).map_err(|source| DialError::Other {
        call: "setsockopt",
        to,
        source,
    })?;
    Ok(socket)
}

/// Why no TCP connection can be made to `to`, whatever the routes are; `None` where one may be.
fn not_a_destination(to: SocketAddrV6) -> Option<&'static str> {
    let ip = to.ip();
    if ip.is_multicast() {
        // RFC 9293 section 3.9.2.3.
        Some("TCP has no multicast")
    } else if ip.is_unicast_link_local() && to.scope_id() == 0 {
        // RFC 4007 section 6.
        Some("a link-local address is reached only through a device that is named with it")
    } else {
        None
    }
}

async fn connect(
    socket: Socket,
    to: SocketAddrV6,
    from: Option<Ipv6Addr>,
    deadline: Instant,
) -> Result<TcpStream, DialError> {
    match timeout_at(deadline, established(socket, to)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(source)) => Err(connect_error(source, from.unwrap_or(Ipv6Addr::UNSPECIFIED), to)),
        Err(_elapsed) => Err(DialError::TimedOut { to }),
    }
}

/// Waits for the handshake. Only a socket with an error is asked for it, which saves the others a system call.
async fn established(socket: Socket, to: SocketAddrV6) -> io::Result<TcpStream> {
    match socket.connect(&to.into()) {
        Err(error) if errno(&error) != Some(Errno::EINPROGRESS) => return Err(error),
        _ => {}
    }
    let stream = TcpStream::from_std(socket.into())?;
    let ready = stream.ready(Interest::WRITABLE | Interest::ERROR).await?;
    if (ready.is_error() || ready.is_write_closed())
        && let Some(error) = stream.take_error()?
    {
        return Err(error);
    }
    Ok(stream)
}

/// Whether an address was not to be had without `IP_FREEBIND`: it is, where `ip_nonlocal_bind` is set, as `v6kit
/// setup` does, and that is one system call less for each connection.
static FREEBIND: AtomicBool = AtomicBool::new(false);

fn bind(socket: &Socket, from: Ipv6Addr, to: SocketAddrV6) -> Result<(), DialError> {
    // Both options live at SOL_IP and work on IPv6 sockets.
    let failed = |errno: Errno| DialError::Other {
        call: "setsockopt",
        to,
        source: errno.into(),
    };
    setsockopt(socket, sockopt::IpBindAddressNoPort, &true).map_err(failed)?;
    let address = SockAddr::from(SocketAddrV6::new(from, 0, 0, 0));
    let mut bound = Err(Errno::EADDRNOTAVAIL.into());
    if !FREEBIND.load(Ordering::Relaxed) {
        bound = socket.bind(&address);
    }
    if matches!(&bound, Err(error) if errno(error) == Some(Errno::EADDRNOTAVAIL)) {
        FREEBIND.store(true, Ordering::Relaxed);
        setsockopt(socket, sockopt::IpFreebind, &true).map_err(failed)?;
        bound = socket.bind(&address);
    }
    bound.map_err(|source| match errno(&source) {
        Some(Errno::EADDRNOTAVAIL) => DialError::SourceNotLocal { from },
        Some(Errno::EADDRINUSE) => DialError::SourcePorts { from },
        Some(Errno::ENOBUFS | Errno::ENOMEM) => DialError::Memory,
        _ => DialError::Other {
            call: "bind",
            to,
            source,
        },
    })
}

fn socket_error(source: io::Error, to: SocketAddrV6) -> DialError {
    match errno(&source) {
        Some(Errno::EMFILE) => DialError::ProcessFiles,
        Some(Errno::ENFILE) => DialError::SystemFiles,
        Some(Errno::ENOBUFS | Errno::ENOMEM) => DialError::Memory,
        _ => DialError::Other {
            call: "socket",
            to,
            source,
        },
    }
}

fn connect_error(source: io::Error, from: Ipv6Addr, to: SocketAddrV6) -> DialError {
    match errno(&source) {
        Some(Errno::EADDRNOTAVAIL) => address_not_available(from, to, Ipv6::here()),
        Some(Errno::ENETUNREACH) => DialError::NoRoute { to, source },
        Some(Errno::EHOSTUNREACH) => DialError::Unreachable { to },
        Some(Errno::EACCES) => DialError::Prohibited { from, to },
        Some(Errno::EPERM) => DialError::Firewall { to },
        Some(Errno::ECONNREFUSED) => DialError::Refused { to },
        Some(Errno::ECONNRESET) => DialError::Reset { to },
        Some(Errno::ETIMEDOUT) => DialError::TimedOut { to },
        Some(Errno::ENOBUFS | Errno::ENOMEM) => DialError::Memory,
        _ => DialError::Other {
            call: "connect",
            to,
            source,
        },
    }
}

/// EADDRNOTAVAIL says both that no port is left and that there is no address to choose.
fn address_not_available(from: Ipv6Addr, to: SocketAddrV6, ipv6: Ipv6) -> DialError {
    let settings = match ipv6 {
        Ipv6::Off { settings } => settings,
        Ipv6::NotInKernel | Ipv6::NoAddress => Vec::new(),
        Ipv6::On => return DialError::TuplePorts { from, to },
    };
    if to.ip().is_loopback() || to.ip().is_unicast_link_local() || !from.is_unspecified() {
        return DialError::TuplePorts { from, to };
    }
    DialError::NoAddress { to, settings }
}

fn because(settings: &[String]) -> String {
    match settings {
        [] => String::new(),
        settings => format!(": IPv6 is switched off ({} is 1)", settings.join(", ")),
    }
}

fn no_address_hint(settings: &[String]) -> String {
    match settings {
        [] => "see its addresses with `ip -6 address`, and whether a router announces a prefix".to_owned(),
        settings => {
            let on: Vec<String> = settings.iter().map(|setting| format!("{setting}=0")).collect();
            format!("switch it on: `sudo sysctl -w {}`", on.join(" "))
        }
    }
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

#[cfg(test)]
mod tests;
