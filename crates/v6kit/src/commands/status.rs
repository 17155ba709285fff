//! `v6kit status`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;
use v6kit_host::boot::{self, AtBoot};
use v6kit_host::{HostError, Renewal, SetupState, StatusReport, StatusState, StatusStep};
use v6kit_net::{Code, Prefix};

use super::block_on;
use super::setup::config::Config;
use super::setup::{OnDriftArg, failure, heading, other_way_out, set_up, shown};
use crate::failure::{Exit, Failure};
use crate::options::Options;
use crate::printer::{Printer, Tone};
use crate::shared_args::StateArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sudo v6kit status\n  \
    sudo v6kit status --json --prefix 2001:db8:1:2::/64\n  \
    sudo v6kit status --config /etc/v6kit/host.toml --on-drift repair\n  \
    sudo v6kit status --follow\n\n\
    Exit: 0 all in order, 1 something drifted or is missing, or nothing is set up, 4 not permitted.")]
pub(crate) struct StatusArgs {
    /// Of this prefix only
    #[arg(long, value_name = "P", value_parser = crate::shared_args::prefix)]
    prefix: Option<Prefix>,
    /// Compare with what this file wishes for, as `setup --config` reads it
    #[arg(long, value_name = "FILE", conflicts_with = "prefix")]
    config: Option<PathBuf>,
    /// What to do when something drifted: report it, or set up again; by default as the file says
    #[arg(long, value_name = "report|repair", requires = "config")]
    on_drift: Option<OnDriftArg>,
    /// Stay, and keep the firewall rules of setup true to the addresses of this host as they come and go; as
    /// v6kit-addresses.service does
    #[arg(long, conflicts_with_all = ["prefix", "config"])]
    follow: bool,
    #[command(flatten)]
    state: StateArgs,
}

/// What status says.
#[derive(Debug, Serialize)]
struct Document {
    /// Whether a device of setup is gone or has another name.
    #[serde(skip)]
    lacks_device: bool,
    in_order: bool,
    steps: Vec<StatusStep>,
    prefixes: Vec<Prefix>,
    remarks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_boot: Option<AtBoot>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired: Option<bool>,
}

