//! What setup says when it is done.

use serde::Serialize;
use v6kit_host::boot::Persisted;
use v6kit_host::{SetupReport, SetupState, SetupStep};
use v6kit_net::{Code, Prefix, shell_path};

use crate::failure::{Exit, Failure};
use crate::printer::{Form, Printer, Tone};

/// What setup says, and what was arranged for the next boot.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    #[serde(flatten)]
    pub(super) report: SetupReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at_boot: Option<Persisted>,
}

pub(super) fn print(document: &Document, printer: &Printer) -> Result<Exit, Failure> {
    let report = &document.report;
    printer.table(steps(report, printer));
    for step in &report.steps {
        if let Some(hint) = &step.hint {
            printer.hint(format_args!("{}: {hint}", step.id), Some(Code::NotDone));
        }
    }
    for remark in &report.remarks {
        printer.line(format!("{} {remark}", printer.paint("note:", Tone::Warning)));
    }
    if let Some(blocked) = blocking(report) {
        return blocked_exit(report, blocked, printer);
    }
    printer.line("");
    printer.line(conclusion(report));
    if let Some(at_boot) = &document.at_boot {
        print_at_boot(at_boot, printer)?;
    }
    let has_conflict = report.steps.iter().any(|step| step.state == SetupState::Conflict);
    let is_promised = document.at_boot.as_ref().is_none_or(|at_boot| at_boot.enabled);
    Ok(if has_conflict || !is_promised {
        Exit::Failed
    } else {
        Exit::Done
    })
}

/// The steps as a table.
pub(super) fn steps(report: &SetupReport, printer: &Printer) -> Vec<Vec<String>> {
    let header = ["step", "", "before -> after", "why"].map(|title| printer.paint(title, Tone::Faint));
    let rows = report.steps.iter().map(|step| row(step, printer));
    std::iter::once(header.to_vec()).chain(rows).collect()
}

fn print_at_boot(at_boot: &Persisted, printer: &Printer) -> Result<(), Failure> {
    let file = at_boot.file.display();
    if let Some(replaced) = &at_boot.replaced {
        printer.note(format!("{file} said of this prefix before: {replaced}"));
    }
    for unit in &at_boot.units {
        printer.line(format!("Written, as no package brought it: {}", unit.display()));
    }
    if at_boot.enabled {
        printer.line(format!(
            "At every boot: {file}, by v6kit-setup.service; checked by v6kit-check.timer. Undo: sudo v6kit teardown --persist"
        ));
        return Ok(());
    }
    if printer.form() == Form::Json {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Failed,
        "it is set up now, and nothing will do so at the next boot",
    )
    .why(format!(
        "this system does not run systemd{}; {file} is written, but nothing reads it, looks for drift, \
         or follows the addresses of this host",
        at_boot
            .init
            .map(|name| format!(" but {name}"))
            .unwrap_or_default()
    ))
    .hint(without_systemd(at_boot)))
}

/// What to do for the next boot where no unit can.
fn without_systemd(at_boot: &Persisted) -> String {
    let command = format!("`v6kit setup --config {}`", shell_path(&at_boot.file));
    match at_boot.init {
        // The service `local` runs it at the end of the default runlevel.
        Some("OpenRC") => {
            format!(
                "put {command} into /etc/local.d/v6kit.start, make that executable, and `rc-update add local`"
            )
        }
        _ => format!("have your init run {command} once the network is up"),
    }
}

fn blocking(report: &SetupReport) -> Option<&SetupStep> {
    let id = report.blocked_by.as_ref()?;
    report.steps.iter().find(|step| step.id == *id)
}

/// With `--json` the report is the one document, and it says all.
fn blocked_exit(report: &SetupReport, step: &SetupStep, printer: &Printer) -> Result<Exit, Failure> {
    if printer.form() == Form::Json {
        return Ok(Exit::Failed);
    }
    Err(refused(report, step))
}

/// Why nothing was changed, where something stands against a step without which nothing works.
pub(super) fn blocked(report: &SetupReport) -> Option<Failure> {
    blocking(report).map(|step| refused(report, step))
}

fn refused(report: &SetupReport, step: &SetupStep) -> Failure {
    let failure = Failure::new(
        Exit::Failed,
        format!("{} was not set up, and nothing was changed", named(report.prefix)),
    )
    .code(Code::NotDone);
    match &step.hint {
        Some(hint) => failure.why(&step.reason).hint(hint),
        None => failure.why(&step.reason),
    }
}

fn row(step: &SetupStep, printer: &Printer) -> Vec<String> {
    let (word, tone) = match step.state {
        SetupState::Changed => ("changed", Tone::Good),
        SetupState::Unchanged => ("unchanged", Tone::Faint),
        SetupState::Skipped => ("skipped", Tone::Warning),
        SetupState::Conflict => ("conflict", Tone::Bad),
    };
    vec![
        step.id.clone(),
        printer.paint(word, tone),
        value(step),
        step.reason.clone(),
    ]
}

/// What it is, and what it becomes.
pub(super) fn value(step: &SetupStep) -> String {
    let before = shown(step.before.as_deref());
    if step.state == SetupState::Changed {
        format!("{before} -> {}", shown(step.after.as_deref()))
    } else {
        before
    }
}

/// A value that may be absent or empty.
pub(crate) fn shown(value: Option<&str>) -> String {
    match value {
        None | Some("") => "-".to_owned(),
        Some(text) => text.to_owned(),
    }
}

fn set_up_as(prefix: Prefix) -> String {
    let next = if prefix.is_this_host() {
        ""
    } else {
        " Next: v6kit verify."
    };
    format!("{} is set up.{next} Undo: sudo v6kit teardown", named(prefix))
}

/// What stands above the steps of a prefix.
pub(crate) fn heading(prefix: Prefix) -> String {
    if prefix.is_this_host() {
        "this host".to_owned()
    } else {
        prefix.to_string()
    }
}

/// A prefix as people read it.
pub(super) fn named(prefix: Prefix) -> String {
    if prefix.is_this_host() {
        "this host, without a prefix,".to_owned()
    } else {
        prefix.to_string()
    }
}

fn conclusion(report: &SetupReport) -> String {
    match (report.dry_run, report.changed) {
        (true, 0) => "Nothing to change.".to_owned(),
        (true, changed) => {
            format!(
                "{changed} to change. Nothing was changed: this is the plan. Run it without --dry-run, as root."
            )
        }
        (false, 0) => format!("Nothing to change: {}", set_up_as(report.prefix)),
        (false, changed) => format!("{changed} changed: {}", set_up_as(report.prefix)),
    }
}
