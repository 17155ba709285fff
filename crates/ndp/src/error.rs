//! What can stop the responder.

use std::io;

use v6kit_net::{Code, Hint};

/// Why solicitations cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum NdpError {
    /// No packet socket without the capability.
    #[error("a packet socket needs CAP_NET_RAW")]
    NotPermitted(#[source] io::Error),
    /// No packet socket for another reason.
    #[error("cannot listen for neighbour solicitations")]
    Listen(#[source] io::Error),
    /// There is no device of that name.
    #[error("there is no network device `{device}`")]
    NoDevice {
        /// What was asked for.
        device: String,
        /// The devices that there are, without `lo`.
        others: Vec<String>,
    },
    /// A device without neighbours: loopback, tunnel, point-to-point.
    #[error("`{device}` is no Ethernet link: nobody solicits neighbours there")]
    NoNeighbours {
        /// What was asked for.
        device: String,
    },
    /// The port of a bridge or bond, which takes all its packets.
    #[error("`{device}` is a port of `{upper}`, which takes all its packets")]
    Port {
        /// What was asked for.
        device: String,
        /// The bridge, bond or team.
        upper: String,
    },
    /// Asked to send from a link-local address, and the device has none.
    #[error("`{device}` has no link-local address to send advertisements from")]
    NoLinkLocal {
        /// What was asked for.
        device: String,
    },
    /// The kernel does not tell about links, addresses and neighbours.
    #[error("the kernel's routing interface (netlink) gives no answer")]
    Netlink(#[source] io::Error),
    /// The kernel does not tell about sockets.
    #[error("the kernel does not list the sockets of this host (sock_diag)")]
    SocketList(#[source] io::Error),
    /// Capabilities cannot be given up.
    #[error("cannot give up the privileges that are not needed any more")]
    Privileges(#[source] io::Error),
}

impl Hint for NdpError {
    fn code(&self) -> Code {
        match self {
            Self::NotPermitted(_) => Code::NotPermitted,
            Self::Listen(_) | Self::Netlink(_) => Code::Netlink,
            Self::NoDevice { .. } => Code::NoDevice,
            Self::NoNeighbours { .. } => Code::NoNeighbours,
            Self::Port { .. } => Code::BridgePort,
            Self::NoLinkLocal { .. } => Code::NoLinkLocal,
            Self::SocketList(_) => Code::SocketList,
            Self::Privileges(_) => Code::Privileges,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotPermitted(_) => {
                "run it with sudo, or give the binary the capability: setcap cap_net_raw+ep v6kit".to_owned()
            }
            Self::NoDevice { others, .. } if others.is_empty() => "this host has none but lo".to_owned(),
            Self::NoDevice { others, .. } => format!("there are: {}", others.join(", ")),
            Self::NoNeighbours { .. } => {
                "a prefix that comes through such a link is routed: setup is all it needs (`v6kit help setup`)".to_owned()
            }
            Self::Port { upper, .. } => format!("give --dev {upper}"),
            Self::NoLinkLocal { device } => {
                format!("use --source target, or give it one: ip link set {device} addrgenmode eui64")
            }
            Self::SocketList(_) => "load the modules tcp_diag and udp_diag, or use --all".to_owned(),
            Self::Listen(_) | Self::Netlink(_) => {
                "check that this container or sandbox allows packet and netlink sockets".to_owned()
            }
            Self::Privileges(_) => return None,
        })
    }
}
