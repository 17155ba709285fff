//! The steps of the story and what they showed.

use serde::Serialize;
use serde_json::Value;

/// The steps in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepId {
    /// One address is refused by the target's limit.
    OneAddress,
    /// The host is prepared.
    Setup,
    /// Random addresses of the prefix prove to work.
    Verify,
    /// Many items are fetched through rotating addresses.
    Crawl,
    /// What the router has to remember meanwhile.
    Router,
    /// Everything is put back.
    Teardown,
}

impl StepId {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [
        Self::OneAddress,
        Self::Setup,
        Self::Verify,
        Self::Crawl,
        Self::Router,
        Self::Teardown,
    ];

    /// A word or two for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::OneAddress => "one address",
            Self::Setup => "setup",
            Self::Verify => "verify",
            Self::Crawl => "crawl",
            Self::Router => "router",
            Self::Teardown => "teardown",
        }
    }
}

/// Whether a step showed what it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did.
    Shown,
    /// It could not be tried here.
    Skipped,
    /// It did not.
    Failed,
    /// It was stopped by a signal.
    Interrupted,
}

/// What was done, and what was measured, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What was done.
    pub did: String,
    /// What came of it.
    pub found: String,
}

impl Row {
    pub(super) fn new(did: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            did: did.into(),
            found: found.into(),
        }
    }
}

/// A step that was tried.
#[derive(Debug, Serialize)]
pub struct Step {
    /// Which.
    pub id: StepId,
    /// How it ended.
    pub outcome: Outcome,
    /// What it showed, for people.
    #[serde(skip)]
    pub rows: Vec<Row>,
    /// The same numbers by name.
    pub numbers: Value,
    /// Why it failed or was skipped.
    pub reason: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Step {
    /// A step that is shown if `claim` holds.
    pub(super) fn claiming(id: StepId, rows: Vec<Row>, numbers: Value, claim: Claim) -> Self {
        let (outcome, reason) = match claim {
            Ok(()) => (Outcome::Shown, None),
            Err(reason) => (Outcome::Failed, Some(reason)),
        };
        Self {
            id,
            outcome,
            rows,
            numbers,
            reason,
            hint: None,
        }
    }

    pub(super) fn skipped(id: StepId, reason: String, hint: Option<String>) -> Self {
        Self {
            id,
            outcome: Outcome::Skipped,
            rows: Vec::new(),
            numbers: Value::Null,
            reason: Some(reason),
            hint,
        }
    }

    pub(super) fn failed(id: StepId, reason: String, hint: Option<String>) -> Self {
        Self {
            id,
            outcome: Outcome::Failed,
            rows: Vec::new(),
            numbers: Value::Null,
            reason: Some(reason),
            hint,
        }
    }

    pub(super) fn interrupted(id: StepId) -> Self {
        Self {
            id,
            outcome: Outcome::Interrupted,
            rows: Vec::new(),
            numbers: Value::Null,
            reason: None,
            hint: None,
        }
    }
}

/// Whether the numbers are as they should be; otherwise which one is not.
pub(super) type Claim = Result<(), String>;

/// Fails with `reason` unless `holds`.
pub(super) fn claim(holds: bool, reason: impl FnOnce() -> String) -> Claim {
    if holds { Ok(()) } else { Err(reason()) }
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        let texts = [0, 999, 1000, 100_000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "100,000", "1,234,567"]);
    }
}
