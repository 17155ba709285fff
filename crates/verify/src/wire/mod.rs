//! What arrives on the device while addresses of the prefix wait for their answers.

mod counter;
mod groups;
mod packets;

use std::collections::HashSet;
use std::convert::Infallible;
use std::io;
use std::net::Ipv6Addr;

use nix::errno::Errno;

use crate::routes::Device;
use counter::Counter;
use groups::SolicitedNodeGroups;
use packets::Solicitations;

pub(crate) use counter::solicitations as solicitations_so_far;

/// Neighbour solicitations that arrived for the watched addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// How many of the watched addresses were solicited.
    pub(crate) how_many: HowMany,
    pub(crate) how: How,
}

/// What is known about solicited addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HowMany {
    None,
    /// So many of them, from the packets.
    Addresses(usize),
    /// So many solicitations in all, from the kernel's counter.
    Solicitations(u64),
}

/// How it was looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// At the packets, which takes CAP_NET_RAW.
    Packets,
    /// At the kernel's counter.
    Counter,
}

/// Looks at a device from [`Wire::watch`] on.
///
/// A router that takes the prefix for on-link solicits an address by multicast to its solicited-node
/// group (RFC 4861 section 7.2.2). Those groups are joined, which needs no privilege: a switch that snoops
/// MLD then passes the solicitations on, and the kernel counts them although the addresses are not
/// configured. Who may open a packet socket reads them; who may not, reads the counter.
#[derive(Debug)]
pub(crate) struct Wire {
    addresses: Vec<Ipv6Addr>,
    tap: Tap,
    _groups: SolicitedNodeGroups,
}

#[derive(Debug)]
enum Tap {
    Packets {
        solicitations: Solicitations,
        targets: HashSet<Ipv6Addr>,
    },
    Counter {
        counter: Counter,
        /// What arrives in as much time without any of our doing.
        usual: u64,
    },
}

impl Wire {
    /// Starts to look for solicitations of `addresses`. `usual` is how many solicitations the device
    /// received in the time of a probe before; it counts where packets cannot be seen.
    pub(crate) fn watch(device: &Device, addresses: Vec<Ipv6Addr>, usual: u64) -> io::Result<Self> {
        let groups = SolicitedNodeGroups::join(device, &addresses)?;
        let tap = match Solicitations::capture(device) {
            Ok(solicitations) => Tap::Packets {
                solicitations,
                targets: HashSet::new(),
            },
            Err(error) if is_denied(&error) => Tap::Counter {
                counter: Counter::start(device)?,
                usual,
            },
            Err(error) => return Err(error),
        };
        Ok(Self {
            addresses,
            tap,
            _groups: groups,
        })
    }

    /// Looks until `probes` are through, and returns their result with what was seen.
    pub(crate) async fn during<T>(mut self, probes: impl Future<Output = T>) -> (T, io::Result<Seen>) {
        let mut probes = std::pin::pin!(probes);
        let looked = tokio::select! {
            result = probes.as_mut() => return (result, self.seen()),
            Err(error) = self.collect() => error,
        };
        (probes.await, Err(looked))
    }

    /// Collects targets for ever, or until the socket fails.
    async fn collect(&mut self) -> io::Result<Infallible> {
        match &mut self.tap {
            Tap::Counter { .. } => std::future::pending().await,
            Tap::Packets {
                solicitations,
                targets,
            } => loop {
                targets.insert(solicitations.next().await?);
            },
        }
    }

    fn seen(self) -> io::Result<Seen> {
        Ok(match self.tap {
            Tap::Packets { targets, .. } => {
                let solicited = self.addresses.iter().filter(|a| targets.contains(a)).count();
                Seen {
                    how_many: if solicited == 0 {
                        HowMany::None
                    } else {
                        HowMany::Addresses(solicited)
                    },
                    how: How::Packets,
                }
            }
            Tap::Counter { counter, usual } => {
                let arrived = counter.so_far()?;
                Seen {
                    how_many: if arrived >= enough(usual, self.addresses.len()) {
                        HowMany::Solicitations(arrived)
                    } else {
                        HowMany::None
                    },
                    how: How::Counter,
                }
            }
        })
    }
}

/// From how many solicitations on they must be for our addresses: a router sends up to three for each,
/// one second apart (RFC 4861 section 10), on top of those that arrive anyway.
fn enough(usual: u64, addresses: usize) -> u64 {
    usual + addresses.max(2) as u64
}

fn is_denied(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        // A sandbox without packet sockets has no such address family.
        Some(Errno::EPERM | Errno::EACCES | Errno::EAFNOSUPPORT)
    )
}
