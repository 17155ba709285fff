//! UDP sockets that were connected and may never send.
//!
//! The resolver of a C library connects a UDP socket to each address of a name, to learn in which order to try them
//! (RFC 6724 section 5), and never sends on it. Such a socket is none of the connections that a user means. What is
//! connected waits here until its process does something else while it still has it, or ends.

use nix::unistd::Pid;

use crate::log::Entry;

/// Sockets that wait at most; the oldest is counted to make room.
const MOST: usize = 256;

/// A socket that was connected.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) process: Pid,
    pub(crate) descriptor: i32,
    pub(crate) cookie: u64,
    pub(crate) entry: Entry,
}

/// Those that wait.
#[derive(Debug, Default)]
pub(crate) struct Pending(Vec<Connected>);

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one; returns the one that made room for it.
    pub(crate) fn add(&mut self, connected: Connected) -> Option<Connected> {
        self.forget(connected.cookie);
        let oldest = (self.0.len() >= MOST).then(|| self.0.remove(0));
        self.0.push(connected);
        oldest
    }

    /// The socket goes elsewhere, so that nothing was sent to where it went before.
    pub(crate) fn forget(&mut self, cookie: u64) {
        self.0.retain(|connected| connected.cookie != cookie);
    }

    /// Whether the socket waits.
    pub(crate) fn holds(&self, cookie: u64) -> bool {
        self.0.iter().any(|connected| connected.cookie == cookie)
    }

    /// Those of a process that does something else, apart from `but`.
    pub(crate) fn of(&mut self, process: Pid, but: Option<u64>) -> Vec<Connected> {
        self.0
            .extract_if(.., |connected| {
                connected.process == process && Some(connected.cookie) != but
            })
            .collect()
    }

    /// All that are left when everything has ended.
    pub(crate) fn rest(&mut self) -> Vec<Connected> {
        std::mem::take(&mut self.0)
    }
}
