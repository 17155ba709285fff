//! The texts of source addresses, kept because writing one takes as long as the rest of a record.

use std::fmt::Write as _;
use std::net::Ipv6Addr;

/// How many texts are kept; a power of two.
const KEPT: usize = 1024;

/// The texts of the addresses met last. Connections take turns, so most addresses come again soon.
#[derive(Debug, Default)]
pub(crate) struct AddressTexts(Vec<Entry>);

#[derive(Debug, Clone)]
struct Entry {
    address: Ipv6Addr,
    /// Empty until there is an address.
    text: String,
}

impl AddressTexts {
    /// The text of `address` (RFC 5952).
    pub(crate) fn get(&mut self, address: Ipv6Addr) -> &str {
        if self.0.is_empty() {
            let vacant = Entry {
                address: Ipv6Addr::UNSPECIFIED,
                text: String::new(),
            };
            self.0.resize(KEPT, vacant);
        }
        // Addresses differ in their last bits first, whether they are drawn or counted.
        let entry = &mut self.0[address.to_bits() as usize % KEPT];
        if entry.address != address || entry.text.is_empty() {
            entry.address = address;
            entry.text.clear();
            // Writing to a String does not fail.
            let _ = write!(entry.text, "{address}");
        }
        &entry.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_own_text_also_where_they_share_a_place() {
        let mut texts = AddressTexts::default();
        let addresses = [
            "::",
            "2001:db8::1",
            "2001:db8::401",
            "2001:db8::1",
            "::",
            "::ffff:192.0.2.1",
        ];
        for address in addresses {
            assert_eq!(texts.get(address.parse().unwrap()), address);
        }
    }
}
