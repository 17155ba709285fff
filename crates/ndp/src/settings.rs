//! What the responder is told, and what it reports at the end.

use std::num::{NonZeroU32, NonZeroUsize};

use serde::Serialize;
use v6kit_net::Prefix;

use crate::counters::Counts;
use crate::source::{Source, SourceWish};

/// What to answer for, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The on-link prefix.
    pub prefix: Prefix,
    /// The device that it is on.
    pub device: String,
    /// Which addresses of it.
    pub scope: Scope,
    /// The source of answers.
    pub source: SourceWish,
    /// So many addresses at most are in the router's neighbour table through us. `None`: no limit.
    pub live: Option<NonZeroUsize>,
    /// Answers a second.
    pub max_rate: NonZeroU32,
    /// What snooping switches are told.
    pub snooping: Snooping,
    /// Whether each solicitation is an event.
    pub report_solicitations: bool,
}

/// Which addresses of the prefix are answered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Those that are used while a program on this host sends from the prefix, all of them otherwise.
    Auto,
    /// Those with a live or recent socket on this host.
    OnlyUsed,
    /// All of them: others behind this host use them.
    All,
}

/// What MLD-snooping switches are told.
///
/// Such a switch sends a solicited-node group only to ports that have joined it, and nobody can join
/// sixteen million. It sends everything to ports with a multicast router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Snooping {
    /// That this port wants all multicast (Multicast Router Discovery, RFC 4286).
    Announce,
    /// Nothing.
    Silent,
}

/// What was done, at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The prefix.
    pub prefix: Prefix,
    /// The device.
    pub device: String,
    /// The source of answers at the end.
    pub source: Source,
    /// How long it ran, in seconds.
    pub seconds: u64,
    /// What was asked and answered.
    #[serde(flatten)]
    pub counts: Counts,
}
