//! What a router says of itself, as its script prints it.

use serde::{Deserialize, Serialize};
use v6kit_net::Prefix;

/// What the router says about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Probe {
    /// Whether it has fw4 (OpenWrt 22.03 and newer).
    pub fw4: bool,
    /// Whether opkg or apk has installed the package.
    pub package: bool,
    /// Whether the command is there.
    pub installed: bool,
    /// Whether the service starts at boot.
    pub service: bool,
    /// Files that are missing or are not those of this version.
    pub files: Vec<String>,
    /// What `v6kit-router status --json` says.
    pub status: Status,
}

/// The state of the router, as its script reads it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The version of the script that answered.
    pub version: String,
    /// OpenWrt's release, such as `24.10.0`.
    pub release: String,
    /// RAM in KiB.
    pub memory_kib: Option<u64>,
    /// Whether it is switched on in the settings.
    pub enabled: bool,
    /// Towards the host.
    pub lan: Interface,
    /// Towards the internet.
    pub wan: Interface,
    /// The prefixes that are configured and whose place is known.
    pub prefixes: Vec<RoutedPrefix>,
    /// The connection table.
    pub conntrack: Conntrack,
    /// The neighbour table.
    pub neighbours: Neighbours,
    /// What differs from the settings, one sentence each.
    pub differences: Vec<String>,
    /// What is wrong besides, one sentence each.
    pub problems: Vec<String>,
    /// What deserves a look, one sentence each.
    pub warnings: Vec<String>,
}

/// An interface of netifd.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Interface {
    /// Its name in UCI; `None` when there is none.
    pub interface: Option<String>,
    /// Its layer-3 device; `None` while it is down.
    pub device: Option<String>,
    /// The global prefix that is assigned (LAN) or delegated (WAN) to it.
    pub prefix: Option<ipnet::Ipv6Net>,
}

/// A prefix and what there is of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoutedPrefix {
    /// The section in the settings.
    pub name: String,
    /// The prefix as it is now.
    pub prefix: Prefix,
    /// The host's link-local address.
    pub host: String,
    /// `ok`, `missing` or `conflict`.
    pub route: String,
    /// `ok`, `missing` or `off`.
    pub notrack: String,
}

/// The connection table (nf_conntrack).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Conntrack {
    /// Entries now.
    pub count: Option<u64>,
    /// The most there can be.
    pub max: Option<u64>,
    /// Hash buckets.
    pub buckets: Option<u64>,
    /// How often the log says `table full`.
    pub full_in_log: u64,
}

/// The IPv6 neighbour table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Neighbours {
    /// Entries now.
    pub count: u64,
    /// gc_thresh3.
    pub limit: Option<u64>,
    /// How often the log says `neighbor table overflow`.
    pub overflows_in_log: u64,
}
