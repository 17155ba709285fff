//! `v6kit setup`.

mod args;
pub(crate) mod config;
mod line;
mod report;
mod uplink;
mod which;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use v6kit_host::boot::{self, Wish};
use v6kit_host::{FailureKind, HostError, SetupReport};

pub(crate) use self::args::{OnDriftArg, SetupArgs};
use self::config::Config;
use self::report::{Document, named, print};
pub(crate) use self::report::{heading, shown};
pub(crate) use self::uplink::other_way_out;
use super::block_on;
use crate::failure::{Exit, Failure};
use crate::printer::{Form, Printer, Tone};

pub(crate) fn run(mut args: SetupArgs, printer: &Printer) -> anyhow::Result<Exit> {
    let said = config::said();
    if args.is_for_program() {
        args.wish = said;
        return Ok(line::run(args, printer)?);
    }
    args.require_command(&said)?;
    let Some(path) = args.config.clone() else {
        args.wish = said;
        if args.prefix.is_none() {
            if !args.needs_no_prefix() {
                return Ok(which::list(&args, printer)?);
            }
            args.fill_in()?;
        }
        let on_drift = args.on_drift;
        let document = one(&args, on_drift)?;
        printer.json(&document);
        return Ok(print(&document, printer)?);
    };
    let Config { setups, on_drift } = Config::read(&path, &said)?;
    let (mut documents, mut failures, mut exit) = (Vec::new(), Vec::new(), Exit::Done);
    for setup in &setups {
        if setups.len() > 1 {
            printer.line(printer.paint(heading(setup.prefix()), Tone::Strong));
        }
        let outcome = one(setup, args.on_drift.or(on_drift)).and_then(|document| {
            let outcome = print(&document, printer);
            documents.push(document);
            outcome
        });
        match outcome {
            Ok(Exit::Done) => {}
            Ok(other) => exit = other,
            Err(failure) => failures.push(failure),
        }
    }
    printer.json(&serde_json::json!({ "setups": documents, "errors": failures }));
    conclude(exit, failures, printer)
}

/// One prefix that fails keeps no other from being set up; the last failure is the command's.
fn conclude(exit: Exit, mut failures: Vec<Failure>, printer: &Printer) -> anyhow::Result<Exit> {
    let Some(last) = failures.pop() else {
        return Ok(exit);
    };
    for failure in failures {
        printer.warning(failure.on_one_line());
    }
    if printer.form() == Form::Json {
        printer.warning(last.on_one_line());
        return Ok(last.exit);
    }
    Err(last.into())
}

/// Sets one prefix up, and arranges the next boot where that is asked for.
fn one(args: &SetupArgs, on_drift: Option<OnDriftArg>) -> Result<Document, Failure> {
    let wish = args.persist.then(|| args.wish(on_drift));
    if let Some(wish) = &wish {
        may_persist(wish, &args.state.state_dir)?;
    }
    let report = set_up(args, args.dry_run)?;
    let mut document = Document {
        report,
        at_boot: None,
    };
    if let Some(wish) = wish
        && !args.dry_run
        && document.report.blocked_by.is_none()
    {
        let what = format!("{} is set up until the next boot only", named(wish.prefix));
        document.at_boot = Some(block_on::<_, Failure>(async {
            boot::persist(&wish)
                .await
                .map_err(|error| failure(what, &HostError::from(error)))
        })?);
    }
    Ok(document)
}

/// What stands against `--persist` is told before anything is changed.
fn may_persist(wish: &Wish, state_dir: &Path) -> Result<(), Failure> {
    let what = format!("{} cannot be set up at boot", named(wish.prefix));
    if state_dir != Path::new(boot::STATE_DIR) {
        return Err(Failure::new(Exit::Usage, what)
            .why(format!(
                "the service keeps its journal in {}, and --state-dir is {}",
                boot::STATE_DIR,
                state_dir.display()
            ))
            .hint("leave --state-dir and V6KIT_STATE_DIR out"));
    }
    boot::check(wish).map_err(|error| failure(what, &HostError::from(error)))
}

/// Sets one prefix up.
pub(crate) fn set_up(args: &SetupArgs, is_dry_run: bool) -> Result<SetupReport, Failure> {
    let what = format!("setup of {} failed", named(args.prefix()));
    block_on::<_, Failure>(async {
        let wanted = args.wanted_here().await?;
        let report = if is_dry_run {
            v6kit_host::dry_run(&wanted, &args.state.state_dir).await
        } else {
            let stop = stop_on_signal()?;
            v6kit_host::setup(&wanted, &args.state.state_dir, &stop).await
        };
        let mut report = report.map_err(|error| failure(what, &error))?;
        report
            .remarks
            .extend(other_way_out(wanted.prefix, &wanted.device).await);
        Ok(report)
    })
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
