//! What a run comes to.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Addresses that are told apart at most: a run that goes on must not remember all that it ever used.
const MOST_ADDRESSES: usize = 10_000;

/// Programs and destinations that are named at most.
const MOST_NAMES: usize = 8;

/// What a run comes to. A connection is counted once, however many calls it took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// TCP connections that were begun from addresses of a prefix.
    pub connections: u64,
    /// Other sockets, such as of UDP, that sent from addresses of a prefix.
    pub datagram_sockets: u64,
    /// Different addresses of a prefix that were given, up to 10,000.
    pub addresses: usize,
    /// TCP connections to IPv4 destinations that were refused.
    pub ipv4_refused: u64,
    /// IPv4 destinations that datagrams were refused to, or UDP sockets were not connected to.
    pub ipv4_refused_datagrams: u64,
    /// IPv4 destinations that saw the host's own address, as `--v4 direct` wants it.
    pub ipv4_direct: u64,
    /// Some of the IPv4 destinations that were refused.
    pub ipv4_destinations: BTreeSet<SocketAddr>,
    /// Connections that the program bound to another address itself.
    pub bound_elsewhere: u64,
    /// Connections refused because their socket was bound to a port of every address before.
    pub wildcard_refused: u64,
    /// Sends of UDP sockets that the program bound to a port of every address: they left from the host's own.
    pub wildcard_left: u64,
    /// Calls refused because the kernel does not let their program be looked at, by its name.
    pub not_seen: BTreeMap<String, u64>,
    /// Calls refused because they are of another table than this CPU's own, by the program's name.
    pub foreign: BTreeMap<String, u64>,
    /// Sockets that could not be bound, by what the system said.
    pub not_bound: BTreeMap<String, u64>,
    /// Non-blocking connections that were begun before their turn: those cannot be held.
    pub not_paced: u64,
    /// Lines of the log that could not be written.
    pub not_logged: u64,
    #[serde(skip)]
    seen: HashSet<Ipv6Addr>,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// With this exit status.
    Exited(u8),
    /// By this signal.
    Signaled(i32),
    /// It was not started.
    NotStarted {
        /// What exec(3) failed with.
        errno: i32,
    },
}

/// What is worth a line while the program runs, said once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// A name server of resolv.conf is reached from the host's own address.
    NameServer(SocketAddr),
    /// A UDP socket bound to a port of every address sends from the host's own address.
    WildcardPort {
        /// The program's name.
        program: String,
        /// The port.
        port: u16,
    },
    /// A program that the kernel does not let be looked at: its calls are refused.
    NotSeen {
        /// The program's name.
        program: String,
    },
    /// A program that uses another table of system calls: its calls are refused.
    Foreign {
        /// The program's name.
        program: String,
    },
    /// An address of the prefix was not to be had.
    NotBound {
        /// The address.
        from: Ipv6Addr,
        /// What the system said.
        why: String,
    },
    /// The program has ended, and others that it started go on under the supervisor.
    Outlived,
}

impl Tally {
    pub(crate) fn given(&mut self, address: Ipv6Addr) {
        if self.seen.len() < MOST_ADDRESSES {
            self.seen.insert(address);
            self.addresses = self.seen.len();
        }
    }

    pub(crate) fn refused_v4(&mut self, destination: SocketAddr) {
        if self.ipv4_destinations.len() < MOST_NAMES {
            self.ipv4_destinations.insert(destination);
        }
    }
}

/// Counts `name`; whether it was the first time. What is one too many is counted as others.
pub(crate) fn count(of: &mut BTreeMap<String, u64>, name: &str) -> bool {
    let is_room = of.len() < MOST_NAMES || of.contains_key(name);
    let times = of
        .entry(if is_room { name } else { "others" }.to_owned())
        .or_default();
    *times += 1;
    *times == 1
}
