//! Addresses that only the user can mean, and nobody who answers.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What an address is that a redirect does not lead to, such as this host or the network that it is in; `None` for one
/// of the internet. Services for machines lie at such addresses, those that tell a machine its secrets among them.
pub(crate) fn internal(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(inner) = embedded(address) {
        return internal_v4(inner);
    }
    let [first, second, ..] = address.segments();
    match first {
        _ if address.is_loopback() => Some("this host"),
        _ if address.is_unspecified() => Some("the unspecified address, which is this host"),
        // ::ffff:0:0/96 and ::/96 (RFC 4291 section 2.5.5).
        _ if address.to_ipv4().is_some() => Some("an IPv4 address"),
        // RFC 4291 sections 2.5.6 and 2.5.7.
        0xfe80..=0xfebf => Some("a link-local address"),
        0xfec0..=0xfeff => Some("a site-local address"),
        // RFC 4193. Metadata services are at fd00:ec2::254 and fd20:ce::254.
        0xfc00..=0xfdff => Some("a private address"),
        0xff00..=0xffff => Some("a multicast address"),
        // RFC 8215: NAT64 within a network.
        0x0064 if second == 0xff9b && address.segments()[2] == 1 => Some("a private address"),
        _ => None,
    }
}

/// The IPv4 address that stands in an address of NAT64 (RFC 6052 section 2.1) or of 6to4 (RFC 3056 section 2).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let [.., third, fourth] = segments;
    let of = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match segments {
        [0x0064, 0xff9b, 0, 0, 0, 0, ..] => Some(of(third, fourth)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

fn internal_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0 | 127, ..] => Some("this host"),
        [169, 254, ..] => Some("a link-local address"),
        // RFC 6598; a metadata service is at 100.100.100.200.
        [100, 64..=127, ..] => Some("a private address"),
        // RFC 6890: 192.0.0.0/24 is for protocols, a metadata service is at 192.0.0.192.
        [192, 0, 0, _] | [198, 18 | 19, ..] => Some("a private address"),
        [224..=255, ..] => Some("a multicast or reserved address"),
        _ if address.is_private() => Some("a private address"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_within_a_host_or_its_network_is_told_from_the_internet() {
        for address in [
            "::1",
            "::",
            "::ffff:192.0.2.1",
            "::127.0.0.1",
            "fe80::a9fe:a9fe",
            "febf::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "ff02::1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b::172.31.255.255",
            "64:ff9b::100.100.100.200",
            "64:ff9b::192.0.0.192",
            "64:ff9b:1::8.8.8.8",
            "2002:a9fe:a9fe::1",
            "2002:c0a8:101::",
        ] {
            assert!(internal(address.parse().unwrap()).is_some(), "{address}");
        }
        for address in [
            "2001:db8::1",
            "2606:4700::1111",
            "64:ff9b::8.8.8.8",
            "64:ff9b::172.32.0.1",
            "2002:808:808::1",
            "fb00::1",
            "64:ff9c::1",
        ] {
            assert_eq!(internal(address.parse().unwrap()), None, "{address}");
        }
    }
}
