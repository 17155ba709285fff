//! Sessions that have turned away from addresses that were refused.

use std::net::Ipv6Addr;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

/// Sessions that are remembered; the one that turned longest ago goes first, back to its first address.
const SESSIONS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");
/// A session turns so often within [`SPAN`] by itself: what is refused by right is so from every address.
const MOST: usize = 10;
const SPAN: Duration = Duration::from_secs(600);

/// Names a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionName {
    pub(crate) user: Box<str>,
    pub(crate) id: Box<str>,
    /// After how long it moves by itself.
    pub(crate) ttl: Option<Duration>,
    /// What the client counts its own turns by.
    pub(crate) turn: u64,
}

/// Who wants a session to turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// The proxy, because of a status.
    Status,
    /// The client.
    Client,
}

/// How often a session has turned, and from where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Turned {
    pub(crate) times: u64,
    /// The latest addresses that were refused.
    pub(crate) refused: Vec<Ipv6Addr>,
    /// When the proxy turned it.
    at: Vec<Instant>,
}

/// The sessions that have turned, for all threads.
#[derive(Debug)]
pub(crate) struct Turns {
    sessions: Mutex<LruCache<SessionName, Turned>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            sessions: Mutex::new(LruCache::new(SESSIONS)),
        }
    }
}

impl Turns {
    /// How far a session is.
    pub(crate) fn of(&self, name: &SessionName) -> Turned {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.peek(name).cloned().unwrap_or_default()
    }

    /// Turns a session away from `address`, once: not where `current` finds that it has another one by now. Says
    /// whether it turned.
    pub(crate) fn turn(
        &self,
        name: &SessionName,
        address: Ipv6Addr,
        (by, now): (By, Instant),
        current: impl FnOnce(&Turned) -> Ipv6Addr,
    ) -> bool {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sessions.peek(name).cloned().unwrap_or_default();
        if current(&known) != address {
            return false;
        }
        let mut turned = known;
        turned.at.retain(|at| now.duration_since(*at) < SPAN);
        if by == By::Status {
            if turned.at.len() >= MOST {
                return false;
            }
            turned.at.push(now);
        }
        turned.times += 1;
        if turned.refused.len() >= MOST {
            turned.refused.remove(0);
        }
        turned.refused.push(address);
        sessions.put(name.clone(), turned);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(id: &str) -> SessionName {
        SessionName {
            user: "alice".into(),
            id: id.into(),
            ttl: None,
            turn: 0,
        }
    }

    fn address(turned: &Turned) -> Ipv6Addr {
        Ipv6Addr::from_bits(turned.times.into())
    }

    #[test]
    fn an_address_is_turned_away_from_once_however_many_were_refused_there() {
        let turns = Turns::default();
        let now = Instant::now();
        let refused = |at: u128| turns.turn(&name("a"), Ipv6Addr::from_bits(at), (By::Status, now), address);
        assert!(refused(0));
        assert!((0..50).all(|_| !refused(0)));
        assert!(refused(1) && !refused(1) && !refused(0));
        assert_eq!(turns.of(&name("a")).times, 2);
        assert_eq!(turns.of(&name("b")), Turned::default());
    }

    #[test]
    fn what_is_refused_everywhere_ends_the_turning_for_a_while_and_the_client_may_go_on() {
        let turns = Turns::default();
        let now = Instant::now();
        let refused = |by, now| {
            let at = address(&turns.of(&name("a")));
            turns.turn(&name("a"), at, (by, now), address)
        };
        let turned = (0..100).filter(|_| refused(By::Status, now)).count();
        assert_eq!(turned, MOST);
        assert!(refused(By::Client, now));
        assert_eq!(turns.of(&name("a")).refused.len(), MOST);
        assert!(!refused(By::Status, now));
        assert!(refused(By::Status, now + SPAN));
    }
}
