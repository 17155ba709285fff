//! What packet sockets need and neither socket2 nor nix has ready made (packet(7)).

#![allow(
    unsafe_code,
    reason = "neither std, socket2 nor nix can build a sockaddr_ll, or has PACKET_ADD_MEMBERSHIP ready made"
)]

use std::io;

use nix::libc::{self, c_int, socklen_t};
use nix::sys::socket::setsockopt;
use nix::{setsockopt_impl, sockopt_impl};
use socket2::{SockAddr, Socket};

sockopt_impl!(
    /// Has a device take packets that are not for this host (packet(7)).
    AddMembership,
    SetOnly,
    libc::SOL_PACKET,
    libc::PACKET_ADD_MEMBERSHIP,
    libc::packet_mreq
);

/// The address of IPv6 on the device of this index, or of the Ethernet address `to` on its link.
///
/// # Errors
/// An index that no device has.
pub fn link_address(index: u32, to: Option<[u8; 6]>) -> io::Result<SockAddr> {
    address(index, libc::ETH_P_IPV6, to)
}

/// The address of every protocol on the device of this index. Only sockets bound to it are shown what leaves, too.
///
/// # Errors
/// An index that no device has.
pub fn link_address_of_every_protocol(index: u32) -> io::Result<SockAddr> {
    address(index, libc::ETH_P_ALL, None)
}

fn address(index: u32, protocol: c_int, to: Option<[u8; 6]>) -> io::Result<SockAddr> {
    let mut link = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (protocol as u16).to_be(),
        sll_ifindex: interface_index(index)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    if let Some(to) = to {
        link.sll_halen = 6;
        link.sll_addr[..6].copy_from_slice(&to);
    }
    // SAFETY: a sockaddr_ll fits into sockaddr_storage, and the length says how much of it is set.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            storage.cast::<libc::sockaddr_ll>().write(link);
            length.write(size_of::<libc::sockaddr_ll>() as socklen_t);
            Ok(())
        })
    }?;
    Ok(address)
}

/// Has the device of this index take multicast to groups that this host has not joined.
///
/// The kernel counts this per socket and undoes it when the packet socket goes, however that happens.
///
/// # Errors
/// An index that no device has, and what setsockopt(2) said.
pub fn receive_all_multicast(socket: &Socket, index: u32) -> io::Result<()> {
    let membership = libc::packet_mreq {
        mr_ifindex: interface_index(index)?,
        mr_type: libc::PACKET_MR_ALLMULTI as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    setsockopt(socket, AddMembership, &membership)?;
    Ok(())
}

fn interface_index(index: u32) -> io::Result<c_int> {
    c_int::try_from(index).map_err(io::Error::other)
}
