//! TCP connections from a chosen source address.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::{Code, Hint};

/// Why a connection was not made, told apart by system call and errno.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// socket: EMFILE.
    #[error("this process has no file descriptor left")]
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
    /// connect: ENETUNREACH, EHOSTUNREACH, or an ICMPv6 error of that meaning.
    #[error("no route to {to}")]
    NoRoute {
        /// The destination.
        to: SocketAddrV6,
        /// What connect(2) said.
        #[source]
        source: io::Error,
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
            Self::NoRoute { .. } => Code::NoRoute,
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
            Self::SystemFiles => "raise fs.file-max: `v6kit setup` does".to_owned(),
            Self::SourceNotLocal { .. } => {
                "run `v6kit setup` for the prefix; binding to it needs IP_FREEBIND, which this kernel denied"
                    .to_owned()
            }
            Self::SourcePorts { .. } => {
                "another program holds every port of this address without IP_BIND_ADDRESS_NO_PORT".to_owned()
            }
            Self::TuplePorts { .. } => {
                "use more source addresses (--prefix), or widen net.ipv4.ip_local_port_range: `v6kit setup` does"
                    .to_owned()
            }
            Self::NoRoute { .. } => "check the default route: `ip -6 route`".to_owned(),
            Self::Prohibited { .. } => {
                "a router filters this source address: `v6kit verify` names the hop".to_owned()
            }
            Self::Firewall { .. } => "look for a matching rule: `nft list ruleset`".to_owned(),
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

/// A socket at `from`, or at the address that the kernel chooses.
fn socket(to: SocketAddrV6, from: Option<Ipv6Addr>) -> Result<Socket, DialError> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::IPV6, kind, Some(Protocol::TCP))
        .map_err(|source| socket_error(source, to))?;
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
        Some(Errno::EADDRNOTAVAIL) => DialError::TuplePorts { from, to },
        Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH) => DialError::NoRoute { to, source },
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

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test]
    async fn a_connection_leaves_from_the_source_asked_for_with_nodelay() {
        let listener = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
        let std::net::SocketAddr::V6(to) = listener.local_addr().unwrap() else {
            panic!("IPv6 listener")
        };
        let stream = dial(to, Some(Ipv6Addr::LOCALHOST), soon()).await.unwrap();
        assert_eq!(stream.local_addr().unwrap().ip(), Ipv6Addr::LOCALHOST);
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn who_speaks_first_and_who_does_not_are_both_heard() {
        let listener = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
        let std::net::SocketAddr::V6(to) = listener.local_addr().unwrap() else {
            panic!("IPv6 listener")
        };
        let mut near = dial_to_speak(to, Some(Ipv6Addr::LOCALHOST), soon())
            .await
            .unwrap();
        // Accepted although nothing was said yet: the acknowledgement is late, not missing.
        let (mut far, _) = listener.accept().await.unwrap();
        far.write_all(b"220 ready").await.unwrap();
        let mut heard = [0; 9];
        near.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"220 ready");
    }

    #[tokio::test]
    async fn a_closed_port_is_refused() {
        let listener = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
        let std::net::SocketAddr::V6(to) = listener.local_addr().unwrap() else {
            panic!("IPv6 listener")
        };
        drop(listener);
        assert!(matches!(
            dial(to, None, soon()).await,
            Err(DialError::Refused { .. })
        ));
    }

    #[test]
    fn each_errno_has_its_own_meaning_per_call() {
        let to: SocketAddrV6 = "[2001:db8::1]:80".parse().unwrap();
        let from: Ipv6Addr = "2001:db8::2".parse().unwrap();
        let connect = |errno: Errno| connect_error(errno.into(), from, to);
        assert!(matches!(
            connect(Errno::EADDRNOTAVAIL),
            DialError::TuplePorts { .. }
        ));
        assert!(matches!(connect(Errno::EHOSTUNREACH), DialError::NoRoute { .. }));
        assert!(matches!(connect(Errno::EACCES), DialError::Prohibited { .. }));
        assert!(matches!(connect(Errno::EPERM), DialError::Firewall { .. }));
        assert!(matches!(connect(Errno::ETIMEDOUT), DialError::TimedOut { .. }));
        assert!(matches!(connect(Errno::EINVAL), DialError::Other { .. }));
        assert!(matches!(
            socket_error(Errno::EMFILE.into(), to),
            DialError::ProcessFiles
        ));
        assert!(matches!(
            socket_error(Errno::ENFILE.into(), to),
            DialError::SystemFiles
        ));
        assert!(connect(Errno::EADDRNOTAVAIL).hint().is_some());
    }
}
