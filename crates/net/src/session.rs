//! Source addresses that follow from a name: the same ones again, in another run and in another program.

use std::net::Ipv6Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use siphasher::sip128::SipHasher24;

use crate::{Prefix, SourcePool};

/// What sessions are hashed with. Whoever knows it can compute the address of every session.
#[derive(Clone, Copy)]
pub struct SessionKey([u8; 16]);

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

impl SessionKey {
    /// A key from 16 random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for keeping.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// The secret of one user: without it, one user's sessions say nothing about another's.
    fn of_user(self, user: &str) -> SipHasher24 {
        let secret = SipHasher24::new_with_key(&self.0).hash(user.as_bytes());
        SipHasher24::new_with_key(&secret.as_bytes())
    }

    /// The address in `pool` of a user's session `id`: a keyed hash over all host bits, hashed again in the rare case
    /// that it falls on a reserved address. With `ttl` it is another one in each period of that length, of which `now`
    /// is in one.
    #[must_use]
    pub fn address(
        self,
        pool: &SourcePool,
        user: &str,
        id: &[u8],
        ttl: Option<Duration>,
        now: SystemTime,
    ) -> Ipv6Addr {
        let hasher = self.of_user(user);
        let mut input = Vec::with_capacity(id.len() + 17);
        input.extend_from_slice(id);
        // A zero cannot be part of a user name, so that no id runs into what follows.
        input.push(0);
        let phase = hasher.hash(&input).as_u64().0;
        input.extend_from_slice(&epoch(ttl, phase, now).to_be_bytes());
        (0u64..)
            .find_map(|attempt| {
                let end = input.len();
                input.extend_from_slice(&attempt.to_be_bytes());
                let address = pool.at(hasher.hash(&input).as_u128());
                input.truncate(end);
                address
            })
            .expect("a pool has at least one usable address")
    }

    /// How much `prefix` is a session's: the session belongs to the prefix with the highest weight (rendezvous hashing),
    /// so that only the sessions of one that leaves move.
    #[must_use]
    pub fn weight(self, user: &str, id: &[u8], prefix: Prefix) -> u64 {
        let mut input = prefix.network().octets().to_vec();
        input.push(prefix.length());
        input.extend_from_slice(id);
        self.of_user(user).hash(&input).as_u64().0
    }
}

/// Which of its periods a session is in. Sessions with the same period change at different moments.
fn epoch(ttl: Option<Duration>, phase: u64, now: SystemTime) -> u64 {
    let Some(ttl) = ttl.map(|ttl| ttl.as_secs().max(1)) else {
        return 0;
    };
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    1 + (now + phase % ttl) / ttl
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sessions_of_a_prefix_that_leaves_move() {
        let key = SessionKey::new([5; 16]);
        let prefixes: Vec<Prefix> = ["2001:db8:1::/64", "2001:db8:2::/64", "2001:db8:3::/64"]
            .map(|text| text.parse().unwrap())
            .into();
        let of = |among: &[Prefix], id: u32| {
            *among
                .iter()
                .max_by_key(|prefix| key.weight("", &id.to_be_bytes(), **prefix))
                .unwrap()
        };
        let mut shares = [0; 3];
        for id in 0..3000 {
            let home = of(&prefixes, id);
            let at = prefixes.iter().position(|prefix| *prefix == home).unwrap();
            shares[at] += 1;
            if at != 2 {
                assert_eq!(of(&prefixes[..2], id), home);
            }
        }
        assert!(
            shares.iter().all(|share| (800..1200).contains(share)),
            "{shares:?}"
        );
    }
}
