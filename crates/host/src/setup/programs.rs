//! Setups for as long as a program runs: who uses a prefix is counted in the journal, and the last one undoes.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use v6kit_net::Prefix;

use super::told::preview;
use super::{Run, set_up};
use crate::change::Ledger;
use crate::error::HostError;
use crate::event::Event;
use crate::journal::Journal;
use crate::place::Place;
use crate::plan::Plan;
use crate::program::Program;
use crate::report::{SetupReport, TeardownReport};
use crate::state::State;
use crate::state_dir::StateDir;
use crate::system::System;
use crate::undo::{put_back, tidy_up};
use crate::wanted::Wanted;

/// What was there when a program came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Nothing that lasts: it was set up.
    SetUp,
    /// A setup that lasts. It is used and left as it is.
    Lasting,
    /// What was set up for programs that still run. It is used as it is, and undone when the last of them has ended.
    Shared,
}

/// Prepares this host for `wanted` as [`super::setup`] does, for as long as `program` runs; or uses what is there.
/// [`leave`] is called when it has ended. Where something is used as it is, the steps that the report calls changed are
/// those in which it differs from `wanted`.
///
/// # Errors
/// [`HostError`]. Nothing is left changed then, and nothing journaled of the program.
pub async fn enter(
    wanted: &Wanted,
    state_dir: &Path,
    program: Program,
    stop: &AtomicBool,
) -> Result<(SetupReport, Entry), HostError> {
    set_up(wanted, state_dir, stop, Some(program)).await
}

/// Notes that `program` and what it started have ended. Where nobody else uses `prefix`, and it was set up for
/// programs, it is put back as it was; `None` where it stays, or where nothing is there to undo.
///
/// # Errors
/// [`HostError`] when the journal cannot be used.
pub async fn leave(
    state_dir: &Path,
    prefix: Prefix,
    program: Program,
) -> Result<Option<TeardownReport>, HostError> {
    let system = System::open()?;
    let Some(dir) = StateDir::open(state_dir).await? else {
        return Ok(None);
    };
    let journal = Journal::open(dir.path(), &system).await?;
    let mut ledger = Ledger { system, journal };
    forget(&mut ledger.journal, prefix, |known, _| known == program);
    let (state, here) = (ledger.journal.state(), ledger.journal.place());
    let stays = state.is_lasting(prefix) || !state.running(prefix, here).is_empty();
    let report = if stays || !state.prefixes().contains(&prefix) {
        None
    } else {
        Some(put_back(&mut ledger, vec![prefix]).await)
    };
    tidy_up(&mut ledger.journal, &dir)?;
    Ok(report)
}

/// Notes that the programs which `are_gone` do not use `prefix` any more.
fn forget(journal: &mut Journal, prefix: Prefix, are_gone: impl Fn(Program, &Place) -> bool) {
    let gone: Vec<Program> = journal
        .state()
        .programs(prefix)
        .filter(|(place, program)| are_gone(*program, place))
        .map(|(_, program)| program)
        .collect();
    for program in gone {
        journal.note(Event::Left { prefix, program });
    }
}

/// What is there for a program that wants `prefix`.
pub(super) fn found(state: &State, here: &Place, prefix: Prefix) -> Entry {
    let is_here = |place: &Place| place.is_same(here);
    let setup = state.setups().find(|(_, ready)| ready.prefix == prefix);
    match setup {
        // What lasted until a boot is set up anew.
        Some((place, _)) if !is_here(place) => Entry::SetUp,
        Some((_, ready)) if !ready.for_programs => Entry::Lasting,
        Some(_) if !state.running(prefix, here).is_empty() => Entry::Shared,
        _ => Entry::SetUp,
    }
}

impl Run<'_> {
    /// Undoes what was set up for programs that were killed together with who watched them.
    pub(super) async fn undo_abandoned(&mut self) -> Vec<String> {
        let mut remarks = Vec::new();
        let journal = &self.ledger.journal;
        for prefix in journal.state().abandoned(journal.place()) {
            // Its own leftovers are what this setup begins with.
            if prefix != self.wanted.prefix {
                put_back(&mut self.ledger, vec![prefix]).await;
                remarks.push(format!(
                    "{prefix} was set up for a command that ended without undoing it; that was undone first"
                ));
            }
        }
        let here = self.ledger.journal.place().clone();
        forget(&mut self.ledger.journal, self.wanted.prefix, |program, place| {
            program.running(place, &here).is_empty()
        });
        remarks
    }

    /// Notes the program. Where something is there for it already, that is compared with `plan` and left.
    pub(super) fn enter(&mut self, plan: &Plan) -> Result<Option<SetupReport>, HostError> {
        let Some(program) = self.program else {
            return Ok(None);
        };
        let prefix = self.wanted.prefix;
        let journal = &mut self.ledger.journal;
        self.entry = found(journal.state(), journal.place(), prefix);
        journal.append(Event::Entered { prefix, program })?;
        Ok((self.entry != Entry::SetUp).then(|| SetupReport {
            dry_run: false,
            ..preview(plan, self.wanted)
        }))
    }

    /// After a setup that failed nobody uses it.
    pub(super) fn not_entered(&mut self) {
        if let Some(program) = self.program {
            forget(&mut self.ledger.journal, self.wanted.prefix, |known, _| {
                known == program
            });
        }
    }
}
