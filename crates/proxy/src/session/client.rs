//! Who a client is, and from which address it sends.

use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;
use std::sync::Arc;

use v6kit_net::Lease;

use crate::auth::account::Account;
use crate::egress::Upstream;
use crate::egress::turns::SessionName;

/// Who a client is and which address it sends from.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) account: Arc<Account>,
    pub(crate) session: Option<SessionName>,
    /// `None` without a prefix.
    pub(crate) source: Option<Ipv6Addr>,
    /// The lease of the address, where their number is bounded.
    pub(crate) lease: Option<Rc<Lease>>,
    pub(crate) rotation: Rotation,
    /// Whether it said nothing about its address.
    pub(crate) is_free: bool,
}

/// What a client says about its address besides its user name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// It is to be this one.
    pub(crate) pin: Option<Ipv6Addr>,
    /// It is to be this one no more.
    pub(crate) away_from: Option<Ipv6Addr>,
}

/// Whether the next connection of the same client leaves from the same address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// It does.
    Sticky,
    /// It does not.
    Rotating,
}

impl Client {
    /// The address that the destination sees. Asks the kernel only where the kernel chose.
    pub(crate) fn source_towards(&self, upstream: &Upstream) -> Option<IpAddr> {
        match self.source {
            Some(source) if upstream.to.ip().to_ipv4_mapped().is_none() => Some(source.into()),
            _ => upstream.local().map(|address| address.ip()),
        }
    }
}
