//! `v6kit status`.

use serde_json::json;
use v6kit_host::{StatusReport, StatusState, StatusStep};
use v6kit_net::Prefix;

use super::block_on;
use super::setup::{failure, shown};
use crate::args::StateArgs;
use crate::failure::{Exit, Failure};
use crate::printer::{Printer, Tone};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sudo v6kit status\n  \
    sudo v6kit status --json --prefix 2001:db8:1:2::/64\n\n\
    Exit: 0 all in order, 1 something drifted or is missing, or nothing is set up, 4 not permitted.")]
pub(crate) struct StatusArgs {
    /// Of this prefix only
    #[arg(long, value_name = "P", value_parser = crate::args::prefix)]
    prefix: Option<Prefix>,
    #[command(flatten)]
    state: StateArgs,
}

pub(crate) fn run(args: &StatusArgs, printer: &Printer) -> Result<Exit, Failure> {
    let report = block_on(async {
        v6kit_host::status(&args.state.state_dir, args.prefix)
            .await
            .map_err(|error| failure("cannot tell the status", &error))
    })?;
    let Some(report) = report else {
        printer.json(
            &json!({ "in_order": false, "steps": [], "prefixes": [], "remarks": ["nothing is set up"] }),
        );
        printer.line("Nothing is set up. Next: sudo v6kit setup --prefix P --dev DEV");
        return Ok(Exit::Failed);
    };
    print(&report, printer);
    Ok(if report.in_order { Exit::Done } else { Exit::Failed })
}

fn print(report: &StatusReport, printer: &Printer) {
    printer.json(report);
    for prefix in &report.prefixes {
        printer.line(printer.paint(prefix, Tone::Strong));
        let steps = report.steps.iter().filter(|step| step.prefix == *prefix);
        printer.table(steps.map(|step| row(step, printer)));
    }
    for remark in &report.remarks {
        printer.line(format!("{} {remark}", printer.paint("note:", Tone::Warning)));
    }
    printer.line("");
    printer.line(if report.in_order {
        "Everything is in order. Next: v6kit verify. Undo: sudo v6kit teardown"
    } else {
        "Not in order. Repair: run v6kit setup again. Undo: sudo v6kit teardown"
    });
}

fn row(step: &StatusStep, printer: &Printer) -> Vec<String> {
    let (word, tone) = match step.state {
        StatusState::InOrder => ("in order", Tone::Good),
        StatusState::Drifted => ("drifted", Tone::Bad),
        StatusState::Missing => ("missing", Tone::Bad),
    };
    let found = shown(step.found.as_deref());
    let detail = if step.state == StatusState::InOrder {
        found
    } else {
        format!("{found}, expected: {}", shown(step.expected.as_deref()))
    };
    vec![format!("  {}", step.id), printer.paint(word, tone), detail]
}
