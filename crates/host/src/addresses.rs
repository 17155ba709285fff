//! What our table knows of the addresses of this host, kept true while they come and go.

use std::net::Ipv6Addr;
use std::time::Duration;

use futures_util::StreamExt;
use rtnetlink::MulticastGroup;
use serde::Serialize;

use crate::error::HostError;
use crate::netlink::{Netlink, NetlinkError};
use crate::nft::{self, OwnAddresses};
use crate::system::ResourceError;

/// Addresses mostly come several at a time: the table is renewed when none came for this long.
const QUIET: Duration = Duration::from_millis(200);

/// What a renewal changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Renewal {
    /// Addresses that are this host's and were not known: they were shut to some, and are open now.
    pub opened: Vec<Ipv6Addr>,
    /// Addresses that this host has no more: they were open, and are shut now.
    pub shut: Vec<Ipv6Addr>,
    /// Whether a device of some address changed.
    pub changed: bool,
}

/// Has the firewall table of setup know the addresses that this host has now. `None` where there is no such table.
/// Needs CAP_NET_ADMIN.
///
/// # Errors
/// [`HostError`] when addresses cannot be read or nft fails.
pub async fn renew_addresses() -> Result<Option<Renewal>, HostError> {
    let now = OwnAddresses::of_host(&Netlink::open()?).await?;
    let Some(known) = nft::read_own().map_err(ResourceError::from)? else {
        return Ok(None);
    };
    if known == now {
        return Ok(Some(Renewal::default()));
    }
    nft::write_own(&now).map_err(ResourceError::from)?;
    Ok(Some(Renewal {
        opened: now.all().filter(|address| !known.contains(*address)).collect(),
        shut: known.all().filter(|address| !now.contains(*address)).collect(),
        changed: true,
    }))
}

/// Renews at each change of an address or a device, and tells of it, until reading events fails.
///
/// # Errors
/// [`HostError`] as [`renew_addresses`], or when the kernel tells no events any more.
pub async fn follow_addresses(mut tell: impl FnMut(Renewal)) -> Result<(), HostError> {
    let groups = [MulticastGroup::Ipv6Ifaddr, MulticastGroup::Link];
    let (connection, _handle, mut events) =
        rtnetlink::new_multicast_connection(&groups).map_err(NetlinkError::Open)?;
    let driver = tokio::spawn(connection);
    loop {
        if let Some(renewal) = renew_addresses().await?
            && renewal.changed
        {
            tell(renewal);
        }
        if events.next().await.is_none() {
            driver.abort();
            return Err(NetlinkError::Open(std::io::ErrorKind::UnexpectedEof.into()).into());
        }
        // The rest of what came with it.
        while let Ok(Some(_)) = tokio::time::timeout(QUIET, events.next()).await {}
    }
}
