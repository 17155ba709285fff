//! Random addresses of the prefix, each with a connection of its own.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use ipnet::Ipv6Net;
use tokio::time::Instant;
use v6kit_net::{Prefix, SourcePool};

use crate::probe::{ProbeError, Reply, Target};
use crate::report::Egress;

/// Connections under way at once at most.
const CONCURRENT: usize = 512;

/// Descriptors that stay free for what is looked at beside connections.
const RESERVED: u64 = 16;

/// Draws per address wanted before a small prefix counts as drawn out.
const DRAWS: usize = 20;

/// How each address fared.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) replies: Vec<Reply>,
    pub(crate) failures: Vec<Failure>,
}

/// An address without an answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) from: Ipv6Addr,
    pub(crate) error: ProbeError,
}

/// `count` different random addresses of `pool`, or fewer where it does not hold so many.
pub(crate) fn draw(pool: &mut SourcePool, count: usize) -> Vec<Ipv6Addr> {
    let mut drawn = BTreeSet::new();
    for _ in 0..count.saturating_mul(DRAWS) {
        drawn.insert(pool.draw());
        if drawn.len() == count {
            break;
        }
    }
    drawn.into_iter().collect()
}

/// How many connections may be under way: as many as this process has descriptors for, or a part of them.
fn concurrent(divisor: u64) -> usize {
    let limit = v6kit_net::file_limit().map_or(u64::MAX, |limit| limit.soft);
    let open = std::fs::read_dir("/proc/self/fd").map_or(RESERVED, |open| open.count() as u64);
    let free = limit.saturating_sub(open).saturating_sub(RESERVED) / divisor;
    usize::try_from(free).unwrap_or(CONCURRENT).clamp(1, CONCURRENT)
}

/// Asks `target` from each of `addresses`, giving each connection `patience`.
pub(crate) async fn ask_from(target: &Target, addresses: &[Ipv6Addr], patience: Duration) -> Outcomes {
    ask_longer(target, addresses, patience, patience).await
}

/// [`ask_from`], which waits `longer`, and counts what comes after `patience` as late.
pub(crate) async fn ask_longer(
    target: &Target,
    addresses: &[Ipv6Addr],
    patience: Duration,
    longer: Duration,
) -> Outcomes {
    let ask = async |&from: &Ipv6Addr| {
        let start = Instant::now();
        let answer = target.ask(Some(from), start + longer).await;
        let after = start.elapsed();
        let endpoint = || target.endpoint.clone();
        match answer {
            Ok(_) if longer > patience && after > patience => (
                from,
                Err(ProbeError::Late {
                    endpoint: endpoint(),
                    after,
                }),
            ),
            answer => (from, answer),
        }
    };
    // Routers are asked meanwhile where there is a second try.
    let at_once = concurrent(if longer > patience { 2 } else { 1 });
    let mut answers = stream::iter(addresses).map(ask).buffer_unordered(at_once);
    let mut outcomes = Outcomes::default();
    while let Some((from, answer)) = answers.next().await {
        match answer {
            Ok(reply) => outcomes.replies.push(reply),
            Err(error) => outcomes.failures.push(Failure { from, error }),
        }
    }
    outcomes
}

impl Outcomes {
    /// These, with the failures replaced by how the same addresses fared again.
    pub(crate) fn with_retries(mut self, again: Self) -> Self {
        self.replies.extend(again.replies);
        self.failures = again.failures;
        self
    }

    pub(crate) fn failed_addresses(&self) -> Vec<Ipv6Addr> {
        self.failures.iter().map(|failure| failure.from).collect()
    }

    pub(crate) fn egress(&self) -> Egress {
        let reported: BTreeSet<IpAddr> = self.replies.iter().map(|reply| reply.reported).collect();
        Egress {
            tried: self.replies.len() + self.failures.len(),
            answered: self.replies.len(),
            distinct: reported.len(),
            mismatched: self.replies.iter().filter(|reply| !reply.matches()).count(),
        }
    }

    /// An answer that reported another address.
    pub(crate) fn mismatch(&self) -> Option<Reply> {
        self.mismatches().next()
    }

