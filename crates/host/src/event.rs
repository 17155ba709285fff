//! The events of the journal: what setup and teardown announce and confirm.

use serde::{Deserialize, Serialize};
use v6kit_net::Prefix;

use crate::place::Place;
use crate::program::Program;
use crate::resource::{Resource, Want};
use crate::value::Value;

/// What was about to happen or has happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// A resource is about to become what this prefix wants.
    Begin {
        /// Who wants it.
        prefix: Prefix,
        /// The step's name.
        step: String,
        /// What changes.
        resource: Resource,
        /// What is wanted of it.
        want: Want,
        /// What to go back to when nobody wants anything.
        original: Value,
        /// What it is about to become.
        expect: Value,
    },
    /// It has become that.
    Done {
        /// Who wanted it.
        prefix: Prefix,
        /// The step's name.
        step: String,
        /// What changed.
        resource: Resource,
        /// What is read back.
        after: Value,
    },
    /// The prefix is about to let go of it.
    Undo {
        /// Who wanted it.
        prefix: Prefix,
        /// The step's name.
        step: String,
        /// What changes.
        resource: Resource,
        /// What it is about to become.
        expect: Value,
    },
    /// The prefix wants nothing of it any more.
    Undone {
        /// Who wanted it.
        prefix: Prefix,
        /// The step's name.
        step: String,
        /// What changed.
        resource: Resource,
        /// What is read back, where others still want something of it.
        after: Option<Value>,
    },
    /// A prefix is set up.
    Ready(Ready),
    /// A prefix is no longer set up.
    Gone {
        /// The prefix.
        prefix: Prefix,
    },
    /// A program is about to use a prefix.
    Entered {
        /// The prefix.
        prefix: Prefix,
        /// Who.
        program: Program,
    },
    /// It does not any more, nor does what it started.
    Left {
        /// The prefix.
        prefix: Prefix,
        /// Who.
        program: Program,
    },
}

impl Event {
    /// The first format of the journal that has it.
    pub(crate) fn format(&self) -> u32 {
        match self {
            Self::Entered { .. } | Self::Left { .. } => 3,
            Self::Ready(ready) if ready.for_programs => 3,
            _ => 2,
        }
    }
}

/// A prefix that is set up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// The prefix.
    pub(crate) prefix: Prefix,
    /// The device it is routed to.
    pub(crate) device: String,
    /// The index of that device, which stays when it is renamed (netdevice(7)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<u32>,
    /// The device of the local route.
    pub(crate) route_device: String,
    /// What was in order before us and must stay so.
    pub(crate) met: Vec<Met>,
    /// Open files that each login is to get, where logins are given limits at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) logins: Option<u64>,
    /// The steps that could not be done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) left_out: Vec<String>,
    /// Whether it is undone when the last program that uses it has ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) for_programs: bool,
}

/// Something that was as wanted before setup came, and is therefore never undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Met {
    /// The step's name.
    pub(crate) step: String,
    /// What it is about.
    pub(crate) resource: Resource,
    /// What is wanted of it.
    pub(crate) want: Want,
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Where it happened.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// What.
    #[serde(flatten)]
    pub(crate) event: Event,
}
