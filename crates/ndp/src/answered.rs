//! How many addresses may be in the router's neighbour table through us.

use std::net::Ipv6Addr;
use std::num::NonZeroUsize;

use lru::LruCache;
use tokio::time::Instant;
use v6kit_net::HOLD;

/// How many of the oldest addresses are looked at to find one that may go.
const CANDIDATES: usize = 64;

/// The addresses that are being answered for, least recently asked for first. An answer keeps its place for [`HOLD`].
#[derive(Debug)]
pub(crate) struct Answered {
    addresses: LruCache<Ipv6Addr, Instant>,
    when_full: WhenFull,
}

/// What happens to a new address when the set is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// It takes the place of one that is not needed any more, or gets no answer.
    Refuse,
    /// It takes the place of the oldest; the set only remembers.
    Forget,
}

impl Answered {
    pub(crate) fn new(capacity: NonZeroUsize, when_full: WhenFull) -> Self {
        Self {
            addresses: LruCache::new(capacity),
            when_full,
        }
    }

    /// Whether `address` may be answered now, and takes its place if so. `in_use` tells the addresses
    /// whose place is not to be had.
    pub(crate) fn admit(
        &mut self,
        address: Ipv6Addr,
        now: Instant,
        in_use: impl Fn(Ipv6Addr) -> bool,
    ) -> bool {
        let full = self.addresses.len() == self.addresses.cap().get();
        if full && self.when_full == WhenFull::Refuse && !self.addresses.contains(&address) {
            let oldest = self.addresses.iter().rev().take(CANDIDATES);
            let may_go = oldest
                .take_while(|(_, answered)| now.duration_since(**answered) >= HOLD)
                .map(|(candidate, _)| *candidate)
                .find(|candidate| !in_use(*candidate));
            let Some(candidate) = may_go else {
                return false;
            };
            self.addresses.pop(&candidate);
        }
        self.addresses.put(address, now);
        true
    }

    /// The addresses, the latest first.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> + '_ {
        self.addresses.iter().map(|(address, _)| *address)
    }

    pub(crate) fn len(&self) -> usize {
        self.addresses.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n)
    }

    fn three(when_full: WhenFull) -> (Answered, Instant) {
        let start = Instant::now();
        let mut answered = Answered::new(NonZeroUsize::new(3).unwrap(), when_full);
        for n in 1..=3 {
            assert!(answered.admit(address(n), start, |_| false));
        }
        (answered, start)
    }

    #[test]
    fn a_new_address_waits_until_an_old_one_may_leave_the_router() {
        let (mut answered, start) = three(WhenFull::Refuse);
        assert!(!answered.admit(address(4), start + HOLD / 2, |_| false));
        assert!(
            answered.admit(address(1), start + HOLD / 2, |_| false),
            "one that is in"
        );
        assert!(answered.admit(address(4), start + HOLD, |_| false));
        assert_eq!(
            answered.addresses().collect::<Vec<_>>(),
            [address(4), address(1), address(3)]
        );
    }

    #[test]
    fn an_address_with_an_open_socket_keeps_its_place() {
        let (mut answered, start) = three(WhenFull::Refuse);
        assert!(answered.admit(address(4), start + HOLD, |used| used == address(1)));
        assert!(answered.addresses().any(|kept| kept == address(1)));
        assert!(!answered.admit(address(5), start + HOLD, |used| used != address(4)));
        assert_eq!(answered.len(), 3);
    }

    #[test]
    fn a_set_that_only_remembers_refuses_nobody() {
        let (mut answered, start) = three(WhenFull::Forget);
        assert!(answered.admit(address(4), start, |_| true));
        assert_eq!(answered.len(), 3);
    }
}
