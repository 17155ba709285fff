//! Neighbour solicitations read from a packet socket (packet(7)).

#![allow(
    unsafe_code,
    reason = "no safe binding offers the readiness of a packet socket"
)]

use std::io::{self, Read};
use std::net::Ipv6Addr;

use etherparse::icmpv6::Icmpv6PayloadSlice;
use etherparse::{SlicedPacket, TransportSlice};
use nix::libc;
use socket2::{Domain, SockFilter, Socket, Type};
use tokio::io::unix::AsyncFd;
use v6kit_net::{link_address, receive_all_multicast};

use crate::routes::Device;

/// Longer than any solicitation: options take a few bytes, and what is cut off is not looked at.
const SNAPSHOT: usize = 512;

/// ICMPv6 type of a neighbour solicitation (RFC 4861 section 4.3).
const NEIGHBOUR_SOLICITATION: u32 = 135;
/// Where the IPv6 header says what follows it (RFC 8200 section 3).
const NEXT_HEADER_OFFSET: u32 = 6;
/// Where the ICMPv6 type is when it follows the IPv6 header directly, as it does in neighbour discovery.
const ICMPV6_TYPE_OFFSET: u32 = 40;

/// The neighbour solicitations that arrive on a device, for whomever they are.
#[derive(Debug)]
pub(super) struct Solicitations {
    socket: AsyncFd<Socket>,
}

impl Solicitations {
    /// Starts to capture. EPERM without CAP_NET_RAW.
    pub(super) fn capture(device: &Device) -> io::Result<Self> {
        // Protocol 0 receives nothing: neither before the filter is there, nor from other devices.
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
        socket.set_nonblocking(true)?;
        socket.attach_filter(&solicitations_only())?;
        socket.bind(&link_address(device.index, None)?)?;
        // Without it the device drops solicitations for addresses that this host has not.
        receive_all_multicast(&socket, device.index)?;
        // SAFETY: the socket is an open descriptor, and the AsyncFd owns it from here on.
        let socket = unsafe { AsyncFd::register(socket) }?;
        Ok(Self { socket })
    }

    /// The target of the next solicitation.
    pub(super) async fn next(&mut self) -> io::Result<Ipv6Addr> {
        let mut packet = [0; SNAPSHOT];
        loop {
            let mut ready = self.socket.readable().await?;
            match ready.try_io(|socket| socket.get_ref().read(&mut packet)) {
                Ok(length) => {
                    if let Some(target) = target(&packet[..length?]) {
                        return Ok(target);
                    }
                }
                Err(_would_block) => {}
            }
        }
    }
}

/// The target of a neighbour solicitation in an IPv6 packet; `None` for everything else.
fn target(packet: &[u8]) -> Option<Ipv6Addr> {
    let packet = SlicedPacket::from_ip(packet).ok()?;
    let Some(TransportSlice::Icmpv6(message)) = packet.transport else {
        return None;
    };
    match message.payload_slice().ok()? {
        Icmpv6PayloadSlice::NeighborSolicitation(solicitation) => Some(solicitation.target_address()),
        _ => None,
    }
}

/// Classic BPF over the IPv6 header: nothing but neighbour solicitations wakes this process.
fn solicitations_only() -> [SockFilter; 6] {
    let load_byte =
        |offset| SockFilter::new((libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16, 0, 0, offset);
    let jump_unless = |value, skip| {
        SockFilter::new(
            (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
            0,
            skip,
            value,
        )
    };
    let accept = |bytes| SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, bytes);
    [
        load_byte(NEXT_HEADER_OFFSET),
        jump_unless(libc::IPPROTO_ICMPV6 as u32, 3),
        load_byte(ICMPV6_TYPE_OFFSET),
        jump_unless(NEIGHBOUR_SOLICITATION, 1),
        accept(SNAPSHOT as u32),
        accept(0),
    ]
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    #[test]
    fn the_target_of_a_solicitation_is_read_from_the_packet() {
        let wanted: Ipv6Addr = "2001:db8::1234:5678".parse().unwrap();
        let router: Ipv6Addr = "fe80::1".parse().unwrap();
        let group: Ipv6Addr = "ff02::1:ff34:5678".parse().unwrap();
        let mut packet = Vec::new();
        PacketBuilder::ipv6(router.octets(), group.octets(), 255)
            .icmpv6_raw(135, 0, [0; 4])
            .write(&mut packet, &wanted.octets())
            .unwrap();
        assert_eq!(target(&packet), Some(wanted));
        assert_eq!(target(&packet[..50]), None);
        assert_eq!(target(&[]), None);
    }
}
