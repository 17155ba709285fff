//! One line of an examination.

use serde::Serialize;
use v6kit_net::{Code, Hint};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: `kernel`, `conntrack`.
    pub id: &'static str,
    /// Whether it is as it should be.
    pub state: FindingState,
    /// What was found, on one line.
    pub detail: String,
    /// What to do, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where the catalogue says more about the hint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// Whether something is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// It is.
    Ok,
    /// It works, and may become narrow.
    Warning,
    /// It does not work.
    Failed,
    /// It cannot be seen from here.
    Unknown,
}

impl Finding {
    pub(super) fn ok(id: &'static str, detail: impl Into<String>) -> Self {
        Self::new(id, FindingState::Ok, detail)
    }

    pub(super) fn warning(id: &'static str, detail: impl Into<String>) -> Self {
        Self::new(id, FindingState::Warning, detail)
    }

    pub(super) fn failed(id: &'static str, detail: impl Into<String>) -> Self {
        Self::new(id, FindingState::Failed, detail)
    }

    pub(super) fn unknown(id: &'static str, detail: impl Into<String>) -> Self {
        Self::new(id, FindingState::Unknown, detail)
    }

    fn new(id: &'static str, state: FindingState, detail: impl Into<String>) -> Self {
        Self {
            id,
            state,
            detail: detail.into(),
            hint: None,
            code: None,
        }
    }

    pub(super) fn hint(mut self, code: Code, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self.code = Some(code);
        self
    }

    /// With the advice that `error` brings.
    pub(super) fn hint_of(mut self, error: &impl Hint) -> Self {
        self.hint = error.hint();
        self.code = self.hint.is_some().then(|| error.code());
        self
    }
}
