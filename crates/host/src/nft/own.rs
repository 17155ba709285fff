//! The sets of our table that hold the addresses of this host. They are no part of what is journaled: their
//! elements follow the addresses, and a listing of the table leaves them out.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use serde_json::Value as Json;

use crate::netlink::{Address, Link, Netlink, NetlinkError};

/// The set of all own addresses.
pub(super) const ALL: &str = "own";
/// The set of own addresses with the device of each.
pub(super) const BY_DEVICE: &str = "own_by_device";

/// What the sets hold, or should.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OwnAddresses {
    all: BTreeSet<Ipv6Addr>,
    by_device: BTreeSet<(Ipv6Addr, String)>,
}

impl OwnAddresses {
    /// What they should hold on this host.
    pub(crate) async fn of_host(netlink: &Netlink) -> Result<Self, NetlinkError> {
        Ok(Self::of(&netlink.addresses().await?, &netlink.links().await?))
    }

    /// Those that others may reach this host by: not link-local, not loopback.
    pub(crate) fn of(addresses: &[Address], links: &[Link]) -> Self {
        let mut own = Self::default();
        for address in addresses {
            let ip = address.net.addr();
            if ip.is_loopback() || ip.is_unicast_link_local() {
                continue;
            }
            own.all.insert(ip);
            let link = links.iter().find(|link| link.index == address.link);
            if let Some(name) = link.map(|link| &link.name).filter(|name| is_plain(name)) {
                own.by_device.insert((ip, name.clone()));
            }
        }
        own
    }

    pub(crate) fn contains(&self, address: Ipv6Addr) -> bool {
        self.all.contains(&address)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Ipv6Addr> + '_ {
        self.all.iter().copied()
    }

    /// What fills the sets, in place of what was in them.
    pub(super) fn fill(&self) -> String {
        let all: Vec<String> = self.all.iter().map(ToString::to_string).collect();
        let by_device: Vec<String> = self
            .by_device
            .iter()
            .map(|(address, device)| format!("{address} . \"{device}\""))
            .collect();
        [(ALL, all), (BY_DEVICE, by_device)]
            .into_iter()
            .map(|(set, elements)| {
                let flush = format!("flush set inet v6kit {set}\n");
                if elements.is_empty() {
                    return flush;
                }
                format!(
                    "{flush}add element inet v6kit {set} {{ {} }}\n",
                    elements.join(", ")
                )
            })
            .collect()
    }

    /// Reads what `nft -j list set` prints of each.
    pub(super) fn parse(all: &Json, by_device: &Json) -> Self {
        Self {
            all: elements(all).filter_map(address).collect(),
            by_device: elements(by_device)
                .filter_map(|element| {
                    let parts = element["concat"].as_array()?;
                    Some((address(parts.first()?)?, parts.get(1)?.as_str()?.to_owned()))
                })
                .collect(),
        }
    }
}

fn elements(document: &Json) -> impl Iterator<Item = &Json> {
    document["nftables"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|object| object["set"]["elem"].as_array())
        .flatten()
}

fn address(element: &Json) -> Option<Ipv6Addr> {
    element.as_str()?.parse().ok()
}

/// Whether nft takes the name between quotes. Of a device with another name every address counts as elsewhere.
fn is_plain(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"\"\\*".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str) -> Link {
        Link {
            index,
            name: name.to_owned(),
            is_up: true,
            is_loopback: false,
            mtu: Some(1500),
            port_of: None,
            is_in_vrf: false,
            kind: crate::netlink::LinkKind::Other,
        }
    }

    fn address(net: &str, link: u32) -> Address {
        Address {
            net: net.parse().unwrap(),
            link,
            is_temporary: false,
            is_deprecated: false,
        }
    }

    #[test]
    fn the_sets_hold_every_global_address_and_its_device() {
        let links = [link(1, "lo"), link(2, "eth0"), link(3, "we\"ird")];
        let addresses = [
            address("::1/128", 1),
            address("2001:db8::5/128", 1),
            address("fe80::5/64", 2),
            address("2001:db8::6/64", 2),
            address("2001:db8::7/64", 3),
        ];
        let own = OwnAddresses::of(&addresses, &links);
        assert_eq!(
            own.fill(),
            "flush set inet v6kit own\n\
             add element inet v6kit own { 2001:db8::5, 2001:db8::6, 2001:db8::7 }\n\
             flush set inet v6kit own_by_device\n\
             add element inet v6kit own_by_device { 2001:db8::5 . \"lo\", 2001:db8::6 . \"eth0\" }\n"
        );
        assert_eq!(
            OwnAddresses::default().fill(),
            "flush set inet v6kit own\nflush set inet v6kit own_by_device\n"
        );
    }

    #[test]
    fn the_sets_are_read_as_nft_lists_them() {
        let all = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"set": {"family": "inet", "name": "own", "elem": ["2001:db8::1"]}}]}"#;
        let by = r#"{"nftables": [{"set": {"name": "own_by_device", "elem": [{"concat": ["2001:db8::1", "eth0"]}]}}]}"#;
        let own = OwnAddresses::parse(
            &serde_json::from_str(all).unwrap(),
            &serde_json::from_str(by).unwrap(),
        );
        assert_eq!(
            own,
            OwnAddresses::of(&[address("2001:db8::1/64", 2)], &[link(2, "eth0")])
        );
        let empty = serde_json::from_str(r#"{"nftables": [{"set": {"name": "own"}}]}"#).unwrap();
        assert_eq!(OwnAddresses::parse(&empty, &empty), OwnAddresses::default());
    }
}
