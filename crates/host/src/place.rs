//! Which boot and which network namespace a change was made in.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, getsockopt, socket};
use nix::{getsockopt_impl, sockopt_impl};
use serde::{Deserialize, Serialize};

sockopt_impl!(
    /// SO_NETNS_COOKIE of socket(7): the number of a network namespace, given once in a boot.
    NetnsCookie,
    GetOnly,
    libc::SOL_SOCKET,
    libc::SO_NETNS_COOKIE,
    u64
);

/// The inode of the first PID namespace (PROC_PID_INIT_INO, include/linux/proc_ns.h).
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Where a change lives. Routes, tables and sysctls are gone with the boot or the namespace; files stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// /proc/sys/kernel/random/boot_id.
    #[serde(rename = "boot")]
    pub(crate) boot_id: String,
    /// The inode of /proc/self/ns/net (namespaces(7)), which a later namespace may get again.
    #[serde(rename = "netns")]
    pub(crate) network_namespace: u64,
    /// SO_NETNS_COOKIE, which no later namespace of this boot gets; `None` before Linux 5.14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cookie: Option<u64>,
    /// The inode of /proc/self/ns/pid: which processes could be seen.
    #[serde(rename = "pidns", default, skip_serializing_if = "Option::is_none")]
    pub(crate) pid_namespace: Option<u64>,
    /// When process 1 started, in clock ticks since boot (proc_pid_stat(5)): a container that was restarted
    /// has another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) init: Option<u64>,
}

/// Which boot this is (proc_sys_kernel(5)).
pub(crate) fn boot_id() -> io::Result<String> {
    let read = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(read.trim().to_owned())
}

impl Place {
    /// The boot and the network namespace of this process.
    pub(crate) fn here() -> io::Result<Self> {
        let inode = |name| std::fs::metadata(name).map(|found| found.ino());
        Ok(Self {
            boot_id: boot_id()?,
            network_namespace: inode("/proc/self/ns/net")?,
            cookie: cookie(),
            pid_namespace: inode("/proc/self/ns/pid").ok(),
            init: procfs::process::Process::new(1)
                .and_then(|init| init.stat())
                .map(|stat| stat.starttime)
                .ok(),
        })
    }

    /// Whether both are one network namespace of one boot.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.boot_id == other.boot_id && self.is_same_namespace(other)
    }

    /// Whether both saw the same processes; unknown where a build before did not say.
    pub(crate) fn is_same_container(&self, other: &Self) -> Option<bool> {
        match (self.init, other.init) {
            (Some(one), Some(other)) => Some(one == other),
            _ => Some(self.pid_namespace? == other.pid_namespace?),
        }
    }

    /// Whether this is no container, so that every process can be seen.
    pub(crate) fn sees_every_process(&self) -> bool {
        self.pid_namespace == Some(FIRST_PID_NAMESPACE)
    }

    /// Whether both name one network namespace, if they are of one boot.
    pub(crate) fn is_same_namespace(&self, other: &Self) -> bool {
        match (self.cookie, other.cookie) {
            (Some(one), Some(other)) => one == other,
            _ => self.network_namespace == other.network_namespace,
        }
    }
}

/// The cookie of the network namespace of this thread. A netlink socket: the units allow no other kind.
pub(crate) fn cookie() -> Option<u64> {
    let kind = (SockType::Raw, SockProtocol::NetlinkRoute);
    let socket = socket(AddressFamily::Netlink, kind.0, SockFlag::SOCK_CLOEXEC, kind.1).ok()?;
    getsockopt(&socket.as_fd(), NetnsCookie).ok()
}
