//! `v6kit crawl status` and `v6kit crawl cat`.

use std::io::{self, BufWriter};
use std::path::Path;

use indicatif::{HumanBytes, HumanCount};
use v6kit_crawl::{CatError, Outcome};

use crate::failure::{Exit, Failure};
use crate::printer::Printer;

pub(super) fn status(directory: &Path, printer: &Printer) -> Result<Exit, Failure> {
    let (description, standing) = v6kit_crawl::standing(directory)
        .map_err(|error| Failure::because(Exit::Usage, "there is no status", &error))?;
    let outcomes: serde_json::Map<String, serde_json::Value> = Outcome::ALL
        .iter()
        .map(|&outcome| (outcome.to_string(), standing.done.of(outcome).into()))
        .collect();
    printer.json(&serde_json::json!({
        "url": description.get("url"),
        "total": standing.total,
        "done": standing.done.sum(),
        "left": standing.left(),
        "outcomes": outcomes,
        "segments": standing.segments,
        "bytes_stored": standing.bytes,
        "complete": standing.left() == 0,
    }));
    let count = |number: u64| HumanCount(number).to_string();
    let mut rows = vec![
        vec![
            "url".to_owned(),
            description.get("url").unwrap_or_default().to_owned(),
        ],
        vec![
            "done".to_owned(),
            format!("{} of {}", count(standing.done.sum()), count(standing.total)),
        ],
        vec!["left".to_owned(), count(standing.left())],
    ];
    rows.extend(Outcome::ALL.map(|outcome| vec![outcome.to_string(), count(standing.done.of(outcome))]));
    rows.push(vec![
        "stored".to_owned(),
        format!(
            "{} in {} segments",
            HumanBytes(standing.bytes),
            count(standing.segments)
        ),
    ]);
    printer.table(rows);
    Ok(Exit::Done)
}

pub(super) fn cat(directory: &Path) -> Result<Exit, Failure> {
    let mut out = BufWriter::with_capacity(256 << 10, io::stdout().lock());
    match v6kit_crawl::cat(directory, &mut out) {
        Ok(()) => Ok(Exit::Done),
        // `v6kit crawl cat DIR | head` has what it wants.
        Err(CatError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => {
            let exit = if matches!(error, CatError::Ledger(_)) {
                Exit::Usage
            } else {
                Exit::Failed
            };
            Err(Failure::because(exit, "the records cannot be read", &error))
        }
    }
}
