//! Reading a job directory back.

use std::collections::VecDeque;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

use v6kit_model::{Order, Ordinals, Outcome, VisitOrder};

use crate::inspect::reading::{ReadError, for_each_line, is_replaced, visit_order};
use crate::job_directory::JobDirectory;
use crate::ledger::{Catalog, CommittedFrame};
use crate::line::LineHead;

/// Up to this many positions of a shuffled job are looked up one by one.
const LOOKED_UP: u64 = 1_000_000;

/// Which records are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these outcomes; `None` for all.
    pub outcomes: Option<Vec<Outcome>>,
    /// Only these positions; `None` for all.
    pub positions: Option<Range<u64>>,
}

impl Selection {
    fn is_everything(&self) -> bool {
        self.outcomes.is_none() && self.positions.is_none()
    }

    fn has_outcome(&self, outcome: Outcome) -> bool {
        self.outcomes
            .as_ref()
            .is_none_or(|wanted| wanted.contains(&outcome))
    }

    fn has(&self, head: LineHead) -> bool {
        self.has_outcome(head.outcome)
            && self
                .positions
                .as_ref()
                .is_none_or(|wanted| wanted.contains(&head.position))
    }

    /// The ordinals that frames must have to be of interest.
    fn ordinals(&self, order: Order, visit_order: &VisitOrder, items: u64) -> Ordinals {
        let positions = match &self.positions {
            Some(positions) => positions.start.min(items)..positions.end.min(items),
            None => 0..items,
        };
        let length = positions.end.saturating_sub(positions.start);
        match order {
            Order::Sequential => Ordinals::from_range(positions),
            Order::Shuffle { .. } if length <= LOOKED_UP => {
                let mut ordinals: Vec<u64> =
                    positions.map(|position| visit_order.ordinal(position)).collect();
                Ordinals::from_list(&mut ordinals)
            }
            Order::Shuffle { .. } => Ordinals::from_range(0..items),
        }
    }
}

/// Writes the newest committed record of every item that `selection` wants to `out`, a line each, in the
/// order of visiting. Frames without such records are not read.
///
/// # Errors
/// [`ReadError`].
pub fn cat(directory: &Path, selection: &Selection, out: &mut impl Write) -> Result<(), ReadError> {
    let job = JobDirectory::read(directory)?;
    job.require_format()?;
    let JobDirectory { ledger, segments } = job;
    let (visit_order, description) = visit_order(&*ledger)?;
    if !description.keeps_records() {
        return Err(ReadError::NotKept);
    }
    let wanted = selection.ordinals(description.order(), &visit_order, ledger.extent()?.items);
    let Some(hull) = wanted.hull() else {
        return Ok(());
    };
    let mut frames: VecDeque<_> = ledger.frames_within(hull.clone())?.into();
    // What was read of frames, and of those that were merged meanwhile.
    let (mut read, mut read_before) = (Vec::new(), Ordinals::default());
    while let Some((frame, mut skipped)) = frames.pop_front() {
        if !is_of_interest(&frame, selection, &wanted) {
            continue;
        }
        skipped.add(&read_before.intersection(&frame.ordinals));
        let whole = selection.is_everything() && skipped.is_empty();
        let written = for_each_line(&*segments, description.format(), &frame, &mut |line| {
            let is_wanted = whole
                || LineHead::read(line).is_some_and(|head| {
                    selection.has(head) && !skipped.contains(visit_order.ordinal(head.position))
                });
            if is_wanted {
                out.write_all(line).map_err(ReadError::Output)?;
            }
            Ok(())
        });
        match written {
            Ok(()) => read.extend(frame.ordinals.without(&skipped).ranges()),
            Err(error) if is_replaced(&*ledger, &frame, &error)? => {
                frames = ledger.frames_within(hull.clone())?.into();
                read_before.add(&Ordinals::from_ranges(std::mem::take(&mut read)));
            }
            Err(error) => return Err(error),
        }
    }
    out.flush().map_err(ReadError::Output)
}

fn is_of_interest(frame: &CommittedFrame, selection: &Selection, wanted: &Ordinals) -> bool {
    let has_outcome = Outcome::ALL
        .into_iter()
        .any(|outcome| selection.has_outcome(outcome) && frame.counts.of(outcome) > 0);
    has_outcome && frame.ordinals.overlaps(wanted)
}
