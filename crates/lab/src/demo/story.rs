//! What each step does and claims.

use std::path::PathBuf;

use serde_json::json;
use v6kit_net::Hint;

use super::binary::{Binary, Halt};
use super::reports::{CrawlSummary, Egress, SetupReport, SetupStep, TeardownReport, VerifyReport};
use super::snapshot::Snapshot;
use super::step::{Claim, Row, Step, StepId, claim, grouped};
use crate::error::LabError;
use crate::firewall;
use crate::lab::Lab;
use crate::target;
use crate::wire;

/// Addresses that `verify` tries.
const PROBES: u64 = 64;
/// Requests that an address and its connection serve before the next is taken.
const REUSE: u64 = 100;
/// Requests for one measurement of the router's table.
const MEASURED: u64 = 20_000;
/// Requests sent from one address, in multiples of what the target allows.
const OVERLOAD: u64 = 2;

/// The lab, the binary, and what is remembered from one step to another.
pub(super) struct Stage<'a> {
    pub(super) binary: Binary<'a>,
    pub(super) lab: &'a Lab,
    /// Whether the router tracks connections; otherwise why it cannot.
    pub(super) tracking: Result<(), LabError>,
    pub(super) items: u32,
    /// Requests that the target allows to an address.
    pub(super) limit: u32,
    /// The host before setup.
    pub(super) before: Option<Snapshot>,
}

/// Where a crawl goes and how it uses connections.
struct Crawl {
    directory: &'static str,
    items: u64,
    requests_per_address: u64,
}

