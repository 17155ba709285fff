//! Status: what setup left, compared with what is there.

use std::net::Ipv6Addr;
use std::path::Path;

use v6kit_net::Prefix;

use crate::delivery::{Placement, RouteTable, Routing};
use crate::device::Device;
use crate::error::HostError;
use crate::event::{Met, Ready};
use crate::facts::may_administer_network;
use crate::journal::Journal;
use crate::listeners;
use crate::logins::Logins;
use crate::nft::{self, InboundRules, OwnAddresses, REVISION};
use crate::passing::Passing;
use crate::program::Running;
use crate::report::{StatusReport, StatusState, StatusStep};
use crate::resource::{Resource, Want};
use crate::state::{HoldKey, Phase, State};
use crate::system::{ResourceError, System};
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
    let needs_firewall = state
        .holds(|holder| prefixes.contains(&holder.prefix))
        .iter()
        .any(|key| key.resource.is_firewall());
    let sees_firewall = may_administer_network().map_err(HostError::facts("/proc/self/status"))?;
    if !sees_firewall && needs_firewall {
        return Err(HostError::not_privileged("look at the firewall", "status"));
    }
    compare_all(&journal, &system, prefixes, Sight::Everything)
        .await
        .map(Some)
}

/// [`status`] as far as a plain user can tell: our firewall table is left out.
pub(crate) async fn status_without_firewall(
    state_dir: &Path,
    prefix: Prefix,
) -> Result<StatusReport, HostError> {
    let system = System::open()?;
    let journal = Journal::open(state_dir, &system).await?;
    let prefixes = chosen(&journal.state().prefixes(), Some(prefix))?;
    compare_all(&journal, &system, prefixes, Sight::NoFirewall).await
}

/// What this process may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Everything,
    NoFirewall,
}

async fn compare_all(
    journal: &Journal,
    system: &System,
    prefixes: Vec<Prefix>,
    sight: Sight,
) -> Result<StatusReport, HostError> {
    let state = journal.state();
    let mut keys = state.holds(|holder| prefixes.contains(&holder.prefix));
    keys.retain(|key| sight == Sight::Everything || !key.resource.is_firewall());
    keys.reverse();
    let mut now = Now::read_routing(system, &prefixes).await?;
    let mut steps = Vec::new();
    for key in &keys {
        let found = now.read(system, &key.resource).await?;
        let step = held_step(state, key, &found);
        steps.push(match now.fault(state, key)? {
            Some(fault) if step.state == StatusState::InOrder => drifted(step, &fault),
            _ => step,
        });
    }
    for ready in prefixes.iter().filter_map(|prefix| state.setup(*prefix)) {
        for met in &ready.met {
            if sight == Sight::NoFirewall && met.resource.is_firewall() {
                continue;
            }
            let found = system.read(&met.resource).await?;
            steps.push(met_step(met, ready.prefix, &found));
        }
    }
    let mut remarks = remarks(journal, &prefixes);
    remarks.extend(left_out(state, &prefixes));
    remarks.extend(now.passing.iter().flat_map(Passing::remarks));
    for ready in prefixes.iter().filter_map(|prefix| state.setup(*prefix)) {
        now.look_at_bars(ready, &mut steps);
        look_at_logins(ready, &mut steps)?;
    }
    let links = system.netlink.links().await?;
    let mut has_devices = true;
    for ready in prefixes.iter().filter_map(|prefix| state.setup(*prefix)) {
        if ready.prefix.is_this_host() {
            continue;
        }
        let present = Device::find(&ready.device, ready.index, &links);
        if let Some(remark) = present.remark(&ready.device, ready.prefix) {
            has_devices = false;
            remarks.push(remark);
        }
    }
    remarks.extend(
        keys.iter()
            .filter_map(|key| now.of_an_earlier_version(state, key)),
    );
    remarks.extend(keys.iter().filter_map(|key| now.discarded(key)));
    let is_complete = prefixes.iter().all(|prefix| state.setup(*prefix).is_some());
    Ok(StatusReport {
        in_order: is_complete && has_devices && steps.iter().all(|step| step.state == StatusState::InOrder),
        steps,
        prefixes,
        remarks,
        lacks_device: !has_devices,
    })
}

