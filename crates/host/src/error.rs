//! Why setup, status or teardown stopped.

mod journal;
mod reading;

use std::error::Error;
use std::io;

use v6kit_net::{Code, Hint, IPV6_MIN_MTU, shell_word};

pub use self::journal::JournalError;
pub use self::reading::ReadError;
use crate::boot::BootError;
use crate::netlink::NetlinkError;
use crate::program::Running;
use crate::state_dir::StateDirError;
use crate::summary::SummaryError;
use crate::system::ResourceError;

/// Why setup, status or teardown stopped.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The user named a device that is not there.
    #[error("there is no network device `{device}`")]
    NoDevice {
        /// What was named.
        device: String,
        /// What there is.
        devices: Vec<String>,
    },
    /// The device of the local route is down; the kernel takes no route on it.
    #[error("the device `{device}` is down")]
    DeviceDown {
        /// The device.
        device: String,
    },
    /// The kernel was built or started without IPv6.
    #[error("this system has no IPv6")]
    NoIpv6,
    /// IPv6 is switched off on a device that needs it.
    #[error("IPv6 is switched off on `{device}`")]
    Ipv6Off {
        /// The device.
        device: String,
    },
    /// The device is a port, and what arrives on it belongs to the device above.
    #[error("`{device}` is a port of `{above}`, which takes all its packets")]
    BridgePort {
        /// What was named.
        device: String,
        /// The bridge or bond.
        above: String,
    },
    /// The device that a prefix arrives on leads nowhere.
    #[error("no prefix arrives on `{device}`: it leads to this host itself")]
    Loopback {
        /// What was named.
        device: String,
        /// Those that lead somewhere.
        devices: Vec<String>,
    },
    /// The device carries no IPv6, as its packets are too small for it.
    #[error("`{device}` carries no IPv6: its MTU is {mtu}, and IPv6 takes {IPV6_MIN_MTU}")]
    MtuTooSmall {
        /// The device.
        device: String,
        /// In bytes.
        mtu: u32,
    },
    /// CAP_NET_ADMIN is missing.
    #[error("CAP_NET_ADMIN is missing: {} may not {action}", if *.is_root { "without it root" } else { "a plain user" })]
    NotPrivileged {
        /// As in "change routes".
        action: &'static str,
        /// The subcommand to run with sudo.
        command: &'static str,
        /// Whether this is root, for whom sudo changes nothing.
        is_root: bool,
    },
    /// A step without which nothing works failed. Everything was undone.
    #[error("the step `{step}` failed, and everything done before it was undone")]
    Step {
        /// The step.
        step: String,
        /// Its own advice, where it has one.
        hint: Option<String>,
        /// Why it failed.
        #[source]
        source: ResourceError,
    },
    /// A step without which nothing works cannot be done here. Nothing was changed.
    #[error("{reason}")]
    Impossible {
        /// Why not.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// A signal arrived. Everything was undone.
    #[error("it was interrupted, and everything done so far was undone")]
    Interrupted,
    /// Something could not be read.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// Something could not be read.
    #[error("{what} cannot be read")]
    Facts {
        /// What.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The state directory.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The summary.
    #[error(transparent)]
    Summary(#[from] SummaryError),
    /// What is set up cannot be told.
    #[error(transparent)]
    Reading(#[from] ReadError),
    /// What shall be at the next boot.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// Programs use the prefix, for as long as which it is set up.
    #[error("{prefix} is in use by {}", Running::listed(.running))]
    InUse {
        /// The prefix.
        prefix: v6kit_net::Prefix,
        /// What runs.
        running: Vec<Running>,
    },
    /// The prefix named is not set up.
    #[error("{prefix} is not set up")]
    NotSetUp {
        /// The prefix.
        prefix: v6kit_net::Prefix,
        /// Those that are.
        others: Vec<v6kit_net::Prefix>,
    },
}

/// What kind of failure it is, for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Something was asked for that cannot be meant.
    Usage,
    /// A capability or permission is missing.
    NotPermitted,
    /// The disk is full.
    DiskFull,
    /// A signal.
    Interrupted,
    /// Anything else.
    Other,
}

impl From<NetlinkError> for HostError {
    fn from(error: NetlinkError) -> Self {
        Self::Resource(error.into())
    }
}

impl HostError {
    pub(crate) fn facts(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Facts { what, source }
    }

    /// This process may not `action`, as `command` wants to.
    pub(crate) fn not_privileged(action: &'static str, command: &'static str) -> Self {
        Self::NotPrivileged {
            action,
            command,
            is_root: nix::unistd::geteuid().is_root(),
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::NoDevice { .. }
            | Self::BridgePort { .. }
            | Self::Loopback { .. }
            | Self::NotSetUp { .. }
            | Self::StateDir(StateDirError::NoTarget { .. } | StateDirError::NoFiles { .. }) => {
                FailureKind::Usage
            }
            Self::NotPrivileged { .. } | Self::Impossible { .. } => FailureKind::NotPermitted,
            Self::Step { source, .. } | Self::Resource(source) if source.is_denial() => {
                FailureKind::NotPermitted
            }
            Self::StateDir(StateDirError::Open { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                FailureKind::Usage
            }
            Self::Boot(
                BootError::NotToml { .. }
                | BootError::NotTables
                | BootError::Binary { .. }
                | BootError::Label { .. }
                | BootError::ForeignUnit { .. },
            ) => FailureKind::Usage,
            Self::Interrupted => FailureKind::Interrupted,
            _ => match self.io_kind() {
                Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => FailureKind::DiskFull,
                Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
                    FailureKind::NotPermitted
                }
                Some(io::ErrorKind::NotADirectory) => FailureKind::Usage,
                _ => FailureKind::Other,
            },
        }
    }

    fn io_kind(&self) -> Option<io::ErrorKind> {
        let mut error: &dyn Error = self;
        loop {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return Some(error.kind());
            }
            error = error.source()?;
        }
    }
}

/// How to come by CAP_NET_ADMIN. Root of a container without it is root already.
pub(crate) fn privilege_hint(command: &str, is_root: bool) -> String {
    if is_root {
        "give the container the capability: start it with --cap-add NET_ADMIN (docker, podman); a unit needs it in CapabilityBoundingSet=".to_owned()
    } else {
        format!("run it with sudo: `sudo v6kit {command} …`")
    }
}

impl Hint for HostError {
    fn code(&self) -> Code {
        match self {
            Self::NoDevice { .. } | Self::Loopback { .. } => Code::NoDevice,
            Self::BridgePort { .. } => Code::BridgePort,
            Self::DeviceDown { .. } => Code::DeviceDown,
            Self::NoIpv6 | Self::Ipv6Off { .. } | Self::MtuTooSmall { .. } => Code::NoIpv6,
            Self::NotPrivileged { .. } => Code::NotPermitted,
            Self::Step { .. } => Code::Step,
            Self::Impossible { .. } => Code::Impossible,
            Self::Interrupted => Code::Interrupted,
            Self::Resource(error) => error.code(),
            Self::Facts { .. } => Code::Unreadable,
            Self::Journal(error) => error.code(),
            Self::StateDir(error) => error.code(),
            Self::Summary(error) => error.code(),
            Self::Reading(error) => error.code(),
            Self::Boot(error) => error.code(),
            Self::InUse { .. } => Code::Busy,
            Self::NotSetUp { .. } => Code::NotSetUp,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoDevice { devices, .. } | Self::Loopback { devices, .. } => {
                Some(format!("there are: {}", devices.join(", ")))
            }
            Self::BridgePort { above, .. } => Some(format!(
                "the prefix arrives on the device above: --dev {}",
                shell_word(above)
            )),
            Self::DeviceDown { device } => Some(format!(
                "bring it up: `sudo ip link set {} up`",
                shell_word(device)
            )),
            Self::NoIpv6 => Some("boot without `ipv6.disable=1`, or give the container IPv6".to_owned()),
            Self::Ipv6Off { device } => Some(format!(
                "switch it on: `sudo sysctl -w {}`",
                shell_word(&format!("net/ipv6/conf/{device}/disable_ipv6=0"))
            )),
            Self::MtuTooSmall { device, .. } => Some(format!(
                "raise it: `sudo ip link set {} mtu {IPV6_MIN_MTU}`; the kernel took addresses and routes of IPv6 away from it, which whoever configures it has to set again",
                shell_word(device)
            )),
            Self::NotPrivileged { command, is_root, .. } => Some(privilege_hint(command, *is_root)),
            Self::Step { hint, source, .. } => hint.clone().or_else(|| source.hint()),
            Self::Impossible { hint, .. } => Some(hint.clone()),
            Self::Interrupted => Some("run it again; it starts from the beginning".to_owned()),
            Self::Resource(error) => error.hint(),
            Self::Facts { .. } => Some("check that /proc is mounted".to_owned()),
            Self::Journal(error) => error.hint(),
            Self::StateDir(error) => error.hint(),
            Self::Summary(error) => error.hint(),
            Self::Reading(error) => error.hint(),
            Self::Boot(error) => error.hint(),
            Self::InUse { running, .. } => Some(format!(
                "end what uses it ({}), then run this again; what was set up for a command is undone when it ends",
                running
                    .iter()
                    .map(|process| process.pid.to_string())
                    .collect::<Vec<_>>()
                    .join(" ")
            )),
            Self::NotSetUp { others, .. } if others.is_empty() => Some("nothing is set up here".to_owned()),
            Self::NotSetUp { others, .. } => {
                let others: Vec<String> = others.iter().map(ToString::to_string).collect();
                Some(format!("set up are: {}", others.join(", ")))
            }
        }
    }
}
