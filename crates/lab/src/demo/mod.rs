//! The story of the tool in one lab, with measured numbers: refused, set up, proven, crawled, put back.

mod binary;
mod reports;
mod snapshot;
mod step;
mod story;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use v6kit_echo::{Limit, LimitAnswer, LimitScope};
use v6kit_net::Prefix;

pub use step::{Outcome, Row, Step, StepId};

use crate::error::LabError;
use crate::firewall;
use crate::isolate::Entered;
use crate::lab::{Lab, LabSettings};
use crate::topology::Topology;
use binary::Binary;
use story::Stage;

/// What the demo is told with.
#[derive(Debug, Clone)]
pub struct DemoSettings {
    /// The v6kit to run.
    pub program: PathBuf,
    /// The prefix that belongs to the host.
    pub prefix: Prefix,
    /// How many items are crawled through rotating addresses.
    pub items: u32,
}

/// What happens while the demo is told.
#[derive(Debug)]
pub enum Event<'a> {
    /// The lab stands.
    Built(Scene),
    /// A step begins.
    Begins(StepId),
    /// A step has ended.
    Ended(&'a Step),
}

/// The lab of the demo.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    /// The prefix that belongs to the host.
    pub prefix: Prefix,
    /// What the target lets pass from each address.
    pub limit: Limit,
}

/// The demo as it was told.
#[derive(Debug)]
pub struct Story {
    /// The steps that were reached.
    pub steps: Vec<Step>,
    /// How the story ended.
    pub end: End,
    /// How long it took, the building of the lab included.
    pub duration: Duration,
}

/// How the demo ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every step showed what it claims, or said why it was skipped.
    Shown,
    /// The last step did not show what it claims.
    Failed,
    /// Somebody wanted it to stop.
    Interrupted,
}

/// Requests that the target answers per address and [`LIMIT_WINDOW`].
const LIMIT: NonZeroU32 = NonZeroU32::new(200).expect("not zero");
/// Longer than the story: an address that was refused stays refused to the end.
const LIMIT_WINDOW: Duration = Duration::from_secs(600);

/// Builds a lab in the namespaces of this process and tells the story in it.
///
/// # Errors
/// The lab itself failed. A command that does not do what the story claims is no error but a step that
/// failed.
pub fn tell(
    entered: &Entered,
    settings: &DemoSettings,
    report: &mut dyn FnMut(Event<'_>),
) -> Result<Story, LabError> {
    let began = Instant::now();
    let limit = Limit {
        count: LIMIT,
        window: LIMIT_WINDOW,
        scope: LimitScope::Address,
        answer: LimitAnswer::TooManyRequests,
    };
    let lab = Lab::build(&LabSettings {
        topology: Topology::Routed,
        prefix: settings.prefix,
        limit: Some(limit),
    })?;
    // Everything but one step can be told without a stateful router.
    let tracking = firewall::track_connections(&lab.router);
    report(Event::Built(Scene {
        prefix: settings.prefix,
        limit,
    }));
    let mut stage = Stage {
        binary: Binary::new(&lab, entered, &settings.program),
        lab: &lab,
        tracking,
        items: settings.items,
        limit: LIMIT.get(),
        before: None,
    };
    let (steps, end) = play(&mut stage, report)?;
    Ok(Story {
        steps,
        end,
        duration: began.elapsed(),
    })
}

fn play(stage: &mut Stage<'_>, report: &mut dyn FnMut(Event<'_>)) -> Result<(Vec<Step>, End), LabError> {
    let mut steps = Vec::new();
    for id in StepId::ALL {
        report(Event::Begins(id));
        let step = stage.play(id)?;
        report(Event::Ended(&step));
        let end = match step.outcome {
            Outcome::Shown | Outcome::Skipped => None,
            Outcome::Failed => Some(End::Failed),
            Outcome::Interrupted => Some(End::Interrupted),
        };
        steps.push(step);
        if let Some(end) = end {
            return Ok((steps, end));
        }
    }
    Ok((steps, End::Shown))
}
