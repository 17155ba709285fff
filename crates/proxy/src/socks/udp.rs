//! UDP ASSOCIATE: datagrams between a client and any number of destinations (RFC 1928 section 7).
//!
//! The association has one source address and port, so that answers from anywhere find their way back.
//! Only who was sent to may answer, from whatever port (address-dependent filtering, RFC 4787 section 5).
//! It lives as long as the TCP connection that asked for it, and no longer than datagrams move.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol as Transport, Socket, Type};
use tokio::io::AsyncReadExt;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

use super::codec::{self, Request};
use crate::data::refusal::Refusal;
use crate::data::stream::Sniffed;
use crate::data::target::Target;
use crate::egress::Destinations;
use crate::relay::Meter;
use crate::session::Session;
use crate::session::client::Client;
use crate::session::exchange::Exchange;

/// The largest UDP payload, and room for our header.
const MAX_DATAGRAM: usize = 65_536;
const HEADER_ROOM: usize = 22;
/// Destinations by name that an association remembers.
const MAX_TARGETS: usize = 256;
/// Addresses that may answer. Who sends to more has to send again to the first ones.
const MAX_PEERS: usize = 4096;
/// Datagrams of a client that are still sent after it has closed its connection.
const LAST_DATAGRAMS: usize = 64;
/// For the resolution of a datagram's destination: a sender would rather send again.
const RESOLVE_TIME: Duration = Duration::from_secs(5);

/// One socket towards the client, and one or two towards everybody else.
#[derive(Debug)]
pub(super) struct Association {
    near: UdpSocket,
    far: UdpSocket,
    /// For IPv4 destinations, which a socket bound to an address of the prefix does not reach. Made with the first.
    direct: Option<UdpSocket>,
    /// Who may send to `near`, and whereto answers go once the port is known.
    client: ClientAddress,
    source: Option<Ipv6Addr>,
    targets: Targets,
    /// Who was sent to, and may answer.
    peers: HashSet<IpAddr>,
    /// Why a datagram was not sent, as long as none was.
    refused: Option<Refusal>,
}

#[derive(Debug, Clone, Copy)]
struct ClientAddress {
    ip: Option<IpAddr>,
    port: Option<u16>,
}

impl ClientAddress {
    /// Whether a datagram is the client's. The first one tells its port where the request did not.
    fn claims(&mut self, from: SocketAddr) -> bool {
        if self.ip.is_some_and(|ip| ip != from.ip().to_canonical()) {
            return false;
        }
        self.ip = Some(from.ip().to_canonical());
        *self.port.get_or_insert(from.port()) == from.port()
    }
}

impl Association {
    pub(super) fn open(sniffed: &Sniffed, client: Client, request: &Request) -> Result<Self, Refusal> {
        // Clients on a Unix socket are on this host.
        let here = sniffed
            .stream
            .local_ip()
            .map_or(IpAddr::V6(Ipv6Addr::LOCALHOST), |ip| ip.to_canonical());
        let near = near_socket(here).map_err(Refusal::System)?;
        let far = far_socket(client.source).map_err(Refusal::System)?;
        let ip = sniffed.stream.peer_ip().map(|ip| ip.to_canonical());
        let port = request.target.as_ref().map(|target| target.port);
        Ok(Self {
            near,
            far,
            direct: None,
            client: ClientAddress { ip, port },
            source: client.source,
            targets: Targets::default(),
            peers: HashSet::new(),
            refused: None,
        })
    }

    /// Where the client is to send its datagrams.
    pub(super) fn client_side(&self) -> Result<SocketAddr, Refusal> {
        self.near.local_addr().map_err(Refusal::System)
    }