pub(crate) fn run(args: &StatusArgs, printer: &Printer) -> anyhow::Result<Exit> {
    if args.follow {
        return Ok(follow(printer)?);
    }
    let state_dir = &args.state.state_dir;
    let document = match &args.config {
        Some(path) => compared(args, path, printer)?,
        None => found(state_dir, args.prefix)?,
    };
    let Some(document) = document else {
        let left = left_over(state_dir)?;
        let remarks: Vec<String> = std::iter::once("nothing is set up".to_owned())
            .chain(left.clone())
            .collect();
        printer.json(&json!({ "in_order": false, "steps": [], "prefixes": [], "remarks": remarks }));
        for remark in &left {
            printer.line(format!("{} {remark}", printer.paint("note:", Tone::Warning)));
        }
        printer.line("Nothing is set up. Next: v6kit help setup");
        return Ok(Exit::Failed);
    };
    printer.json(&document);
    print(&document, printer);
    Ok(if document.in_order {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// Until a signal ends it.
fn follow(printer: &Printer) -> Result<Exit, Failure> {
    block_on::<_, Failure>(async {
        v6kit_host::follow_addresses(|renewal| told(&renewal, printer))
            .await
            .map_err(|error| failure("cannot follow the addresses of this host", &error))
    })?;
    Ok(Exit::Done)
}

fn told(renewal: &Renewal, printer: &Printer) {
    for address in &renewal.opened {
        printer.note(format!("{address} is an address of this host: it is open"));
    }
    for address in &renewal.shut {
        printer.note(format!(
            "{address} is no address of this host any more: it is shut"
        ));
    }
}

/// What there is.
fn found(state_dir: &Path, prefix: Option<Prefix>) -> Result<Option<Document>, Failure> {
    let failed = |error: HostError| failure("cannot tell the status", &error);
    let at_boot = boot::at_boot(state_dir).map_err(|error| failed(error.into()))?;
    let report = block_on::<_, Failure>(async {
        let mut report = v6kit_host::status(state_dir, prefix).await.map_err(failed)?;
        if let Some(report) = &mut report {
            report
                .remarks
                .extend(other_ways_out(state_dir, &report.prefixes).await);
        }
        Ok(report)
    })?;
    if report.is_none() && at_boot.is_none() {
        return Ok(None);
    }
    let left = left_over(state_dir)?;
    let StatusReport {
        lacks_device,
        in_order,
        steps,
        prefixes,
        mut remarks,
    } = report.unwrap_or_else(|| StatusReport {
        lacks_device: false,
        in_order: false,
        steps: Vec::new(),
        prefixes: Vec::new(),
        remarks: vec!["nothing is set up".to_owned()],
    });
    remarks.extend(left);
    let is_cut_off = at_boot.as_ref().is_some_and(|at_boot| at_boot.cut_off);
    if is_cut_off {
        remarks
            .push("setup --persist was cut off: run it again, or `sudo v6kit teardown --persist`".to_owned());
    }
    Ok(Some(Document {
        lacks_device,
        in_order,
        steps,
        prefixes,
        remarks,
        at_boot,
        repaired: None,
    }))
}

/// What no journal holds any more, or none that is known here.
fn left_over(state_dir: &Path) -> Result<Vec<String>, Failure> {
    let failed = |error: HostError| failure("cannot tell the status", &error);
    block_on::<_, Failure>(async {
        let left = v6kit_host::leftovers(state_dir).await.map_err(failed)?;
        let routes = v6kit_host::foreign_routes(state_dir).await.map_err(failed)?;
        let removed = |leftover: &v6kit_host::Leftover| {
            format!("{}; `sudo v6kit teardown` removes it", leftover.text())
        };
        let named = |route: &String| {
            format!(
                "a route of a setup that is not known here: {route}; where no other state directory holds it: `sudo ip -6 route del local {route}`"
            )
        };
        Ok(left.iter().map(removed).chain(routes.iter().map(named)).collect())
    })
}

/// What setup says as well where packets of a prefix leave by another device than they arrive on.
async fn other_ways_out(state_dir: &Path, prefixes: &[Prefix]) -> Vec<String> {
    let mut remarks = Vec::new();
    for prefix in prefixes {
        if let Ok(Some(device)) = v6kit_host::device_of(state_dir, *prefix).await {
            remarks.extend(other_way_out(*prefix, &device).await);
        }
    }
    remarks
}

/// What there is, against what `path` wishes for; drift is repaired where that is wanted.
fn compared(args: &StatusArgs, path: &Path, printer: &Printer) -> Result<Option<Document>, Failure> {
    let wished = Config::read(path, &Options::default())?;
    let prefixes: Vec<Prefix> = wished
        .setups
        .iter()
        .map(super::setup::SetupArgs::prefix)
        .collect();
    let renewal = block_on::<_, Failure>(async {
        v6kit_host::renew_addresses()
            .await
            .map_err(|error| failure("cannot renew what follows the addresses of this host", &error))
    });
    match renewal {
        Ok(renewal) => told(&renewal.unwrap_or_default(), printer),
        // What it means for each prefix is told below.
        Err(failure) => printer.warning(failure.on_one_line()),
    }
    let before = against(&args.state.state_dir, &prefixes)?;
    let on_drift = args.on_drift.or(wished.on_drift).unwrap_or(OnDriftArg::Report);
    if before.in_order || on_drift == OnDriftArg::Report {
        return Ok(Some(before));
    }
    for setup in &wished.setups {
        let report = set_up(setup, false)?;
        for step in report
            .steps
            .iter()
            .filter(|step| step.state == SetupState::Changed)
        {
            printer.note(format!(
                "repaired {} of {}: {} -> {}",
                step.id,
                heading(report.prefix),
                shown(step.before.as_deref()),
                shown(step.after.as_deref())
            ));
        }
    }
    let after = against(&args.state.state_dir, &prefixes)?;
    Ok(Some(Document {
        repaired: Some(after.in_order),
        ..after
    }))
}

fn against(state_dir: &Path, wished: &[Prefix]) -> Result<Document, Failure> {
    let mut document = found(state_dir, None)?.unwrap_or(Document {
        lacks_device: false,
        in_order: false,
        steps: Vec::new(),
        prefixes: Vec::new(),
        remarks: Vec::new(),
        at_boot: None,
        repaired: None,
    });
    for prefix in wished.iter().filter(|prefix| !document.prefixes.contains(prefix)) {
        document.in_order = false;
        document
            .remarks
            .push(format!("{prefix} is wished for and not set up"));
    }
    Ok(document)
}

fn print(document: &Document, printer: &Printer) {
    for prefix in &document.prefixes {
        printer.line(printer.paint(heading(*prefix), Tone::Strong));
        let steps = document.steps.iter().filter(|step| step.prefix == *prefix);
        printer.table(steps.map(|step| row(step, printer)));
    }
    for remark in &document.remarks {
        printer.line(format!("{} {remark}", printer.paint("note:", Tone::Warning)));
    }
    printer.line("");
    if let Some(at_boot) = &document.at_boot {
        printer.line(at_next_boot(at_boot));
    }
    printer.line(match (document.in_order, document.repaired) {
        (true, Some(_)) => "Repaired: everything is in order again.",
        (true, None) => "Everything is in order. Next: v6kit verify. Undo: sudo v6kit teardown",
        (false, _) => "Not in order. Undo: sudo v6kit teardown",
    });
    let is_off = |step: &&StatusStep| step.state != StatusState::InOrder;
    let off: Vec<&StatusStep> = document.steps.iter().filter(is_off).collect();
    for step in &off {
        if let Some(hint) = &step.hint {
            printer.hint(format_args!("{}: {hint}", step.id), Some(Code::Drifted));
        }
    }
    let setup_helps = off.is_empty() || off.iter().any(|step| step.hint.is_none());
    if !document.in_order && setup_helps && !document.lacks_device {
        printer.hint(
            "run the same setup again: it does what is missing",
            Some(Code::Drifted),
        );
    }
}

fn at_next_boot(at_boot: &AtBoot) -> String {
    match (&at_boot.file, at_boot.enabled) {
        (Some(file), true) => format!("At the next boot: {}, by v6kit-setup.service.", file.display()),
        (Some(file), false) => format!(
            "At the next boot: nothing; {} is there, and v6kit-setup.service is not enabled.",
            file.display()
        ),
        (None, _) => format!(
            "At the next boot: nothing; v6kit-setup.service is enabled, and there is no {}.",
            boot::HOST_FILE
        ),
    }
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
