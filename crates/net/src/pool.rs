//! Source addresses drawn from a prefix.

use std::net::Ipv6Addr;
use std::sync::Arc;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::{Code, Hint, Prefix};

/// Interface identifiers reserved for subnet anycast addresses in a /64 (RFC 2526 section 2).
const RFC2526: std::ops::RangeInclusive<u64> = 0xfdff_ffff_ffff_ff80..=0xfdff_ffff_ffff_ffff;

/// Prefixes of at most this many host bits have their usable addresses counted one by one.
const COUNTED_HOST_BITS: u32 = 12;

/// Draws source addresses uniformly over all host bits of a prefix.
///
/// Never drawn are the subnet-router anycast address of the prefix and of every /64 in it (RFC 4291
/// section 2.6.1), the RFC 2526 anycast range of every /64, and the addresses given to
/// [`SourcePool::new`] (the host's own, the gateway). A /127 has no subnet-router anycast address
/// (RFC 6164); a /128 is one fixed address.
///
/// The same seed yields the same addresses. Drawing takes two steps of a xoshiro256++ generator and
/// no lock: give each thread its own pool with [`SourcePool::split`].
#[derive(Clone, Debug)]
pub struct SourcePool {
    prefix: Prefix,
    excluded: Arc<[Ipv6Addr]>,
    generator: Xoshiro256PlusPlus,
    last_subnet: Option<Ipv6Addr>,
}

/// Why no [`SourcePool`] can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Every address is reserved or in use.
    #[error("no address of {prefix} is free: all are anycast, the host's own or the gateway's")]
    Empty {
        /// The prefix.
        prefix: Prefix,
    },
    /// A subnet must lie in the prefix.
    #[error("a /{length} is not a subnet of {prefix}")]
    NotASubnet {
        /// The prefix.
        prefix: Prefix,
        /// The length asked for.
        length: u8,
    },
}

impl Hint for PoolError {
    fn code(&self) -> Code {
        match self {
            Self::Empty { .. } => Code::NoAddress,
            Self::NotASubnet { .. } => Code::BadPrefix,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Empty { .. } => "give a wider prefix".to_owned(),
            Self::NotASubnet { prefix, .. } => {
                format!("choose a length from {} to 128", prefix.length())
            }
        })
    }
}

impl SourcePool {
    /// A pool over `prefix` that never draws one of `excluded`.
    ///
    /// # Errors
    /// [`PoolError::Empty`] when nothing is left to draw.
    pub fn new(
        prefix: Prefix,
        seed: u64,
        excluded: impl IntoIterator<Item = Ipv6Addr>,
    ) -> Result<Self, PoolError> {
        let mut excluded: Vec<Ipv6Addr> = excluded.into_iter().filter(|a| prefix.contains(*a)).collect();
        excluded.sort_unstable();
        excluded.dedup();
        let pool = Self {
            prefix,
            excluded: excluded.into(),
            generator: Xoshiro256PlusPlus::seed_from_u64(seed),
            last_subnet: None,
        };
        if pool.is_empty(prefix) {
            Err(PoolError::Empty { prefix })
        } else {
            Ok(pool)
        }
    }

    /// The prefix that is drawn from.
    #[must_use]
    pub fn prefix(&self) -> Prefix {
        self.prefix
    }

    /// A random address, uniform over all that may be used.
    pub fn draw(&mut self) -> Ipv6Addr {
        self.draw_within(self.prefix)
    }

    /// A random address in a random subnet of `length` bits, such as another /64 of a /48 each time.
    ///
    /// The subnet differs from that of the call before wherever the prefix holds another one.
    ///
    /// # Errors
    /// [`PoolError::NotASubnet`] when `length` is shorter than the prefix or above 128, or
    /// [`PoolError::Empty`] when the only subnet has no usable address.
    pub fn draw_by_subnet(&mut self, length: u8) -> Result<Ipv6Addr, PoolError> {
        let prefix = self.prefix;
        if length < prefix.length() || length > 128 {
            return Err(PoolError::NotASubnet { prefix, length });
        }
        loop {
            let candidate = self.draw();
            let subnet = Prefix::around(candidate, length).network();
            if length == prefix.length()
                || self.last_subnet != Some(subnet)
                || !self.has_other(subnet, length)
            {
                self.last_subnet = Some(subnet);
                return Ok(candidate);
            }
        }
    }

