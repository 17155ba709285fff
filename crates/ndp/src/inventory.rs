//! Which addresses of the prefix have sockets on this host (sock_diag(7)).

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv6Addr};

use netlink_packet_core::{
    Emitable, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_packet_sock_diag::constants::{
    AF_INET6, IPPROTO_TCP, IPPROTO_UDP, TCP_CLOSE, TCP_LISTEN, TCP_TIME_WAIT,
};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags};
use netlink_packet_sock_diag::{SOCK_DIAG_BY_FAMILY, SockDiagMessage};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr};
use v6kit_net::Prefix;

/// Asks the kernel for sockets. Needs no privileges.
pub(crate) struct Inventory {
    socket: Socket,
    prefix: Prefix,
    buffer: Vec<u8>,
}

/// The sockets on addresses of the prefix at one moment.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Sockets {
    /// Addresses with a socket that is not merely waiting out TIME_WAIT.
    pub(crate) open: HashSet<Ipv6Addr>,
    /// Addresses with nothing but TIME_WAIT left.
    pub(crate) closing: HashSet<Ipv6Addr>,
    /// Addresses that somebody on this host sends from of his own accord: their port is not one that
    /// is listened on.
    pub(crate) outgoing: HashSet<Ipv6Addr>,
}

/// Larger than the 32 KiB that the kernel puts into one part of a dump.
const PART: usize = 64 << 10;

impl Inventory {
    pub(crate) fn open(prefix: Prefix) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self {
            socket,
            prefix,
            buffer: vec![0; PART],
        })
    }

    /// The sockets of now. Takes about a microsecond per socket.
    pub(crate) fn take(&mut self) -> io::Result<Sockets> {
        let mut sockets = Sockets::default();
        for protocol in [IPPROTO_TCP, IPPROTO_UDP] {
            let listened_on = self.ports_listened_on(protocol)?;
            let ours = condition(self.prefix);
            self.dump(protocol, StateFlags::all(), ours, |socket| {
                let IpAddr::V6(address) = socket.socket_id.source_address else {
                    return;
                };
                if socket.state == TCP_TIME_WAIT {
                    sockets.closing.insert(address);
                } else {
                    sockets.open.insert(address);
                }
                let waits = socket.state == TCP_LISTEN;
                if !waits && !listened_on.contains(&socket.socket_id.source_port) {
                    sockets.outgoing.insert(address);
                }
            })?;
        }
        sockets.closing.retain(|address| !sockets.open.contains(address));
        Ok(sockets)
    }

    /// The ports on which somebody takes connections, or datagrams from anybody.
    fn ports_listened_on(&mut self, protocol: u8) -> io::Result<HashSet<u16>> {
        // An unconnected UDP socket is in the state that TCP calls CLOSE.
        let waiting = 1
            << if protocol == IPPROTO_TCP {
                TCP_LISTEN
            } else {
                TCP_CLOSE
            };
        let mut ports = HashSet::new();
        self.dump(
            protocol,
            StateFlags::from_bits_retain(waiting),
            Vec::new(),
            |socket| {
                let id = &socket.socket_id;
                if protocol == IPPROTO_TCP || id.source_address.is_unspecified() {
                    ports.insert(id.source_port);
                }
            },
        )?;
        Ok(ports)
    }

    fn dump(
        &mut self,
        protocol: u8,
        states: StateFlags,
        condition: Vec<u8>,
        mut each: impl FnMut(&InetResponseHeader),
    ) -> io::Result<()> {
        self.request(protocol, states, condition)?;
        loop {
            let length = self.socket.recv(&mut self.buffer.as_mut_slice(), 0)?;
            let mut part = &self.buffer[..length.min(PART)];
            while !part.is_empty() {
                let message =
                    NetlinkMessage::<SockDiagMessage>::deserialize(part).map_err(io::Error::other)?;
                match message.payload {
                    NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(socket)) => {
                        each(&socket.header);
                    }
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    _ => {}
                }
                // Messages are aligned to four bytes; the last one need not be padded.
                let advance = (message.header.length as usize).next_multiple_of(4);
                part = part.get(advance.max(4)..).unwrap_or_default();
            }
        }
    }

    fn request(&self, protocol: u8, states: StateFlags, condition: Vec<u8>) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let request = Request {
            request: InetRequest {
                family: AF_INET6,
                protocol,
                extensions: ExtensionFlags::empty(),
                states,
                socket_id: SocketId::new_v6(),
            },
            condition,
        };
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map(|_sent| ())
    }
}

