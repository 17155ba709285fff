//! What can go wrong between an ordinary process and a command in the lab.

use std::io;
use std::net::Ipv6Addr;

use nix::errno::Errno;
use v6kit_net::{Code, Hint, Prefix};

/// Why there is no lab.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The kernel makes no namespaces for this user.
    #[error("the kernel refuses new namespaces{}", .reason.map(Refusal::in_brackets).unwrap_or_default())]
    Refused {
        /// What clone(2) or mount(2) answered.
        #[source]
        source: Errno,
        /// Why, as far as the machine's settings tell; never for root, whom none of them binds.
        reason: Option<Refusal>,
    },
    /// The user or group ids of the new namespace could not be set.
    #[error("cannot map the user into the lab ({file})")]
    MapUser {
        /// `uid_map`, `gid_map` or `setgroups`.
        file: &'static str,
        /// What writing it failed with.
        #[source]
        source: io::Error,
    },
    /// The process that started the lab went away while the lab was being made.
    #[error("the process that started the lab has ended")]
    Orphaned(#[source] io::Error),
    /// A system call of the lab's own house-keeping failed.
    #[error("cannot {what}")]
    System {
        /// What was to be done.
        what: String,
        /// How it failed.
        #[source]
        source: io::Error,
    },
    /// A kernel setting in one of the lab's namespaces could not be written.
    #[error("cannot write {path} in the lab's {side}")]
    Sysctl {
        /// The file under /proc/sys.
        path: String,
        /// Host, router or target.
        side: &'static str,
        /// What writing it failed with.
        #[source]
        source: io::Error,
    },
    /// A netlink request failed.
    #[error("cannot {what}")]
    Netlink {
        /// What was to be done.
        what: String,
        /// The kernel's answer.
        #[source]
        source: rtnetlink::Error,
    },
    /// A link or an address did not become usable in time.
    #[error("{what} was not usable after {seconds} s")]
    NotReady {
        /// The link or address.
        what: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The topology filters packets, and there is no `nft`.
    #[error("the topology needs `nft`, which is not installed")]
    NoNft(#[source] io::Error),
    /// `nft` did not take the router's rules.
    #[error("`nft` refuses the router's rules: {said}")]
    Nft {
        /// What nft printed.
        said: String,
    },
    /// The prefix is in the way of the lab's own links.
    #[error("{prefix} contains {address}, which the lab needs for its own links")]
    PrefixInUse {
        /// The prefix that was asked for.
        prefix: Prefix,
        /// The address in it.
        address: Ipv6Addr,
    },
    /// The target did not start to listen.
    #[error("the target cannot listen")]
    Target(#[source] v6kit_echo::EchoError),
    /// The command does not exist or cannot be run.
    #[error("cannot run `{command}`")]
    Command {
        /// The first word of the command.
        command: String,
        /// What exec failed with.
        #[source]
        source: io::Error,
    },
}

impl LabError {
    /// `what` failed with `source`.
    pub(crate) fn system(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System {
            what: what.into(),
            source: source.into(),
        }
    }
}

/// A setting of this machine that stands against namespaces made by this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// kernel.unprivileged_userns_clone is 0 (a Debian setting).
    UnprivilegedClone,
    /// user.max_user_namespaces is 0.
    MaxUserNamespaces,
    /// user.max_user_namespaces is 0, and root has not the capability with which it does without user namespaces.
    NoCapability,
    /// kernel.apparmor_restrict_unprivileged_userns is 1 (an Ubuntu setting).
    AppArmor,
}

impl Hint for LabError {
    fn code(&self) -> Code {
        match self {
            Self::Refused { .. } | Self::MapUser { .. } => Code::NoNamespaces,
            Self::Orphaned(_)
            | Self::System { .. }
            | Self::Sysctl { .. }
            | Self::Netlink { .. }
            | Self::NotReady { .. } => Code::Lab,
            Self::NoNft(_) => Code::NoNft,
            Self::Nft { .. } => Code::Nft,
            Self::PrefixInUse { .. } => Code::LabPrefix,
            Self::Target(error) => error.code(),
            Self::Command { .. } => Code::LabCommand,
        }
    }

    fn hint(&self) -> Option<String> {
        let advice = match self {
            Self::Refused {
                reason: Some(Refusal::AppArmor),
                ..
            } => "run it as root: `sudo v6kit …`; or install the Debian package, whose AppArmor profile allows \
                  namespaces to v6kit alone"
                .to_owned(),
            Self::Refused {
                reason: Some(Refusal::NoCapability),
                ..
            } => "root with CAP_SYS_ADMIN needs no user namespace; a container has it with `--cap-add SYS_ADMIN`"
                .to_owned(),
            Self::Refused { reason: Some(_), .. } => "run it as root: `sudo v6kit …`".to_owned(),
            Self::Refused {
                source: Errno::EPERM | Errno::EACCES,
                reason: None,
            } => "run it as root; in a container, start that with `--privileged` \
                  or `--security-opt seccomp=unconfined --cap-add SYS_ADMIN`"
                .to_owned(),
            Self::Refused {
                source: Errno::ENOSPC | Errno::EUSERS,
                reason: None,
            } => "too many namespaces are in use or nested: see user.max_*_namespaces in sysctl".to_owned(),
            Self::Refused { .. } => {
                "the kernel needs CONFIG_USER_NS, CONFIG_NET_NS and CONFIG_PID_NS".to_owned()
            }
            Self::Sysctl { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "IPv6 is off in this kernel: remove `ipv6.disable=1` from the boot command line, \
                 or `modprobe ipv6`"
                    .to_owned()
            }
            Self::Sysctl { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                "/proc/sys is read-only in this container: start it with `--privileged` \
                 or `--security-opt systempaths=unconfined`"
                    .to_owned()
            }
            Self::NoNft(_) => "`sudo apt install nftables`".to_owned(),
            Self::PrefixInUse { .. } => {
                "take one that contains neither 2001:db8:1::/64 nor 2001:db8:80::/64".to_owned()
            }
            Self::Command { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "the command comes after `--`: `v6kit lab run -- bash`".to_owned()
            }
            _ => return None,
        };
        Some(advice)
    }
}

impl Refusal {
    /// What this machine's settings say about a refusal to a user who is not root.
    pub(crate) fn found() -> Option<Self> {
        let is = |file: &str, value: &str| {
            std::fs::read_to_string(format!("/proc/sys/{file}")).is_ok_and(|text| text.trim() == value)
        };
        if is("kernel/unprivileged_userns_clone", "0") {
            Some(Self::UnprivilegedClone)
        } else if is("user/max_user_namespaces", "0") {
            Some(Self::MaxUserNamespaces)
        } else if is("kernel/apparmor_restrict_unprivileged_userns", "1") && !has_profile() {
            Some(Self::AppArmor)
        } else {
            None
        }
    }

    fn in_brackets(self) -> String {
        format!(
            " ({} here)",
            match self {
                Self::UnprivilegedClone => "kernel.unprivileged_userns_clone is 0",
                Self::MaxUserNamespaces | Self::NoCapability => "user.max_user_namespaces is 0",
                Self::AppArmor =>
                    "kernel.apparmor_restrict_unprivileged_userns is 1, as on Ubuntu from 23.10 on,",
            }
        )
    }
}

/// Whether this process runs under an AppArmor profile of v6kit's own, which the restriction leaves alone: its name
/// comes first in the label (`/proc/PID/attr/current`, apparmor(7)).
fn has_profile() -> bool {
    std::fs::read_to_string("/proc/self/attr/current").is_ok_and(|label| label.starts_with("v6kit"))
}
