//! The devices that lead out, for who does not name one.

use std::path::Path;

use ipnet::Ipv6Net;
use v6kit_net::Prefix;

use crate::device::Device;
use crate::error::{HostError, ReadError};
use crate::netlink::{Address, Netlink, Route};
use crate::summary::Summary;

/// A device that an IPv6 default route leaves by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// Its name.
    pub device: String,
    /// Its addresses that are neither link-local nor temporary, with their subnets.
    pub addresses: Vec<Ipv6Net>,
}

/// The devices of this host's IPv6 default routes.
///
/// # Errors
/// [`HostError`] when routes cannot be read.
pub async fn uplinks() -> Result<Vec<Uplink>, HostError> {
    let netlink = Netlink::open()?;
    let links = netlink.links().await?;
    let addresses = netlink.addresses().await?;
    let defaults = netlink.routes(Route::is_default).await?;
    let leads_out = |index| defaults.iter().any(|route| route.link == Some(index));
    Ok(links
        .iter()
        .filter(|link| leads_out(link.index))
        .map(|link| Uplink {
            device: link.name.clone(),
            addresses: own_addresses(&addresses, link.index),
        })
        .collect())
}

/// The devices with an address that others may reach, the loopback device left out, whether or not a route leads out
/// by them. None on a host without IPv6.
///
/// # Errors
/// [`HostError`] when addresses cannot be read.
pub async fn addressed() -> Result<Vec<Uplink>, HostError> {
    if !Path::new("/proc/sys/net/ipv6").exists() {
        return Ok(Vec::new());
    }
    let netlink = Netlink::open()?;
    let links = netlink.links().await?;
    let addresses = netlink.addresses().await?;
    let mut found: Vec<Uplink> = links
        .iter()
        .filter(|link| !link.is_loopback)
        .map(|link| Uplink {
            device: link.name.clone(),
            addresses: own_addresses(&addresses, link.index),
        })
        .collect();
    found.retain(|device| !device.addresses.is_empty());
    Ok(found)
}

fn own_addresses(addresses: &[Address], link: u32) -> Vec<Ipv6Net> {
    let own = addresses
        .iter()
        .filter(|address| address.link == link && !address.is_temporary);
    own.map(|address| address.net)
        .filter(|net| !net.addr().is_unicast_link_local())
        .collect()
}

/// The device that `prefix` was set up on, by the name that it has now.
///
/// # Errors
/// [`HostError`] when the summary or the devices cannot be read.
pub async fn device_of(state_dir: &Path, prefix: Prefix) -> Result<Option<String>, HostError> {
    let summary = match Summary::read(state_dir) {
        Err(ReadError::CutOff { .. }) => None,
        read => read?,
    };
    let summary = summary.unwrap_or_default();
    let Some(setup) = summary.setups.iter().find(|setup| setup.prefix == prefix) else {
        return Ok(None);
    };
    let links = Netlink::open()?.links().await?;
    Ok(match Device::find(&setup.device, setup.device_index, &links) {
        Device::Renamed(now) => Some(now),
        Device::Present => Some(setup.device.clone()),
        Device::Gone => None,
    })
}
