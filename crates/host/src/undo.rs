//! What setup and teardown share about prefixes that are set up and traces that are left.

use v6kit_net::Prefix;

use crate::error::HostError;
use crate::journal::Journal;
use crate::state_dir::StateDir;
use crate::summary::Summary;

/// The prefixes named, or all that are known.
pub(crate) fn chosen(known: &[Prefix], prefix: Option<Prefix>) -> Result<Vec<Prefix>, HostError> {
    match prefix {
        None => Ok(known.to_vec()),
        Some(prefix) if known.contains(&prefix) => Ok(vec![prefix]),
        Some(prefix) => Err(HostError::NotSetUp {
            prefix,
            others: known.to_vec(),
        }),
    }
}

/// Writes the summary anew, or removes every trace when nothing is set up any more.
pub(crate) fn tidy_up(journal: &mut Journal, dir: &StateDir) -> Result<(), HostError> {
    if journal.state().is_empty() {
        journal.state().summary().write(dir.path())?;
        journal.remove()?;
        dir.remove_if_ours()?;
        return Ok(());
    }
    journal.take_error()?;
    let summary = journal.summary();
    if Summary::of_file(dir.path()).ok().flatten().unwrap_or_default() != summary {
        summary.write(dir.path())?;
    }
    Ok(())
}
