//! The order in which positions are visited.

/// How an ordinal becomes a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From the first to the last.
    Sequential,
    /// By a permutation keyed with a seed.
    Shuffle {
        /// The same seed gives the same order.
        seed: u64,
    },
}

/// [`Order`] over a known number of positions.
#[derive(Debug, Clone, Copy)]
pub struct VisitOrder {
    order: Order,
    count: u64,
    /// Half the bits of the smallest even-sized power of two that holds `count`.
    half: u32,
}

const ROUNDS: u64 = 4;

impl VisitOrder {
    /// Visits each of `count` positions once.
    #[must_use]
    pub fn new(order: Order, count: u64) -> Self {
        let bits = u64::BITS - count.saturating_sub(1).leading_zeros();
        Self {
            order,
            count,
            half: bits.div_ceil(2).max(1),
        }
    }

    /// The position of `ordinal`, which must be below the number of positions.
    ///
    /// A shuffle is a Feistel network with cycle walking (Black and Rogaway, "Ciphers with arbitrary
    /// finite domains"): a bijection in constant memory, and at most four steps on average, because the
    /// network's domain is less than four times as large.
    #[must_use]
    pub fn position(&self, ordinal: u64) -> u64 {
        debug_assert!(ordinal < self.count);
        let Order::Shuffle { seed } = self.order else {
            return ordinal;
        };
        let mut position = ordinal;
        loop {
            position = self.permute(position, seed);
            if position < self.count {
                return position;
            }
        }
    }

    /// The ordinal of `position`, which must be below the number of positions.
    #[must_use]
    pub fn ordinal(&self, position: u64) -> u64 {
        debug_assert!(position < self.count);
        let Order::Shuffle { seed } = self.order else {
            return position;
        };
        let mut ordinal = position;
        loop {
            ordinal = self.permute_back(ordinal, seed);
            if ordinal < self.count {
                return ordinal;
            }
        }
    }

    fn permute_back(&self, value: u64, seed: u64) -> u64 {
        let mask = (1u64 << self.half) - 1;
        let (mut left, mut right) = (value >> self.half, value & mask);
        for round in (0..ROUNDS).rev() {
            let mixed = mix(left ^ seed.wrapping_add(round.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            (left, right) = (right ^ (mixed & mask), left);
        }
        left << self.half | right
    }

    fn permute(&self, value: u64, seed: u64) -> u64 {
        let mask = (1u64 << self.half) - 1;
        let (mut left, mut right) = (value >> self.half, value & mask);
        for round in 0..ROUNDS {
            let mixed = mix(right ^ seed.wrapping_add(round.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            (left, right) = (right, left ^ (mixed & mask));
        }
        left << self.half | right
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_shuffle_visits_every_position_once() {
        for count in [1, 2, 3, 5, 16, 17, 1000, 4097] {
            let visit_order = VisitOrder::new(Order::Shuffle { seed: 7 }, count);
            let seen: HashSet<u64> = (0..count).map(|ordinal| visit_order.position(ordinal)).collect();
            assert_eq!(seen, (0..count).collect(), "{count}");
            assert!((0..count).all(|ordinal| visit_order.ordinal(visit_order.position(ordinal)) == ordinal));
        }
    }

    #[test]
    fn a_shuffle_is_repeatable_and_depends_on_its_seed() {
        let walk = |seed| {
            let visit_order = VisitOrder::new(Order::Shuffle { seed }, 1_000_000_000);
            (0..50)
                .map(|ordinal| visit_order.position(ordinal))
                .collect::<Vec<_>>()
        };
        assert_eq!(walk(1), walk(1));
        assert_ne!(walk(1), walk(2));
    }

    #[test]
    fn a_shuffle_spreads_the_first_ordinals_over_the_whole() {
        let count = 1_000_000_000;
        let visit_order = VisitOrder::new(Order::Shuffle { seed: 3 }, count);
        let mut tenths = [0u32; 10];
        for ordinal in 0..10_000 {
            tenths[(visit_order.position(ordinal) / (count / 10)) as usize] += 1;
        }
        let chi: f64 = tenths
            .iter()
            .map(|&n| (f64::from(n) - 1000.0).powi(2) / 1000.0)
            .sum();
        // 9 degrees of freedom: 34 is p = 0.0001.
        assert!(chi < 34.0, "chi-square {chi}: {tenths:?}");
    }
}
