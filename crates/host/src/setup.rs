//! Setup: facts, plan, steps; everything undone when what is essential fails.

mod attempt;
mod programs;
mod told;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use v6kit_net::{Hint, chain};

use self::programs::found;
pub use self::programs::{Entry, enter, leave};
use self::told::{in_conflict, look_again_at_logins, planned, preview, refusal};
use crate::change::{ChangeError, Ledger, Release, hold};
use crate::delivery::RouteTable;
use crate::error::{HostError, privilege_hint};
use crate::event::{Event, Met, Ready};
use crate::facts::Facts;
use crate::journal::Journal;
use crate::leftover::{self, Leftover};
use crate::logins::Logins;
use crate::plan::{Action, Importance, Plan, ROTATION, Step, plan};
use crate::program::Program;
use crate::report::{SetupReport, SetupState, SetupStep};
use crate::resource::{Resource, Want};
use crate::state::HoldKey;
use crate::state_dir::{self, StateDir, StateDirError};
use crate::system::System;
use crate::trial::Trial;
use crate::undo::tidy_up;
use crate::wanted::{Span, Wanted};

/// Says what [`setup`] would do as root. Changes nothing and needs no privileges; only the firewall
/// cannot be seen without.
///
/// # Errors
/// [`HostError`] when facts cannot be read or the request cannot be meant.
pub async fn dry_run(wanted: &Wanted, state_dir: &Path) -> Result<SetupReport, HostError> {
    let system = System::open()?;
    let journal = Journal::open(state_dir, &system).await?;
    let mut facts = Facts::gather(&system, wanted.prefix).await?;
    let left = facts.without_leftovers(&journal, &system).await?;
    let sees_firewall = facts.may_administer_network;
    if !sees_firewall && nix::unistd::geteuid().is_root() {
        return Err(HostError::not_privileged("change routes", "setup"));
    }
    match state_dir::check(state_dir) {
        // Root may write where this user may not.
        Err(StateDirError::Open { source, .. })
            if !sees_firewall && source.kind() == io::ErrorKind::PermissionDenied => {}
        checked => checked?,
    }
    let mut plan = plan(&facts.found_by_root(), journal.state(), journal.place(), wanted)?;
    plan.remarks.extend(left.iter().map(replaced));
    if !sees_firewall {
        let remark = "without root the firewall cannot be seen: this is the plan for an empty one";
        plan.remarks.push(remark.to_owned());
    }
    Ok(preview(&plan, wanted))
}

/// Prepares this host for `wanted`, and journals every change in `state_dir` before it is made.
///
/// When `stop` becomes true between two steps, or an essential step fails, everything done so far is
/// undone. What cannot be done here and is not essential is reported as skipped. An essential step that
/// something else stands against is reported in [`SetupReport::blocked_by`], and nothing is changed.
///
/// # Errors
/// [`HostError`]. Nothing is left changed then.
pub async fn setup(wanted: &Wanted, state_dir: &Path, stop: &AtomicBool) -> Result<SetupReport, HostError> {
    set_up(wanted, state_dir, stop, None)
        .await
        .map(|(report, _)| report)
}

/// [`setup`], or for a `program` as long as it runs, with what was there for it.
async fn set_up(
    wanted: &Wanted,
    state_dir: &Path,
    stop: &AtomicBool,
    program: Option<Program>,
) -> Result<(SetupReport, Entry), HostError> {
    let system = System::open()?;
    // What cannot work is told before anything is written, the state directory included.
    let mut facts = Facts::gather(&system, wanted.prefix).await?;
    let journal = Journal::open(state_dir, &system).await?;
    facts.without_leftovers(&journal, &system).await?;
    let first = plan(&facts, journal.state(), journal.place(), wanted)?;
    if !facts.may_administer_network {
        return Err(HostError::not_privileged("change routes", "setup"));
    }
    state_dir::check(state_dir)?;
    let is_used_as_found =
        program.is_some() && found(journal.state(), journal.place(), wanted.prefix) != Entry::SetUp;
    if !is_used_as_found && let Some(report) = refusal(&first, wanted)? {
        return Ok((report, Entry::SetUp));
    }

    let dir = StateDir::make(state_dir).await?;
    let journal = Journal::open(dir.path(), &system).await?;
    let mut run = Run {
        ledger: Ledger { system, journal },
        wanted,
        stop,
        program,
        entry: Entry::SetUp,
        made: Vec::new(),
        met: Vec::new(),
        steps: Vec::new(),
    };
    let outcome = run.carry_out(&dir).await;
    if outcome.is_err() {
        run.roll_back().await;
        run.not_entered();
    }
    let tidied = tidy_up(&mut run.ledger.journal, &dir);
    // Why it failed matters more than what failed after that.
    let report = outcome?;
    tidied?;
    Ok((report, run.entry))
}

