//! Whether connections work without tracking: tried with the default gateway, never with the internet.

use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use nix::sys::socket::{MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::timeout;
use v6kit_net::{Prefix, SourcePool};

use crate::nft::ruleset::{Chain, Direction, iptables_line};

/// Ports that a router answers at, or says that it does not: DNS, HTTP, and one that nobody serves.
const PORTS: [u16; 3] = [53, 80, 9];
/// One lost packet is sent again after a second (RFC 6298, section 2).
const PATIENCE: Duration = Duration::from_millis(2500);

/// What untracked connections are tried with, and what may stand against them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trial {
    pub(crate) prefix: Prefix,
    /// Each default gateway with the index of its link.
    pub(crate) gateways: Vec<(Ipv6Addr, u32)>,
    /// An address of this host that is none of the prefix.
    pub(crate) own: Ipv6Addr,
    /// Addresses that are no new ones.
    pub(crate) not_from: Vec<Ipv6Addr>,
    pub(crate) suspects: Vec<Chain>,
    /// Whether ip6tables-legacy has rules, which nft does not see.
    pub(crate) has_legacy_rules: bool,
}

impl Trial {
    /// Whether a default gateway's TCP answers a connection from a new address of the prefix, be it with a
    /// refusal. False says nothing by itself: many routers are silent.
    pub(crate) async fn is_answered(&self) -> bool {
        let reserved = self
            .not_from
            .iter()
            .chain(self.gateways.iter().map(|(address, _)| address));
        let Ok(mut pool) = SourcePool::new(self.prefix, seed(), reserved.copied()) else {
            return false;
        };
        let mut attempts: FuturesUnordered<_> = self
            .gateways
            .iter()
            .flat_map(|gateway| PORTS.map(|port| (gateway, port)))
            .map(|((gateway, link), port)| {
                answers(
                    pool.draw(),
                    SocketAddrV6::new(*gateway, port, 0, scope(*gateway, *link)),
                )
            })
            .collect();
        let any = async {
            while let Some(answered) = attempts.next().await {
                if answered {
                    return true;
                }
            }
            false
        };
        timeout(PATIENCE, any).await.unwrap_or(false)
    }

    /// Whether this host itself answers a connection from a new address of the prefix to one of its own, by lo. It
    /// passes the hooks for what is sent and for what arrives here, but as a packet of lo: true does not say that what
    /// comes in by another device passes too.
    pub(crate) async fn is_answered_here(&self) -> bool {
        let attempt = async {
            let mut pool = SourcePool::new(self.prefix, seed(), self.not_from.iter().copied()).ok()?;
            let listener = TcpListener::bind(SocketAddr::from((self.own, 0))).await.ok()?;
            let port = listener.local_addr().ok()?.port();
            Some(answers(pool.draw(), SocketAddrV6::new(self.own, port, 0, 0)).await)
        };
        timeout(PATIENCE, attempt).await.ok().flatten().unwrap_or(false)
    }

    /// Whether something on this host may drop untracked packets.
    pub(crate) fn has_suspects(&self) -> bool {
        self.has_legacy_rules || !self.suspects.is_empty()
    }

    /// The suspects in words.
    pub(crate) fn named(&self) -> String {
        let mut names: Vec<String> = self
            .suspects
            .iter()
            .map(|chain| format!("{} {} {}", chain.family, chain.table, chain.name))
            .collect();
        if self.has_legacy_rules {
            names.push("the rules of ip6tables-legacy".to_owned());
        }
        names.join(" and ")
    }

    /// What lets untracked packets of the prefix through where the suspects are right.
    pub(crate) fn hint(&self) -> String {
        let mut lines: Vec<String> = self
            .suspects
            .iter()
            .map(|chain| format!("`{}`", chain.accept_line(self.prefix)))
            .collect();
        if self.has_legacy_rules {
            lines.push(format!(
                "`{}`",
                iptables_line("ip6tables-legacy", "filter", "INPUT", Direction::In, self.prefix)
            ));
        }
        if lines.is_empty() {
            return "see what drops untracked packets: `nft list ruleset`; without notrack the prefix works"
                .to_owned();
        }
        format!("add this to it and run setup again: {}", lines.join(" and "))
    }
}

/// A link-local gateway is told apart by its link.
fn scope(gateway: Ipv6Addr, link: u32) -> u32 {
    if gateway.is_unicast_link_local() { link } else { 0 }
}

/// Another one each time: it decides nothing but which addresses are tried.
fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs() << 30 ^ u64::from(now.subsec_nanos()))
}

/// Whether `to` accepts a connection or resets it. An ICMPv6 error is no answer: firewalls treat those apart.
async fn answers(from: Ipv6Addr, to: SocketAddrV6) -> bool {
    let attempt = async {
        let socket = TcpSocket::new_v6()?;
        setsockopt(&socket, sockopt::IpFreebind, &true)?;
        setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
        socket.bind(SocketAddr::from((from, 0)))?;
        // What is told about the attempt outlives the socket.
        let told = socket.as_fd().try_clone_to_owned()?;
        match socket.connect(to.into()).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(!has_icmp_error(&told)),
            Err(error) => Err(error),
        }
    };
    attempt.await.unwrap_or_else(|error: io::Error| {
        tracing::debug!("{to} from {from}: {error}");
        false
    })
}

/// Whether the socket was told an error by ICMPv6 (IPV6_RECVERR of ipv6(7)).
fn has_icmp_error(socket: &impl AsRawFd) -> bool {
    let mut data = [0; 64];
    let mut space = nix::cmsg_space!([u8; 128]);
    recvmsg::<SockaddrIn6>(
        socket.as_raw_fd(),
        &mut [IoSliceMut::new(&mut data)],
        Some(&mut space),
        MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT,
    )
    .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial() -> Trial {
        Trial {
            prefix: "2001:db8:1::/64".parse().unwrap(),
            gateways: vec![(Ipv6Addr::LOCALHOST, 1)],
            own: Ipv6Addr::LOCALHOST,
            not_from: Vec::new(),
            suspects: Vec::new(),
            has_legacy_rules: false,
        }
    }

    #[tokio::test]
    async fn a_refusal_is_an_answer_and_a_gateway_that_nothing_leads_to_gives_none() {
        // Nobody serves the ports on loopback, or somebody does: both are answers.
        assert!(
            answers(
                Ipv6Addr::LOCALHOST,
                SocketAddrV6::new(Ipv6Addr::LOCALHOST, 9, 0, 0)
            )
            .await
        );
        let nowhere = Trial {
            gateways: Vec::new(),
            ..trial()
        };
        assert!(!nowhere.is_answered().await);
    }

    #[test]
    fn suspects_are_named_with_the_line_that_clears_each() {
        let mut trial = trial();
        assert!(!trial.has_suspects());
        trial.has_legacy_rules = true;
        trial.suspects.push(Chain {
            family: "inet".to_owned(),
            table: "fw".to_owned(),
            name: "in".to_owned(),
            direction: Direction::In,
        });
        assert_eq!(trial.named(), "inet fw in and the rules of ip6tables-legacy");
        assert_eq!(
            trial.hint(),
            "add this to it and run setup again: `nft insert rule inet fw in ip6 daddr 2001:db8:1::/64 ct state untracked accept` and `ip6tables-legacy -I INPUT -d 2001:db8:1::/64 -m conntrack --ctstate UNTRACKED -j ACCEPT`"
        );
    }
}
