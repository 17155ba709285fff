//! `v6kit teardown`.

use v6kit_host::{TeardownReport, TeardownState, TeardownStep};
use v6kit_net::Prefix;

use super::block_on;
use super::setup::{failure, shown};
use crate::args::StateArgs;
use crate::failure::{Exit, Failure};
use crate::printer::{Printer, Tone};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sudo v6kit teardown\n  \
    sudo v6kit teardown --prefix 2001:db8:1:2::/64\n\n\
    What somebody else changed since setup is left alone and named. What another prefix needs stays.\n\
    Exit: 0 done or nothing to do, 1 a step could not be put back, 4 not permitted.")]
pub(crate) struct TeardownArgs {
    /// Of this prefix only
    #[arg(long, value_name = "P", value_parser = crate::args::prefix)]
    prefix: Option<Prefix>,
    #[command(flatten)]
    state: StateArgs,
}

pub(crate) fn run(args: &TeardownArgs, printer: &Printer) -> Result<Exit, Failure> {
    let report = block_on(async {
        v6kit_host::teardown(&args.state.state_dir, args.prefix)
            .await
            .map_err(|error| failure("teardown failed", &error))
    })?;
    print(&report, printer);
    let failed = report
        .steps
        .iter()
        .any(|step| step.state == TeardownState::Failed);
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

fn print(report: &TeardownReport, printer: &Printer) {
    printer.json(report);
    if report.prefixes.is_empty() {
        printer.line("Nothing is set up: nothing to do.");
        return;
    }
    printer.table(report.steps.iter().map(|step| row(step, printer)));
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