/// What logins get, judged as setup does.
fn look_at_logins(ready: &Ready, steps: &mut Vec<StatusStep>) -> Result<(), HostError> {
    let Some(limit) = ready.logins else {
        return Ok(());
    };
    let Some(obstacle) = Logins::obstacle_now(limit).map_err(HostError::facts("/etc/security"))? else {
        return Ok(());
    };
    let wanted = format!("{limit} or more");
    amend(
        steps,
        ready.prefix,
        "nofile",
        (obstacle.why, obstacle.hint),
        wanted,
    );
    Ok(())
}

/// Says of a step what stands against it and what to do, though the step itself may be in order or never have been
/// needed.
fn amend(
    steps: &mut Vec<StatusStep>,
    prefix: Prefix,
    id: &str,
    (fault, hint): (String, String),
    wanted: String,
) {
    let step = steps
        .iter_mut()
        .find(|step| step.prefix == prefix && step.id == id);
    match step {
        Some(step) if step.state == StatusState::InOrder => {
            *step = StatusStep {
                hint: Some(hint),
                ..drifted(step.clone(), &fault)
            };
        }
        Some(_) => {}
        None => steps.push(StatusStep {
            id: id.to_owned(),
            state: StatusState::Drifted,
            expected: Some(wanted),
            found: Some(fault),
            hint: Some(hint),
            prefix,
        }),
    }
}

/// What is there now, as far as a listing of what was changed does not show it.
struct Now {
    routing: Routing,
    own: OwnAddresses,
    /// The addresses that our table knows, where they were asked for.
    known: Option<OwnAddresses>,
    /// Our table, read once for all steps.
    table: Option<Value>,
    /// What is looked at where what passes this host is translated.
    passing: Option<Passing>,
}

impl Now {
    async fn read_routing(system: &System, prefixes: &[Prefix]) -> Result<Self, HostError> {
        let routed: Vec<Prefix> = prefixes
            .iter()
            .copied()
            .filter(|prefix| !prefix.is_this_host())
            .collect();
        let routing = if routed.is_empty() {
            Routing::default()
        } else {
            Routing::read(&system.netlink, &routed).await?
        };
        Ok(Self {
            own: OwnAddresses::of(&routing.addresses, &routing.links),
            known: None,
            table: None,
            passing: None,
            routing,
        })
    }

    /// What keeps packets of the prefix from leaving.
    fn look_at_bars(&self, ready: &Ready, steps: &mut Vec<StatusStep>) {
        if ready.prefix.is_this_host() {
            return;
        }
        if let Some(bar) = self.routing.tables().bar(ready.prefix) {
            amend(
                steps,
                ready.prefix,
                "route",
                (bar.why, bar.hint),
                "packets leave".to_owned(),
            );
        }
    }

    async fn read(&mut self, system: &System, resource: &Resource) -> Result<Value, HostError> {
        if matches!(resource, Resource::Rotation { .. }) && self.passing.is_none() {
            self.passing = Some(Passing::read(system).await?);
        }
        if *resource != Resource::Table {
            return Ok(system.read(resource).await?);
        }
        if self.table.is_none() {
            self.table = Some(system.read(resource).await?);
            self.known = nft::read_own().map_err(ResourceError::from)?;
        }
        Ok(self.table.clone().unwrap_or_default())
    }

    /// What keeps a step from doing its work although it is as setup left it.
    fn fault(&self, state: &State, key: &HoldKey) -> Result<Option<String>, HostError> {
        let device = state.setup(key.prefix).map(|ready| ready.device.as_str());
        let holder = state
            .held(&key.resource)
            .and_then(|held| held.holder(key.prefix, &key.step));
        Ok(match (&key.resource, device, holder.map(|holder| &holder.want)) {
            (Resource::Route { table, .. }, Some(device), _) => {
                self.routing.tables().fault(key.prefix, device, *table)
            }
            (Resource::Table, Some(device), Some(Want::Inbound(rules))) => self.shut(rules, device),
            (Resource::Rotation { .. }, _, Some(Want::Rotation(rules))) => self
                .passing
                .as_ref()
                .and_then(|passing| passing.fault(rules, &self.routing.links)),
            _ => None,
        })
    }

