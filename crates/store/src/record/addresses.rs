//! Texts of addresses that come again and again.

use std::net::Ipv6Addr;

use v6kit_base::push_address;

/// How many are kept: more than a shard sends from at a time, as a rule.
const KEPT: usize = 256;

/// The texts of addresses that were written of late. Each has one place that it may be kept at.
#[derive(Debug, Default)]
pub(super) struct AddressTexts(Vec<(Ipv6Addr, Vec<u8>)>);

impl AddressTexts {
    /// Appends the text of `address`.
    pub(super) fn push(&mut self, out: &mut Vec<u8>, address: Ipv6Addr) {
        if self.0.is_empty() {
            self.0.resize(KEPT, (Ipv6Addr::UNSPECIFIED, Vec::new()));
        }
        let Some((kept, text)) = self.0.get_mut(place(address)) else {
            return push_address(out, address);
        };
        if *kept != address || text.is_empty() {
            *kept = address;
            text.clear();
            push_address(text, address);
        }
        out.extend_from_slice(text);
    }
}

/// Where an address is kept. Those of a prefix differ in their last bits, or in all of the last 64.
fn place(address: Ipv6Addr) -> usize {
    let host = address.to_bits() as u64;
    (host ^ (host >> 32)) as usize % KEPT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_the_addresses_whatever_was_written_before() {
        let mut texts = AddressTexts::default();
        let one: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let same_place = Ipv6Addr::from_bits(one.to_bits() + KEPT as u128);
        assert_eq!(place(one), place(same_place));
        for address in [
            one,
            same_place,
            one,
            one,
            Ipv6Addr::UNSPECIFIED,
            Ipv6Addr::UNSPECIFIED,
        ] {
            let mut out = b"from ".to_vec();
            texts.push(&mut out, address);
            assert_eq!(String::from_utf8(out).unwrap(), format!("from {address}"));
        }
    }
}
