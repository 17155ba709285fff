//! Teardown: everything back as it was, the newest first.

use std::path::Path;

use v6kit_net::{Hint, Prefix, chain};

use crate::change::{Ledger, Release};
use crate::error::HostError;
use crate::event::Event;
use crate::facts::may_administer_network;
use crate::journal::Journal;
use crate::report::{Kept, TeardownReport, TeardownState, TeardownStep};
use crate::state::HoldKey;
use crate::state_dir::StateDir;
use crate::system::System;
use crate::undo::{chosen, tidy_up};

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
    let Some(dir) = open(state_dir, is_idle).await? else {
        return Ok(Teardown::default());
    };
    let journal = Journal::open(dir.path(), &system).await?;
    let prefixes = chosen(&journal.state().prefixes(), prefix)?;
    let mut ledger = Ledger { system, journal };
    let mut report = TeardownReport {
        prefixes,
        ..TeardownReport::default()
    };
    let keys = ledger
        .journal
        .state()
        .holds(|holder| report.prefixes.contains(&holder.prefix));
    for key in keys {
        release(&mut ledger, &key, &mut report).await;
    }
    // What a killed run left unfinished for other prefixes.
    let (_, failed) = ledger.settle().await;
    for (key, error) in failed {
        let is_told = report
            .steps
            .iter()
            .any(|step| step.id == key.step && step.prefix == key.prefix);
        if !is_told {
            report.steps.push(TeardownStep {
                id: key.step.clone(),
                state: TeardownState::Failed,
                prefix: key.prefix,
                before: None,
                after: None,
                reason: Some(chain(&error)),
                hint: error.hint(),
            });
        }
    }
    for prefix in &report.prefixes {
        let is_held = !ledger
            .journal
            .state()
            .holds(|holder| holder.prefix == *prefix)
            .is_empty();
        if !is_held {
            ledger.journal.note(Event::Gone { prefix: *prefix });
        }
    }
    let unnoted = tidy_up(&mut ledger.journal, &dir).err();
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

async fn release(ledger: &mut Ledger, key: &HoldKey, report: &mut TeardownReport) {
    let describe = |value| key.resource.describe(value);
    let step = |state, before, after, reason| TeardownStep {
        id: key.step.clone(),
        state,
        prefix: key.prefix,
        before,
        after,
        reason,
        hint: None,
    };
    let step = match ledger.release(key).await {
        Ok(Release::Restored { before, after }) => {
            step(TeardownState::Restored, describe(&before), describe(&after), None)
        }
        Ok(Release::AlreadyGone) => step(TeardownState::AlreadyGone, None, None, None),
        Ok(Release::Kept { value }) => {
            report.kept.push(Kept {
                id: key.step.clone(),
                prefix: key.prefix,
                value: describe(&value),
            });
            return;
        }
        Ok(Release::ChangedByOther { found, original }) => {
            let found_value = found;
            let found = describe(&found_value);
            let was = describe(&original).unwrap_or_else(|| "absent".to_owned());
            let reason = format!("somebody changed it since setup: left alone; before setup it was {was}");
            TeardownStep {
                hint: Some(format!(
                    "if nobody needs it as it is: `{}`",
                    key.resource.by_hand(&found_value, &original)
                )),
                ..step(TeardownState::ChangedByOther, found.clone(), found, Some(reason))
            }
        }
        Err(error) => TeardownStep {
            hint: error.hint(),
            ..step(TeardownState::Failed, None, None, Some(chain(&error)))
        },
    };
    report.steps.push(step);
}
