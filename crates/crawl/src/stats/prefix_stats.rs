//! How the outcomes differ between networks of the prefix, so that one sees at which width a site counts.

use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use serde::Serialize;
use v6kit_model::Counter;
use v6kit_net::Prefix;

/// The widths that sites are known to count at, beside single addresses.
const LENGTHS: [u8; 3] = [64, 56, 48];

/// Prefix lengths that are judged, single addresses first.
const JUDGED: [u8; 4] = [128, 64, 56, 48];

/// PrefixStats of one length that are told apart. All /64s of a /48; where there are more, the networks of a
/// random draw hardly ever repeat.
const MOST_BITS: u8 = 16;

/// First requests that must have been made after the first refusal before anything is concluded.
const ENOUGH: u64 = 10;

/// The part of refused first requests at which a width counts as refused, and as not refused.
const GUILTY: f64 = 0.1;
const FINE: f64 = 0.05;

/// Requests of a network below which its share of refusals says nothing.
const TELLING: u32 = 10;

/// How a request ended, as far as networks are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reception {
    /// With an answer that is no refusal.
    Served,
    /// The site does not want to serve this address, or serve it so often.
    Refused,
}

/// Whether a request was the first of its source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visit {
    First,
    Further,
}

/// Which networks any shard has sent from. Touched once for each new address.
#[derive(Debug)]
pub(crate) struct SeenNetworks {
    prefix: Prefix,
    /// A bit for each network, for each of [`LENGTHS`] with few enough.
    bits: [Option<Box<[AtomicU64]>>; LENGTHS.len()],
    /// Something was refused: from now on it matters which networks are new.
    refused: AtomicBool,
}

/// What one shard counts. Only its own thread writes.
#[derive(Debug)]
pub(crate) struct PrefixStats {
    /// Served and refused requests of each network, for each of [`LENGTHS`] with few enough.
    tables: [Option<Box<[[AtomicU32; 2]]>>; LENGTHS.len()],
    /// First requests after the first refusal, and those of them that were refused, for each of [`JUDGED`].
    first: [[Counter; 2]; JUDGED.len()],
}

