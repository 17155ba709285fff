//! A socket that was taken from its program: what it is, and where it is bound.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};
use socket2::{Domain, SockAddr, SockRef, Type};

sockopt_impl!(
    /// SO_NETNS_COOKIE of socket(7): the number of a network namespace, since Linux 5.14.
    NetnsCookie,
    GetOnly,
    libc::SOL_SOCKET,
    libc::SO_NETNS_COOKIE,
    u64
);

sockopt_impl!(
    /// SO_BINDTOIFINDEX of socket(7): the device that packets leave by, since Linux 5.0.
    BoundDevice,
    Both,
    libc::SOL_SOCKET,
    libc::SO_BINDTOIFINDEX,
    libc::c_int
);

/// A copy of a program's socket.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

/// How a socket sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It connects before it sends.
    Stream,
    /// Each message may go elsewhere.
    Datagram,
}

/// Whether a call on a socket waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Blocking,
    NonBlocking,
}

fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

impl Socket {
    pub(crate) fn new(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.0)
    }

    /// AF_INET, AF_INET6 or something else.
    pub(crate) fn domain(&self) -> nix::Result<Domain> {
        self.socket().domain().map_err(|error| errno(&error))
    }

    pub(crate) fn kind(&self) -> nix::Result<Kind> {
        // SOCK_DCCP (6) connects as well.
        let kind = self.socket().r#type().map_err(|error| errno(&error))?;
        Ok(match kind {
            Type::STREAM => Kind::Stream,
            kind if kind == Type::from(6) => Kind::Stream,
            _ => Kind::Datagram,
        })
    }

    /// The number of its network namespace; `None` before Linux 5.14.
    pub(crate) fn namespace(&self) -> Option<u64> {
        getsockopt(&self.0, NetnsCookie).ok()
    }

    /// A number that no other socket has in this boot (SO_COOKIE).
    pub(crate) fn cookie(&self) -> Option<u64> {
        self.socket().cookie().ok()
    }

    /// Where it is bound.
    pub(crate) fn local(&self) -> nix::Result<SocketAddrV6> {
        let local = self.socket().local_addr().map_err(|error| errno(&error))?;
        Ok(match local.as_socket() {
            Some(SocketAddr::V6(local)) => local,
            // Not of this family, which was asked before.
            _ => SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0),
        })
    }

    /// Whether it has a peer.
    pub(crate) fn is_connected(&self) -> bool {
        self.socket().peer_addr().is_ok()
    }

    pub(crate) fn mode(&self) -> Mode {
        match fcntl(self.0.as_fd(), FcntlArg::F_GETFL) {
            Ok(flags) if flags & OFlag::O_NONBLOCK.bits() == 0 => Mode::Blocking,
            _ => Mode::NonBlocking,
        }
    }

    /// Ends the association with a peer, and frees a port that the kernel chose; one that the program asked for stays
    /// (`__udp_disconnect` in net/ipv4/udp.c). Returns where it is bound then.
    pub(crate) fn dissolve(&self) -> nix::Result<SocketAddrV6> {
        let unspecified = libc::sockaddr {
            sa_family: 0,
            sa_data: [0; 14],
        };
        // The kernel forgets the device with the peer.
        let device = getsockopt(&self.0, BoundDevice).unwrap_or(0);
        crate::kernel::connect(&self.0, &unspecified)?;
        if device != 0 {
            setsockopt(&self.0, BoundDevice, &device)?;
        }
        self.local()
    }

    /// Binds it to `address` and `port`, or to a port that is chosen per destination (IP_BIND_ADDRESS_NO_PORT of ip(7))
    /// for 0. The address needs no configuration (IP_FREEBIND).
    pub(crate) fn bind(&self, address: Ipv6Addr, port: u16) -> nix::Result<()> {
        setsockopt(&self.0, sockopt::IpFreebind, &true)?;
        setsockopt(&self.0, sockopt::IpBindAddressNoPort, &true)?;
        let address = SockAddr::from(SocketAddrV6::new(address, port, 0, 0));
        self.socket().bind(&address).map_err(|error| errno(&error))
    }
}