    /// Relays datagrams until the client closes its TCP connection, or none came for too long.
    pub(super) async fn run(mut self, session: &Session, mut sniffed: Sniffed, exchange: &Exchange) {
        let mut buffer = vec![0; HEADER_ROOM + MAX_DATAGRAM].into_boxed_slice();
        let idle = session.worker.idle_timeout;
        let mut deadline = Instant::now() + idle;
        let mut word = [0; 64];
        loop {
            let payload = &mut buffer[HEADER_ROOM..];
            let moved = tokio::select! {
                // Sockets are waited for without a buffer, so that all can use the same one.
                ready = self.near.readable() => match ready.and_then(|()| self.near.try_recv_from(payload)) {
                    Ok((length, from)) if self.client.claims(from) => {
                        self.send_out(session, exchange, &payload[..length]).await
                    }
                    // Somebody else's, or nothing after all.
                    _ => Ok(()),
                },
                ready = self.far.readable() => match ready.and_then(|()| self.far.try_recv_from(payload)) {
                    Ok((_, from)) if !self.peers.contains(&from.ip()) => continue,
                    Ok((length, from)) => self.send_back(exchange, &mut buffer, length, from).await,
                    // Such as an ICMP error from one of the destinations, which says nothing about the others.
                    Err(_) => Ok(()),
                },
                received = receive(self.direct.as_ref(), payload) => match received {
                    Ok((_, from)) if !self.peers.contains(&from.ip()) => continue,
                    Ok((length, from)) => self.send_back(exchange, &mut buffer, length, from).await,
                    Err(_) => Ok(()),
                },
                closed = sniffed.stream.read(&mut word) => match closed {
                    // What a client says on this connection has no meaning.
                    Ok(count) if count > 0 => continue,
                    _ => {
                        self.send_rest(session, exchange, payload).await;
                        return self.end(exchange);
                    }
                },
                () = sleep_until(deadline) => return exchange.refused(&Refusal::Idle),
            };
            if let Err(refusal) = moved {
                return exchange.refused(&refusal);
            }
            deadline = Instant::now() + idle;
        }
    }

    /// Sends what the client had sent before it closed its connection.
    async fn send_rest(&mut self, session: &Session, exchange: &Exchange, payload: &mut [u8]) {
        // Asked of the kernel: the runtime may not know of it yet.
        let Ok(near) = self
            .near
            .as_fd()
            .try_clone_to_owned()
            .map(std::net::UdpSocket::from)
        else {
            return;
        };
        for _ in 0..LAST_DATAGRAMS {
            let sent = match near.recv_from(payload) {
                Ok((length, from)) if self.client.claims(from) => {
                    self.send_out(session, exchange, &payload[..length]).await
                }
                Ok(_) => Ok(()),
                Err(_) => return,
            };
            if sent.is_err() {
                return;
            }
        }
    }

    /// The client has had enough: all went well, unless nothing of what it wanted was done.
    fn end(&self, exchange: &Exchange) {
        match &self.refused {
            Some(refusal) => exchange.refused(refusal),
            None => exchange.ended("ok"),
        }
    }

    /// One datagram of the client. What cannot be sent is dropped, as UDP does.
    async fn send_out(
        &mut self,
        session: &Session,
        exchange: &Exchange,
        datagram: &[u8],
    ) -> Result<(), Refusal> {
        let Ok((header, at)) = codec::parse_udp_header(datagram) else {
            return Ok(());
        };
        // Reassembly is optional (RFC 1928 section 7), and nobody fragments.
        if header.fragment != 0 {
            return Ok(());
        }
        exchange.aims_at(&header.target);
        let payload = &datagram[at..];
        let sent = match self.targets.resolve(session, header.target).await {
            Ok(to) => self.send_to(payload, to).await.map(|()| to),
            Err(refusal) => Err(refusal),
        };
        match sent {
            Ok(to) => {
                self.refused = None;
                let from = self.source.filter(|_| to.ip().to_ipv4_mapped().is_none());
                exchange.connected(from.map(IpAddr::V6), Some(to), None);
                exchange.moved(payload.len() as u64, 0)
            }
            Err(refusal) => {
                tracing::debug!("datagram dropped: {}", refusal.message());
                if exchange.destination().is_none() {
                    self.refused = Some(refusal);
                }
                Ok(())
            }
        }
    }

