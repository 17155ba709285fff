//! What an endpoint told in place of the addresses that it was asked from, and whose doing that can be.
//!
//! A server behind a proxy of its own tells the proxy's address, one behind a cache the address of an earlier caller:
//! neither says anything about the network in between. That source addresses are replaced follows only where the same
//! server tells others rightly, or where what it told is seen to lie on the way.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use futures_util::future::join;
use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;
use v6kit_net::{Prefix, own_addresses};

use crate::egress::{self, Outcomes};
use crate::evidence::{Evidence, Observation};
use crate::probe::{Reply, Target};
use crate::trace::{MAX_HOPS, hop};

/// How often the host's own address is asked from once more: behind one name may stand several servers.
const AGAIN: usize = 4;

/// How long routers are listened for at most.
const LISTEN: Duration = Duration::from_secs(3);

/// How the endpoint tells addresses.
#[derive(Debug)]
pub(crate) struct Told {
    /// An answer that told another address.
    pub(crate) example: Reply,
    /// Addresses of the prefix that were told as they are.
    pub(crate) rightly: usize,
    pub(crate) own: Own,
    /// What cannot be the source of a packet that comes to the endpoint from elsewhere.
    pub(crate) impossible: Option<IpAddr>,
    /// An address of this host was told.
    pub(crate) is_of_this_host: bool,
    /// To a question with another query it told the address.
    pub(crate) is_cached: bool,
    /// What was told is seen to lie on the way.
    is_nearer: bool,
    /// Each address was told with another prefix.
    pub(crate) is_translated: bool,
}

/// How the endpoint tells the host's own address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// It was not asked from, or not answered.
    Unknown,
    /// As it is, each time.
    Rightly,
    /// As another.
    Otherwise(Reply),
}

/// `None` where every address was told as it is. `own` is the answer to the host's own address.
pub(crate) async fn look(
    target: &Target,
    prefix: Prefix,
    outcomes: &Outcomes,
    own: Option<Reply>,
    patience: Duration,
) -> Option<Told> {
    let example = outcomes.mismatch()?;
    let others: BTreeSet<IpAddr> = outcomes.mismatches().map(|reply| reply.reported).collect();
    let endpoint = *target.to.ip();
    // Without a list there is nothing to compare with.
    let mut here: BTreeSet<Ipv6Addr> = own_addresses().unwrap_or_default().into_iter().collect();
    here.extend(own.map(|reply| reply.bound));
    let is_here =
        |told: &IpAddr| matches!(told, IpAddr::V6(told) if here.contains(told) || prefix.contains(*told));
    let asked_from = own.map_or(example.bound, |reply| reply.bound);
    let (own, is_nearer) = join(
        ask_own_again(target, own, patience),
        lies_nearer(asked_from, &others, endpoint, patience.min(LISTEN)),
    )
    .await;
    Some(Told {
        example,
        rightly: outcomes.replies.iter().filter(|reply| reply.matches()).count(),
        own,
        impossible: others
            .iter()
            .copied()
            .find(|told| !can_be_a_source(*told, endpoint)),
        is_of_this_host: others.iter().any(is_here),
        is_cached: is_cached(target, example.bound, patience).await,
        is_nearer,
        is_translated: is_translation(outcomes),
    })
}

async fn ask_own_again(target: &Target, own: Option<Reply>, patience: Duration) -> Own {
    let Some(own) = own else { return Own::Unknown };
    if !own.matches() {
        return Own::Otherwise(own);
    }
    let again = egress::ask_from(target, &[own.bound; AGAIN], patience).await;
    again.mismatch().map_or(Own::Rightly, Own::Otherwise)
}

/// Whether from the same address the same question is answered otherwise than one with another query, whichever comes
/// first: several servers that take turns do not keep to that order.
async fn is_cached(target: &Target, from: Ipv6Addr, patience: Duration) -> bool {
    for is_new in [false, true, true, false, false, true] {
        let asked = if is_new {
            target.with_another_query()
        } else {
            target.clone()
        };
        let answer = asked.ask(Some(from), Instant::now() + patience).await;
        if !answer.is_ok_and(|reply| reply.matches() == is_new) {
            return false;
        }
    }
    true
}

/// Whether packets from elsewhere can come to `endpoint` with this source over IPv6.
fn can_be_a_source(told: IpAddr, endpoint: Ipv6Addr) -> bool {
    let IpAddr::V6(told) = told else { return false };
    !(told.is_loopback()
        || told.is_unspecified()
        || told.is_multicast()
        || told.is_unicast_link_local()
        || told == endpoint)
}