/// A dump request with a condition that the kernel evaluates, which the library does not have.
#[derive(Debug, Clone)]
struct Request {
    request: InetRequest,
    /// One INET_DIAG_REQ_BYTECODE attribute, or nothing.
    condition: Vec<u8>,
}

impl NetlinkSerializable for Request {
    fn message_type(&self) -> u16 {
        SOCK_DIAG_BY_FAMILY
    }

    fn buffer_len(&self) -> usize {
        self.request.buffer_len() + self.condition.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let (request, condition) = buffer.split_at_mut(self.request.buffer_len());
        self.request.emit(request);
        condition.copy_from_slice(&self.condition);
    }
}

/// The attribute that leaves out sockets whose local address is not in `prefix`, so that the answer
/// is as long as our own sockets are many (linux/inet_diag.h: one `inet_diag_bc_op` with its
/// `inet_diag_hostcond`).
fn condition(prefix: Prefix) -> Vec<u8> {
    const INET_DIAG_REQ_BYTECODE: u16 = 1;
    const INET_DIAG_BC_S_COND: u8 = 7;
    const ANY_PORT: i32 = -1;
    const OPERATION: u16 = 4 + 8 + 16;
    // Where the program goes on when the condition holds (its end), and when not (beyond: refused).
    const HOLDS: u8 = OPERATION as u8;
    const FAILS: u16 = OPERATION + 4;

    let mut attribute = Vec::with_capacity(32);
    attribute.extend((4 + OPERATION).to_ne_bytes());
    attribute.extend(INET_DIAG_REQ_BYTECODE.to_ne_bytes());
    attribute.extend([INET_DIAG_BC_S_COND, HOLDS]);
    attribute.extend(FAILS.to_ne_bytes());
    attribute.extend([AF_INET6, prefix.length(), 0, 0]);
    attribute.extend(ANY_PORT.to_ne_bytes());
    attribute.extend(prefix.network().octets());
    attribute
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use socket2::{Domain, Type};

    use super::*;

    fn inventory(prefix: &str) -> Inventory {
        // Loopback is not a routable prefix; the tests need no other address than ::1.
        let mut inventory = Inventory::open("2001:db8::/64".parse().unwrap()).unwrap();
        inventory.prefix = prefix.parse().unwrap();
        inventory
    }

    /// Binds without owning the address, as the crawl does.
    fn bound(kind: Type, address: &str) -> socket2::Socket {
        let socket = socket2::Socket::new(Domain::IPV6, kind, None).unwrap();
        socket.set_freebind_v6(true).unwrap();
        let address: Ipv6Addr = address.parse().unwrap();
        socket
            .bind(&std::net::SocketAddr::from((address, 0)).into())
            .unwrap();
        socket
    }

    #[test]
    fn udp_sockets_on_addresses_of_the_prefix_are_found_and_others_are_not() {
        let _ours = bound(Type::DGRAM, "2001:db8:17::7");
        let _beside = bound(Type::DGRAM, "2001:db8:18::7");
        let wildcard = UdpSocket::bind("[::]:0").unwrap();
        let sockets = inventory("2001:db8:17::/48").take().unwrap();
        let expected = HashSet::from(["2001:db8:17::7".parse().unwrap()]);
        assert_eq!(sockets.open, expected);
        assert_eq!(sockets.outgoing, expected);
        drop(wildcard);
    }

    #[test]
    fn a_connection_that_came_in_is_not_one_of_our_own_accord() {
        let listener = bound(Type::STREAM, "2001:db8:20::7");
        listener.listen(1).unwrap();
        let sockets = inventory("2001:db8:20::/48").take().unwrap();
        assert_eq!(sockets.open.len(), 1);
        assert_eq!(sockets.outgoing.len(), 0);

        let everywhere = TcpListener::bind("[::]:0").unwrap();
        let port = everywhere.local_addr().unwrap().port();
        let _client = TcpStream::connect(("::1", port)).unwrap();
        let ports = inventory("2001:db8:20::/48")
            .ports_listened_on(IPPROTO_TCP)
            .unwrap();
        assert!(ports.contains(&port));
    }

    #[test]
    fn a_thousand_sockets_come_in_several_parts() {
        let sockets: Vec<_> = (1..1000)
            .map(|n| bound(Type::DGRAM, &format!("2001:db8:19::{n:x}")))
            .collect();
        let found = inventory("2001:db8:19::/48").take().unwrap();
        assert_eq!(found.open.len(), sockets.len());
    }
}
