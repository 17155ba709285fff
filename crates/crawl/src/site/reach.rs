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
    /// is where it is an address.
    ///
    /// # Errors
    /// [`ErrorKind::Redirect`].
    pub(crate) fn judge_host(&self, site: &Site) -> Result<(), Fault> {
        match site.destination().origin().host.parse() {
            Ok(address) => self.judge(site, address),
            Err(_name) => Ok(()),
        }
    }
}

fn out_of_reach(site: &Site, address: Ipv6Addr, what: &str) -> Fault {
    let origin = site.destination().origin();
    Fault::new(
        ErrorKind::Redirect,
        format!("it leads to {origin} at {address}, {what}, which only the job itself may name"),
    )
}
