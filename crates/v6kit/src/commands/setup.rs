//! `v6kit setup`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::ValueEnum;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use v6kit_host::{
    Conntrack, FailureKind, HostError, Inbound, Purpose, SetupReport, SetupState, SetupStep, Wanted,
};
use v6kit_net::Prefix;

use super::block_on;
use crate::args::{BadValue, StateArgs};
use crate::failure::{Exit, Failure};
use crate::printer::{Printer, Tone};

/// Each value of `--conntrack` and what it means.
const CONNTRACK_HINT: &str =
    "auto, notrack, keep, or the number of connections to have room for, such as 1000000";

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sudo v6kit setup --prefix 2001:db8:1:2::/64 --dev eth0\n  \
    v6kit setup --prefix 2001:db8:1:2::/64 --dev eth0 --for proxy --dry-run\n\n\
    Everything is journaled before it is changed; `v6kit teardown` puts it back, also after a kill or\n\
    a crash. Run twice, it changes nothing. Several prefixes may be set up side by side.\n\
    Exit: 0 done, 1 something stands against a step, 2 wrong usage, 4 not permitted.")]
pub(crate) struct SetupArgs {
    /// The prefix that is routed to this host
    #[arg(long, value_name = "P", value_parser = crate::args::prefix)]
    prefix: Prefix,
    /// The device that it arrives on
    #[arg(long, value_name = "DEV")]
    dev: String,
    /// The device that carries the local route; on lo it outlives every link
    #[arg(long, value_name = "DEV", default_value = "lo")]
    route_dev: String,
    /// Connection tracking: auto (room where something is tracked), notrack (not for the prefix), keep,
    /// or room for N connections
    #[arg(long, value_name = "auto|notrack|keep|N", default_value = "auto", value_parser = conntrack)]
    conntrack: Conntrack,
    /// New connections from outside to the prefix
    #[arg(long, value_name = "drop|allow", default_value = "drop")]
    inbound: InboundArg,
    /// File descriptors that one process may need
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = clap::value_parser!(u64).range(1024..=1_073_741_816))]
    nofile: u64,
    /// What this host will do: proxy lets UDP answers in, proxy and server get room for incoming
    /// connections
    #[arg(long = "for", value_name = "crawl|proxy|server", default_value = "crawl")]
    purpose: PurposeArg,
    /// Show the plan and change nothing; needs no root
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    state: StateArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum InboundArg {
    /// Drop new TCP connections, UDP and ping; answers to connections from here pass
    Drop,
    /// Let them reach whatever listens on every address
    Allow,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PurposeArg {
    /// Open connections
    Crawl,
    /// Open connections for others
    Proxy,
    /// Take connections
    Server,
}

fn conntrack(text: &str) -> Result<Conntrack, BadValue> {
    match text {
        "auto" => Ok(Conntrack::Auto),
        "notrack" => Ok(Conntrack::Notrack),
        "keep" => Ok(Conntrack::Keep),
        number => match number.parse::<u32>() {
            Ok(max) if max > 0 => Ok(Conntrack::Max(max.into())),
            _ => Err(BadValue::new(
                format!("`{number}` is neither a mode nor a number of connections"),
                CONNTRACK_HINT,
            )),
        },
    }
}

impl SetupArgs {
    fn wanted(&self) -> Wanted {
        Wanted {
            prefix: self.prefix,
            device: self.dev.clone(),
            route_device: self.route_dev.clone(),
            conntrack: self.conntrack,
            inbound: match self.inbound {
                InboundArg::Drop => Inbound::Drop,
                InboundArg::Allow => Inbound::Allow,
            },
            nofile: self.nofile,
            purpose: match self.purpose {
                PurposeArg::Crawl => Purpose::Crawl,
                PurposeArg::Proxy => Purpose::Proxy,
                PurposeArg::Server => Purpose::Server,
            },
        }
    }
}

pub(crate) fn run(args: &SetupArgs, printer: &Printer) -> Result<Exit, Failure> {
    let wanted = args.wanted();
    let what = format!("setup of {} failed", wanted.prefix);
    let report = block_on(async {
        let report = if args.dry_run {
            v6kit_host::dry_run(&wanted, &args.state.state_dir).await
        } else {
            let stop = stop_on_signal()?;
            v6kit_host::setup(&wanted, &args.state.state_dir, &stop).await
        };
        report.map_err(|error| failure(what, &error))
    })?;
    print(&report, printer)
}

/// Becomes true when the user asks to stop, which setup looks at between its steps. Asked again, the
/// process ends at once: the journal is good for that too.
fn stop_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, Exit::Interrupted.code().into(), Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| Failure::new(Exit::Failed, "cannot start").why(error.to_string()))?;
    }
    Ok(stop)
}