    /// The random address that `seed` stands for, the same one each time.
    #[must_use]
    pub fn drawn_by(&self, seed: u64) -> Ipv6Addr {
        let mut pool = Self {
            generator: Xoshiro256PlusPlus::seed_from_u64(seed),
            ..self.clone()
        };
        pool.draw()
    }

    /// Whether `address` lies in the prefix and may be a source.
    #[must_use]
    pub fn allows(&self, address: Ipv6Addr) -> bool {
        self.prefix.contains(address) && self.usable(address)
    }

    /// The address with the host bits of `host`, or `None` where it must not be a source.
    ///
    /// For addresses that are computed rather than drawn, such as from the hash of a session's name.
    #[must_use]
    pub fn at(&self, host: u128) -> Option<Ipv6Addr> {
        Some(self.prefix.address(host)).filter(|address| self.usable(*address))
    }

    /// Pools for `shards` threads, whose generators are 2^128 draws apart and so never share state.
    #[must_use]
    pub fn split(&self, shards: usize) -> Vec<Self> {
        let mut generator = self.generator.clone();
        (0..shards)
            .map(|_| {
                let shard = Self {
                    generator: generator.clone(),
                    ..self.clone()
                };
                generator.jump();
                shard
            })
            .collect()
    }

    fn draw_within(&mut self, within: Prefix) -> Ipv6Addr {
        loop {
            let host = u128::from(self.generator.next_u64()) << 64 | u128::from(self.generator.next_u64());
            let candidate = within.address(host);
            if self.usable(candidate) {
                return candidate;
            }
        }
    }

    fn usable(&self, address: Ipv6Addr) -> bool {
        !self.is_anycast(address) && self.excluded.binary_search(&address).is_err()
    }

    fn is_anycast(&self, address: Ipv6Addr) -> bool {
        if self.prefix.length() >= 127 {
            return false;
        }
        let interface = address.to_bits() as u64;
        address == self.prefix.network() || interface == 0 || RFC2526.contains(&interface)
    }

    /// Whether no address of `within` may be drawn. Wide prefixes always have one: the reserved ones
    /// are fewer than the addresses.
    fn is_empty(&self, within: Prefix) -> bool {
        if within.host_bits() > COUNTED_HOST_BITS {
            return false;
        }
        !(0..=within.host_mask()).any(|host| self.usable(within.address(host)))
    }

