//! Addresses as text.

use std::net::Ipv6Addr;
use std::ops::Range;

/// The longest text: eight groups of four digits.
const LONGEST: usize = 8 * 4 + 7;

/// Appends the text of `address` (RFC 5952), for which `Display` takes ten times as long.
pub fn push_address(out: &mut Vec<u8>, address: Ipv6Addr) {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return out.extend_from_slice(format!("::ffff:{mapped}").as_bytes());
    }
    let groups = address.segments();
    let gap = longest_gap(&groups);
    // Every group is followed by a colon, and so is the gap.
    let (mut text, mut end) = ([b':'; LONGEST + 4], 0);
    for (index, group) in groups.into_iter().enumerate() {
        if index == gap.start && !gap.is_empty() {
            text[end] = b':';
            end += if index == 0 { 2 } else { 1 };
        }
        if gap.contains(&index) {
            continue;
        }
        let digits = (4 - group.leading_zeros() as usize / 4).max(1);
        let shown = hex(group) >> (8 * (4 - digits));
        text[end..end + 4].copy_from_slice(&shown.to_le_bytes());
        text[end + digits] = b':';
        end += digits + 1;
    }
    if gap.end < groups.len() {
        end -= 1;
    }
    out.extend_from_slice(&text[..end]);
}

/// Four digits at once, the first of them in the lowest byte.
fn hex(group: u16) -> u32 {
    let group = u32::from(group);
    let digits = group >> 12 | (group & 0x0f00) | (group & 0x00f0) << 12 | (group & 0x000f) << 24;
    // From ten on a digit is a letter, and `a` stands 39 places behind where it would come after `9`.
    let letters = (digits + 0x0606_0606) >> 4 & 0x0101_0101;
    digits + 0x3030_3030 + letters * 39
}

/// The first of the longest runs of two or more groups of zeros.
fn longest_gap(groups: &[u16; 8]) -> Range<usize> {
    let mut longest = 0..0;
    let mut start = 0;
    for (index, group) in groups.iter().enumerate() {
        if *group != 0 {
            start = index + 1;
        } else if index + 1 - start > longest.len().max(1) {
            longest = start..index + 1;
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn addresses_are_written_as_display_does() {
        let mut addresses: Vec<Ipv6Addr> =
            ["::", "::1", "1::", "::ffff:192.0.2.1", "::192.0.2.1", "1:0:0:2::"]
                .map(|text| text.parse().unwrap())
                .into();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        // Groups of any length, half of them zero.
        addresses.extend((0..20_000).map(|_| {
            let groups: [u16; 8] = std::array::from_fn(|_| {
                let bits = random.next_u64();
                (bits as u16 >> (bits >> 32 & 15)) * (bits >> 63) as u16
            });
            Ipv6Addr::from(groups)
        }));
        for address in addresses {
            let mut out = Vec::new();
            push_address(&mut out, address);
            assert_eq!(String::from_utf8(out).unwrap(), address.to_string());
        }
    }
}