impl SeenNetworks {
    pub(crate) fn new(prefix: Prefix) -> Self {
        Self {
            prefix,
            bits: LENGTHS.map(|length| {
                let networks = 1usize << networks_bits(prefix, length)?;
                Some((0..networks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
            }),
            refused: AtomicBool::new(false),
        }
    }

    /// Which of [`JUDGED`] are seen for the first time with `address`, a new one.
    fn meet(&self, address: Ipv6Addr) -> [bool; JUDGED.len()] {
        let mut new = [true; JUDGED.len()];
        for (at, bits) in self.bits.iter().enumerate() {
            if let Some(bits) = bits {
                let index = index(self.prefix, LENGTHS[at], address);
                let bit = 1u64 << (index % 64);
                new[at + 1] = bits[index / 64].fetch_or(bit, Ordering::Relaxed) & bit == 0;
            }
        }
        new
    }
}

impl PrefixStats {
    pub(crate) fn new(prefix: Prefix) -> Self {
        Self {
            tables: LENGTHS.map(|length| {
                let networks = 1usize << networks_bits(prefix, length)?;
                Some((0..networks).map(|_| Default::default()).collect())
            }),
            first: Default::default(),
        }
    }

    /// Counts a request from `address`.
    pub(crate) fn count(&self, seen: &SeenNetworks, address: Ipv6Addr, visit: Visit, reception: Reception) {
        for (length, table) in LENGTHS.iter().zip(&self.tables) {
            if let Some(table) = table {
                let count = &table[index(seen.prefix, *length, address)][reception as usize];
                // There is one writer.
                count.store(count.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
            }
        }
        let refused_before = seen.refused.load(Ordering::Relaxed);
        if visit == Visit::First {
            let new = seen.meet(address);
            for (counts, _) in self
                .first
                .iter()
                .zip(new)
                .filter(|(_, new)| refused_before && *new)
            {
                counts[0].add(1);
                counts[1].add(u64::from(reception == Reception::Refused));
            }
        }
        if reception == Reception::Refused && !refused_before {
            seen.refused.store(true, Ordering::Relaxed);
        }
    }

    /// Served and refused requests by /64 over all shards, in the order of the addresses; `None` where there
    /// are too many /64s to tell apart.
    pub(crate) fn by_64(shards: &[&Self], seen: &SeenNetworks) -> Option<Vec<(Ipv6Addr, [u64; 2])>> {
        let sums = sum(shards, 0)?;
        let bits = networks_bits(seen.prefix, LENGTHS[0])?;
        let first = seen.prefix.network().to_bits();
        let used = sums
            .into_iter()
            .enumerate()
            .filter(|(_, counts)| *counts != [0, 0]);
        Some(
            used.map(|(index, counts)| {
                // A prefix longer than /64 lies in one.
                let network = if bits == 0 {
                    first
                } else {
                    first | (index as u128) << 64
                };
                (Ipv6Addr::from_bits(network >> 64 << 64), counts)
            })
            .collect(),
        )
    }
}

/// How many bits tell the networks of `length` in `prefix` apart; `None` for too many.
fn networks_bits(prefix: Prefix, length: u8) -> Option<u8> {
    let bits = length.saturating_sub(prefix.length());
    (bits <= MOST_BITS).then_some(bits)
}

/// The place of the network of `length` with `address` among those of `prefix`.
fn index(prefix: Prefix, length: u8, address: Ipv6Addr) -> usize {
    let bits = length.saturating_sub(prefix.length());
    let mask = (1u128 << bits) - 1;
    ((address.to_bits() >> (128 - length)) & mask) as usize
}

fn sum(shards: &[&PrefixStats], at: usize) -> Option<Vec<[u64; 2]>> {
    let mut sums: Option<Vec<[u64; 2]>> = None;
    for shard in shards {
        let table = shard.tables[at].as_ref()?;
        let sums = sums.get_or_insert_with(|| vec![[0; 2]; table.len()]);
        for (sum, counts) in sums.iter_mut().zip(table) {
            for (sum, count) in sum.iter_mut().zip(counts) {
                *sum += u64::from(count.load(Ordering::Relaxed));
            }
        }
    }
    sums
}

/// How the outcomes differ between networks of the prefix.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrefixSummary {
    /// The length of the networks that the site counts requests by, 128 for single addresses, where the
    /// outcomes show it.
    pub counted_by: Option<u8>,
    /// It counts by networks wider than these, where nothing narrower can be told.
    pub wider_than: Option<u8>,
    /// /64, /56 and /48, and single addresses as /128.
    pub widths: Vec<Width>,
}

/// The outcomes by networks of one length.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Width {
    /// The length of the networks.
    pub length: u8,
    /// PrefixStats that were sent from; none where there are too many to tell apart.
    pub networks: Option<u64>,
    /// Those of them that were ever refused.
    pub refused_networks: Option<u64>,
    /// The smallest and the largest share of refused requests of a network with ten requests or more.
    pub refused_share: Option<[f64; 2]>,
    /// PrefixStats that were sent from for the first time after the site had begun to refuse.
    pub new: u64,
    /// Those of them whose first request was refused.
    pub new_refused: u64,
}

impl PrefixSummary {
    /// Sums the shards up; `addresses` is how many were used.
    pub(crate) fn new(shards: &[&PrefixStats], addresses: u64) -> Self {
        let widths: Vec<Width> = JUDGED
            .iter()
            .enumerate()
            .map(|(at, length)| {
                let first = |which: usize| shards.iter().map(|shard| shard.first[at][which].get()).sum();
                let sums = at.checked_sub(1).and_then(|at| sum(shards, at));
                Width {
                    length: *length,
                    networks: match at {
                        0 => Some(addresses),
                        _ => sums.as_deref().map(used),
                    },
                    refused_networks: sums.as_deref().map(refused),
                    refused_share: sums.as_deref().and_then(shares),
                    new: first(0),
                    new_refused: first(1),
                }
            })
            .collect();
        let (counted_by, wider_than) = judge(&widths);
        Self {
            counted_by,
            wider_than,
            widths,
        }
    }
}

/// The narrowest width whose new networks are served while those of the next narrower one are refused.
fn judge(widths: &[Width]) -> (Option<u8>, Option<u8>) {
    let mut guilty = None;
    for width in widths {
        if width.new < ENOUGH {
            break;
        }
        let share = width.new_refused as f64 / width.new as f64;
        if share <= FINE {
            return (Some(width.length), None);
        }
        if share < GUILTY {
            break;
        }
        guilty = Some(width.length);
    }
    (None, guilty)
}

fn used(sums: &[[u64; 2]]) -> u64 {
    sums.iter().filter(|counts| **counts != [0, 0]).count() as u64
}

fn refused(sums: &[[u64; 2]]) -> u64 {
    sums.iter().filter(|counts| counts[1] > 0).count() as u64
}

fn shares(sums: &[[u64; 2]]) -> Option<[f64; 2]> {
    let telling = sums
        .iter()
        .map(|[served, refused]| (served + refused, *refused))
        .filter(|(all, _)| *all >= u64::from(TELLING))
        .map(|(all, refused)| (refused as f64 / all as f64 * 1000.0).round() / 1000.0);
    telling.fold(None, |range, share| {
        let [low, high] = range.unwrap_or([share, share]);
        Some([low.min(share), high.max(share)])
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// A site that serves `limit` requests of each network of `length`, asked ten times from each of `draws`
    /// addresses of `prefix`, by two shards.
    fn asked(prefix: &str, length: u8, limit: u32, draws: u32) -> PrefixSummary {
        let prefix: Prefix = prefix.parse().unwrap();
        let seen = SeenNetworks::new(prefix);
        let shards = [PrefixStats::new(prefix), PrefixStats::new(prefix)];
        let mut pool = v6kit_net::SourcePool::new(prefix, 5, []).unwrap();
        let mut budgets: HashMap<Ipv6Addr, u32> = HashMap::new();
        for draw in 0..draws {
            let address = pool.draw();
            for request in 0..10 {
                let budget = budgets
                    .entry(Prefix::around(address, length).network())
                    .or_default();
                *budget += 1;
                let reception = if *budget > limit {
                    Reception::Refused
                } else {
                    Reception::Served
                };
                let visit = if request == 0 {
                    Visit::First
                } else {
                    Visit::Further
                };
                shards[draw as usize % 2].count(&seen, address, visit, reception);
            }
        }
        PrefixSummary::new(&[&shards[0], &shards[1]], u64::from(draws))
    }

    #[test]
    fn the_width_at_which_a_site_counts_is_found() {
        assert_eq!(asked("2001:db8::/48", 128, 5, 500).counted_by, Some(128));
        assert_eq!(asked("2001:db8::/48", 64, 15, 100_000).counted_by, Some(64));
        assert_eq!(asked("2001:db8::/44", 56, 50, 100_000).counted_by, Some(56));
        assert_eq!(asked("2001:db8::/36", 48, 50, 100_000).counted_by, Some(48));
    }

    #[test]
    fn what_the_prefix_cannot_show_is_not_claimed() {
        let one = asked("2001:db8::/64", 64, 50, 500);
        assert_eq!((one.counted_by, one.wider_than), (None, Some(128)));
        assert_eq!(one.widths[1].networks, Some(1));
        let all = asked("2001:db8::/64", 64, 1_000_000, 500);
        assert_eq!((all.counted_by, all.wider_than), (None, None));
        assert_eq!(all.widths[1].refused_networks, Some(0));
    }

    #[test]
    fn every_64_of_a_48_has_its_counts_and_memory_is_bounded() {
        let prefix: Prefix = "2001:db8:1::/48".parse().unwrap();
        let (seen, networks) = (SeenNetworks::new(prefix), PrefixStats::new(prefix));
        for net in [0u128, 7, 0xffff] {
            let address = Ipv6Addr::from_bits(prefix.network().to_bits() | net << 64 | 9);
            networks.count(&seen, address, Visit::First, Reception::Served);
            networks.count(&seen, address, Visit::Further, Reception::Refused);
        }
        let counts = PrefixStats::by_64(&[&networks], &seen).unwrap();
        let names: Vec<String> = counts.iter().map(|(net, _)| net.to_string()).collect();
        assert_eq!(names, ["2001:db8:1::", "2001:db8:1:7::", "2001:db8:1:ffff::"]);
        assert!(counts.iter().all(|(_, counts)| *counts == [1, 1]));
        let wide: Prefix = "2001:db8::/32".parse().unwrap();
        assert!(PrefixStats::new(wide).tables[0].is_none());
        assert!(PrefixStats::by_64(&[&PrefixStats::new(wide)], &SeenNetworks::new(wide)).is_none());
    }
}
