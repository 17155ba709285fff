//! How the router treats the prefix.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use v6kit_net::Prefix;

use crate::error::LabError;

/// What stands between the host and the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Topology {
    /// The router sends the whole prefix to the host: what a host needs.
    #[default]
    Routed,
    /// The router takes the prefix for on-link and solicits each address on the LAN.
    OnLink,
    /// The router has no way back to the prefix and drops the replies.
    NoReturn,
    /// The router answers packets from the prefix with ICMPv6 "administratively prohibited".
    Filtered,
    /// The router replaces source addresses with its own (NAT66).
    Rewritten,
    /// The router routes the prefix and tracks connections in a default-drop forward chain.
    Stateful,
}

impl Topology {
    /// The router's ruleset in the syntax of nft(8), where it needs one.
    pub(crate) fn ruleset(self) -> Option<&'static str> {
        match self {
            Self::Routed | Self::OnLink | Self::NoReturn | Self::Filtered => None,
            Self::Rewritten => Some(
                "table ip6 lab {
                    chain postrouting {
                        type nat hook postrouting priority srcnat;
                        oifname \"wan\" masquerade
                    }
                }",
            ),
            Self::Stateful => Some(
                "table inet lab {
                    chain forward {
                        type filter hook forward priority filter; policy drop;
                        ct state established,related accept
                        iifname \"lan\" accept
                    }
                }",
            ),
        }
    }

    /// The way of packets to the prefix, as the router sees it.
    pub(crate) fn way_back(self, prefix: Prefix) -> WayBack {
        match self {
            Self::OnLink => WayBack::OnLink(prefix),
            Self::NoReturn => WayBack::Nowhere(prefix),
            Self::Routed | Self::Filtered | Self::Rewritten | Self::Stateful => WayBack::ThroughHost(prefix),
        }
    }
}

/// The router's route for the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WayBack {
    ThroughHost(Prefix),
    OnLink(Prefix),
    Nowhere(Prefix),
}

/// Loads `ruleset` into the network namespace of this thread.
pub(crate) fn load(ruleset: &str) -> Result<(), LabError> {
    let failed = |source| LabError::system("run `nft`", source);
    let mut nft = start_nft()?;
    if let Some(mut stdin) = nft.stdin.take() {
        stdin.write_all(ruleset.as_bytes()).map_err(failed)?;
    }
    let output = nft.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(LabError::Nft {
        said: said.lines().next().unwrap_or("it says nothing").to_owned(),
    })
}

/// Starts `nft -f -`. Plain users often do not have /usr/sbin in their PATH.
fn start_nft() -> Result<std::process::Child, LabError> {
    let mut missing = io::Error::from(io::ErrorKind::NotFound);
    for program in ["nft", "/usr/sbin/nft", "/sbin/nft"] {
        let started = Command::new(program)
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        match started {
            Ok(child) => return Ok(child),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing = error,
            Err(error) => return Err(LabError::system(format!("run `{program}`"), error)),
        }
    }
    Err(LabError::NoNft(missing))
}
