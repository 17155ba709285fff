//! What arrives on devices and leaves by them while addresses of the prefix wait for their answers.

mod counter;
mod groups;
mod packets;

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use futures_util::future::{join_all, pending};
use nix::errno::Errno;
use tokio::time::Instant;

use crate::routes::Device;
use counter::Counter;
use groups::SolicitedNodeGroups;
use packets::{Capture, Packet};

pub(crate) use counter::solicitations as solicitations_so_far;

/// What was seen on a device.
#[derive(Debug)]
pub(crate) enum Seen {
    /// At the packets themselves, which takes CAP_NET_RAW.
    Packets(Packets),
    /// At the kernel's counter.
    Counter {
        /// Neighbour solicitations beyond those that arrive anyway; 0 where they prove nothing.
        solicitations: u64,
    },
}

/// What the packets of a device showed.
#[derive(Debug, Default)]
pub(crate) struct Packets {
    /// Addresses that a neighbour asked for.
    pub(crate) solicited: HashSet<Ipv6Addr>,
    /// Addresses that were told to a neighbour.
    pub(crate) advertised: HashSet<Ipv6Addr>,
    /// Source addresses and ports of first packets to the endpoint.
    pub(crate) sent: HashSet<(Ipv6Addr, u16)>,
    /// Addresses that the endpoint's answers went to, with the time of the first since the start.
    pub(crate) answered: HashMap<Ipv6Addr, Duration>,
}

impl Packets {
    fn take_in(&mut self, packet: Packet, since: Instant) {
        match packet {
            Packet::Solicitation { target } => {
                self.solicited.insert(target);
            }
            Packet::Advertisement { target } => {
                self.advertised.insert(target);
            }
            Packet::Syn { from, port } => {
                self.sent.insert((from, port));
            }
            Packet::Answer { to } => {
                self.answered.entry(to).or_insert_with(|| since.elapsed());
            }
        }
    }

    /// Whether a connection to the endpoint left from `address`.
    pub(crate) fn left_from(&self, address: Ipv6Addr) -> bool {
        self.sent.iter().any(|(from, _)| *from == address)
    }
}

/// Looks at a device from [`Wire::watch`] on.
///
/// A router that takes the prefix for on-link solicits an address by multicast to its solicited-node
/// group (RFC 4861 section 7.2.2). Those groups are joined, which needs no privilege: a switch that snoops
/// MLD then passes the solicitations on, and the kernel counts them although the addresses are not
/// configured. Who may open a packet socket reads them, and the packets of connections as well; who may not,
/// reads the counter.
#[derive(Debug)]
pub(crate) struct Wire {
    device: Device,
    addresses: Vec<Ipv6Addr>,
    since: Instant,
    tap: Tap,
    failed: Option<io::Error>,
    _groups: SolicitedNodeGroups,
}

#[derive(Debug)]
enum Tap {
    Packets {
        capture: Capture,
        packets: Box<Packets>,
    },
    Counter {
        counter: Counter,
        /// What arrives in as much time without any of our doing.
        usual: u64,
    },
}

impl Wire {
    /// Starts to look for solicitations of `addresses` and for connections with `endpoint`. `usual` is how many
    /// solicitations the device received in the time of a probe before; it counts where packets cannot be seen.
    pub(crate) fn watch(
        device: &Device,
        addresses: &[Ipv6Addr],
        endpoint: SocketAddrV6,
        usual: u64,
    ) -> io::Result<Self> {
        let groups = SolicitedNodeGroups::join(device, addresses)?;
        let tap = match Capture::start(device, endpoint) {
            Ok(capture) => Tap::Packets {
                capture,
                packets: Box::default(),
            },
            Err(error) if is_denied(&error) => Tap::Counter {
                counter: Counter::start(device)?,
                usual,
            },
            Err(error) => return Err(error),
        };
        Ok(Self {
            device: device.clone(),
            addresses: addresses.to_vec(),
            since: Instant::now(),
            tap,
            failed: None,
            _groups: groups,
        })
    }

    /// Collects packets for ever; after an error, which is kept, it does nothing for ever.
    async fn collect(&mut self) -> Infallible {
        if let Tap::Packets { capture, packets } = &mut self.tap {
            loop {
                match capture.next().await {
                    Ok(packet) => packets.take_in(packet, self.since),
                    Err(error) => {
                        self.failed = Some(error);
                        break;
                    }
                }
            }
        }
        pending().await
    }

    fn seen(self) -> (Device, io::Result<Seen>) {
        let seen = match (self.failed, self.tap) {
            (Some(error), _) => Err(error),
            (None, Tap::Packets { capture, mut packets }) => capture.rest().map(|rest| {
                for packet in rest {
                    packets.take_in(packet, self.since);
                }
                Seen::Packets(*packets)
            }),
            (None, Tap::Counter { counter, usual }) => counter.so_far().map(|arrived| Seen::Counter {
                solicitations: if arrived >= enough(usual, self.addresses.len()) {
                    arrived
                } else {
                    0
                },
            }),
        };
        (self.device, seen)
    }
}

/// Looks until `probes` are through, and returns their result with what was seen on each device.
pub(crate) async fn during<T>(
    mut wires: Vec<Wire>,
    probes: impl Future<Output = T>,
) -> (T, Vec<(Device, io::Result<Seen>)>) {
    let watching = async {
        join_all(wires.iter_mut().map(Wire::collect)).await;
        pending::<Infallible>().await
    };
    let result = tokio::select! {
        result = probes => result,
        never = watching => match never {},
    };
    (result, wires.into_iter().map(Wire::seen).collect())
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
