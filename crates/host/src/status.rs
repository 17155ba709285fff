//! Status: what setup left, compared with what is there.

use std::path::Path;

use v6kit_net::Prefix;

use crate::device::Device;
use crate::error::HostError;
use crate::event::Met;
use crate::facts::may_administer_network;
use crate::journal::Journal;
use crate::listeners;
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
    let system = System::open()?;
    let journal = Journal::open(state_dir, &system).await?;
    let state = journal.state();
    if state.is_empty() && prefix.is_none() {
        return Ok(None);
    }
    let prefixes = chosen(&state.prefixes(), prefix)?;
    let mut keys = state.holds(|holder| prefixes.contains(&holder.prefix));
    keys.reverse();
    let sees_firewall = may_administer_network().map_err(HostError::facts("/proc/self/status"))?;
    if !sees_firewall && keys.iter().any(|key| key.resource == Resource::Table) {
        return Err(HostError::not_privileged("look at the firewall", "status"));
    }
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
    let mut remarks = remarks(&journal, &prefixes);
    remarks.extend(left_out(state, &prefixes));
    let links = system.netlink.links().await?;
    let mut has_devices = true;
    for ready in prefixes.iter().filter_map(|prefix| state.setup(*prefix)) {
        let present = Device::find(&ready.device, ready.index, &links);
        if let Some(remark) = present.remark(&ready.device, ready.prefix) {
            has_devices = false;
            remarks.push(remark);
        }
    }
    let is_complete = prefixes.iter().all(|prefix| state.setup(*prefix).is_some());
    Ok(Some(StatusReport {
        in_order: is_complete && has_devices && steps.iter().all(|step| step.state == StatusState::InOrder),
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
                "the setup of {prefix} was cut off: run it again, or `sudo v6kit teardown --prefix {prefix}`"
            )),
            Some((place, _)) if place.boot_id != journal.place().boot_id => remarks.push(format!(
                "this host was booted since {prefix} was set up: run setup again"
            )),
            Some((place, _)) if !place.is_same(journal.place()) => remarks.push(format!(
                "the network namespace that {prefix} was set up in is gone, as after the restart of a container: run setup again"
            )),
            Some(_) => {}
        }
    }
    remarks
}

/// What setup could not do, with what it means now.
fn left_out(state: &State, prefixes: &[Prefix]) -> Vec<String> {
    let mut remarks = Vec::new();
    for ready in prefixes.iter().filter_map(|prefix| state.setup(*prefix)) {
        for step in &ready.left_out {
            let meaning = if step == "inbound" {
                format!("callers from outside reach {}", listeners::reached())
            } else {
                "setup could not do it here, and says why when it is run again".to_owned()
            };
            remarks.push(format!("{step} was left out for {}: {meaning}", ready.prefix));
        }
    }
    remarks
}