    async fn send_to(&mut self, payload: &[u8], to: SocketAddrV6) -> Result<(), Refusal> {
        if self.peers.len() >= MAX_PEERS {
            self.peers.clear();
        }
        self.peers.insert(IpAddr::V6(*to.ip()));
        let goes_direct = self.source.is_some() && to.ip().to_ipv4_mapped().is_some();
        let socket = match &mut self.direct {
            _ if !goes_direct => &self.far,
            Some(direct) => direct,
            none => none.insert(far_socket(None).map_err(Refusal::System)?),
        };
        let to = SocketAddr::V6(to);
        match socket.send_to(payload, to).await {
            Ok(_) => Ok(()),
            Err(source) => Err(Refusal::NotSent { to, source }),
        }
    }

    async fn send_back(
        &self,
        exchange: &Exchange,
        buffer: &mut [u8],
        length: usize,
        from: SocketAddr,
    ) -> Result<(), Refusal> {
        let (Some(ip), Some(port)) = (self.client.ip, self.client.port) else {
            return Ok(());
        };
        let header = codec::encode_udp_header(from);
        let start = HEADER_ROOM - header.len();
        buffer[start..HEADER_ROOM].copy_from_slice(&header);
        let client = SocketAddr::new(ip, port);
        let datagram = &buffer[start..HEADER_ROOM + length];
        if self.near.send_to(datagram, client).await.is_err() {
            return Ok(());
        }
        exchange.moved(0, length as u64)
    }
}

/// A datagram from a socket that there may not be yet.
async fn receive(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => {
            socket.readable().await?;
            socket.try_recv_from(buffer)
        }
        None => std::future::pending().await,
    }
}

/// The destinations of an association, checked once each.
#[derive(Debug, Default)]
struct Targets(HashMap<Target, SocketAddrV6>);

impl Targets {
    async fn resolve(&mut self, session: &Session, target: Target) -> Result<SocketAddrV6, Refusal> {
        if let Some(to) = self.0.get(&target) {
            return Ok(*to);
        }
        let deadline = Instant::now() + RESOLVE_TIME;
        let found = session.worker.egress.destinations(&target, deadline).await?;
        let (Destinations::V6(addresses) | Destinations::V4(addresses)) = found;
        // There is one at least.
        let to = addresses.first().copied().ok_or(Refusal::Silent)?;
        if self.0.len() >= MAX_TARGETS {
            self.0.clear();
        }
        self.0.insert(target, to);
        Ok(to)
    }
}

fn near_socket(here: IpAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address((here, 0).into()),
        Type::DGRAM,
        Some(Transport::UDP),
    )?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(here, 0).into())?;
    UdpSocket::from_std(socket.into())
}

/// A socket at the source address, or at one per family that the kernel chooses per datagram.
fn far_socket(source: Option<Ipv6Addr>) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Transport::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_only_v6(source.is_some())?;
    if source.is_some() {
        setsockopt(&socket, sockopt::IpFreebind, &true)?;
    }
    let address = SocketAddrV6::new(source.unwrap_or(Ipv6Addr::UNSPECIFIED), 0, 0, 0);
    socket.bind(&SocketAddr::V6(address).into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn only_the_clients_datagrams_are_its_own() {
        let mut client = ClientAddress {
            ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            port: None,
        };
        assert!(!client.claims("127.0.0.2:5000".parse().unwrap()));
        assert!(client.claims("127.0.0.1:5000".parse().unwrap()));
        assert!(!client.claims("127.0.0.1:5001".parse().unwrap()));
        assert!(client.claims("[::ffff:127.0.0.1]:5000".parse().unwrap()));
    }
}