/// Whether each address was told as one of its own that ends like it, as a translation of prefixes makes it (RFC 6296:
/// one word of 16 bits may change for the checksum's sake).
fn is_translation(outcomes: &Outcomes) -> bool {
    let all: Vec<Reply> = outcomes.mismatches().collect();
    let told: BTreeSet<IpAddr> = all.iter().map(|reply| reply.reported).collect();
    let ends_alike = |reply: &Reply| match reply.reported {
        IpAddr::V6(told) => {
            let pairs = told.segments().into_iter().zip(reply.bound.segments()).skip(4);
            pairs.filter(|(told, bound)| told == bound).count() >= 3
        }
        IpAddr::V4(_) => false,
    };
    all.len() > 1 && told.len() == all.len() && all.iter().all(ends_alike)
}

/// Whether the one address that was told answers to packets with a hop limit at which somebody else answers in place of
/// `endpoint`: it lies before it, on a router or whatever else packets pass.
async fn lies_nearer(
    from: Ipv6Addr,
    told: &BTreeSet<IpAddr>,
    endpoint: Ipv6Addr,
    patience: Duration,
) -> bool {
    let (Some(IpAddr::V6(told)), 1) = (told.first().copied(), told.len()) else {
        return false;
    };
    if !can_be_a_source(told.into(), endpoint) {
        return false;
    }
    let nearer = stream::iter(1..=MAX_HOPS)
        .map(async |number| {
            let (there, beyond) = join(
                hop(from, told, number, patience),
                hop(from, endpoint, number, patience),
            )
            .await;
            let (Ok(Some(there)), Ok(Some(beyond))) = (there, beyond) else {
                return false;
            };
            there.router == told && beyond.router != endpoint
        })
        .buffer_unordered(usize::from(MAX_HOPS));
    nearer.any(std::future::ready).await
}

impl Told {
    pub(crate) fn observe(&self, evidence: &mut Evidence) {
        evidence.add_if(true, Observation::ToldOther);
        evidence.add_if(self.own == Own::Rightly, Observation::OwnTold);
        evidence.add_if(self.is_nearer || self.is_translated, Observation::ToldOnTheWay);
        evidence.add_if(self.rightly > 0, Observation::SomeTold);
        evidence.add_if(self.impossible.is_some(), Observation::ToldImpossible);
        evidence.add_if(self.is_of_this_host, Observation::ToldThisHost);
        evidence.add_if(self.is_cached, Observation::Cached);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(pairs: &[(&str, &str)]) -> Outcomes {
        Outcomes {
            replies: pairs
                .iter()
                .map(|(bound, reported)| Reply {
                    bound: bound.parse().unwrap(),
                    reported: reported.parse().unwrap(),
                })
                .collect(),
            ..Outcomes::default()
        }
    }

    #[test]
    fn what_never_leaves_a_host_or_a_link_is_the_source_of_no_packet_from_elsewhere() {
        let endpoint = "2001:db8:80::80".parse().unwrap();
        for (told, expected) in [
            ("::1", false),
            ("127.0.0.1", false),
            ("172.17.0.1", false),
            ("192.0.2.1", false),
            ("fe80::1", false),
            ("ff02::1", false),
            ("2001:db8:80::80", false),
            ("2001:db8:80::1", true),
            ("fd00::1", true),
        ] {
            assert_eq!(
                can_be_a_source(told.parse().unwrap(), endpoint),
                expected,
                "{told}"
            );
        }
    }

    #[test]
    fn a_translated_prefix_is_known_by_how_its_addresses_end() {
        let translated = [
            ("fd00:1::a:b:c:1", "2001:db8:1:0:a:b:c:1"),
            ("fd00:1::a:b:c:2", "2001:db8:1:0:f00d:b:c:2"),
        ];
        assert!(is_translation(&outcomes(&translated)));
        assert!(!is_translation(&outcomes(&translated[..1])));
        for others in [
            [
                ("fd00:1::a:b:c:1", "2001:db8::1"),
                ("fd00:1::a:b:c:2", "2001:db8::1"),
            ],
            [
                ("fd00:1::a:b:c:1", "2001:db8::7"),
                ("fd00:1::a:b:c:2", "2001:db8::9"),
            ],
        ] {
            assert!(!is_translation(&outcomes(&others)), "{others:?}");
        }
    }
}
