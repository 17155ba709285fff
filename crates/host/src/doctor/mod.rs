//! One look at everything that a report of a fault needs. It changes nothing, works as a plain user, and
//! goes on where something cannot be read. Nothing secret is looked at: no environment, no command line of
//! another process, no address of a peer.

mod cgroup;
mod finding;
mod kernel;
mod machine;
mod network;
mod text;

use std::path::Path;

use serde::Serialize;

pub use cgroup::{Ceilings, CpuCeiling, MemoryCeiling, TaskCeiling, memory};
pub use finding::{Finding, FindingState};
pub use kernel::KernelFeature;
pub use machine::Machine;
pub use network::{Network, PrefixState, Tracking};

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Examination {
    /// Whether nothing failed. Warnings and what cannot be seen do not count.
    pub ok: bool,
    /// Judged, line by line.
    pub findings: Vec<Finding>,
    /// The machine.
    pub machine: Machine,
    /// Its network.
    pub network: Network,
}

/// Looks at this host. `state_dir` is that of setup.
pub async fn examine(state_dir: &Path) -> Examination {
    let mut findings = Vec::new();
    let machine = machine::examine(&mut findings);
    let network = network::examine(state_dir, &mut findings).await;
    Examination {
        ok: findings
            .iter()
            .all(|finding| finding.state != FindingState::Failed),
        findings,
        machine,
        network,
    }
}