fn replaced(leftover: &Leftover) -> String {
    format!("{}; it is removed first", leftover.text())
}

/// A setup under way.
struct Run<'a> {
    ledger: Ledger,
    wanted: &'a Wanted,
    stop: &'a AtomicBool,
    /// For which it is set up; until teardown where there is none.
    program: Option<Program>,
    /// What was there for it.
    entry: Entry,
    /// What was changed, with what this prefix wanted of it before.
    made: Vec<(HoldKey, Option<Want>)>,
    met: Vec<Met>,
    steps: Vec<SetupStep>,
}

impl Run<'_> {
    /// Every step, then the summary.
    async fn carry_out(&mut self, dir: &StateDir) -> Result<SetupReport, HostError> {
        let mut remarks = self.finish_earlier_runs().await?;
        remarks.extend(self.undo_abandoned().await);
        remarks.extend(self.remove_leftovers().await?);
        let mut plan = self.plan().await?;
        if let Some(mut as_found) = self.enter(&plan)? {
            as_found.remarks.splice(0..0, remarks);
            return Ok(as_found);
        }
        let (moved, unwanted) = self.not_wanted_any_more(&plan);
        self.let_go(unwanted).await?;
        let mut next = 0;
        while let Some(step) = plan.steps.get(next).cloned() {
            next += 1;
            if self.stop.load(Ordering::Relaxed) {
                return Err(HostError::Interrupted);
            }
            let mut report = self.step(&step, &plan.trial).await?;
            if step.resource == Some(Resource::LimitsFile) && report.state == SetupState::Changed {
                look_again_at_logins(plan.login_limit, &mut report)?;
            }
            let is_loaded = step.id == ROTATION && report.state == SetupState::Changed;
            self.steps.push(report);
            if is_loaded {
                // Connection tracking is there from now on, and has numbers to plan with.
                let anew = self.plan().await?;
                next = anew
                    .steps
                    .iter()
                    .position(|other| other.id == step.id)
                    .map_or(next, |at| at + 1);
                plan.steps = anew.steps;
            }
        }
        // Answers arrive all the while.
        self.let_go(moved).await?;
        let was_set_up = self.ledger.journal.state().setup(self.wanted.prefix).is_some();
        self.announce(plan.login_limit).await?;
        if let Err(error) = self.ledger.journal.summary().write(dir.path()) {
            if !was_set_up {
                let prefix = self.wanted.prefix;
                self.ledger.journal.note(Event::Gone { prefix });
            }
            return Err(error.into());
        }
        remarks.extend(plan.remarks);
        let is_changed = |step: &&SetupStep| step.state == SetupState::Changed;
        Ok(SetupReport {
            changed: self.steps.iter().filter(is_changed).count(),
            steps: std::mem::take(&mut self.steps),
            prefix: self.wanted.prefix,
            device: self.wanted.device.clone(),
            dry_run: false,
            blocked_by: None,
            remarks,
        })
    }

    async fn plan(&self) -> Result<Plan, HostError> {
        let Ledger { system, journal } = &self.ledger;
        let facts = Facts::gather(system, self.wanted.prefix).await?;
        plan(&facts, journal.state(), journal.place(), self.wanted)
    }

    /// What another program brought back must not stand in the way of what is made now.
    async fn remove_leftovers(&self) -> Result<Vec<String>, HostError> {
        let Ledger { system, journal } = &self.ledger;
        let mut facts = Facts::gather(system, self.wanted.prefix).await?;
        let left = facts.without_leftovers(journal, system).await?;
        leftover::remove(&left, journal, system).await?;
        Ok(left.iter().map(replaced).collect())
    }

    async fn finish_earlier_runs(&mut self) -> Result<Vec<String>, HostError> {
        let (names, failed) = self.ledger.settle().await;
        if let Some((_, error)) = failed.into_iter().next() {
            return Err(error.into());
        }
        Ok(names
            .iter()
            .map(|name| format!("an earlier run was cut off in the step `{name}`; that was undone first"))
            .collect())
    }

    /// What this prefix holds from an earlier setup with other options, or from another boot: first routes whose
    /// successor lies in another table, then the rest.
    fn not_wanted_any_more(&self, plan: &Plan) -> (Vec<HoldKey>, Vec<HoldKey>) {
        let prefix = self.wanted.prefix;
        let here = self.ledger.journal.place();
        let state = self.ledger.journal.state();
        let mut keys = state.holds(|holder| holder.prefix == prefix);
        keys.retain(|key| {
            let is_wanted = plan
                .steps
                .iter()
                .any(|step| step.id == key.step && step.resource.as_ref() == Some(&key.resource));
            let is_gone = state
                .held(&key.resource)
                .and_then(|held| held.holder(prefix, &key.step))
                .is_some_and(|holder| holder.is_gone(&key.resource, here));
            !is_wanted || is_gone
        });
        let tables = plan
            .steps
            .iter()
            .filter_map(|step| step.resource.as_ref()?.table());
        let tables: Vec<RouteTable> = tables.collect();
        keys.into_iter().partition(|key| {
            let table = key.resource.table();
            table.is_some_and(|table| !tables.contains(&table))
        })
    }

    async fn let_go(&mut self, keys: Vec<HoldKey>) -> Result<(), HostError> {
        for key in keys {
            if let Release::Restored { before, after } = self.ledger.release(&key).await? {
                let is_replaced = self.steps.iter().any(|step| step.id == key.step);
                self.steps.push(SetupStep {
                    before: key.resource.describe(&before),
                    after: key.resource.describe(&after),
                    id: key.step,
                    state: SetupState::Changed,
                    reason: if is_replaced {
                        "moved"
                    } else {
                        "no longer asked for"
                    }
                    .to_owned(),
                    hint: None,
                });
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step, trial: &Trial) -> Result<SetupStep, HostError> {
        match &step.action {
            Action::Partly { action, why, hint } => {
                let inner = Step {
                    action: (**action).clone(),
                    ..step.clone()
                };
                let report = Box::pin(self.step(&inner, trial)).await?;
                Ok(in_conflict(report, why, hint))
            }
            Action::Change {
                want: want @ Want::Notrack(_),
                before,
                ..
            } => self.make_if_it_works(step, want, before.clone(), trial).await,
            Action::Change { want, before, .. } => self.make(step, want, before.clone()).await,
            Action::Keep {
                want: Some(want @ Want::Notrack(_)),
                value,
            } if trial.has_suspects() && !trial.is_answered().await => {
                self.try_again(step, want, value.clone(), trial).await
            }
            Action::Keep { want, .. } => {
                self.keep(step, want.as_ref()).await?;
                match want {
                    Some(Want::Inbound(_)) => attempt::renewed(step).await,
                    _ => Ok(planned(step)),
                }
            }
            Action::Skip { .. } | Action::Conflict { .. } => Ok(planned(step)),
        }
    }

    async fn make(
        &mut self,
        step: &Step,
        want: &Want,
        before: Option<String>,
    ) -> Result<SetupStep, HostError> {
        let Some(resource) = &step.resource else {
            return Ok(planned(step));
        };
        let key = hold(self.wanted.prefix, &step.id, resource);
        let previous = self.want_of(&key);
        self.made.push((key.clone(), previous.clone()));
        match self.ledger.change(&key, want).await {
            Ok(after) => Ok(SetupStep {
                state: SetupState::Changed,
                after: resource.describe(&after),
                ..planned(step)
            }),
            Err(ChangeError::Journal(error)) => Err(error),
            Err(ChangeError::Resource(source)) if step.importance == Importance::Essential => {
                Err(HostError::Step {
                    step: step.id.clone(),
                    hint: source
                        .is_denial()
                        .then(|| privilege_hint("setup", nix::unistd::geteuid().is_root())),
                    source,
                })
            }
            Err(ChangeError::Resource(source)) => {
                self.made.pop();
                self.ledger.revert(&key, previous.as_ref()).await?;
                Ok(SetupStep {
                    state: SetupState::Skipped,
                    after: before,
                    reason: chain(&source),
                    hint: source.hint(),
                    ..planned(step)
                })
            }
        }
    }

    /// What is in order is remembered: for `status`, and where another prefix made it so, for the day
    /// that prefix lets go of it.
    async fn keep(&mut self, step: &Step, want: Option<&Want>) -> Result<(), HostError> {
        let (Some(resource), Some(want)) = (&step.resource, want) else {
            return Ok(());
        };
        let key = hold(self.wanted.prefix, &step.id, resource);
        let state = self.ledger.journal.state();
        let held = state
            .held(resource)
            .filter(|held| held.is_live(self.ledger.journal.place()));
        match held {
            None => self.met.push(Met {
                step: step.id.clone(),
                resource: resource.clone(),
                want: want.clone(),
            }),
            Some(held) if held.holder(key.prefix, &key.step).is_none() => {
                self.made.push((key.clone(), None));
                self.ledger.join(&key, want).await?;
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn want_of(&self, key: &HoldKey) -> Option<Want> {
        let here = self.ledger.journal.place();
        self.ledger
            .journal
            .state()
            .held(&key.resource)?
            .holder(key.prefix, &key.step)
            .filter(|holder| !holder.is_gone(&key.resource, here))
            .map(|holder| holder.want.clone())
    }

    /// Puts the prefix first among those that are set up.
    async fn announce(&mut self, login_limit: u64) -> Result<(), HostError> {
        let links = self.ledger.system.netlink.links().await?;
        let skipped = self.steps.iter().filter(|step| step.state == SetupState::Skipped);
        // What was to last, and was set up anew after a boot, still is.
        let was_lasting = self.ledger.journal.state().is_lasting(self.wanted.prefix);
        let is_lasting = was_lasting || self.wanted.span == Span::Lasting;
        let ready = Ready {
            prefix: self.wanted.prefix,
            device: self.wanted.device.clone(),
            index: links
                .iter()
                .find(|link| link.name == self.wanted.device)
                .map(|link| link.index),
            route_device: self.wanted.route_device.clone(),
            logins: (is_lasting && Logins::are_limited()).then_some(login_limit),
            for_programs: !is_lasting,
            left_out: skipped.map(|step| step.id.clone()).collect(),
            met: std::mem::take(&mut self.met),
        };
        let journal = &mut self.ledger.journal;
        let is_known = journal
            .state()
            .setups()
            .next()
            .is_some_and(|(place, latest)| *latest == ready && place.is_same(journal.place()));
        if !is_known {
            journal.append(Event::Ready(ready))?;
        }
        Ok(())
    }

    /// Undoes what this run did, the newest first, whatever fails on the way: the journal keeps what
    /// could not be undone for `v6kit teardown`.
    async fn roll_back(&mut self) {
        while let Some((key, previous)) = self.made.pop() {
            if let Err(error) = self.ledger.revert(&key, previous.as_ref()).await {
                tracing::warn!(
                    "the step `{}` could not be undone: {}; teardown tries again",
                    key.step,
                    chain(&error)
                );
            }
        }
    }
}
