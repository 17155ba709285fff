//! Which destinations clients may reach.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use v6kit_net::Prefix;

/// How old the list of the host's own addresses may be.
const OWN_ADDRESSES_AGE: Duration = Duration::from_secs(5);

/// Cloud metadata services outside the link-local and private ranges.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
/// Cloud metadata services of IPv6, named to be called by their name: the range holds more than them.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Decides about resolved addresses, after resolution, so that no name can point inside.
///
/// Denied are loopback, link-local, private, shared (RFC 6598), multicast and reserved ranges, cloud
/// metadata services, the addresses of this host, the prefix itself, and IPv6 ranges that carry a denied
/// IPv4 address (NAT64, 6to4).
#[derive(Debug)]
pub(crate) struct Policy {
    prefix: Option<Prefix>,
    allowed: Vec<IpNet>,
    own: RefCell<Vec<IpAddr>>,
    own_read: Cell<Option<Instant>>,
}

impl Policy {
    pub(crate) fn new(prefix: Option<Prefix>, allowed: Vec<IpNet>) -> Self {
        Self {
            prefix,
            allowed,
            own: RefCell::default(),
            own_read: Cell::default(),
        }
    }

    /// Why `address` is denied, or `None` where it may be reached.
    pub(crate) fn denies(&self, address: IpAddr) -> Option<&'static str> {
        let address = address.to_canonical();
        if self.allowed.iter().any(|net| net.contains(&address)) {
            return None;
        }
        reserved(address).or_else(|| self.ours(address))
    }

    fn ours(&self, address: IpAddr) -> Option<&'static str> {
        if let (IpAddr::V6(address), Some(prefix)) = (address, self.prefix)
            && prefix.contains(address)
        {
            return Some("in the prefix that we send from");
        }
        self.refresh_own_addresses();
        self.own
            .borrow()
            .contains(&address)
            .then_some("an address of this host")
    }

    fn refresh_own_addresses(&self) {
        if self
            .own_read
            .get()
            .is_some_and(|read| read.elapsed() < OWN_ADDRESSES_AGE)
        {
            return;
        }
        match own_addresses() {
            Ok(addresses) => *self.own.borrow_mut() = addresses,
            // The list of five seconds ago is better than none.
            Err(error) => tracing::warn!("the addresses of this host cannot be read: {error}"),
        }
        self.own_read.set(Some(Instant::now()));
    }
}

/// The addresses of both families configured on this host's interfaces.
fn own_addresses() -> nix::Result<Vec<IpAddr>> {
    Ok(nix::ifaddrs::getifaddrs()?
        .filter_map(|interface| interface.address)
        .filter_map(|address| {
            let v6 = address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip()));
            v6.or_else(|| address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip())))
        })
        .collect())
}

fn reserved(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => reserved_v4(address),
        IpAddr::V6(address) => reserved_v6(address),
    }
}

/// IANA IPv4 Special-Purpose Address Registry, where it is not globally reachable.
fn reserved_v4(address: Ipv4Addr) -> Option<&'static str> {
    const SHARED: Ipv4Net = v4([100, 64, 0, 0], 10);
    const PROTOCOL: Ipv4Net = v4([192, 0, 0, 0], 24);
    const BENCHMARK: Ipv4Net = v4([198, 18, 0, 0], 15);
    if METADATA_V4.contains(&address) || address == Ipv4Addr::new(169, 254, 169, 254) {
        Some("a cloud metadata service")
    } else if address.is_loopback() {
        Some("loopback")
    } else if address.is_link_local() {
        Some("link-local")
    } else if address.is_private() {
        Some("private")
    } else if address.octets()[0] == 0 {
        Some("this network")
    } else if address.is_multicast() {
        Some("multicast")
    } else if SHARED.contains(&address) {
        Some("carrier-grade NAT")
    } else if PROTOCOL.contains(&address) || BENCHMARK.contains(&address) || address.octets()[0] >= 240 {
        Some("reserved")
    } else {
        None
    }
}

/// IANA IPv6 Special-Purpose Address Registry, where it is not globally reachable.
fn reserved_v6(address: Ipv6Addr) -> Option<&'static str> {
    const SITE_LOCAL: Ipv6Net = v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10);
    const DISCARD: Ipv6Net = v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64);
    const COMPATIBLE: Ipv6Net = v6([0, 0, 0, 0, 0, 0, 0, 0], 96);
    const LOCAL_NAT64: Ipv6Net = v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48);
    if METADATA_V6.contains(&address) {
        Some("a cloud metadata service")
    } else if address.is_loopback() {
        Some("loopback")
    } else if address.is_unspecified() {
        Some("unspecified")
    } else if address.is_unicast_link_local() {
        Some("link-local")
    } else if address.is_unique_local() || SITE_LOCAL.contains(&address) || LOCAL_NAT64.contains(&address) {
        Some("private")
    } else if address.is_multicast() {
        Some("multicast")
    } else if DISCARD.contains(&address) || COMPATIBLE.contains(&address) {
        Some("reserved")
    } else {
        embedded_v4(address).and_then(reserved_v4)
    }
}

/// The IPv4 address inside a NAT64 (RFC 6052) or 6to4 (RFC 3056) address.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
    const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);
    let bits = address.to_bits();
    if NAT64.contains(&address) {
        Some(Ipv4Addr::from_bits(bits as u32))
    } else if SIX_TO_FOUR.contains(&address) {
        Some(Ipv4Addr::from_bits((bits >> 80) as u32))
    } else {
        None
    }
}

const fn v4(octets: [u8; 4], length: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(segments: [u16; 8], length: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(policy: &Policy, address: &str) -> bool {
        policy.denies(address.parse().unwrap()).is_some()
    }

    #[test]
    fn what_is_not_the_public_internet_is_denied() {
        let policy = Policy::new(Some("2001:db8:1::/48".parse().unwrap()), vec![]);
        for address in [
            "::1",
            "::",
            "127.8.9.1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "fe80::1",
            "fd00::1",
            "fec0::1",
            "ff02::1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "169.254.169.254",
            "100.100.100.200",
            "fd00:ec2::254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2001:db8:1:7::9",
        ] {
            assert!(denied(&policy, address), "{address}");
        }
        for address in ["2001:db8:2::1", "2606:4700::1111", "1.1.1.1", "64:ff9b::101:101"] {
            assert!(!denied(&policy, address), "{address}");
        }
    }

    #[test]
    fn an_allowed_network_is_reached_and_nothing_beside_it() {
        let policy = Policy::new(
            None,
            vec!["fd00:1::/32".parse().unwrap(), "::1/128".parse().unwrap()],
        );
        assert!(!denied(&policy, "fd00:1::7"));
        assert!(!denied(&policy, "::1"));
        assert!(denied(&policy, "fd00:2::7"));
        assert!(denied(&policy, "127.0.0.1"));
    }
}
