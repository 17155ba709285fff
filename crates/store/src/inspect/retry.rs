//! Opening items again that ended in a way that may have passed.

use std::path::Path;

use v6kit_model::{Counts, Ordinals, Outcome};

use crate::inspect::reading::{ReadError, for_each_line, visit_order};
use crate::job_directory::JobDirectory;
use crate::ledger::Catalog;
use crate::line::LineHead;

/// Opens the items of the job in `directory` again whose newest record has one of `outcomes`; how many these are.
/// Their records stand until the next crawl has newer ones.
///
/// # Errors
/// [`ReadError`], such as while a crawl is running.
pub fn retry(directory: &Path, outcomes: &[Outcome]) -> Result<Counts, ReadError> {
    // Before anything is cut or set aside.
    JobDirectory::read(directory)?.require_own_segments()?;
    let job = JobDirectory::reopen(directory)?;
    reopen_items(&job, outcomes)
}

/// The same in a job directory that is open already.
///
/// # Errors
/// [`ReadError`].
pub fn reopen_items(directory: &JobDirectory, outcomes: &[Outcome]) -> Result<Counts, ReadError> {
    directory.require_format()?;
    let JobDirectory { ledger, segments } = directory;
    let (visit_order, description) = visit_order(&**ledger)?;
    if !description.keeps_records() {
        return Err(ReadError::NotKept);
    }
    let open = ledger.open_ordinals()?;
    let mut found: [Vec<u64>; 5] = Default::default();
    for (frame, stale) in ledger.frames_within(0..u64::MAX)? {
        if outcomes.iter().all(|&outcome| frame.counts.of(outcome) == 0) {
            continue;
        }
        for_each_line(&**segments, description.format(), &frame, &mut |line| {
            if let Some(LineHead { position, outcome }) = LineHead::read(line)
                && outcomes.contains(&outcome)
            {
                let ordinal = visit_order.ordinal(position);
                if !stale.contains(ordinal) && !open.contains(ordinal) {
                    found[outcome as usize].push(ordinal);
                }
            }
            Ok(())
        })?;
    }
    let mut items = Counts::default();
    let mut set_aside = Vec::new();
    for (outcome, mut ordinals) in Outcome::ALL.into_iter().zip(found) {
        let ordinals = Ordinals::from_list(&mut ordinals);
        items.add_all(&Counts::of_one(outcome, ordinals.count()));
        set_aside.push((outcome, ordinals));
    }
    ledger.retry(set_aside)?;
    Ok(items)
}
