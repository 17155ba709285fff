//! Status: what setup left, compared with what is there.

use std::path::Path;

use v6kit_net::Prefix;

use crate::error::HostError;
use crate::event::Met;
use crate::facts::may_administer_network;
use crate::journal::Journal;
use crate::place::Place;
use crate::report::{StatusReport, StatusState, StatusStep};
use crate::resource::{Resource, Want};
use crate::state::{HoldKey, Phase, State};
use crate::system::System;
use crate::undo::chosen;
use crate::value::Value;

/// Compares this host with what setup left for `prefix`, or for all prefixes. `None` where nothing is
/// set up. Changes nothing, and needs CAP_NET_ADMIN only to see the firewall.
///
/// # Errors
/// [`HostError`] when the journal or the host cannot be read.
pub async fn status(state_dir: &Path, prefix: Option<Prefix>) -> Result<Option<StatusReport>, HostError> {
    let place = Place::here().map_err(HostError::facts("/proc"))?;
    let journal = Journal::read(state_dir, place)?;
    let state = journal.state();
    if state.is_empty() && prefix.is_none() {
        return Ok(None);
    }
    let prefixes = chosen(&state.prefixes(), prefix)?;
    let mut keys = state.holds(|holder| prefixes.contains(&holder.prefix));
    keys.reverse();
    let sees_firewall = may_administer_network().map_err(HostError::facts("/proc/self/status"))?;
    if !sees_firewall && keys.iter().any(|key| key.resource == Resource::Table) {
        return Err(HostError::NotPrivileged {
            action: "look at the firewall",
            command: "status",
        });
    }
    let system = System::open()?;
    let mut steps = Vec::new();
    for key in &keys {
        let found = system.read(&key.resource).await?;
        steps.push(held_step(state, key, &found));
    }
    for prefix in &prefixes {
        for met in state
            .setup(*prefix)
            .map(|ready| ready.met.as_slice())
            .unwrap_or_default()
        {
            let found = system.read(&met.resource).await?;
            steps.push(met_step(met, *prefix, &found));
        }
    }
    let remarks = remarks(&journal, &prefixes);
    let is_complete = prefixes.iter().all(|prefix| state.setup(*prefix).is_some());
    Ok(Some(StatusReport {
        in_order: is_complete && steps.iter().all(|step| step.state == StatusState::InOrder),
        steps,
        prefixes,
        remarks,
    }))
}

/// Something that setup changed.
fn held_step(state: &State, key: &HoldKey, found: &Value) -> StatusStep {
    let held = state.held(&key.resource);
    let holder = held.and_then(|held| held.holder(key.prefix, &key.step));
    let expected = match (held, holder.map(|holder| &holder.phase)) {
        (Some(held), Some(Phase::Done)) => held.after.clone().unwrap_or_default(),
        (_, Some(Phase::Begun { expect, .. })) => expect.clone(),
        (Some(held), _) => held.original.clone(),
        (None, _) => Value::ABSENT,
    };
    StatusStep {
        id: key.step.clone(),
        state: compare(&key.resource, &expected, found),
        found: describe_against(&key.resource, found, &expected),
        expected: key.resource.describe(&expected),
        prefix: key.prefix,
    }
}

fn compare(resource: &Resource, expected: &Value, found: &Value) -> StatusState {
    if resource.is_same(expected, found) {
        StatusState::InOrder
    } else if found.is_absent() {
        StatusState::Missing
    } else {
        StatusState::Drifted
    }
}

/// A table that differs looks the same in a word; say that it does not.
fn describe_against(resource: &Resource, found: &Value, expected: &Value) -> Option<String> {
    let text = resource.describe(found)?;
    if *resource == Resource::Table && !resource.is_same(expected, found) {
        return Some(format!("{text}, not those of setup"));
    }
    Some(text)
}

/// Something that was in order before setup.
fn met_step(met: &Met, prefix: Prefix, found: &Value) -> StatusStep {
    let is_met = match met.want {
        Want::Present => !found.is_absent(),
        _ => met.want.is_met(found),
    };
    let found_text = met.resource.describe(found);
    let (state, expected) = if is_met {
        (StatusState::InOrder, found_text.clone())
    } else {
        let target = met.resource.target(found, &[&met.want]);
        let state = if found.is_absent() {
            StatusState::Missing
        } else {
            StatusState::Drifted
        };
        (state, met.resource.describe(&target))
    };
    StatusStep {
        id: met.step.clone(),
        state,
        expected,
        found: found_text,
        prefix,
    }
}

fn remarks(journal: &Journal, prefixes: &[Prefix]) -> Vec<String> {
    let mut remarks = Vec::new();
    for prefix in prefixes {
        let setup = journal
            .state()
            .setups()
            .find(|(_, ready)| ready.prefix == *prefix);
        match setup {
            None => remarks.push(format!(
                "the setup of {prefix} was cut off: run it again, or `v6kit teardown`"
            )),
            Some((place, _)) if place.boot_id != journal.place().boot_id => remarks.push(format!(
                "this host was booted since {prefix} was set up: run setup again"
            )),
            Some(_) => {}
        }
    }
    remarks
}
