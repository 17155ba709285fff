//! Packets of neighbour discovery and of connections to the endpoint, read from a packet socket (packet(7)).

#![allow(
    unsafe_code,
    reason = "no safe binding offers the readiness of a packet socket"
)]

use std::io::{self, Read};
use std::net::{Ipv6Addr, SocketAddrV6};

use etherparse::icmpv6::Icmpv6PayloadSlice;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use nix::libc;
use socket2::{Domain, SockFilter, Socket, Type};
use tokio::io::unix::AsyncFd;
use v6kit_net::{link_address_of_every_protocol, receive_all_multicast};

use crate::routes::Device;

/// Longer than the headers that are looked at; what is cut off is not.
const SNAPSHOT: usize = 512;

// Offsets into a packet without extension headers, as both kinds of packets are sent (RFC 8200 section 3).
const VERSION: u32 = 0;
const NEXT_HEADER: u32 = 6;
const ICMPV6_TYPE: u32 = 40;
const TCP_SOURCE_PORT: u32 = 40;
const TCP_DESTINATION_PORT: u32 = 42;
const TCP_FLAGS: u32 = 53;

/// ICMPv6 types of a neighbour solicitation and of the answer to it (RFC 4861 sections 4.3 and 4.4).
const NEIGHBOUR_SOLICITATION: u32 = 135;
const NEIGHBOUR_ADVERTISEMENT: u32 = 136;
/// RST and SYN (RFC 9293 section 3.1).
const RST_OR_SYN: u32 = 0x06;

/// What is of interest in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packet {
    /// A neighbour solicitation.
    Solicitation {
        /// Whose link-layer address is asked for.
        target: Ipv6Addr,
    },
    /// A neighbour advertisement.
    Advertisement {
        /// Whose link-layer address is told.
        target: Ipv6Addr,
    },
    /// The first packet of a connection to the endpoint.
    Syn {
        /// Its source.
        from: Ipv6Addr,
        /// Its source port.
        port: u16,
    },
    /// The endpoint's answer to it: SYN and ACK, or RST.
    Answer {
        /// Whom it goes to.
        to: Ipv6Addr,
    },
}

/// The packets of a device, in both directions.
#[derive(Debug)]
pub(super) struct Capture {
    socket: AsyncFd<Socket>,
    endpoint: SocketAddrV6,
}

impl Capture {
    /// Starts to capture. EPERM without CAP_NET_RAW.
    pub(super) fn start(device: &Device, endpoint: SocketAddrV6) -> io::Result<Self> {
        // Protocol 0 receives nothing: neither before the filter is there, nor from other devices.
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
        socket.set_nonblocking(true)?;
        socket.attach_filter(&of_interest(endpoint.port()))?;
        // What leaves is shown to sockets of every protocol only (packet(7), ETH_P_ALL).
        socket.bind(&link_address_of_every_protocol(device.index)?)?;
        // Without it the device drops solicitations for addresses that this host has not.
        receive_all_multicast(&socket, device.index)?;
        // SAFETY: the socket is an open descriptor, and the AsyncFd owns it from here on.
        let socket = unsafe { AsyncFd::register(socket) }?;
        Ok(Self { socket, endpoint })
    }

    /// The next packet of interest.
    pub(super) async fn next(&self) -> io::Result<Packet> {
        loop {
            let mut ready = self.socket.readable().await?;
            match ready.try_io(|socket| read(socket.get_ref(), self.endpoint)) {
                Ok(read) => {
                    if let Some(packet) = read? {
                        return Ok(packet);
                    }
                }
                Err(_would_block) => {}
            }
        }
    }

    /// What has arrived and was not read yet.
    pub(super) fn rest(&self) -> io::Result<Vec<Packet>> {
        let mut packets = Vec::new();
        loop {
            match read(self.socket.get_ref(), self.endpoint) {
                Ok(packet) => packets.extend(packet),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(packets),
                Err(error) => return Err(error),
            }
        }
    }
}

fn read(mut socket: &Socket, endpoint: SocketAddrV6) -> io::Result<Option<Packet>> {
    let mut packet = [0; SNAPSHOT];
    let length = socket.read(&mut packet)?;
    Ok(parse(&packet[..length], endpoint))
}

/// What `packet` is; `None` for everything that is of no interest.
fn parse(packet: &[u8], endpoint: SocketAddrV6) -> Option<Packet> {
    let packet = SlicedPacket::from_ip(packet).ok()?;
    let Some(NetSlice::Ipv6(header)) = &packet.net else {
        return None;
    };
    let (from, to) = (header.header().source_addr(), header.header().destination_addr());
    match packet.transport? {
        TransportSlice::Icmpv6(message) => match message.payload_slice().ok()? {
            Icmpv6PayloadSlice::NeighborSolicitation(solicitation) => Some(Packet::Solicitation {
                target: solicitation.target_address(),
            }),
            Icmpv6PayloadSlice::NeighborAdvertisement(advertisement) => Some(Packet::Advertisement {
                target: advertisement.target_address(),
            }),
            _ => None,
        },
        TransportSlice::Tcp(segment) => {
            let is_answer = segment.rst() || segment.syn() && segment.ack();
            let is_first = segment.syn() && !segment.ack();
            if is_answer && from == *endpoint.ip() && segment.source_port() == endpoint.port() {
                Some(Packet::Answer { to })
            } else if is_first && to == *endpoint.ip() && segment.destination_port() == endpoint.port() {
                let port = segment.source_port();
                Some(Packet::Syn { from, port })
            } else {
                None
            }
        }
        _ => None,
    }
}