/// A failure of the host crate with its exit code.
pub(crate) fn failure(what: impl Into<String>, error: &HostError) -> Failure {
    let exit = match error.kind() {
        FailureKind::Usage => Exit::Usage,
        FailureKind::NotPermitted => Exit::NotPermitted,
        FailureKind::DiskFull => Exit::DiskFull,
        FailureKind::Interrupted => Exit::Interrupted,
        FailureKind::Other => Exit::Failed,
    };
    Failure::because(exit, what, error)
}

fn print(report: &SetupReport, printer: &Printer) -> Result<Exit, Failure> {
    printer.json(report);
    let header = ["step", "", "before -> after", "why"].map(|title| printer.paint(title, Tone::Faint));
    let rows = report.steps.iter().map(|step| row(step, printer));
    printer.table(std::iter::once(header.to_vec()).chain(rows));
    for step in &report.steps {
        if let Some(hint) = &step.hint {
            printer.line(format!(
                "{} {}: {hint}",
                printer.paint("hint:", Tone::Good),
                step.id
            ));
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
    let has_conflict = report.steps.iter().any(|step| step.state == SetupState::Conflict);
    Ok(if has_conflict { Exit::Failed } else { Exit::Done })
}

fn blocking(report: &SetupReport) -> Option<&SetupStep> {
    let id = report.blocked_by.as_ref()?;
    report.steps.iter().find(|step| step.id == *id)
}

/// With `--json` the report is the one document, and it says all.
fn blocked_exit(report: &SetupReport, step: &SetupStep, printer: &Printer) -> Result<Exit, Failure> {
    if printer.form() == crate::printer::Form::Json {
        return Ok(Exit::Failed);
    }
    let failure = Failure::new(
        Exit::Failed,
        format!("{} was not set up, and nothing was changed", report.prefix),
    );
    Err(match &step.hint {
        Some(hint) => failure.why(&step.reason).hint(hint),
        None => failure.why(&step.reason),
    })
}

fn row(step: &SetupStep, printer: &Printer) -> Vec<String> {
    let (word, tone) = match step.state {
        SetupState::Changed => ("changed", Tone::Good),
        SetupState::Unchanged => ("unchanged", Tone::Faint),
        SetupState::Skipped => ("skipped", Tone::Warning),
        SetupState::Conflict => ("conflict", Tone::Bad),
    };
    let before = shown(step.before.as_deref());
    let value = if step.state == SetupState::Changed {
        format!("{before} -> {}", shown(step.after.as_deref()))
    } else {
        before
    };
    vec![
        step.id.clone(),
        printer.paint(word, tone),
        value,
        step.reason.clone(),
    ]
}

/// A value that may be absent or empty.
pub(crate) fn shown(value: Option<&str>) -> String {
    match value {
        None | Some("") => "-".to_owned(),
        Some(text) => text.to_owned(),
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
        (false, 0) => format!(
            "Nothing to change: {} is set up. Next: v6kit verify. Undo: sudo v6kit teardown",
            report.prefix
        ),
        (false, changed) => format!(
            "{changed} changed: {} is set up. Next: v6kit verify. Undo: sudo v6kit teardown",
            report.prefix
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conntrack_takes_a_mode_or_a_number() {
        assert_eq!(conntrack("auto").unwrap(), Conntrack::Auto);
        assert_eq!(conntrack("notrack").unwrap(), Conntrack::Notrack);
        assert_eq!(conntrack("keep").unwrap(), Conntrack::Keep);
        assert_eq!(conntrack("1000000").unwrap(), Conntrack::Max(1_000_000));
        for wrong in ["", "0", "-1", "many", "99999999999"] {
            assert!(conntrack(wrong).is_err(), "{wrong}");
        }
    }
}
