//! Where a call wants to go to, and which destinations are none of exec's business.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Bytes of the longest address that a call may name (`struct sockaddr_storage`).
pub(crate) const LONGEST: usize = 128;

/// The address that a call names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// AF_UNSPEC with what would be an IPv4 address: it ends an association, or, sent to, is an IPv4 address after all.
    Unspecified(Ipv4Addr, u16),
    /// AF_INET, or AF_INET6 with a mapped address.
    V4(Ipv4Addr, u16),
    /// AF_INET6.
    V6(Ipv6Addr, u16),
    /// A family that does not leave by IP, or too short to be an address.
    Other,
}

impl Named {
    /// Reads a `struct sockaddr`. What is missing is zero, as in the kernel.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut padded = [0; LONGEST];
        let length = bytes.len().min(LONGEST);
        padded[..length].copy_from_slice(&bytes[..length]);
        if length < 2 {
            return Self::Other;
        }
        let family = i32::from(u16::from_ne_bytes([padded[0], padded[1]]));
        let port = u16::from_be_bytes([padded[2], padded[3]]);
        let v4 = Ipv4Addr::new(padded[4], padded[5], padded[6], padded[7]);
        match family {
            libc::AF_UNSPEC => Self::Unspecified(v4, port),
            libc::AF_INET => Self::V4(v4, port),
            libc::AF_INET6 => {
                let mut octets = [0; 16];
                octets.copy_from_slice(&padded[8..24]);
                let v6 = Ipv6Addr::from(octets);
                match v6.to_ipv4_mapped() {
                    Some(v4) => Self::V4(v4, port),
                    None => Self::V6(v6, port),
                }
            }
            _ => Self::Other,
        }
    }
}

/// What stays with the host's own address.
#[derive(Debug)]
pub(crate) struct LeftAlone {
    pub(crate) except: Vec<IpNet>,
    pub(crate) name_servers: Vec<IpAddr>,
}

/// Why a destination is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It is this host or its link, or was excepted.
    Near,
    /// It is a name server of resolv.conf(5).
    NameServer,
}

impl LeftAlone {
    /// Whether `address` is reached from the host's own address, and why.
    pub(crate) fn reason(&self, address: IpAddr, port: u16) -> Option<Reason> {
        if is_near(address) || self.except.iter().any(|net| net.contains(&address)) {
            return Some(Reason::Near);
        }
        (port == 53 && self.name_servers.contains(&address)).then_some(Reason::NameServer)
    }
}

/// Whether packets to `address` stay on this host or its links.
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_unspecified()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local() || v6.is_multicast()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockaddr6(address: &str, port: u16) -> Vec<u8> {
        let mut bytes = (libc::AF_INET6 as u16).to_ne_bytes().to_vec();
        bytes.extend(port.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(address.parse::<Ipv6Addr>().unwrap().octets());
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn addresses_are_read_in_every_spelling() {
        let v6 = Named::parse(&sockaddr6("2001:db8::1", 443));
        assert_eq!(v6, Named::V6("2001:db8::1".parse().unwrap(), 443));
        let mapped = Named::parse(&sockaddr6("::ffff:192.0.2.1", 80));
        assert_eq!(mapped, Named::V4("192.0.2.1".parse().unwrap(), 80));
        let mut v4 = (libc::AF_INET as u16).to_ne_bytes().to_vec();
        v4.extend([0, 80, 192, 0, 2, 1]);
        assert_eq!(Named::parse(&v4), mapped);
        v4[..2].copy_from_slice(&[0, 0]);
        assert_eq!(
            Named::parse(&v4),
            Named::Unspecified("192.0.2.1".parse().unwrap(), 80)
        );
        for other in [&[1, 0, b'/', b'x'][..], &[10], &[]] {
            assert_eq!(Named::parse(other), Named::Other);
        }
    }

    #[test]
    fn loopback_and_the_link_are_left_alone_in_every_spelling_and_name_servers_at_their_port() {
        let left = LeftAlone {
            except: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8:9::/48".parse().unwrap()],
            name_servers: vec!["2001:db8::53".parse().unwrap(), "192.0.2.53".parse().unwrap()],
        };
        for near in [
            "::1",
            "::",
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "fe80::1",
            "ff02::fb",
            "224.0.0.251",
            "169.254.169.254",
            "10.1.2.3",
            "2001:db8:9::1",
        ] {
            assert_eq!(
                left.reason(near.parse().unwrap(), 53),
                Some(Reason::Near),
                "{near}"
            );
        }
        for server in ["2001:db8::53", "192.0.2.53"] {
            let address = server.parse().unwrap();
            assert_eq!(left.reason(address, 53), Some(Reason::NameServer));
            assert_eq!(left.reason(address, 443), None);
        }
        for far in ["2001:db8::1", "192.0.2.1", "fd00::1", "64:ff9b::1", "128.0.0.1"] {
            assert_eq!(left.reason(far.parse().unwrap(), 53), None, "{far}");
        }
    }
}
