//! `v6kit teardown`.

use serde::Serialize;
use v6kit_host::boot::{self, Forgotten};
use v6kit_host::{HostError, Teardown, TeardownReport, TeardownState, TeardownStep};
use v6kit_net::Prefix;

use super::block_on;
use super::setup::{failure, shown};
use crate::failure::{Exit, Failure};
use crate::printer::{Form, Printer, Tone};
use crate::shared_args::StateArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sudo v6kit teardown\n  \
    sudo v6kit teardown --prefix 2001:db8:1:2::/64\n  \
    sudo v6kit teardown --persist\n\n\
    What somebody else changed since setup is left alone and named. What another prefix needs stays.\n\
    Exit: 0 done or nothing to do, 1 a step could not be put back, 4 not permitted.")]
pub(crate) struct TeardownArgs {
    /// Of this prefix only
    #[arg(long, value_name = "P", value_parser = crate::shared_args::prefix)]
    prefix: Option<Prefix>,
    /// Do not set it up at the next boot either: undo what `setup --persist` wrote
    #[arg(long)]
    persist: bool,
    #[command(flatten)]
    state: StateArgs,
}

/// What teardown says, and what was taken back for the next boot.
#[derive(Debug, Serialize)]
struct Document {
    #[serde(flatten)]
    report: TeardownReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_boot: Option<Forgotten>,
}

pub(crate) fn run(args: &TeardownArgs, printer: &Printer) -> anyhow::Result<Exit> {
    let failed = |error: HostError| failure("teardown failed", &error);
    // What was undone until then is told all the same.
    let (mut unforgotten, mut unnoted) = (None, None);
    let document = block_on::<_, Failure>(async {
        if args.persist {
            boot::stop_checks().map_err(|error| failed(error.into()))?;
        }
        let undone = match v6kit_host::teardown(&args.state.state_dir, args.prefix).await {
            // After a boot that went without, only the wish is left.
            Err(HostError::NotSetUp { .. }) if args.persist => Teardown::default(),
            undone => undone.map_err(failed)?,
        };
        let report = undone.report;
        unnoted = undone.unnoted.map(|error| {
            let what = "what was undone could not be noted; the next teardown finds it so";
            failure(what, &error)
        });
        if !args.persist {
            return Ok(Document {
                report,
                at_boot: None,
            });
        }
        match boot::forget(args.prefix).await {
            Ok(forgotten) => Ok(Document {
                report,
                at_boot: Some(forgotten),
            }),
            Err(error) => {
                unforgotten = Some(failure(
                    "what was arranged for the next boot could not be taken back",
                    &error.into(),
                ));
                Ok(Document {
                    report,
                    at_boot: None,
                })
            }
        }
    })?;
    printer.json(&document);
    let report = &document.report;
    print(report, printer);
    match &document.at_boot {
        Some(forgotten) => print_forgotten(forgotten, printer),
        None if unforgotten.is_some() => {}
        None if !report.prefixes.is_empty() => remind(args, printer),
        None => {}
    }
    let is_told = unnoted.is_some() && unforgotten.is_some();
    if let (true, Some(failure)) = (is_told, &unnoted) {
        printer.warning(failure.on_one_line());
    }
    if let Some(failure) = unforgotten.or(unnoted) {
        if printer.form() == Form::Json {
            printer.warning(failure.on_one_line());
            return Ok(failure.exit);
        }
        return Err(failure.into());
    }
    let failed = report
        .steps
        .iter()
        .any(|step| step.state == TeardownState::Failed);
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

fn print_forgotten(forgotten: &Forgotten, printer: &Printer) {
    for file in &forgotten.removed {
        printer.line(format!("Removed: {}", file.display()));
    }
    for kept in &forgotten.kept {
        printer.line(format!("{} {kept}", printer.paint("note:", Tone::Warning)));
    }
    printer.line(if forgotten.changed {
        "The next boot does not set it up any more."
    } else {
        "Nothing was arranged for the next boot."
    });
}

/// Whoever undoes what comes back at the next boot is told so.
fn remind(args: &TeardownArgs, printer: &Printer) {
    let Ok(Some(at_boot)) = boot::at_boot(&args.state.state_dir) else {
        return;
    };
    match (&at_boot.file, at_boot.enabled) {
        (_, true) => {
            printer.note("the next boot sets it up again; to end that as well: sudo v6kit teardown --persist");
        }
        (Some(file), false) => printer.note(format!(
            "{} is there, and no unit of systemd reads it: whether the next boot sets it up again is for the init of this system to say; to remove it: sudo v6kit teardown --persist",
            file.display()
        )),
        (None, false) => {}
    }
}

fn print(report: &TeardownReport, printer: &Printer) {
    for leftover in &report.leftovers {
        printer.line(format!("Removed: {}", leftover.text()));
    }
    if report.prefixes.is_empty() {
        if report.leftovers.is_empty() {
            printer.line("Nothing is set up: nothing to do.");
        }
        return;
    }
    printer.table(report.steps.iter().map(|step| row(step, printer)));
    for step in &report.steps {
        if let Some(hint) = &step.hint {
            printer.hint(format_args!("{}: {hint}", step.id), None);
        }
    }
    for kept in &report.kept {
        printer.line(format!(
            "{} {} stays at {}: another prefix needs it",
            printer.paint("note:", Tone::Warning),
            kept.id,
            shown(kept.value.as_deref())
        ));
    }
    let count = |state| report.steps.iter().filter(|step| step.state == state).count();
    printer.line("");
    match (count(TeardownState::Failed), count(TeardownState::ChangedByOther)) {
        (0, 0) if report.kept.is_empty() => printer.line("Everything is as it was before setup."),
        (0, _) => printer.line("Everything else is as it was before setup."),
        (failed, _) => printer.line(format!(
            "{failed} could not be put back. Run v6kit teardown again to try once more."
        )),
    }
}

fn row(step: &TeardownStep, printer: &Printer) -> Vec<String> {
    let (word, tone) = match step.state {
        TeardownState::Restored => ("restored", Tone::Good),
        TeardownState::AlreadyGone => ("already gone", Tone::Faint),
        TeardownState::ChangedByOther => ("changed by other", Tone::Warning),
        TeardownState::Failed => ("failed", Tone::Bad),
    };
    let detail = match &step.reason {
        Some(reason) => reason.clone(),
        None if step.state == TeardownState::Restored => format!(
            "{} -> {}",
            shown(step.before.as_deref()),
            shown(step.after.as_deref())
        ),
        None => String::new(),
    };
    vec![step.id.clone(), printer.paint(word, tone), detail]
}