impl Stage<'_> {
    /// Does a step. A lab that breaks is an error; anything else is an outcome of the step.
    pub(super) fn play(&mut self, id: StepId) -> Result<Step, LabError> {
        let played = match id {
            StepId::OneAddress => self.one_address(),
            StepId::Setup => self.setup(),
            StepId::Verify => self.verify(),
            StepId::Crawl => self.crawl(),
            StepId::Router => self.router(),
            StepId::Teardown => self.teardown(),
        };
        match played {
            Ok(step) => Ok(step),
            Err(Halt::Interrupted) => Ok(Step::interrupted(id)),
            Err(Halt::Surprise { reason, hint }) => Ok(Step::failed(id, reason, hint)),
            Err(Halt::Lab(error)) => Err(error),
        }
    }

    fn one_address(&self) -> Result<Step, Halt> {
        let allowed = u64::from(self.limit);
        let wanted = allowed * OVERLOAD;
        let answer = self.binary.run(&[
            "crawl",
            &items_url(wanted),
            "-o",
            &self.directory("one-address"),
            "-r",
            "max",
            "-c",
            "8",
            "--on-limit",
            "stop",
        ])?;
        let found: CrawlSummary = answer.document(&[1, 18])?;
        Ok(Step::claiming(
            StepId::OneAddress,
            vec![Row::new(
                format!("{} requests from {}", grouped(found.requests), wire::HOST),
                format!(
                    "{} answered, {} refused, stopped",
                    grouped(found.ok),
                    grouped(found.blocked)
                ),
            )],
            json!({ "requests": found.requests, "ok": found.ok, "blocked": found.blocked }),
            claim(found.ok == allowed && found.blocked > 0, || {
                format!("{allowed} answers and then refusals were to be expected")
            }),
        ))
    }

    fn setup(&mut self) -> Result<Step, Halt> {
        self.before = Some(Snapshot::take(&self.lab.host)?);
        let prefix = self.lab.prefix.to_string();
        let answer = self
            .binary
            .run(&["setup", "--prefix", &prefix, "--dev", wire::DEVICE])?;
        let found: SetupReport = answer.document(&[0])?;
        let in_state = |state: &str| found.steps.iter().filter(|step| step.state == state).count();
        let mut rows: Vec<Row> = found.steps.iter().filter_map(SetupStep::change).collect();
        rows.push(Row::new(
            format!("{} changed", found.changed),
            format!(
                "{} as needed already, {} skipped",
                in_state("unchanged"),
                in_state("skipped")
            ),
        ));
        Ok(Step::claiming(
            StepId::Setup,
            rows,
            json!({
                "changed": found.changed,
                "unchanged": in_state("unchanged"),
                "skipped": in_state("skipped"),
            }),
            claim(found.changed > 0, || "it changed nothing".to_owned()),
        ))
    }

    fn verify(&self) -> Result<Step, Halt> {
        // The own address, which is tried as well, has been refused on the other port.
        let endpoint = format!("http://[{}]:{}/", wire::TARGET, target::UNLIMITED);
        let count = PROBES.to_string();
        let answer = self
            .binary
            .run(&["verify", "--endpoint", &endpoint, "--count", &count])?;
        let VerifyReport {
            ok,
            diagnosis,
            egress,
        } = answer.document(&[0, 1])?;
        let Egress {
            tried,
            answered,
            distinct,
            mismatched,
        } = egress;
        let holds = ok && (tried, answered, distinct, mismatched) == (PROBES, PROBES, PROBES, 0);
        Ok(Step::claiming(
            StepId::Verify,
            vec![Row::new(
                format!("{tried} random addresses"),
                format!("{answered} answered, {distinct} distinct, {mismatched} rewritten"),
            )],
            json!({
                "tried": tried, "answered": answered, "distinct": distinct, "mismatched": mismatched,
            }),
            claim(holds, || match diagnosis {
                Some(diagnosis) => format!("the diagnosis is {diagnosis}"),
                None => "not every address worked".to_owned(),
            }),
        ))
    }

    fn crawl(&self) -> Result<Step, Halt> {
        let items = u64::from(self.items);
        let found = self.fetch(&Crawl {
            directory: "items",
            items,
            requests_per_address: REUSE,
        })?;
        let rate = found.rate.round().max(0.0) as u64;
        Ok(Step::claiming(
            StepId::Crawl,
            vec![
                Row::new(
                    format!("{} items, {REUSE} per address", grouped(items)),
                    format!("{} ok, {} refused", grouped(found.ok), grouped(found.blocked)),
                ),
                Row::new(
                    format!("{} addresses", grouped(found.addresses)),
                    format!("{} requests/s, {:.1} s", grouped(rate), found.seconds),
                ),
            ],
            json!({
                "requests": found.requests, "ok": found.ok, "blocked": found.blocked,
                "connections": found.connections, "addresses": found.addresses,
                "seconds": found.seconds, "rate": found.rate,
            }),
            all_fetched(&found, items).and_then(|()| {
                claim(found.addresses >= items / REUSE, || {
                    format!("only {} addresses were used", found.addresses)
                })
            }),
        ))
    }

    /// Measures how many entries the router's connection tracking gains by the same requests.
    fn router(&self) -> Result<Step, Halt> {
        if let Err(error) = &self.tracking {
            return Ok(Step::skipped(
                StepId::Router,
                format!("this router cannot track connections: {error}"),
                error.hint(),
            ));
        }
        let requests = MEASURED.min(firewall::most_tracked_connections(&self.lab.router)? / 4);
        let fresh = self.entries_gained("a-connection-each", requests, 1)?;
        let reused = self.entries_gained("reuse", requests, REUSE)?;
        firewall::stop_tracking(&self.lab.router, self.lab.prefix)?;
        let untracked = self.entries_gained("notrack", requests, 1)?;
        let entries = |gained: i64| format!("{} entries", grouped(gained.max(0).unsigned_abs()));
        Ok(Step::claiming(
            StepId::Router,
            vec![
                Row::new(
                    "a connection per request",
                    format!("{} for {} requests", entries(fresh), grouped(requests)),
                ),
                Row::new(format!("{REUSE} requests per connection"), entries(reused)),
                Row::new("a connection per request, notrack", entries(untracked)),
            ],
            json!({
                "requests": requests, "connection_per_request": fresh, "reuse": reused, "notrack": untracked,
            }),
            router_claim(requests, fresh, reused, untracked),
        ))
    }

    fn entries_gained(&self, directory: &'static str, items: u64, per_address: u64) -> Result<i64, Halt> {
        let before = firewall::tracked_connections(&self.lab.router)?;
        let found = self.fetch(&Crawl {
            directory,
            items,
            requests_per_address: per_address,
        })?;
        let after = firewall::tracked_connections(&self.lab.router)?;
        all_fetched(&found, items).map_err(|reason| Halt::Surprise { reason, hint: None })?;
        Ok(after.cast_signed() - before.cast_signed())
    }

    fn teardown(&self) -> Result<Step, Halt> {
        let answer = self.binary.run(&["teardown"])?;
        let found: TeardownReport = answer.document(&[0])?;
        let after = Snapshot::take(&self.lab.host)?;
        let Some(before) = &self.before else {
            return Err(Halt::Surprise {
                reason: "there was no setup to undo".to_owned(),
                hint: None,
            });
        };
        let differences = before.differences(&after);
        let restored = found.steps.iter().filter(|step| step.state == "restored").count();
        let left = found
            .steps
            .iter()
            .filter(|step| step.state != "restored")
            .map(|step| format!("{} is {}", step.id, step.state))
            .next();
        Ok(Step::claiming(
            StepId::Teardown,
            vec![Row::new(
                format!("{restored} restored"),
                format!(
                    "{before} {}",
                    if differences.is_empty() {
                        "as before"
                    } else {
                        "differ"
                    }
                ),
            )],
            json!({ "restored": restored, "routes": before.routes(), "sysctls": before.settings(), "different": differences }),
            claim(left.is_none(), || left.unwrap_or_default())
                .and_then(|()| claim(restored > 0, || "it restored nothing".to_owned()))
                .and_then(|()| {
                    claim(differences.is_empty(), || {
                        format!("different now: {}", differences.join(", "))
                    })
                }),
        ))
    }

    fn fetch(&self, crawl: &Crawl) -> Result<CrawlSummary, Halt> {
        let answer = self.binary.run(&[
            "crawl",
            &items_url(crawl.items),
            "-o",
            &self.directory(crawl.directory),
            "-r",
            "max",
            "--requests-per-address",
            &crawl.requests_per_address.to_string(),
        ])?;
        answer.document(&[0, 1])
    }

    /// A directory for a crawl, on the lab's own tmpfs.
    fn directory(&self, name: &str) -> String {
        let directory: PathBuf = self.lab.directory.join(name);
        directory.to_string_lossy().into_owned()
    }
}

fn items_url(items: u64) -> String {
    format!("http://[{}]/items/{{1..{items}}}", wire::TARGET)
}

fn all_fetched(found: &CrawlSummary, items: u64) -> Claim {
    claim(found.ok == items && found.blocked == 0, || {
        format!(
            "{} of {items} items were fetched, {} were refused",
            found.ok, found.blocked
        )
    })
}

fn router_claim(requests: u64, fresh: i64, reused: i64, untracked: i64) -> Claim {
    let requests = requests.cast_signed();
    claim(fresh >= requests * 9 / 10, || {
        format!("{requests} connections left only {fresh} entries")
    })?;
    claim(reused * 10 <= requests, || {
        format!("{reused} entries in spite of reuse")
    })?;
    claim(untracked * 100 <= requests, || {
        format!("{untracked} entries in spite of notrack")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_router_is_relieved_by_reuse_and_by_notrack() {
        assert_eq!(router_claim(20_000, 20_003, 205, -4), Ok(()));
        assert!(router_claim(20_000, 12, 205, 0).is_err());
        assert!(router_claim(20_000, 20_003, 20_001, 0).is_err());
        assert!(router_claim(20_000, 20_003, 205, 19_000).is_err());
    }
}
