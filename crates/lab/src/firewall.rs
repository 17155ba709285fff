//! Rules of the lab's router, loaded with nft(8).

use std::fs;
use std::io;
use std::time::Duration;

use v6kit_net::{Prefix, run_system_program};

use crate::error::LabError;
use crate::netns::NetNs;
use crate::topology::Topology;

/// Settings and counts of connection tracking, per network namespace.
const CONNTRACK: &str = "/proc/sys/net/netfilter";
/// How long nft may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The table that holds the router's forward chain.
const TABLE: &str = "lab";

impl Topology {
    /// The router's ruleset, where the topology needs one.
    pub(crate) fn ruleset(self) -> Option<String> {
        match self {
            Self::Routed | Self::OnLink | Self::NoReturn | Self::Filtered => None,
            Self::Rewritten => Some(format!(
                "table ip6 {TABLE} {{
                    chain postrouting {{
                        type nat hook postrouting priority srcnat;
                        oifname \"wan\" masquerade
                    }}
                }}"
            )),
            Self::Stateful => Some(format!(
                "table inet {TABLE} {{
                    chain forward {{
                        type filter hook forward priority filter; policy drop;
                        ct state established,related accept
                        iifname \"lan\" accept
                    }}
                }}"
            )),
        }
    }
}

/// Makes the router a stateful one that keeps what it tracks for an hour, so that it can be counted
/// afterwards however slow the machine is.
pub(crate) fn track_connections(router: &NetNs) -> Result<(), LabError> {
    if let Some(ruleset) = Topology::Stateful.ruleset() {
        load(router, &ruleset)?;
    }
    // The states of connections that have been closed (nf_conntrack-sysctl in the kernel's documentation).
    for state in ["fin_wait", "close_wait", "last_ack", "time_wait", "close"] {
        let path = format!("{CONNTRACK}/nf_conntrack_tcp_timeout_{state}");
        router.run(|| {
            fs::write(&path, "3600").map_err(|source| LabError::system(format!("write {path}"), source))
        })?;
    }
    tracked_connections(router).map(drop)
}

/// Makes the router of the stateful topology forward packets of the prefix without tracking them.
pub(crate) fn stop_tracking(router: &NetNs, prefix: Prefix) -> Result<(), LabError> {
    // A default-drop chain needs the accepts as well: untracked packets are neither new nor established.
    let ruleset = format!(
        "add chain inet {TABLE} untracked {{ type filter hook prerouting priority raw; }}
         add rule inet {TABLE} untracked ip6 saddr {prefix} notrack
         add rule inet {TABLE} untracked ip6 daddr {prefix} notrack
         insert rule inet {TABLE} forward ip6 saddr {prefix} ct state untracked accept
         insert rule inet {TABLE} forward ip6 daddr {prefix} ct state untracked accept"
    );
    load(router, &ruleset)
}

/// How many connections the router keeps in mind.
pub(crate) fn tracked_connections(router: &NetNs) -> Result<u64, LabError> {
    conntrack_setting(router, "nf_conntrack_count")
}

/// How many connections the router can keep in mind.
pub(crate) fn most_tracked_connections(router: &NetNs) -> Result<u64, LabError> {
    conntrack_setting(router, "nf_conntrack_max")
}

fn conntrack_setting(router: &NetNs, name: &str) -> Result<u64, LabError> {
    let path = format!("{CONNTRACK}/{name}");
    router.run(|| {
        let text =
            fs::read_to_string(&path).map_err(|source| LabError::system(format!("read {path}"), source))?;
        text.trim()
            .parse()
            .map_err(|error| LabError::system(format!("read {path}"), io::Error::other(error)))
    })
}

/// Loads `ruleset` into the namespace.
pub(crate) fn load(namespace: &NetNs, ruleset: &str) -> Result<(), LabError> {
    namespace.run(|| nft(&["-f", "-"], ruleset).map(drop))
}

/// The whole ruleset of the namespace as text.
pub(crate) fn list(namespace: &NetNs) -> Result<String, LabError> {
    namespace.run(|| nft(&["list", "ruleset"], ""))
}

/// Runs `nft`. Plain users often do not have /usr/sbin in their PATH.
fn nft(arguments: &[&str], input: &str) -> Result<String, LabError> {
    match run_system_program("nft", arguments, input.as_bytes(), PATIENCE) {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(LabError::Nft {
                said: said.lines().next().unwrap_or("it says nothing").to_owned(),
            })
        }
        Err(error) if error.is_missing() => Err(LabError::NoNft(error.into_io())),
        Err(error) => Err(LabError::system("run `nft`", error.into_io())),
    }
}