    /// The own addresses that are shut, and those that are open and no own ones.
    fn shut(&self, rules: &InboundRules, device: &str) -> Option<String> {
        let prefix = rules.prefix;
        let is_old = rules.revision < REVISION;
        let is_known = |address| match &self.known {
            Some(known) if !is_old => known.contains(address),
            _ => rules.open.contains(&address),
        };
        let links = &self.routing.links;
        let name = |index| {
            links
                .iter()
                .find(|link| link.index == index)
                .map_or("-", |link| &link.name)
        };
        let mut faults: Vec<String> = self
            .routing
            .addresses
            .iter()
            .map(|address| (address.net.addr(), name(address.link)))
            .filter(|(address, _)| prefix.contains(*address) && !is_known(*address))
            // The kernel itself knows those of the device that a packet came in by.
            .filter(|(_, on)| is_old || *on != device)
            .map(|(address, on)| format!("shut: {address}, an address of this host on {on}"))
            .collect();
        let listed: Vec<Ipv6Addr> = match &self.known {
            Some(known) if !is_old => known.all().collect(),
            _ => rules.open.clone(),
        };
        let stale = listed
            .into_iter()
            .filter(|address| prefix.contains(*address) && !self.own.contains(*address));
        faults.extend(
            stale.map(|address| format!("open: {address}, which is no address of this host any more")),
        );
        (!faults.is_empty()).then(|| faults.join("; "))
    }

    /// What comes to a part of the prefix and is discarded by a longer route.
    fn discarded(&self, key: &HoldKey) -> Option<String> {
        let Resource::Route {
            table: RouteTable::Main,
            ..
        } = key.resource
        else {
            return None;
        };
        crate::plan::discarded(self.routing.tables(), key.prefix)
    }

    /// What an earlier version made differently, where it does no harm now.
    fn of_an_earlier_version(&self, state: &State, key: &HoldKey) -> Option<String> {
        let device = &state.setup(key.prefix)?.device;
        let Resource::Route {
            table: RouteTable::Local,
            ..
        } = key.resource
        else {
            return None;
        };
        let could_move = self.routing.tables().placement(key.prefix, device) == Placement::Main;
        could_move.then(|| {
            format!(
                "the route of {} lies in the local table, as earlier versions had it or a rule that is gone asked for, where it hides longer routes: run setup again, it is moved to table main",
                key.prefix
            )
        })
    }
}

fn drifted(step: StatusStep, fault: &str) -> StatusStep {
    StatusStep {
        state: StatusState::Drifted,
        found: Some(match &step.found {
            Some(found) => format!("{found} ({fault})"),
            None => fault.to_owned(),
        }),
        ..step
    }
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
        hint: None,
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
    if resource.is_firewall() && !resource.is_same(expected, found) {
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
        hint: None,
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
        remarks.extend(users(journal, *prefix));
    }
    remarks
}

/// Whether programs use the prefix, for as long as which it is set up.
fn users(journal: &Journal, prefix: Prefix) -> Option<String> {
    let state = journal.state();
    let running = state.running(prefix, journal.place());
    let is_for_programs = state.setup(prefix).is_some_and(|ready| ready.for_programs);
    match (running.len(), is_for_programs) {
        (0, false) => None,
        (0, true) => Some(format!(
            "{prefix} was set up for a command that ended without undoing it: `sudo v6kit teardown --prefix {prefix}`"
        )),
        _ => {
            let until = if is_for_programs {
                "; when the last has ended, it is undone"
            } else {
                ""
            };
            Some(format!(
                "{prefix} is in use by {}{until}",
                Running::listed(&running)
            ))
        }
    }
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
