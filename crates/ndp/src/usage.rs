//! Which addresses are used on this host, remembered between two looks at its sockets.

use std::collections::{HashMap, HashSet};
use std::net::Ipv6Addr;
use std::time::Duration;

use tokio::time::Instant;

use crate::inventory::Sockets;

/// How long an address counts as used after its last socket was seen: what TIME_WAIT takes.
pub(crate) const RECENT: Duration = Duration::from_secs(60);

/// More addresses than any neighbour table has room for. Beyond it those that were seen longest ago
/// are forgotten, which costs another look.
const REMEMBERED: usize = 1 << 16;

/// The addresses with a live or recent socket.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    seen: HashMap<Ipv6Addr, Instant>,
    open: HashSet<Ipv6Addr>,
    /// When somebody was last seen to send from the prefix of his own accord.
    sending: Option<Instant>,
}

impl Usage {
    /// Takes in what was found at `at`. `is_own` tells the addresses that are configured on this host.
    pub(crate) fn update(&mut self, sockets: Sockets, at: Instant, is_own: impl Fn(Ipv6Addr) -> bool) {
        let Sockets {
            open,
            closing,
            outgoing,
        } = sockets;
        for address in open.iter().chain(&closing) {
            self.seen.insert(*address, at);
        }
        if outgoing.iter().any(|address| !is_own(*address)) {
            self.sending = Some(at);
        }
        self.open = open;
        self.forget(at);
    }

    fn forget(&mut self, now: Instant) {
        self.seen.retain(|_, seen| now.duration_since(*seen) < RECENT);
        if self.seen.len() > REMEMBERED {
            let mut times: Vec<Instant> = self.seen.values().copied().collect();
            let (_, oldest_kept, _) = times.select_nth_unstable_by(REMEMBERED, |a, b| b.cmp(a));
            let oldest_kept = *oldest_kept;
            self.seen.retain(|_, seen| *seen > oldest_kept);
        }
    }

    /// Whether the address had a socket a short while ago.
    pub(crate) fn is_recent(&self, address: Ipv6Addr, now: Instant) -> bool {
        self.seen
            .get(&address)
            .is_some_and(|seen| now.duration_since(*seen) < RECENT)
    }

    /// Whether the address had a socket that was not merely closing at the last look.
    pub(crate) fn is_open(&self, address: Ipv6Addr) -> bool {
        self.open.contains(&address)
    }

    /// Whether somebody on this host sends from addresses of the prefix that are not configured: a
    /// crawl, the proxy, or any other program that binds to them.
    pub(crate) fn is_sending(&self, now: Instant) -> bool {
        self.sending.is_some_and(|sent| now.duration_since(sent) < RECENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n)
    }

    fn open(n: u16) -> Sockets {
        Sockets {
            open: HashSet::from([address(n)]),
            closing: HashSet::new(),
            outgoing: HashSet::from([address(n)]),
        }
    }

    #[test]
    fn an_address_stays_used_for_a_while_after_its_socket() {
        let start = Instant::now();
        let mut usage = Usage::default();
        usage.update(open(1), start, |_| false);
        usage.update(Sockets::default(), start + RECENT / 2, |_| false);
        assert!(usage.is_recent(address(1), start + RECENT / 2));
        assert!(!usage.is_open(address(1)));
        assert!(!usage.is_recent(address(1), start + RECENT));
        assert!(!usage.is_recent(address(2), start));
    }

    #[test]
    fn a_socket_on_a_configured_address_does_not_make_a_crawl() {
        let start = Instant::now();
        let mut usage = Usage::default();
        usage.update(open(1), start, |own| own == address(1));
        assert!(!usage.is_sending(start));
        usage.update(open(2), start, |own| own == address(1));
        assert!(usage.is_sending(start));
        assert!(!usage.is_sending(start + RECENT));
    }

    #[test]
    fn memory_is_bounded_and_keeps_the_latest() {
        let start = Instant::now();
        let mut usage = Usage::default();
        let many = |from: u32| {
            (from..from + 40_000)
                .map(|n| Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(n)))
                .collect()
        };
        for round in 0..3 {
            let sockets = Sockets {
                closing: many(round * 40_000),
                ..Sockets::default()
            };
            usage.update(sockets, start + Duration::from_secs(u64::from(round)), |_| false);
        }
        assert!(usage.seen.len() <= REMEMBERED);
        let last = Ipv6Addr::from_bits((0x2001_0db8 << 96) + 119_999);
        assert!(usage.is_recent(last, start + Duration::from_secs(2)));
    }
}
