//! What setup and teardown share: prefixes are put back, and no traces are left of them.

use v6kit_net::{Hint, Prefix, chain};

use crate::change::{Ledger, Release};
use crate::error::HostError;
use crate::event::Event;
use crate::journal::Journal;
use crate::report::{Kept, TeardownReport, TeardownState, TeardownStep};
use crate::state::HoldKey;
use crate::state_dir::StateDir;
use crate::summary::Summary;

/// The prefixes named, or all that are known.
pub(crate) fn chosen(known: &[Prefix], prefix: Option<Prefix>) -> Result<Vec<Prefix>, HostError> {
    match prefix {
        None => Ok(known.to_vec()),
        Some(prefix) if known.contains(&prefix) => Ok(vec![prefix]),
        Some(prefix) => Err(HostError::NotSetUp {
            prefix,
            others: known.to_vec(),
        }),
    }
}

/// Writes the summary anew, or removes every trace when nothing is set up any more.
pub(crate) fn tidy_up(journal: &mut Journal, dir: &StateDir) -> Result<(), HostError> {
    if journal.state().is_empty() {
        journal.state().summary().write(dir.path())?;
        journal.remove()?;
        dir.remove_if_ours()?;
        return Ok(());
    }
    journal.take_error()?;
    let summary = journal.summary();
    if Summary::of_file(dir.path()).ok().flatten().unwrap_or_default() != summary {
        summary.write(dir.path())?;
    }
    Ok(())
}

/// Undoes what is held for `prefixes`, the newest first. A step that fails does not keep the others from being undone.
pub(crate) async fn put_back(ledger: &mut Ledger, prefixes: Vec<Prefix>) -> TeardownReport {
    let mut report = TeardownReport {
        prefixes,
        ..TeardownReport::default()
    };
    let keys = ledger
        .journal
        .state()
        .holds(|holder| report.prefixes.contains(&holder.prefix));
    for key in keys {
        release(ledger, &key, &mut report).await;
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
    report
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
