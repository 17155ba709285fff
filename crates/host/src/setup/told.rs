//! Steps as they are reported: planned, made, or refused.

use crate::error::HostError;
use crate::logins::Logins;
use crate::plan::{Action, Importance, Plan, Step};
use crate::report::{SetupReport, SetupState, SetupStep};
use crate::wanted::Wanted;

/// Whether the plan cannot be carried out: an error where the host forbids it, a report where something
/// else stands against it.
pub(super) fn refusal(plan: &Plan, wanted: &Wanted) -> Result<Option<SetupReport>, HostError> {
    for step in plan
        .steps
        .iter()
        .filter(|s| s.importance == Importance::Essential)
    {
        match &step.action {
            Action::Skip { why, hint, .. } => {
                return Err(HostError::Impossible {
                    reason: format!("{} cannot be set: {why}", step.id),
                    hint: hint.clone(),
                });
            }
            Action::Conflict { .. } => {
                let mut report = preview(plan, wanted);
                report.dry_run = false;
                report.changed = 0;
                report.blocked_by = Some(step.id.clone());
                for other in report
                    .steps
                    .iter_mut()
                    .filter(|other| other.state == SetupState::Changed)
                {
                    other.state = SetupState::Skipped;
                    other.after.clone_from(&other.before);
                    other.reason = format!("not done, because `{}` cannot be", step.id);
                }
                return Ok(Some(report));
            }
            Action::Change { .. } | Action::Keep { .. } | Action::Partly { .. } => {}
        }
    }
    Ok(None)
}

/// What logins get now that the file is written, as pam_limits reads it.
pub(super) fn look_again_at_logins(login_limit: u64, report: &mut SetupStep) -> Result<(), HostError> {
    let found = Logins::obstacle_now(login_limit).map_err(HostError::facts("/etc/security"))?;
    if let Some(obstacle) = found {
        *report = in_conflict(report.clone(), &obstacle.why, &obstacle.hint);
    }
    Ok(())
}

pub(super) fn in_conflict(report: SetupStep, why: &str, hint: &str) -> SetupStep {
    SetupStep {
        state: SetupState::Conflict,
        reason: why.to_owned(),
        hint: Some(hint.to_owned()),
        ..report
    }
}

pub(super) fn preview(plan: &Plan, wanted: &Wanted) -> SetupReport {
    let steps: Vec<SetupStep> = plan.steps.iter().map(planned).collect();
    SetupReport {
        changed: steps
            .iter()
            .filter(|step| step.state == SetupState::Changed)
            .count(),
        steps,
        prefix: wanted.prefix,
        device: wanted.device.clone(),
        dry_run: true,
        blocked_by: None,
        remarks: plan.remarks.clone(),
    }
}

/// A step as it is planned.
pub(super) fn planned(step: &Step) -> SetupStep {
    let (state, before, after, reason, hint) = match &step.action {
        Action::Change { before, after, .. } => (
            SetupState::Changed,
            before.clone(),
            after.clone(),
            &step.reason,
            None,
        ),
        Action::Keep { value, .. } => (
            SetupState::Unchanged,
            value.clone(),
            value.clone(),
            &step.reason,
            None,
        ),
        Action::Skip { value, why, hint } => (
            SetupState::Skipped,
            value.clone(),
            value.clone(),
            why,
            Some(hint.clone()),
        ),
        Action::Conflict { value, why, hint } => (
            SetupState::Conflict,
            value.clone(),
            value.clone(),
            why,
            Some(hint.clone()),
        ),
        Action::Partly { action, why, hint } => {
            let inner = Step {
                action: (**action).clone(),
                ..step.clone()
            };
            return in_conflict(planned(&inner), why, hint);
        }
    };
    SetupStep {
        id: step.id.clone(),
        state,
        before,
        after,
        reason: reason.clone(),
        hint,
    }
}
