//! Teardown: everything back as it was, the newest first.

use std::path::Path;

use v6kit_net::Prefix;

use crate::change::Ledger;
use crate::error::HostError;
use crate::facts::may_administer_network;
use crate::journal::Journal;
use crate::leftover::{self, leftovers};
use crate::report::TeardownReport;
use crate::state_dir::StateDir;
use crate::system::System;
use crate::undo::{chosen, put_back, tidy_up};

/// What was undone, and whether it stands in the journal.
#[derive(Debug, Default)]
pub struct Teardown {
    /// What became of each step.
    pub report: TeardownReport,
    /// Why it is not noted, as where the state directory is read-only: the next teardown finds everything done.
    pub unnoted: Option<HostError>,
}

/// Undoes what setup did for `prefix`, or for all prefixes. An empty report where nothing is set up.
///
/// A step that fails does not keep the others from being undone; it stays in the journal.
///
/// # Errors
/// [`HostError`] when the journal cannot be used or privileges are missing; nothing was undone then.
pub async fn teardown(state_dir: &Path, prefix: Option<Prefix>) -> Result<Teardown, HostError> {
    let system = System::open()?;
    let is_idle = Journal::open(state_dir, &system).await?.state().is_empty();
    let may = may_administer_network().map_err(HostError::facts("/proc/self/status"))?;
    if !is_idle && !may {
        return Err(HostError::not_privileged("change routes", "teardown"));
    }
    let dir = open(state_dir, is_idle).await?;
    let left = match prefix {
        None => leftovers(state_dir).await?,
        Some(_) => Vec::new(),
    };
    if !left.is_empty() && !may {
        return Err(HostError::not_privileged(
            "remove what is left of a setup",
            "teardown",
        ));
    }
    let journal = Journal::open(state_dir, &system).await?;
    let Some(dir) = dir else {
        leftover::remove(&left, &journal, &system).await?;
        let mut undone = Teardown::default();
        undone.report.leftovers = left;
        return Ok(undone);
    };
    let prefixes = chosen(&journal.state().prefixes(), prefix)?;
    for prefix in &prefixes {
        let running = journal.state().running(*prefix, journal.place());
        if !running.is_empty() {
            return Err(HostError::InUse {
                prefix: *prefix,
                running,
            });
        }
    }
    let mut ledger = Ledger { system, journal };
    let mut report = put_back(&mut ledger, prefixes).await;
    // What cannot be removed keeps nothing from being undone.
    let removed = leftover::remove(&left, &ledger.journal, &ledger.system).await;
    report.leftovers = left;
    let unnoted = tidy_up(&mut ledger.journal, &dir).err();
    removed?;
    Ok(Teardown { report, unnoted })
}

/// The state directory. Where nothing is set up and it cannot even be locked, there is nothing to do.
async fn open(state_dir: &Path, is_idle: bool) -> Result<Option<StateDir>, HostError> {
    match StateDir::open(state_dir).await {
        Ok(dir) => Ok(dir),
        Err(_) if is_idle => Ok(None),
        Err(error) => Err(error.into()),
    }
}
