//! Listening sockets, a set per thread.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;

use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::EchoError;

/// Connections that the kernel completes before they are accepted; it caps this at
/// net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// The sockets of one thread, one per address.
pub(super) type ThreadListeners = Vec<TcpListener>;

/// Whether other sockets of this process listen on the same address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    AmongThreads,
}

/// The addresses with their real ports, and a set of sockets on them for each thread.
pub(super) fn bind(
    wanted: &[SocketAddr],
    threads: NonZeroUsize,
) -> Result<(Vec<SocketAddr>, Vec<ThreadListeners>), EchoError> {
    if wanted.is_empty() {
        return Err(EchoError::NothingToListenOn);
    }
    let families = Families::of(wanted);
    let sharing = if threads.get() > 1 {
        Sharing::AmongThreads
    } else {
        Sharing::Alone
    };
    let mut addresses = Vec::with_capacity(wanted.len());
    let mut sets: Vec<ThreadListeners> = (0..threads.get()).map(|_| Vec::new()).collect();
    for &address in wanted {
        let address = match sharing {
            Sharing::Alone => address,
            Sharing::AmongThreads => claim(address, families)?,
        };
        for set in &mut sets {
            set.push(listen(address, families, sharing)?);
        }
        let listener = sets.first().and_then(|set| set.last());
        addresses.push(
            listener
                .map_or(Ok(address), TcpListener::local_addr)
                .map_err(|source| EchoError::Listen {
                    address,
                    call: "getsockname",
                    source,
                })?,
        );
    }
    Ok((addresses, sets))
}

/// Checks that nobody listens on `address` yet, and settles its port.
///
/// Sockets that share an address would share it with another process of the same user as well, and
/// the kernel would then hand every other caller to that one.
fn claim(address: SocketAddr, families: Families) -> Result<SocketAddr, EchoError> {
    let socket = bound(address, families, Sharing::Alone)?;
    socket
        .listen(1)
        .and_then(|()| socket.local_addr())
        .map_err(|source| error(address, "listen", source))
        .map(|settled| settled.as_socket().unwrap_or(address))
}

fn listen(address: SocketAddr, families: Families, sharing: Sharing) -> Result<TcpListener, EchoError> {
    let socket = bound(address, families, sharing)?;
    socket
        .listen(BACKLOG)
        .map_err(|source| error(address, "listen", source))?;
    Ok(socket.into())
}

fn bound(address: SocketAddr, families: Families, sharing: Sharing) -> Result<Socket, EchoError> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
        .map_err(|source| error(address, "socket", source))?;
    let configured = socket
        .set_nonblocking(true)
        .and_then(|()| socket.set_reuse_address(true))
        .and_then(|()| socket.set_reuse_port(sharing == Sharing::AmongThreads))
        .and_then(|()| match (address, families) {
            // So that `[::]:80` and `0.0.0.0:80` can be asked for together.
            (SocketAddr::V6(_), Families::Both) => socket.set_only_v6(true),
            _ => Ok(()),
        });
    configured.map_err(|source| error(address, "setsockopt", source))?;
    socket
        .bind(&address.into())
        .map_err(|source| error(address, "bind", source))?;
    Ok(socket)
}

fn error(address: SocketAddr, call: &'static str, source: io::Error) -> EchoError {
    match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EADDRINUSE) => EchoError::AddressInUse { address },
        Some(Errno::EACCES) => EchoError::NotPermitted { address },
        Some(Errno::EADDRNOTAVAIL) => EchoError::NotLocal { address },
        _ => EchoError::Listen {
            address,
            call,
            source,
        },
    }
}

/// Which families the addresses are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Families {
    One,
    Both,
}

impl Families {
    fn of(addresses: &[SocketAddr]) -> Self {
        if addresses.iter().any(SocketAddr::is_ipv4) && addresses.iter().any(SocketAddr::is_ipv6) {
            Self::Both
        } else {
            Self::One
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY_PORT: &str = "[::1]:0";

    fn threads(n: usize) -> NonZeroUsize {
        NonZeroUsize::new(n).unwrap()
    }

    #[test]
    fn every_thread_listens_on_the_port_that_the_kernel_chose() {
        let (addresses, sets) = bind(&[ANY_PORT.parse().unwrap()], threads(3)).unwrap();
        assert_ne!(addresses[0].port(), 0);
        assert_eq!(sets.len(), 3);
        assert!(
            sets.iter()
                .all(|set| set.len() == 1 && set[0].local_addr().unwrap() == addresses[0])
        );
    }

    #[test]
    fn an_address_that_another_server_shares_among_its_threads_is_in_use() {
        let (addresses, _sets) = bind(&[ANY_PORT.parse().unwrap()], threads(2)).unwrap();
        for n in [1, 2] {
            let error = bind(&addresses, threads(n)).unwrap_err();
            assert!(
                matches!(error, EchoError::AddressInUse { address } if address == addresses[0]),
                "{error}"
            );
        }
    }

    #[test]
    fn an_address_of_another_host_is_not_local() {
        let error = bind(&["[2001:db8::1]:0".parse().unwrap()], threads(1)).unwrap_err();
        assert!(matches!(error, EchoError::NotLocal { .. }), "{error}");
    }
}
