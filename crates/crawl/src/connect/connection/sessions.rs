//! TLS sessions to resume (RFC 8446 section 2.2): by hosts, and as many tickets of each as are taken at once.
//!
//! A ticket serves one connection. rustls' own cache keeps 8 of them for each of a fixed number of names, which is too
//! few for many slots at one host, and counts as much for a host that needs one.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls_pki_types::ServerName;

/// Hosts that are remembered, the ones met last. A ticket takes 1 to 4 KB, with the certificates of its server.
const MOST_HOSTS: NonZeroUsize = NonZeroUsize::new(16 * 1024).expect("a number above 0");
/// Tickets of all hosts together.
const MOST_TICKETS: usize = 16 * 1024;
/// Tickets of one host.
const MOST_OF_HOST: usize = 2 * 1024;

/// The sessions of a shard. Nobody else has it, so that nobody waits for its lock.
#[derive(Debug)]
pub(super) struct Sessions(Mutex<Known>);

#[derive(Debug)]
struct Known {
    hosts: LruCache<ServerName<'static>, Host>,
    tickets: usize,
}

#[derive(Debug, Default)]
struct Host {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tickets: VecDeque<Tls13ClientSessionValue>,
    /// How often a ticket was wanted and none was there: so many connections are begun at once.
    misses: usize,
}

impl Sessions {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Known {
            hosts: LruCache::new(MOST_HOSTS),
            tickets: 0,
        }))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn host(&mut self, name: ServerName<'static>) -> &mut Host {
        if !self.hosts.contains(&name)
            && let Some((_, forgotten)) = self.hosts.push(name.clone(), Host::default())
        {
            self.tickets -= forgotten.tickets.len();
        }
        self.hosts.get_or_insert_mut(name, Host::default)
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.known().host(name).group = Some(group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.known().hosts.peek(&name.to_owned())?.group
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.known().host(name).tls12 = Some(value);
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.known().hosts.get(&name.to_owned())?.tls12.clone()
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        if let Some(host) = self.known().hosts.peek_mut(name) {
            host.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut known = self.known();
        let host = known.host(name);
        host.tickets.push_back(value);
        if host.tickets.len() > host.misses.clamp(1, MOST_OF_HOST) {
            // The older one is the first to be refused.
            host.tickets.pop_front();
            return;
        }
        known.tickets += 1;
        while known.tickets > MOST_TICKETS
            && let Some((_, forgotten)) = known.hosts.pop_lru()
        {
            known.tickets -= forgotten.tickets.len();
        }
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let mut known = self.known();
        let host = known.host(name.clone());
        // The newest: servers limit the age of tickets.
        match host.tickets.pop_back() {
            None => {
                host.misses = (host.misses + 1).min(MOST_OF_HOST);
                None
            }
            ticket => {
                known.tickets -= 1;
                ticket
            }
        }
    }
}