    /// Whether a subnet of `length` bits other than `subnet` has an address to draw.
    fn has_other(&self, subnet: Ipv6Addr, length: u8) -> bool {
        if self.prefix.host_bits() > COUNTED_HOST_BITS {
            return true;
        }
        (0..=self.prefix.host_mask()).any(|host| {
            let address = self.prefix.address(host);
            self.usable(address) && Prefix::around(address, length).network() != subnet
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn pool(prefix: &str) -> SourcePool {
        SourcePool::new(prefix.parse().unwrap(), 7, []).unwrap()
    }

    /// Chi-square over the values of each host nibble. 15 degrees of freedom: 44 is p = 0.0001.
    fn assert_uniform(prefix: &str) {
        let draws = 16_000;
        let mut pool = pool(prefix);
        let host_nibbles = pool.prefix().host_bits() / 4;
        let mut counts = vec![[0u32; 16]; host_nibbles as usize];
        for _ in 0..draws {
            let bits = pool.draw().to_bits();
            for (position, count) in counts.iter_mut().enumerate() {
                count[(bits >> (4 * position)) as usize & 15] += 1;
            }
        }
        let expected = f64::from(draws) / 16.0;
        for (position, count) in counts.iter().enumerate() {
            let chi: f64 = count
                .iter()
                .map(|&n| (f64::from(n) - expected).powi(2) / expected)
                .sum();
            assert!(chi < 44.0, "nibble {position} of {prefix}: chi-square {chi}");
        }
    }

    #[test]
    fn every_host_bit_varies_uniformly() {
        for prefix in [
            "2001:db8::/32",
            "2001:db8:1::/48",
            "2001:db8:1:2::/64",
            "2001:db8:1:2:3::/80",
        ] {
            assert_uniform(prefix);
        }
    }

    #[test]
    fn a_prefix_that_ends_inside_a_nibble_keeps_its_own_bits() {
        let mut pool = pool("2001:db8:1:2:a800::/69");
        let prefix = pool.prefix();
        assert!((0..1000).all(|_| prefix.contains(pool.draw())));
    }

    #[test]
    fn reserved_addresses_are_never_drawn() {
        let own = "2001:db8::fd:7".parse().unwrap();
        let mut pool = SourcePool::new("2001:db8::fd:0/124".parse().unwrap(), 1, [own]).unwrap();
        let seen: HashSet<Ipv6Addr> = (0..2000).map(|_| pool.draw()).collect();
        assert_eq!(
            seen.len(),
            14,
            "16 addresses less the network address and the host's own"
        );
        assert!(!seen.contains(&own));
    }

    #[test]
    fn anycast_addresses_of_each_64_are_never_drawn() {
        let pool = pool("2001:db8::/48");
        for address in [
            "2001:db8::",
            "2001:db8:0:5::",
            "2001:db8:0:5:fdff:ffff:ffff:ff80",
            "2001:db8:0:5:fdff:ffff:ffff:ffff",
        ] {
            assert!(!pool.usable(address.parse().unwrap()), "{address}");
        }
        for address in [
            "2001:db8:0:5::1",
            "2001:db8:0:5:fdff:ffff:ffff:ff7f",
            "2001:db8:0:5:fe00::",
        ] {
            assert!(pool.usable(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn tiny_prefixes_draw_what_there_is() {
        let mut fixed = pool("2001:db8::9/128");
        assert_eq!(fixed.draw(), "2001:db8::9".parse::<Ipv6Addr>().unwrap());
        let mut pair = pool("2001:db8::/127");
        let seen: HashSet<Ipv6Addr> = (0..200).map(|_| pair.draw()).collect();
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn a_computed_address_fills_the_host_bits_and_is_never_a_reserved_one() {
        let own = "2001:db8::9".parse().unwrap();
        let pool = SourcePool::new("2001:db8::/48".parse().unwrap(), 1, [own]).unwrap();
        assert_eq!(
            pool.at(u128::MAX >> 16),
            Some("2001:db8:0:ffff:ffff:ffff:ffff:ffff".parse().unwrap())
        );
        assert_eq!(pool.at(9), None);
        assert_eq!(pool.at(0), None);
        assert!(pool.allows("2001:db8:0:1::1".parse().unwrap()));
        for refused in ["2001:db8::9", "2001:db8:0:1::", "2001:db8:1::1"] {
            assert!(!pool.allows(refused.parse().unwrap()), "{refused}");
        }
    }

    #[test]
    fn a_prefix_without_a_free_address_is_refused() {
        let own: Ipv6Addr = "2001:db8::9".parse().unwrap();
        let prefix: Prefix = "2001:db8::9/128".parse().unwrap();
        assert_eq!(
            SourcePool::new(prefix, 1, [own]).unwrap_err(),
            PoolError::Empty { prefix }
        );
        let anycast: Prefix = "2001:db8::fdff:ffff:ffff:ff80/121".parse().unwrap();
        assert_eq!(
            SourcePool::new(anycast, 1, []).unwrap_err(),
            PoolError::Empty { prefix: anycast }
        );
    }

    #[test]
    fn the_same_seed_draws_the_same_addresses() {
        let (mut a, mut b) = (pool("2001:db8::/64"), pool("2001:db8::/64"));
        assert!((0..100).all(|_| a.draw() == b.draw()));
    }

    #[test]
    fn shards_draw_different_addresses() {
        let seen: HashSet<Ipv6Addr> = pool("2001:db8::/64")
            .split(4)
            .into_iter()
            .flat_map(|mut shard| (0..1000).map(move |_| shard.draw()).collect::<Vec<_>>())
            .collect();
        assert_eq!(seen.len(), 4000);
    }

    #[test]
    fn drawing_by_subnet_changes_the_subnet_each_time() {
        let mut pool = pool("2001:db8::/62");
        let subnets: Vec<Ipv6Addr> = (0..400)
            .map(|_| Prefix::around(pool.draw_by_subnet(64).unwrap(), 64).network())
            .collect();
        assert!(subnets.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(subnets.iter().collect::<HashSet<_>>().len(), 4);
    }

    #[test]
    fn drawing_by_subnet_in_a_single_subnet_still_draws() {
        let mut fixed = pool("2001:db8::9/128");
        assert_eq!(
            fixed.draw_by_subnet(128).unwrap(),
            fixed.draw_by_subnet(128).unwrap()
        );
        assert!(matches!(
            fixed.draw_by_subnet(64),
            Err(PoolError::NotASubnet { .. })
        ));
    }
}
