//! This host's own address on the router's link.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};

use nix::ifaddrs::getifaddrs;
use v6kit_net::{Code, Hint};

use crate::ssh::{Ssh, SshError};
use crate::values::LinkLocal;

/// Why the host's link-local address towards the router is not known.
#[derive(Debug, thiserror::Error)]
pub enum OwnAddressError {
    /// ssh does not say where it connects to.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// The router's name has no address, or there is no route to it.
    #[error("there is no way to {router}")]
    Unreachable {
        /// The router as ssh knows it.
        router: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The interface towards the router has no link-local address, or is the loopback.
    #[error("the interface towards {router} (with {address}) has no link-local address")]
    NoLinkLocal {
        /// The router as ssh knows it.
        router: String,
        /// This host's address towards it.
        address: IpAddr,
    },
}

impl Hint for OwnAddressError {
    fn code(&self) -> Code {
        match self {
            Self::Ssh(error) => error.code(),
            Self::Unreachable { .. } => Code::NoRoute,
            Self::NoLinkLocal { .. } => Code::NoLinkLocal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Ssh(error) => error.hint(),
            Self::Unreachable { .. } => {
                Some("give the router with --ssh, or this host's link-local address with --host".to_owned())
            }
            Self::NoLinkLocal { .. } => {
                Some("give the host's link-local address on the router's LAN with --host".to_owned())
            }
        }
    }
}

/// The link-local address of the interface through which this host reaches the router. Nothing is sent.
///
/// # Errors
/// [`OwnAddressError`] when the router's address or the interface cannot be found out.
pub fn own_link_local(ssh: &Ssh) -> Result<LinkLocal, OwnAddressError> {
    let router = ssh.host_name()?;
    let unreachable = |source| OwnAddressError::Unreachable {
        router: router.clone(),
        source,
    };
    let targets: Vec<SocketAddr> = (router.as_str(), 22)
        .to_socket_addrs()
        .map_err(unreachable)?
        .collect();
    let address = address_towards(&targets).map_err(unreachable)?;
    link_local_beside(address)
        .map_err(unreachable)?
        .ok_or_else(|| OwnAddressError::NoLinkLocal {
            router: router.clone(),
            address,
        })
}

/// Whether `address` is in the network of an interface of this host and is not this host's own.
///
/// # Errors
/// What getifaddrs(3) says.
pub fn is_on_link(address: Ipv4Addr) -> io::Result<bool> {
    let networks: Vec<(Ipv4Addr, u32)> = getifaddrs()?
        .filter_map(|entry| {
            let own = entry.address?.as_sockaddr_in()?.ip();
            let mask = entry.netmask?.as_sockaddr_in()?.ip();
            Some((own, u32::from(mask)))
        })
        .filter(|(own, _)| !own.is_loopback())
        .collect();
    let near = |&(own, mask): &(Ipv4Addr, u32)| u32::from(own) & mask == u32::from(address) & mask;
    Ok(networks.iter().any(near) && networks.iter().all(|(own, _)| *own != address))
}

/// The source address that the kernel chooses; connecting a UDP socket sends nothing.
fn address_towards(targets: &[SocketAddr]) -> io::Result<IpAddr> {
    let any: IpAddr = match targets.first() {
        Some(SocketAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
        _ => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(targets)?;
    Ok(socket.local_addr()?.ip())
}

/// The first link-local address of the interface that has `address`.
fn link_local_beside(address: IpAddr) -> io::Result<Option<LinkLocal>> {
    let all: Vec<(String, IpAddr)> = getifaddrs()?
        .filter_map(|entry| {
            let socket = entry.address?;
            let ip = socket
                .as_sockaddr_in6()
                .map(|v6| IpAddr::from(v6.ip()))
                .or_else(|| socket.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip())))?;
            Some((entry.interface_name, ip))
        })
        .collect();
    let interface = all.iter().find(|(_, ip)| *ip == address).map(|(name, _)| name);
    Ok(all
        .iter()
        .filter(|(name, _)| Some(name) == interface)
        .find_map(|(_, ip)| match ip {
            IpAddr::V6(v6) => LinkLocal::new(*v6),
            IpAddr::V4(_) => None,
        }))
}
