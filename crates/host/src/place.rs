//! Which boot and which network namespace a change was made in.

use std::io;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

/// Where a change lives. Routes, tables and sysctls are gone with the boot; files stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// /proc/sys/kernel/random/boot_id.
    #[serde(rename = "boot")]
    pub(crate) boot_id: String,
    /// The inode of /proc/self/ns/net (namespaces(7)).
    #[serde(rename = "netns")]
    pub(crate) network_namespace: u64,
}

impl Place {
    /// The boot and the network namespace of this process.
    pub(crate) fn here() -> io::Result<Self> {
        Ok(Self {
            boot_id: std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?
                .trim()
                .to_owned(),
            network_namespace: std::fs::metadata("/proc/self/ns/net")?.ino(),
        })
    }
}
