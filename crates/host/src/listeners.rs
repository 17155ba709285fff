//! Services that listen on this host.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use procfs::net::TcpState;
use procfs::process::{FDTarget, Process};

/// A socket that waits for others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listener {
    /// Its port.
    pub(crate) port: u16,
    /// TCP or UDP.
    pub(crate) protocol: Protocol,
    /// Where it is reached.
    pub(crate) reach: Reach,
    /// The name of a process that holds it, where that can be seen.
    pub(crate) process: Option<String>,
}

/// The transport of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    /// A listening socket.
    Tcp,
    /// An unconnected socket.
    Udp,
}

/// Where a listener is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// On every IPv6 address, those of a prefix included.
    EveryAddress,
    /// On some addresses.
    SomeAddresses,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(f, "{protocol} {}", self.port)?;
        match &self.process {
            Some(process) => write!(f, " ({process})"),
            None => Ok(()),
        }
    }
}

/// Every listening TCP socket and unconnected UDP socket of this network namespace.
///
/// A table that cannot be read (no IPv4, no IPv6) counts as empty.
pub(crate) fn listeners() -> Vec<Listener> {
    let tcp = [procfs::net::tcp(), procfs::net::tcp6()]
        .into_iter()
        .filter_map(Result::ok)
        .flatten()
        .filter(|socket| socket.state == TcpState::Listen)
        .map(|socket| (Protocol::Tcp, socket.local_address, socket.inode));
    let udp = [procfs::net::udp(), procfs::net::udp6()]
        .into_iter()
        .filter_map(Result::ok)
        .flatten()
        .filter(|socket| socket.remote_address.port() == 0)
        .map(|socket| (Protocol::Udp, socket.local_address, socket.inode));
    let sockets: Vec<(Protocol, SocketAddr, u64)> = tcp.chain(udp).collect();
    let owners = owners(&sockets.iter().map(|socket| socket.2).collect());
    let found: BTreeSet<Listener> = sockets
        .into_iter()
        .map(|(protocol, address, inode)| Listener {
            port: address.port(),
            protocol,
            reach: reach(address.ip()),
            process: owners.get(&inode).cloned(),
        })
        .collect();
    found.into_iter().collect()
}

/// The other ends of connected TCP and UDP sockets that `wanted` picks.
pub(crate) fn peers(wanted: impl Fn(Ipv6Addr) -> bool) -> Vec<Ipv6Addr> {
    let tcp = procfs::net::tcp6()
        .into_iter()
        .flatten()
        .filter(|socket| ![TcpState::Listen, TcpState::TimeWait, TcpState::SynSent].contains(&socket.state))
        .map(|socket| socket.remote_address.ip());
    let udp = procfs::net::udp6()
        .into_iter()
        .flatten()
        .map(|socket| socket.remote_address.ip());
    let peers: BTreeSet<Ipv6Addr> = tcp
        .chain(udp)
        .filter_map(|address| match address {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        })
        .filter(|address| !address.is_unspecified() && wanted(*address))
        .collect();
    peers.into_iter().collect()
}

fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V6(address) if address.is_unspecified() => Reach::EveryAddress,
        _ => Reach::SomeAddresses,
    }
}

/// The name of a process for each of the sockets that belong to one which this user may look into.
fn owners(inodes: &BTreeSet<u64>) -> HashMap<u64, String> {
    let mut owners = HashMap::new();
    for process in procfs::process::all_processes().into_iter().flatten().flatten() {
        for inode in sockets_of(&process).filter(|inode| inodes.contains(inode)) {
            if let Ok(stat) = process.stat() {
                owners.entry(inode).or_insert(stat.comm);
            }
        }
    }
    owners
}

fn sockets_of(process: &Process) -> impl Iterator<Item = u64> {
    process
        .fd()
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|descriptor| match descriptor.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        })
}

/// The services that are reached on every address, one per port, as text.
pub(crate) fn exposed(listeners: &[Listener]) -> Vec<String> {
    let by_port: BTreeMap<(Protocol, u16), &Listener> = listeners
        .iter()
        .filter(|listener| listener.reach == Reach::EveryAddress)
        .map(|listener| ((listener.protocol, listener.port), listener))
        .collect();
    by_port.values().map(ToString::to_string).collect()
}

/// What is reached on every address now, for a sentence.
pub(crate) fn reached() -> String {
    match exposed(&listeners()).as_slice() {
        [] => "nothing: no service listens on every address now".to_owned(),
        services => services.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_of_this_process_is_found_with_its_name() {
        let socket = std::net::TcpListener::bind("[::]:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let all = listeners();
        let found = all
            .iter()
            .find(|listener| listener.port == port && listener.protocol == Protocol::Tcp)
            .unwrap();
        assert_eq!(found.reach, Reach::EveryAddress);
        let name = found.process.clone().unwrap();
        assert!(exposed(&all).contains(&format!("tcp {port} ({name})")));
    }

    #[test]
    fn the_other_end_of_a_connection_is_a_peer() {
        let server = std::net::TcpListener::bind("[::1]:0").unwrap();
        assert!(peers(|address| address.is_multicast()).is_empty());
        let _client = std::net::TcpStream::connect(server.local_addr().unwrap()).unwrap();
        assert_eq!(peers(|address| address.is_loopback()), [Ipv6Addr::LOCALHOST]);
    }

    #[test]
    fn a_service_on_loopback_is_not_exposed() {
        let socket = std::net::UdpSocket::bind("[::1]:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let all = listeners();
        assert!(all.iter().any(|listener| listener.port == port));
        let text = format!("udp {port}");
        assert!(!exposed(&all).iter().any(|service| service.starts_with(&text)));
    }
}
