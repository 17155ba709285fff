//! The packet socket (packet(7)).

#![allow(
    unsafe_code,
    reason = "neither std, socket2 nor nix can read a sockaddr_ll, or has PACKET_STATISTICS ready made"
)]

use std::io;
use std::mem;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::socket::sockopt::RcvBufForce;
use nix::sys::socket::{getsockopt, setsockopt};
use nix::{getsockopt_impl, sockopt_impl};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use v6kit_net::{Prefix, link_address, receive_all_multicast};

use crate::filter;
use crate::wire::Mac;

/// Room for a burst: some 5,000 solicitations. Beyond net.core.rmem_max it needs CAP_NET_ADMIN.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Longer than any solicitation that makes sense; what is longer is cut off and thereby refused.
pub(crate) const LONGEST: usize = 512;

sockopt_impl!(
    /// Packets that arrived, and that were dropped, since the last time that this was read.
    Statistics,
    GetOnly,
    libc::SOL_PACKET,
    libc::PACKET_STATISTICS,
    libc::tpacket_stats
);

/// Receives the solicitations that the kernel-side filter lets through, and sends packets.
///
/// The link header is the kernel's business (SOCK_DGRAM): packets begin with the IPv6 header.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    fd: AsyncFd<Socket>,
    dropped: AtomicU64,
}

impl PacketSocket {
    /// Opens a socket that hears nothing yet. Needs CAP_NET_RAW.
    pub(crate) fn open(prefix: Prefix) -> io::Result<Self> {
        // Protocol 0 receives nothing, so that nothing arrives before the filter is in place.
        let socket = Socket::new(
            Domain::PACKET,
            Type::DGRAM.nonblocking().cloexec(),
            Some(Protocol::from(0)),
        )?;
        socket.attach_filter(&filter::solicitations(prefix))?;
        if setsockopt(&socket, RcvBufForce, &RECEIVE_BUFFER).is_err() {
            socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        }
        // SAFETY: the socket owns its descriptor, and AsyncFd drops both together.
        let fd = unsafe { AsyncFd::register(socket) }?;
        Ok(Self {
            fd,
            dropped: AtomicU64::new(0),
        })
    }

    /// Hears the device of this index from now on, all its multicast included.
    ///
    /// Solicited-node groups are far too many to join, so the device takes all multicast.
    pub(crate) fn attach(&self, index: u32) -> io::Result<()> {
        let socket = self.fd.get_ref();
        receive_all_multicast(socket, index)?;
        socket.bind(&link_address(index, None)?)
    }

    /// Waits until [`Self::receive`] has something to say.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.fd.readable().await?.retain_ready();
        Ok(())
    }

    /// The next packet: its length in `buffer` and the Ethernet address that it came from.
    ///
    /// # Errors
    /// `WouldBlock` when there is none, ENETDOWN once after the device went down.
    pub(crate) fn receive(&self, buffer: &mut [u8; LONGEST]) -> io::Result<(usize, Mac)> {
        self.fd.try_io(Interest::READABLE, |socket| {
            // SAFETY: all bits zero is a sockaddr_ll.
            let mut from: libc::sockaddr_ll = unsafe { mem::zeroed() };
            let mut from_length = size_of_val(&from) as libc::socklen_t;
            // SAFETY: buffer and address are ours, and the lengths are theirs.
            let length = unsafe {
                libc::recvfrom(
                    socket.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    0,
                    (&raw mut from).cast(),
                    &raw mut from_length,
                )
            };
            let length = usize::try_from(length).map_err(|_negative| io::Error::last_os_error())?;
            let [a, b, c, d, e, f, ..] = from.sll_addr;
            Ok((length, Mac([a, b, c, d, e, f])))
        })
    }

    /// Sends a packet out of the device of this index.
    pub(crate) fn send(&self, index: u32, to: Mac, packet: &[u8]) -> io::Result<()> {
        self.fd
            .get_ref()
            .send_to(packet, &link_address(index, Some(to.0))?)?;
        Ok(())
    }

    /// Packets that the kernel dropped since the start because the receive buffer was full.
    pub(crate) fn dropped(&self) -> u64 {
        // Reading sets the kernel's count back to zero.
        let new =
            getsockopt(self.fd.get_ref(), Statistics).map_or(0, |statistics| statistics.tp_drops.into());
        self.dropped.fetch_add(new, Ordering::Relaxed) + new
    }
}
