//! How far packets from an address get, told by the routers that drop them.

use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Routers that are asked. What is wrong with the way back is wrong near this host.
pub(crate) const MAX_HOPS: u8 = 8;

/// Packets per hop limit.
const PACKETS: u32 = 3;

/// The first destination port, one per hop from here on, where traceroute(8) begins as well.
const PORT: u16 = 33434;

const DESTINATION_UNREACHABLE: u8 = 1;
const TIME_EXCEEDED: u8 = 3;
/// Codes of "destination unreachable" that say somebody forbids it: administratively prohibited, source
/// address failed ingress/egress policy, reject route (RFC 4443 section 3.1).
const FORBIDDEN: [u8; 3] = [1, 5, 6];

/// What routers said to packets from one source address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Trace {
    /// The farthest router whose answer came back.
    pub(crate) farthest: Option<Hop>,
    /// Who says that it forbids them: a router, or this host by a rule that rejects.
    pub(crate) forbidden_by: Option<Ipv6Addr>,
    /// This host did not let one out: EPERM (a rule of its firewall, or a unit's IPAddressDeny).
    pub(crate) refused_here: bool,
}

/// A router on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hop {
    /// 1 for the first router.
    pub(crate) number: u8,
    pub(crate) router: Ipv6Addr,
}

/// Sends UDP packets with one hop limit after the other from `from` towards `to`, and listens for
/// `patience` for what comes back. Needs no privileges: the kernel hands ICMPv6 errors to the socket that
/// caused them (IPV6_RECVERR, ipv6(7)).
pub(crate) async fn trace(from: Ipv6Addr, to: Ipv6Addr, patience: Duration) -> io::Result<Trace> {
    let mut answers: FuturesUnordered<_> = (1..=MAX_HOPS)
        .map(async |number| {
            let answer = Probe::new(from, to, number)?.answer(patience).await?;
            io::Result::Ok((number, answer))
        })
        .collect();
    let mut trace = Trace::default();
    while let Some(answer) = answers.next().await {
        let (number, IcmpError { from, kind, code }) = match answer? {
            (_, Heard::Nothing) => continue,
            (_, Heard::Refused) => {
                trace.refused_here = true;
                continue;
            }
            (number, Heard::Error(error)) => (number, error),
        };
        match kind {
            TIME_EXCEEDED => trace.farthest = trace.farthest.max(Some(Hop { number, router: from })),
            DESTINATION_UNREACHABLE if FORBIDDEN.contains(&code) => {
                trace.forbidden_by = Some(from);
                break;
            }
            _ => {}
        }
    }
    Ok(trace)
}

/// The router that drops packets with the hop limit `number` from `from` towards `to`, where it says so in time.
pub(crate) async fn hop(
    from: Ipv6Addr,
    to: Ipv6Addr,
    number: u8,
    patience: Duration,
) -> io::Result<Option<Hop>> {
    Ok(match Probe::new(from, to, number)?.answer(patience).await? {
        Heard::Error(error) => Some(Hop {
            number,
            router: error.from,
        }),
        Heard::Refused | Heard::Nothing => None,
    })
}

/// Packets to one hop limit.
struct Probe {
    socket: UdpSocket,
    to: SocketAddr,
}

/// What became of the packets to one hop limit.
enum Heard {
    Nothing,
    /// They were not let out.
    Refused,
    Error(IcmpError),
}

/// An ICMPv6 error.
struct IcmpError {
    /// Who sent it.
    from: Ipv6Addr,
    kind: u8,
    code: u8,
}

impl Probe {
    fn new(from: Ipv6Addr, to: Ipv6Addr, hops: u8) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, sockopt::IpFreebind, &true)?;
        setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
        socket.set_unicast_hops_v6(u32::from(hops))?;
        socket.bind(&SocketAddrV6::new(from, 0, 0, 0).into())?;
        Ok(Self {
            socket: UdpSocket::from_std(socket.into())?,
            to: SocketAddr::new(to.into(), PORT + u16::from(hops)),
        })
    }

    /// Sends, and again while there is no answer: routers limit how many they give.
    async fn answer(&self, patience: Duration) -> io::Result<Heard> {
        let mut refused = true;
        for _ in 0..PACKETS {
            // It may fail with what the packet before met, which waits in the queue as well.
            let sent = self.socket.send_to(b"v6kit verify", self.to).await;
            if let Err(error) = &sent {
                tracing::debug!("to {}: {error}", self.to);
            }
            // EACCES is what a route says (ip-route(8), prohibit).
            refused &= sent.is_err_and(|error| error.raw_os_error() == Some(libc::EPERM));
            if let Ok(error) = timeout(patience / PACKETS, self.next_error()).await {
                return error.map(Heard::Error);
            }
        }
        Ok(if refused { Heard::Refused } else { Heard::Nothing })
    }

    async fn next_error(&self) -> io::Result<IcmpError> {
        loop {
            let error = self
                .socket
                .async_io(Interest::ERROR, || next_error(&self.socket))
                .await?;
            if let Some(error) = error {
                return Ok(error);
            }
        }
    }
}

/// The next entry of the socket's error queue; `None` for one that is not from the network.
fn next_error(socket: &UdpSocket) -> io::Result<Option<IcmpError>> {
    let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
    let mut payload = [0; 64];
    let mut payload = [IoSliceMut::new(&mut payload)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrIn6>(socket.as_raw_fd(), &mut payload, Some(&mut control), flags)?;
    let error = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::Ipv6RecvErr(error, Some(offender))
            if error.ee_origin == libc::SO_EE_ORIGIN_ICMP6 =>
        {
            Some(IcmpError {
                from: Ipv6Addr::from(offender.sin6_addr.s6_addr),
                kind: error.ee_type,
                code: error.ee_code,
            })
        }
        _ => None,
    });
    Ok(error)
}
