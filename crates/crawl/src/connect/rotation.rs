//! The order in which the addresses of a destination are tried.

use std::cell::{Cell, RefCell};
use std::net::SocketAddrV6;
use std::time::{Duration, Instant};

/// How long an address that could not be reached comes last.
const SET_ASIDE: Duration = Duration::from_secs(30);

/// Whose turn it is among the addresses of a destination.
#[derive(Debug, Default)]
pub(crate) struct AddressRotation {
    next: Cell<usize>,
    /// Addresses that could not be reached, and until when they come last.
    aside: RefCell<Vec<(SocketAddrV6, Instant)>>,
}

impl AddressRotation {
    /// `all` in the order in which they are to be tried.
    pub(crate) fn order(&self, all: &[SocketAddrV6], now: Instant) -> Vec<SocketAddrV6> {
        if let [_] = all {
            return all.to_vec();
        }
        let turn = self.next.get();
        self.next.set(turn.wrapping_add(1));
        let mut aside = self.aside.borrow_mut();
        aside.retain(|(_, until)| *until > now);
        let is_aside = |address: &&SocketAddrV6| aside.iter().any(|(other, _)| other == *address);
        let (last, mut order): (Vec<_>, Vec<_>) = all.iter().partition(is_aside);
        if !order.is_empty() {
            let first = turn % order.len();
            order.rotate_left(first);
        }
        order.extend(last);
        order
    }

    /// `address` could not be reached.
    pub(crate) fn set_aside(&self, address: SocketAddrV6, now: Instant) {
        let mut aside = self.aside.borrow_mut();
        aside.retain(|(other, _)| *other != address);
        aside.push((address, now + SET_ASIDE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_take_turns_and_those_that_failed_come_last() {
        let all: Vec<SocketAddrV6> = ["[::1]:1", "[::2]:1", "[::3]:1"]
            .map(|text| text.parse().unwrap())
            .into();
        let (rotation, now) = (AddressRotation::default(), Instant::now());
        let firsts: Vec<SocketAddrV6> = (0..3).map(|_| rotation.order(&all, now)[0]).collect();
        assert_eq!(firsts, all);
        rotation.set_aside(all[0], now);
        let firsts: Vec<SocketAddrV6> = (0..4).map(|_| rotation.order(&all, now)[0]).collect();
        assert_eq!(firsts, [all[2], all[1], all[2], all[1]]);
        assert_eq!(rotation.order(&all, now)[2], all[0]);
        assert_eq!(rotation.order(&all, now + SET_ASIDE).len(), 3);
        assert!(rotation.aside.borrow().is_empty());
    }
}