/// Classic BPF over the IPv6 header: nothing but neighbour solicitations, advertisements and the first packets of connections with
/// `port` wakes this process.
fn of_interest(port: u16) -> [SockFilter; 17] {
    let load =
        |size: u32, offset| SockFilter::new((libc::BPF_LD | size | libc::BPF_ABS) as u16, 0, 0, offset);
    let (byte, half) = (libc::BPF_B, libc::BPF_H);
    let jump = |test: u32, value, yes, no| {
        SockFilter::new((libc::BPF_JMP | test | libc::BPF_K) as u16, yes, no, value)
    };
    let (equal, set) = (libc::BPF_JEQ, libc::BPF_JSET);
    let and = |mask| SockFilter::new((libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16, 0, 0, mask);
    let accept = |bytes| SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, bytes);
    let port = u32::from(port);
    [
        load(byte, VERSION),
        and(0xf0),
        jump(equal, 0x60, 0, 13),
        load(byte, NEXT_HEADER),
        jump(equal, libc::IPPROTO_ICMPV6 as u32, 0, 3),
        load(byte, ICMPV6_TYPE),
        jump(equal, NEIGHBOUR_SOLICITATION, 8, 0),
        jump(equal, NEIGHBOUR_ADVERTISEMENT, 7, 8),
        jump(equal, libc::IPPROTO_TCP as u32, 0, 7),
        load(byte, TCP_FLAGS),
        jump(set, RST_OR_SYN, 0, 5),
        load(half, TCP_SOURCE_PORT),
        jump(equal, port, 2, 0),
        load(half, TCP_DESTINATION_PORT),
        jump(equal, port, 0, 1),
        accept(SNAPSHOT as u32),
        accept(0),
    ]
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use etherparse::PacketBuilder;

    use super::*;

    const HOST: &str = "2001:db8:6::1234:5678";
    const ENDPOINT: &str = "[2001:db8:80::80]:443";

    fn address(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    fn endpoint() -> SocketAddrV6 {
        ENDPOINT.parse().unwrap()
    }

    fn advertisement(target: &str) -> Vec<u8> {
        let mut packet = solicitation(target);
        packet[40] = 136;
        packet
    }

    fn solicitation(target: &str) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv6(
            address("fe80::1").octets(),
            address("ff02::1:ff34:5678").octets(),
            255,
        )
        .icmpv6_raw(135, 0, [0; 4])
        .write(&mut packet, &address(target).octets())
        .unwrap();
        packet
    }

    /// A segment from one side to the other with these flags: S, A, R.
    fn segment(from: (&str, u16), to: (&str, u16), flags: &str) -> Vec<u8> {
        let mut builder = PacketBuilder::ipv6(address(from.0).octets(), address(to.0).octets(), 64)
            .tcp(from.1, to.1, 1, 1000);
        for flag in flags.chars() {
            builder = match flag {
                'S' => builder.syn(),
                'A' => builder.ack(1),
                _ => builder.rst(),
            };
        }
        let mut packet = Vec::new();
        builder.write(&mut packet, &[]).unwrap();
        packet
    }

    /// Whether the running kernel lets `packet` through, asked on a pair of local sockets.
    fn passes(packet: &[u8]) -> bool {
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        socket2::SockRef::from(&receiver)
            .attach_filter(&of_interest(endpoint().port()))
            .unwrap();
        receiver.set_nonblocking(true).unwrap();
        sender.send(packet).unwrap();
        receiver.recv(&mut [0; SNAPSHOT]).is_ok()
    }

    #[test]
    fn solicitations_first_packets_and_answers_are_read_and_pass_the_filter() {
        let remote = ("2001:db8:80::80", 443);
        let (here, to) = ((HOST, 50_000), address(HOST));
        for (packet, expected) in [
            (solicitation(HOST), Packet::Solicitation { target: to }),
            (advertisement(HOST), Packet::Advertisement { target: to }),
            (
                segment(here, remote, "S"),
                Packet::Syn {
                    from: to,
                    port: 50_000,
                },
            ),
            (segment(remote, here, "SA"), Packet::Answer { to }),
            (segment(remote, here, "RA"), Packet::Answer { to }),
        ] {
            assert_eq!(parse(&packet, endpoint()), Some(expected));
            assert!(passes(&packet), "{expected:?}");
        }
    }

    #[test]
    fn other_packets_are_of_no_interest() {
        let remote = ("2001:db8:80::80", 443);
        for packet in [
            segment((HOST, 50_000), remote, "A"),
            segment((HOST, 50_000), ("2001:db8:80::80", 80), "S"),
            solicitation(HOST)[..50].to_vec(),
            Vec::new(),
        ] {
            assert_eq!(parse(&packet, endpoint()), None);
        }
        assert!(!passes(&segment((HOST, 50_000), remote, "A")));
        assert!(!passes(&segment((HOST, 50_000), ("2001:db8:80::80", 80), "S")));
        // Another endpoint of the same port passes the filter and is told apart afterwards.
        assert_eq!(
            parse(&segment((HOST, 1), ("2001:db8::1", 443), "S"), endpoint()),
            None
        );
    }
}
