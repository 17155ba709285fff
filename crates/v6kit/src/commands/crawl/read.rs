//! `v6kit crawl cat` and `v6kit crawl missing`.

use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use v6kit_model::Outcome;
use v6kit_store::{ReadError, Selection};

use crate::failure::{Exit, Failure};
use crate::printer::{Form, Printer};
use crate::shared_args::BadValue;

#[derive(Debug, clap::Args)]
pub(super) struct CatArgs {
    /// The job directory, `-o` of the crawl
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Only these outcomes: ok, absent, blocked, transient, fatal
    #[arg(long, value_name = "OUTCOMES", value_delimiter = ',', value_parser = outcome)]
    outcome: Vec<Outcome>,
    /// Only the positions from A to B, both included: 100..199, 100.., ..199 or 7
    #[arg(long, value_name = "A..B", value_parser = positions)]
    pos: Option<Range<u64>>,
}

pub(super) fn cat(args: CatArgs) -> Result<Exit, Failure> {
    let selection = Selection {
        outcomes: (!args.outcome.is_empty()).then_some(args.outcome),
        positions: args.pos,
    };
    let mut out = BufWriter::with_capacity(256 << 10, io::stdout().lock());
    match v6kit_store::cat(&args.directory, &selection, &mut out) {
        Ok(()) => Ok(Exit::Done),
        // `v6kit crawl cat DIR | head` has what it wants.
        Err(ReadError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(unreadable(&error)),
    }
}

/// The failure of a command that reads records.
pub(super) fn unreadable(error: &ReadError) -> Failure {
    let exit = match error {
        ReadError::Ledger(error) => exit_of(error),
        _ => Exit::Failed,
    };
    let what = match error {
        ReadError::Output(_) => "not all records could be written",
        _ => "the records cannot be read",
    };
    Failure::because(exit, what, error)
}

/// How a command ends that cannot use a ledger.
pub(super) fn exit_of(error: &v6kit_store::LedgerError) -> Exit {
    match error {
        v6kit_store::LedgerError::Damaged { .. }
        | v6kit_store::LedgerError::SegmentLost { .. }
        | v6kit_store::LedgerError::SegmentForeign { .. } => Exit::Failed,
        error if error.is_disk() => Exit::DiskFull,
        _ => Exit::Usage,
    }
}

pub(super) fn missing(directory: &Path, printer: &Printer) -> anyhow::Result<Exit> {
    let found = v6kit_store::missing(directory).map_err(|error| {
        let exit = match &error {
            v6kit_store::MissingError::Ledger(error) => exit_of(error),
            v6kit_store::MissingError::Items(_) => Exit::Failed,
        };
        Failure::because(exit, "what is missing is not known", &error)
    })?;
    if let Some(path) = found.changed_list {
        printer.note(format_args!(
            "{} holds another list now: read from the copy in {}",
            path.display(),
            directory.display()
        ));
    }
    let mut items = found.items;
    if printer.form() == Form::Json {
        let items: Vec<_> = items
            .map(|(position, url)| serde_json::json!({ "pos": position, "url": url }))
            .collect();
        printer.json(&serde_json::json!({ "missing": items.len(), "items": items }));
        return Ok(Exit::Done);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let written = items
        .try_for_each(|(_, url)| writeln!(out, "{url}"))
        .and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("what is missing cannot be written")
        }
        _ => Ok(Exit::Done),
    }
}

/// Parses the name of an outcome.
pub(super) fn outcome(text: &str) -> Result<Outcome, BadValue> {
    Outcome::ALL
        .into_iter()
        .find(|outcome| outcome.as_str() == text)
        .ok_or_else(|| {
            BadValue::new(
                "it is not an outcome",
                "use ok, absent, blocked, transient or fatal",
            )
        })
}

/// Parses `A..B` with both ends included, `A..`, `..B` and `A`.
fn positions(text: &str) -> Result<Range<u64>, BadValue> {
    let bad = || {
        BadValue::new(
            "it is not a range of positions",
            "write 100..199 for both and all between, 100.. or ..199",
        )
    };
    let end = |text: &str, open: u64| match text {
        "" => Ok(open),
        number => number.parse().map_err(|_invalid| bad()),
    };
    let (first, last) = match text.split_once("..") {
        Some((first, last)) => (end(first, 0)?, end(last, u64::MAX)?),
        None => {
            let position = text.parse().map_err(|_invalid| bad())?;
            (position, position)
        }
    };
    if first > last {
        return Err(bad());
    }
    Ok(first..last.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_positions_hold_both_ends() {
        for (text, range) in [
            ("3..7", 3..8),
            ("7", 7..8),
            ("..7", 0..8),
            ("7..", 7..u64::MAX),
            ("0..0", 0..1),
        ] {
            assert_eq!(positions(text).unwrap(), range, "{text}");
        }
        for text in ["", "7..3", "a..b", "1..2..3", "-1"] {
            assert!(positions(text).is_err(), "{text}");
        }
    }
}
