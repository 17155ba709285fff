//! Source addresses as text.

use std::net::IpAddr;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends the text of an address (RFC 5952), for which `Display` takes ten times as long.
pub(super) fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    let groups = match address {
        IpAddr::V6(address) => address.segments(),
        IpAddr::V4(_) => [0; 8],
    };
    // Drawn at random, hardly an address has zeros that are left out.
    if groups.windows(2).any(|pair| pair == [0, 0]) {
        return out.extend_from_slice(address.to_string().as_bytes());
    }
    for (index, group) in groups.into_iter().enumerate() {
        if index > 0 {
            out.push(b':');
        }
        let digits = (4 - group.leading_zeros() / 4).max(1);
        let places = (0..digits).rev();
        out.extend(places.map(|place| HEX[usize::from(group >> (4 * place) & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_display_does() {
        for text in [
            "2001:db8:6:1:262f:1597:2e9d:e151",
            "2001:db8:0:1:0:f:10:100",
            "2001:db8::1",
            "2001:db8:6::8:0:0:1",
            "1:2:3:4:5:6:7:0",
            "::",
            "::ffff:192.0.2.1",
            "192.0.2.1",
        ] {
            let address: IpAddr = text.parse().unwrap();
            let mut out = Vec::new();
            push_address(&mut out, address);
            assert_eq!(String::from_utf8(out).unwrap(), address.to_string());
        }
    }
}
