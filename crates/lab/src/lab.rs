//! The lab as a whole.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use nix::sys::resource::{Resource, getrlimit};
use v6kit_echo::Limit;
use v6kit_net::{Prefix, raise_file_limit};

use crate::error::LabError;
use crate::firewall;
use crate::mounts;
use crate::netns::NetNs;
use crate::target;
use crate::topology::Topology;
use crate::wire;

/// The file in the lab's directory that holds the certificate of the target.
const CERTIFICATE: &str = "target.pem";

/// What the lab should be like.
#[derive(Debug, Clone)]
pub struct LabSettings {
    /// How the router treats the prefix.
    pub topology: Topology,
    /// The prefix that belongs to the host.
    pub prefix: Prefix,
    /// From when on the target refuses callers.
    pub limit: Option<Limit>,
}

/// Host, router and target, connected and listening. This process is on the host side.
#[derive(Debug)]
pub struct Lab {
    pub(crate) prefix: Prefix,
    pub(crate) host: NetNs,
    pub(crate) router: NetNs,
    target: NetNs,
    /// On a tmpfs that goes with the lab.
    pub(crate) directory: PathBuf,
    /// The limit on open files from before the target raised it: soft and hard.
    pub(crate) file_limit: (u64, u64),
}

impl Lab {
    /// Builds the lab in the namespaces of this process, which [`isolate`](crate::isolate) has made.
    ///
    /// # Errors
    /// The first step that the kernel refused; what was built so far goes with the process.
    pub fn build(settings: &LabSettings) -> Result<Self, LabError> {
        let LabSettings {
            topology,
            prefix,
            limit,
        } = *settings;
        keep_apart(prefix)?;
        let file_limit = getrlimit(Resource::RLIMIT_NOFILE)
            .map_err(|source| LabError::system("read the limit on open files", source))?;
        let directory = mounts::arrange()?;
        let host = NetNs::current("host")?;
        let router = NetNs::new("router")?;
        let target = NetNs::new("target")?;
        wire::connect(&host, &router, &target)?;
        wire::route_prefix(&router, topology, prefix)?;
        if let Some(ruleset) = topology.ruleset() {
            firewall::load(&router, &ruleset)?;
        }
        raise_file_limit(0).map_err(|source| LabError::system("raise the limit on open files", source))?;
        let certificate = target::start(&target, limit)?;
        fs::write(directory.join(CERTIFICATE), certificate)
            .map_err(|source| LabError::system("write the target's certificate", source))?;
        Ok(Self {
            prefix,
            host,
            router,
            target,
            directory,
            file_limit,
        })
    }

    /// What a command in the lab finds in its environment.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("V6KIT_LAB_PREFIX", self.prefix.to_string().into()),
            ("V6KIT_LAB_DEV", wire::DEVICE.into()),
            ("V6KIT_LAB_TARGET", format!("http://[{}]", wire::TARGET).into()),
            ("V6KIT_ENDPOINT", format!("http://[{}]", wire::TARGET).into()),
            (
                "V6KIT_LAB_TARGET_TLS",
                format!("https://[{}]", wire::TARGET).into(),
            ),
            ("V6KIT_LAB_TARGET_CA", self.directory.join(CERTIFICATE).into()),
            ("V6KIT_LAB_ROUTER_NS", self.router.path().into()),
            ("V6KIT_LAB_TARGET_NS", self.target.path().into()),
            ("V6KIT_STATE_DIR", self.directory.join("state").into()),
        ]
    }
}

/// The prefix must not swallow the links.
fn keep_apart(prefix: Prefix) -> Result<(), LabError> {
    let links = [wire::HOST, wire::ROUTER_LAN, wire::ROUTER_WAN, wire::TARGET];
    match links.into_iter().find(|address| prefix.contains(*address)) {
        Some(address) => Err(LabError::PrefixInUse { prefix, address }),
        None => Ok(()),
    }
}