    /// The answers that reported another address.
    pub(crate) fn mismatches(&self) -> impl Iterator<Item = Reply> + '_ {
        self.replies.iter().copied().filter(|reply| !reply.matches())
    }

    /// The addresses whose connections got no answer at all, nor an error from anybody.
    pub(crate) fn silent(&self) -> impl Iterator<Item = Ipv6Addr> + '_ {
        self.failed_with(ProbeError::no_connection_in_time)
    }

    /// The addresses whose connections failed with what `wanted` takes.
    pub(crate) fn failed_with(&self, wanted: fn(&ProbeError) -> bool) -> impl Iterator<Item = Ipv6Addr> + '_ {
        self.failures
            .iter()
            .filter(move |failure| wanted(&failure.error))
            .map(|failure| failure.from)
    }

    /// Why connections were not begun, where that is what each of those that failed did.
    pub(crate) fn not_begun(&self) -> Option<&ProbeError> {
        let first = self.first_error()?;
        let all = self.failures.iter().all(|failure| failure.error.was_not_begun());
        all.then_some(first)
    }

    /// A connection that came about, and was not answered with an address.
    pub(crate) fn turned_away(&self) -> Option<&ProbeError> {
        self.failures
            .iter()
            .map(|failure| &failure.error)
            .find(|error| error.was_connected())
    }

    /// Why an address was not answered.
    pub(crate) fn first_error(&self) -> Option<&ProbeError> {
        self.failures.first().map(|failure| &failure.error)
    }

    /// The network around all the addresses that were answered, where it is narrower than `prefix` and
    /// none of the others lies in it: perhaps only this part is routed.
    pub(crate) fn only_part(&self, prefix: Prefix) -> Option<Ipv6Net> {
        // A few addresses are in a common network by chance.
        if self.replies.len() < 4 || self.failures.len() < 4 {
            return None;
        }
        let bits = self.replies.iter().map(|reply| reply.bound.to_bits());
        let (all, any) = bits.fold((u128::MAX, 0), |(all, any), bits| (all & bits, any | bits));
        // Networks end at nibbles; a longer match is chance.
        let common = (all ^ any).leading_zeros() as u8 & !3;
        let first = self.replies.first()?.bound;
        let network = Prefix::around(first, common);
        let apart = self
            .failures
            .iter()
            .all(|failure| !network.contains(&failure.from));
        (common > prefix.length() && apart).then_some(network)
    }
}

#[cfg(test)]
mod tests {
    use v6kit_net::DialError;

    use super::*;

    fn outcomes(answered: &[&str], failed: &[&str]) -> Outcomes {
        let address = |text: &&str| text.parse::<Ipv6Addr>().unwrap();
        Outcomes {
            replies: answered
                .iter()
                .map(address)
                .map(|bound| Reply {
                    bound,
                    reported: bound.into(),
                })
                .collect(),
            failures: failed
                .iter()
                .map(address)
                .map(|from| Failure {
                    from,
                    error: ProbeError::Dial(DialError::TimedOut {
                        to: "[2001:db8::80]:80".parse().unwrap(),
                    }),
                })
                .collect(),
        }
    }

    #[test]
    fn a_small_prefix_yields_each_of_its_addresses_once() {
        let mut pool = SourcePool::new("2001:db8::4/126".parse().unwrap(), 1, []).unwrap();
        assert_eq!(draw(&mut pool, 32).len(), 3);
        let mut fixed = SourcePool::new("2001:db8::4/128".parse().unwrap(), 1, []).unwrap();
        assert_eq!(draw(&mut fixed, 32), ["2001:db8::4".parse::<Ipv6Addr>().unwrap()]);
        let mut wide = SourcePool::new("2001:db8::/64".parse().unwrap(), 1, []).unwrap();
        assert_eq!(draw(&mut wide, 500).len(), 500);
    }

    #[test]
    fn the_part_that_is_routed_is_recognised() {
        let prefix: Prefix = "2001:db8::/56".parse().unwrap();
        let inside = [
            "2001:db8:0:0:8000::1",
            "2001:db8::2",
            "2001:db8::3",
            "2001:db8::4",
        ];
        let outside = [
            "2001:db8:0:1::1",
            "2001:db8:0:2::1",
            "2001:db8:0:3::1",
            "2001:db8:0:4::1",
        ];
        let part = outcomes(&inside, &outside).only_part(prefix);
        assert_eq!(part, Some("2001:db8::/64".parse().unwrap()));
        let mixed = [
            "2001:db8:0:0:7000::1",
            "2001:db8:0:2::1",
            "2001:db8:0:3::1",
            "2001:db8:0:4::1",
        ];
        assert_eq!(outcomes(&inside, &mixed).only_part(prefix), None);
        assert_eq!(outcomes(&inside, &[]).only_part(prefix), None);
    }

    #[test]
    fn answers_are_counted_by_what_was_reported() {
        let mut seen = outcomes(&["2001:db8::1", "2001:db8::2"], &["2001:db8::3"]);
        seen.replies[0].reported = "2001:db8::2".parse().unwrap();
        let egress = Egress {
            tried: 3,
            answered: 2,
            distinct: 1,
            mismatched: 1,
        };
        assert_eq!(seen.egress(), egress);
    }
}
