//! What the story reads in the documents that the binary prints with `--json`.

use serde::Deserialize;

use super::step::Row;

#[derive(Deserialize)]
pub(super) struct SetupReport {
    pub(super) changed: u64,
    pub(super) steps: Vec<SetupStep>,
}

#[derive(Deserialize)]
pub(super) struct SetupStep {
    pub(super) id: String,
    pub(super) state: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

impl SetupStep {
    /// What it changed, from what to what.
    pub(super) fn change(&self) -> Option<Row> {
        let after = self.after.as_deref().filter(|_| self.state == "changed")?;
        let found = match &self.before {
            Some(before) => format!("{before} -> {after}"),
            None => after.to_owned(),
        };
        Some(Row::new(&self.id, found))
    }
}

#[derive(Deserialize)]
pub(super) struct VerifyReport {
    pub(super) ok: bool,
    pub(super) diagnosis: Option<String>,
    pub(super) egress: Egress,
}

#[derive(Deserialize)]
pub(super) struct Egress {
    pub(super) tried: u64,
    pub(super) answered: u64,
    pub(super) distinct: u64,
    pub(super) mismatched: u64,
}

#[derive(Deserialize)]
pub(super) struct CrawlSummary {
    pub(super) requests: u64,
    pub(super) ok: u64,
    pub(super) blocked: u64,
    pub(super) seconds: f64,
    pub(super) rate: f64,
    pub(super) connections: u64,
    pub(super) addresses: u64,
}

#[derive(Deserialize)]
pub(super) struct TeardownReport {
    pub(super) steps: Vec<TeardownStep>,
}

#[derive(Deserialize)]
pub(super) struct TeardownStep {
    pub(super) id: String,
    pub(super) state: String,
}
