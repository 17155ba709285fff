//! What setup made and no journal holds any more, as where another program saved the ruleset and brought it back.

use netlink_packet_route::route::RouteType;
use serde::Serialize;
use v6kit_net::Prefix;

use std::path::Path;

use crate::error::HostError;
use crate::facts::{Facts, Firewall, may_administer_network};
use crate::journal::Journal;
use crate::limits;
use crate::netlink::{LOCAL_TABLE, MAIN_TABLE, PROTOCOL};
use crate::nft;
use crate::resource::Resource;
use crate::system::{ResourceError, System};
use crate::value::Value;

/// Something that setup made, that carries its mark and that nobody needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// What it is.
    pub what: String,
    /// Why nobody needs it.
    pub why: String,
    #[serde(skip)]
    pub(crate) resource: Resource,
}

impl Leftover {
    fn new(resource: Resource, value: &Value, why: &str) -> Self {
        Self {
            what: resource.describe(value).unwrap_or_default(),
            why: why.to_owned(),
            resource,
        }
    }

    /// On one line.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{} is left of a setup: {}", self.what, self.why)
    }
}

/// Looks for what is left over. Without CAP_NET_ADMIN the firewall is left out.
///
/// # Errors
/// [`HostError`] when the journal or the host cannot be read.
pub async fn leftovers(state_dir: &Path) -> Result<Vec<Leftover>, HostError> {
    let system = System::open()?;
    let may = may_administer_network().map_err(HostError::facts("/proc/self/status"))?;
    // What nft cannot list is no leftover. The journal is read after it: a setup announces what it makes.
    let table = match may {
        true => nft::read().unwrap_or_default(),
        false => Value::ABSENT,
    };
    let file = limits::read().map_err(HostError::facts("/etc/security"))?;
    let journal = Journal::open(state_dir, &system).await?;
    of(&journal, &system, &table, &file).await
}

/// What of these is left over.
async fn of(
    journal: &Journal,
    system: &System,
    table: &Value,
    file: &Value,
) -> Result<Vec<Leftover>, HostError> {
    let mut found = Vec::new();
    let here = journal.owner();
    let is_held = |resource: &Resource| {
        let held = journal.state().held(resource);
        held.is_some_and(|held| held.is_live(journal.place()))
    };
    if !is_held(&Resource::Table)
        && let Some(owner) = nft::owner(table)
    {
        let has_routes = system.has_routes_of_ours().await?;
        if let Some(why) = owner.why_left(&here, has_routes) {
            found.push(Leftover::new(Resource::Table, table, why));
        }
    }
    if !is_held(&Resource::LimitsFile) && !file.is_absent() {
        let owner = limits::owner().map_err(HostError::facts("/etc/security"))?;
        if owner.is_some() && owner.as_deref() == here.directory() {
            let why = "its state directory does not know of it any more";
            found.push(Leftover::new(Resource::LimitsFile, file, why));
        }
    }
    Ok(found)
}

impl Facts {
    /// Takes what is left over out of the facts: setup removes it first.
    pub(crate) async fn without_leftovers(
        &mut self,
        journal: &Journal,
        system: &System,
    ) -> Result<Vec<Leftover>, HostError> {
        let table = match &self.firewall {
            Firewall::Rules(rules) => rules.table.clone(),
            Firewall::Unusable { .. } => Value::ABSENT,
        };
        let found = of(journal, system, &table, &self.limits_file).await?;
        for leftover in &found {
            match (&leftover.resource, &mut self.firewall) {
                (Resource::Table, Firewall::Rules(rules)) => rules.table = Value::ABSENT,
                (Resource::LimitsFile, _) => self.limits_file = Value::ABSENT,
                _ => {}
            }
        }
        Ok(found)
    }
}

/// Removes them.
pub(crate) async fn remove(
    leftovers: &[Leftover],
    journal: &Journal,
    system: &System,
) -> Result<(), ResourceError> {
    for leftover in leftovers {
        let owner = journal.owner();
        system.write(&leftover.resource, &Value::ABSENT, &owner).await?;
    }
    Ok(())
}

/// Routes that carry our protocol number and that no journal in `state_dir` holds, as text: another state directory's,
/// or brought back by another program. Which of both cannot be seen.
///
/// # Errors
/// [`HostError`] when the journal or the host cannot be read.
pub async fn foreign_routes(state_dir: &Path) -> Result<Vec<String>, HostError> {
    let system = System::open()?;
    let journal = Journal::open(state_dir, &system).await?;
    let prefixes: Vec<Prefix> = journal.state().prefixes();
    let links = system.netlink.links().await?;
    let routes = system.netlink.routes(|route| route.protocol == PROTOCOL).await?;
    let is_known = |net: &ipnet::Ipv6Net| {
        prefixes
            .iter()
            .any(|prefix| ipnet::Ipv6Net::from(*prefix).contains(net))
    };
    Ok(routes
        .iter()
        .filter(|route| route.kind == RouteType::Local && !is_known(&route.destination))
        .map(|route| {
            let link = links.iter().find(|link| Some(link.index) == route.link);
            let device = link.map_or("-", |link| &link.name);
            let table = match route.table {
                LOCAL_TABLE => "local".to_owned(),
                MAIN_TABLE => "main".to_owned(),
                other => other.to_string(),
            };
            format!(
                "{} dev {device} table {table} proto {PROTOCOL}",
                route.destination
            )
        })
        .collect())
}
