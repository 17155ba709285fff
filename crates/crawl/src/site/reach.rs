//! To which addresses a request may go.

use std::net::{Ipv6Addr, SocketAddrV6};

use v6kit_model::{ErrorKind, Fault};

use crate::connect::internal::internal;
use crate::connect::names::Pin;
use crate::site::Site;

/// Which addresses a request may be sent to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bounds<'a> {
    /// All: the job names where it goes.
    None,
    /// An answer led there: those of the internet, and others only where the job names them.
    Public {
        /// The one that the item itself was fetched from.
        named: Option<Ipv6Addr>,
        /// Names whose addresses the user gave.
        pins: &'a [Pin],
    },
}

impl Bounds<'_> {
    /// Whether `site` may be asked at `address`.
    ///
    /// # Errors
    /// [`ErrorKind::Redirect`].
    pub(crate) fn judge(&self, site: &Site, address: Ipv6Addr) -> Result<(), Fault> {
        let Self::Public { named, pins } = *self else {
            return Ok(());
        };
        let is_named = named == Some(address) || pins.iter().any(|pin| pin.addresses().contains(&address));
        match internal(address) {
            Some(what) if !is_named => Err(out_of_reach(site, address, what)),
            _ => Ok(()),
        }
    }

    /// Those of `all` that `site` may be asked at.
    ///
    /// # Errors
    /// [`ErrorKind::Redirect`] where there is none.
    pub(crate) fn within(&self, site: &Site, all: &[SocketAddrV6]) -> Result<Vec<SocketAddrV6>, Fault> {
        let mut refused = Ok(());
        let mut within = Vec::with_capacity(all.len());
        for address in all {
            match self.judge(site, *address.ip()) {
                Ok(()) => within.push(*address),
                fault => refused = fault,
            }
        }
        if within.is_empty() {
            refused.map(|()| within)
        } else {
            Ok(within)
        }
    }

    /// Whether the host of `site` may be asked for through a proxy that looks names up: as far as can be told, which
    /// is where it is an address, or a name that means a host or network from within.
    ///
    /// # Errors
    /// [`ErrorKind::Redirect`].
    pub(crate) fn judge_host(&self, site: &Site) -> Result<(), Fault> {
        let origin = site.destination().origin();
        match origin.host.parse() {
            Ok(address) => self.judge(site, address),
            Err(_name) if matches!(self, Self::None) || site.destination().proxy().is_none() => Ok(()),
            Err(_name) => match internal_name(&origin.host) {
                Some(what) => Err(out_of_reach(site, &origin.host, what)),
                None => Ok(()),
            },
        }
    }
}

/// What a name stands for that means the host or the network of whoever looks it up; `None` for any other.
fn internal_name(host: &str) -> Option<&'static str> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let last = host.rsplit('.').next().unwrap_or_default();
    match last {
        // RFC 6761 section 6.3.
        "localhost" => Some("the host that looks it up"),
        // RFC 6762 section 3, RFC 8375, and what ICANN has set aside for private use, where clouds have their metadata.
        "local" | "internal" => Some("a name of a private network"),
        _ if host.ends_with(".home.arpa") => Some("a name of a private network"),
        // Without a dot, it is looked up in the domain of whoever does (resolv.conf(5)).
        _ if host == last => Some("a name of a private network"),
        _ => None,
    }
}

fn out_of_reach(site: &Site, address: impl std::fmt::Display, what: &str) -> Fault {
    let origin = site.destination().origin();
    Fault::new(
        ErrorKind::Redirect,
        format!("it leads to {origin} at {address}, {what}, which only the job itself may name"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_a_host_or_network_from_within_are_known() {
        for name in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "printer.local",
            "metadata.google.internal",
            "router.home.arpa",
            "db",
        ] {
            assert!(internal_name(name).is_some(), "{name}");
        }
        for name in [
            "example.org",
            "localhost.example.org",
            "internal.example",
            "home.arpa.example",
            "arpa.test",
        ] {
            assert_eq!(internal_name(name), None, "{name}");
        }
    }
}
