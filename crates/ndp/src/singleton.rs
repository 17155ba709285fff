//! One responder for a prefix in a network namespace, which other programs can see.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use v6kit_net::Prefix;

/// What the names of the sockets begin with.
const NAME: &str = "v6kit-ndp/";

/// Held by the one that answers for a prefix, and seen by whoever looks in the same network namespace.
///
/// It is a Unix socket with an abstract name (unix(7)): it needs no privileges, leaves no file, and is gone
/// with the process, however that ends.
#[derive(Debug)]
pub struct SingletonLock(#[allow(dead_code, reason = "held, never read")] UnixDatagram);

impl SingletonLock {
    /// Takes it for as long as the result lives.
    ///
    /// # Errors
    /// Somebody else holds it for the same prefix, or sockets cannot be had.
    pub fn acquire(prefix: Prefix) -> io::Result<Self> {
        let name = SocketAddr::from_abstract_name(format!("{NAME}{prefix}"))?;
        UnixDatagram::bind_addr(&name).map(Self)
    }
}

/// The prefixes that are answered for in this network namespace.
///
/// # Errors
/// /proc/net/unix cannot be read.
pub fn answered_prefixes() -> io::Result<Vec<Prefix>> {
    let sockets = std::fs::read_to_string("/proc/net/unix")?;
    // An abstract name is written with an @ in place of the zero byte (proc(5)).
    let names = sockets.lines().filter_map(|line| {
        line.split_whitespace()
            .last()?
            .strip_prefix('@')?
            .strip_prefix(NAME)
    });
    Ok(names.filter_map(|prefix| prefix.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_told_for_as_long_as_somebody_answers_for_it() {
        let prefix: Prefix = "2001:db8:7e57::/64".parse().unwrap();
        let told = || answered_prefixes().unwrap().contains(&prefix);
        assert!(!told());
        let lock = SingletonLock::acquire(prefix).unwrap();
        assert!(told());
        drop(lock);
        assert!(!told());
    }
}
