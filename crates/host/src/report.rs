//! What setup, status and teardown say about each step.

use serde::Serialize;
use v6kit_net::Prefix;

use crate::leftover::Leftover;

/// What setup did, or would do.
#[derive(Debug, Clone, Serialize)]
pub struct SetupReport {
    /// How many steps changed the host.
    pub changed: usize,
    /// Step by step.
    pub steps: Vec<SetupStep>,
    /// The prefix.
    pub prefix: Prefix,
    /// The device it arrives on.
    pub device: String,
    /// Whether this is a plan only.
    pub dry_run: bool,
    /// The step that nothing works without and that something else stands against. Nothing was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<String>,
    /// What the user should know besides.
    pub remarks: Vec<String>,
}

/// One step of setup.
#[derive(Debug, Clone, Serialize)]
pub struct SetupStep {
    /// Its name: `route`, or that of a sysctl.
    pub id: String,
    /// What became of it.
    pub state: SetupState,
    /// What was found.
    pub before: Option<String>,
    /// What is there now.
    pub after: Option<String>,
    /// Why it is needed, or why it was not done.
    pub reason: String,
    /// What to do where it was not done.
    pub hint: Option<String>,
}

/// What became of a step of setup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SetupState {
    /// The host was changed.
    Changed,
    /// It was in order.
    Unchanged,
    /// It cannot be done here.
    Skipped,
    /// Something that is not ours stands against it.
    Conflict,
}

/// How the host compares with what setup left.
#[derive(Debug, Clone, Serialize)]
pub struct StatusReport {
    /// Whether every step is.
    pub in_order: bool,
    /// Step by step.
    pub steps: Vec<StatusStep>,
    /// The prefixes that are set up, the latest first.
    pub prefixes: Vec<Prefix>,
    /// What the user should know besides.
    pub remarks: Vec<String>,
    /// Whether the device of some setup is gone or has another name, so that the same setup does not help.
    #[serde(skip)]
    pub lacks_device: bool,
}

/// One step as it is now.
#[derive(Debug, Clone, Serialize)]
pub struct StatusStep {
    /// Its name.
    pub id: String,
    /// How it is.
    pub state: StatusState,
    /// What setup left.
    pub expected: Option<String>,
    /// What is there.
    pub found: Option<String>,
    /// Which prefix needs it.
    pub prefix: Prefix,
    /// What to do, where running setup again does not help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusState {
    /// As setup left it.
    InOrder,
    /// Somebody changed it.
    Drifted,
    /// It is gone.
    Missing,
}

/// What teardown did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TeardownReport {
    /// Step by step, the newest first.
    pub steps: Vec<TeardownStep>,
    /// What stays because another prefix needs it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
    /// What no journal held any more and was removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<Leftover>,
    /// The prefixes that were torn down.
    pub prefixes: Vec<Prefix>,
}

/// One step of teardown.
#[derive(Debug, Clone, Serialize)]
pub struct TeardownStep {
    /// Its name.
    pub id: String,
    /// What became of it.
    pub state: TeardownState,
    /// Which prefix let go of it.
    pub prefix: Prefix,
    /// What was found.
    pub before: Option<String>,
    /// What is there now.
    pub after: Option<String>,
    /// Why, where it is not simply restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The command that puts it back all the same, where it was left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What became of a step of teardown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TeardownState {
    /// It is as it was before setup.
    Restored,
    /// It was so already.
    AlreadyGone,
    /// Somebody changed it since; it is left alone.
    ChangedByOther,
    /// It could not be put back.
    Failed,
}

/// Something that stays because another prefix needs it.
#[derive(Debug, Clone, Serialize)]
pub struct Kept {
    /// The step's name.
    pub id: String,
    /// Which prefix let go of it.
    pub prefix: Prefix,
    /// What it is.
    pub value: Option<String>,
}
