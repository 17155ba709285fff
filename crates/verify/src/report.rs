//! What was found.

use std::fmt;

use serde::Serialize;
use v6kit_net::{Code, Hint};

/// What stands between this host and connections from every address of the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Diagnosis {
    /// Nothing.
    Ok,
    /// The router solicits each address instead of routing the prefix to this host.
    OnLink,
    /// No answer comes back to the prefix. Whether a router lacks the way back, or somebody discards packets without
    /// a word, cannot be told.
    NoReturn,
    /// Packets from the prefix are refused or dropped on their way.
    Filtered,
    /// Something on the way replaces source addresses or answers in the server's place.
    Rewritten,
    /// This host does not take the prefix for its own.
    NotSetUp,
    /// New connections hang while established ones go on: a table of tracked connections looks full.
    TableFull,
    /// Not even the host's own address reaches an endpoint.
    NoUplink,
    /// This host itself drops packets of the prefix, or the answers to them.
    DroppedHere,
    /// This host's routing has no way out for the prefix, another than it is set up for, or does not deliver answers.
    Misrouted,
    /// The network has given up the prefix for another.
    Renumbered,
    /// This host speaks no IPv6.
    NoIpv6,
    /// No name server gives an answer.
    NoName,
    /// The endpoint answers with something else than the caller's address.
    BadEndpoint,
    /// Packets of full size are lost where smaller ones pass.
    PathMtu,
}

impl Diagnosis {
    /// Where the catalogue says more about it.
    #[must_use]
    pub fn code(self) -> Option<Code> {
        Some(match self {
            Self::Ok => return None,
            Self::OnLink => Code::OnLink,
            Self::NoReturn => Code::NoReturn,
            Self::Filtered => Code::Filtered,
            Self::Rewritten => Code::Rewritten,
            Self::NotSetUp => Code::NotSetUp,
            Self::TableFull => Code::TableFull,
            Self::NoUplink => Code::NoUplink,
            Self::DroppedHere => Code::DroppedHere,
            Self::Misrouted => Code::Misrouted,
            Self::Renumbered => Code::Renumbered,
            Self::NoIpv6 => Code::NoIpv6,
            Self::NoName => Code::NoName,
            Self::BadEndpoint => Code::BadEndpoint,
            Self::PathMtu => Code::PathMtu,
        })
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::OnLink => "on-link",
            Self::NoReturn => "no-return",
            Self::Filtered => "filtered",
            Self::Rewritten => "rewritten",
            Self::NotSetUp => "not-set-up",
            Self::TableFull => "table-full",
            Self::NoUplink => "no-uplink",
            Self::DroppedHere => "dropped-here",
            Self::Misrouted => "misrouted",
            Self::Renumbered => "renumbered",
            Self::NoIpv6 => "no-ipv6",
            Self::NoName => "no-name",
            Self::BadEndpoint => "bad-endpoint",
            Self::PathMtu => "path-mtu",
        })
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// In the way of sending from the prefix.
    Failed,
    /// Not in the way now, but somebody should know.
    Warning,
    /// Not looked at; the detail says why.
    Skipped,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// A stable name.
    pub id: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where the catalogue says more about the hint.
    #[serde(skip)]
    pub code: Option<Code>,
}

impl Check {
    pub(crate) fn new(id: &'static str, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self {
            id,
            outcome,
            detail: detail.into(),
            hint: None,
            code: None,
        }
    }

    pub(crate) fn ok(id: &'static str, detail: impl Into<String>) -> Self {
        Self::new(id, Outcome::Ok, detail)
    }

    pub(crate) fn failed(id: &'static str, detail: impl Into<String>) -> Self {
        Self::new(id, Outcome::Failed, detail)
    }

    pub(crate) fn warning(id: &'static str, detail: impl Into<String>) -> Self {
        Self::new(id, Outcome::Warning, detail)
    }

    pub(crate) fn skipped(id: &'static str, detail: impl Into<String>) -> Self {
        Self::new(id, Outcome::Skipped, detail)
    }

    pub(crate) fn hint(mut self, code: Code, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self.code = Some(code);
        self
    }

    /// With the advice that `error` brings.
    pub(crate) fn hint_of(mut self, error: &impl Hint) -> Self {
        self.hint = error.hint();
        self.code = self.hint.is_some().then(|| error.code());
        self
    }
}

/// How the random addresses fared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Egress {
    /// Random addresses that connections were made from.
    pub tried: usize,
    /// Those that the endpoint answered.
    pub answered: usize,
    /// Different addresses that the endpoint reported.
    pub distinct: usize,
    /// Answers that reported another address than the connection was made from.
    pub mismatched: usize,
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether connections leave from every address of the prefix and are answered.
    pub ok: bool,
    /// If not, what stands between.
    pub diagnosis: Diagnosis,
    /// Layer by layer, from the host outwards.
    pub checks: Vec<Check>,
    /// How the random addresses fared.
    pub egress: Egress,
    /// What the diagnosis means, in a sentence.
    #[serde(skip)]
    pub meaning: String,
    /// What to do about it.
    #[serde(skip)]
    pub hint: Option<String>,
}
