//! `v6kit crawl check`.

use std::path::PathBuf;

use indicatif::{HumanBytes, HumanCount};
use v6kit_net::shell_path;
use v6kit_store::{Check, CheckError, Damage};

use super::read::exit_of;
use crate::failure::{Exit, Failure};
use crate::printer::{Printer, Tone};

#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// The job directory, `-o` of the crawl
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Open the items of damaged frames again, so that the next crawl fetches them
    #[arg(long)]
    repair: bool,
}

pub(super) fn check(args: CheckArgs, printer: &Printer) -> Result<Exit, Failure> {
    let found = if args.repair {
        v6kit_store::repair(&args.directory)
    } else {
        v6kit_store::check(&args.directory)
    };
    let found = found.map_err(|error| {
        let exit = match &error {
            CheckError::Ledger(error) => exit_of(error),
            CheckError::Copy { .. } => Exit::Failed,
        };
        Failure::because(exit, "the check did not come to its end", &error)
    })?;
    let repaired = args.repair && !found.damages.is_empty();
    printer.json(&document(&found, repaired));
    print(&found, &args, printer);
    Ok(if found.damages.is_empty() || repaired {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn document(found: &Check, repaired: bool) -> serde_json::Value {
    let damages: Vec<_> = found
        .damages
        .iter()
        .map(
            |Damage {
                 segment,
                 place,
                 at,
                 items,
                 what,
             }| {
                serde_json::json!({
                    "segment": segment,
                    "at": at,
                    "offset": place.offset,
                    "length": place.length,
                    "items": items,
                    "what": what,
                })
            },
        )
        .collect();
    serde_json::json!({
        "frames": found.frames,
        "items": found.items,
        "bytes": found.bytes,
        "damaged": damages,
        "repaired": repaired,
    })
}

fn print(found: &Check, args: &CheckArgs, printer: &Printer) {
    for damage in &found.damages {
        printer.line(format!(
            "{} {} at byte {}: {}; {} items lie in the {} bytes from byte {}",
            printer.paint("damaged", Tone::Bad),
            damage.segment,
            damage.at,
            damage.what,
            HumanCount(damage.items),
            damage.place.length,
            damage.place.offset
        ));
    }
    printer.line(format!(
        "{} items in {} are as they were written",
        HumanCount(found.items),
        HumanBytes(
            found.bytes
                - found
                    .damages
                    .iter()
                    .map(|damage| damage.place.length)
                    .sum::<u64>()
        )
    ));
    let lost: u64 = found.damages.iter().map(|damage| damage.items).sum();
    if lost == 0 {
        return;
    }
    if args.repair {
        printer.line(format!(
            "{} items are open again: the next crawl fetches them",
            HumanCount(lost)
        ));
    } else {
        printer.note(format!(
            "hint: `v6kit crawl check {} --repair` opens their {} items again",
            shell_path(&args.directory),
            HumanCount(lost)
        ));
    }
}
