//! Sets up for a program, waits until it and what it started have ended, and undoes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::unistd::{chdir, close, dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use tokio::sync::watch;
use v6kit_host::{Entry, Program, Running, SetupReport, SetupState, TeardownReport, TeardownState};
use v6kit_net::Prefix;
use v6kit_verify::{Diagnosis, Report};

use super::responder;
use crate::commands::setup::report::{blocked, named, steps, value};
use crate::commands::setup::{SetupArgs, failure, other_way_out};
use crate::commands::{block_on, verify};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

/// What the watcher says on standard output when the command may begin.
pub(super) const READY: &str = "ready";
/// How often a kernel without pidfd_open(2), before Linux 5.3, is asked.
const GLANCE: Duration = Duration::from_millis(200);

/// The end of the program.
struct End {
    stop: Arc<AtomicBool>,
    told: watch::Receiver<bool>,
}

impl End {
    /// Looks for it in a thread of its own: steps of a setup are not waited for with anything else.
    fn of(program: Program) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, told) = watch::channel(false);
        let seen = Arc::clone(&stop);
        let look = move || {
            wait_for(program.pid, || program.is_running());
            seen.store(true, Ordering::Relaxed);
            let _ = tell.send(true);
        };
        thread::Builder::new()
            .name("end".to_owned())
            .spawn(look)
            .map_err(|error| Failure::new(Exit::NotRun, "cannot start").why(error.to_string()))?;
        Ok(Self { stop, told })
    }

    fn has_come(&self) -> bool {
        *self.told.borrow()
    }

    async fn wait(&mut self) {
        // A sender that is gone has told.
        let _ = self.told.wait_for(|told| *told).await;
    }
}

/// Waits until the process has ended, which `is_running` tells from a later one of the same id.
fn wait_for(pid: i32, is_running: impl Fn() -> bool) {
    let descriptor: Option<OwnedFd> =
        Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    while is_running() {
        match &descriptor {
            // Readable when it has ended (pidfd_open(2)).
            Some(descriptor) => {
                let _ = poll(&mut [PollFd::new(descriptor, PollFlags::IN)], None);
            }
            None => thread::sleep(GLANCE),
        }
    }
}

/// In a session of its own, so that what ends a terminal or a process group does not end this.
fn detach() -> Result<(), Failure> {
    let failed = |why: String| Failure::new(Exit::NotRun, "cannot start").why(why);
    // What the command was given is the command's: a pipe ends when nobody holds it.
    let given: Vec<i32> = fs::read_dir("/proc/self/fd")
        .map_err(|error| failed(error.to_string()))?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for descriptor in given.into_iter().filter(|descriptor| *descriptor > 2) {
        // The one that listed them is gone.
        let _ = close(descriptor);
    }
    // Only what leads a process group has no session to make, and has one.
    let _ = setsid();
    chdir("/").map_err(|errno| failed(errno.desc().to_owned()))?;
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        // Whoever wants it to end ends the command.
        signal_hook::flag::register(signal, Arc::default()).map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
}

pub(super) fn watch(args: &SetupArgs, program: Program, printer: &Printer) -> Result<Exit, Failure> {
    detach()?;
    let mut end = End::of(program)?;
    let prefix = args.prefix();
    let leave = async || v6kit_host::leave(&args.state.state_dir, prefix, program).await;
    block_on::<_, Failure>(async {
        let prepared = prepare(args, program, &mut end, printer).await;
        let prepared = match prepared {
            Ok(()) if !end.has_come() => say_ready(program),
            other => other,
        };
        if prepared.is_err() || end.has_come() {
            leave()
                .await
                .map_err(|error| failure(format!("{prefix} could not be put back"), &error))?;
            prepared?;
            return Ok(Exit::NotRun);
        }
        end.wait().await;
        outlast(program, prefix, printer);
        match leave().await {
            Ok(report) => Ok(told(report, printer)),
            Err(error) => Err(failure(format!("{prefix} could not be put back"), &error)),
        }
    })
}

/// Sets up, and answers and verifies where that is wanted.
async fn prepare(
    args: &SetupArgs,
    program: Program,
    end: &mut End,
    printer: &Printer,
) -> Result<(), Failure> {
    let wanted = args.wanted_here().await?;
    let what = || format!("setup of {} failed", named(wanted.prefix));
    let (report, entry) = v6kit_host::enter(&wanted, &args.state.state_dir, program, &end.stop)
        .await
        .map_err(|error| failure(what(), &error))?;
    if let Some(failure) = blocked(&report) {
        return Err(failure);
    }
    say_entry(&report, entry, printer);
    if wanted.prefix.is_this_host() {
        return Ok(());
    }
    if let Some(remark) = other_way_out(wanted.prefix, &wanted.device).await {
        printer.note(remark);
    }
    let answers = responder::is_on_link(wanted.prefix, &wanted.device).await;
    if answers {
        answer(wanted.prefix, &wanted.device, printer)?;
    }
    if args.no_verify {
        return Ok(());
    }
    tokio::select! {
        verified = proven(args, &wanted.device, answers, printer) => verified,
        () = end.wait() => Ok(()),
    }
}

fn answer(prefix: Prefix, device: &str, printer: &Printer) -> Result<(), Failure> {
    responder::answer(prefix, device)?;
    printer.note(format!(
        "{prefix} is on-link: until the command has ended, neighbour solicitations for it are answered on {device}"
    ));
    Ok(())
}

/// Fails where it is proven that connections do not leave from the prefix.
async fn proven(args: &SetupArgs, device: &str, answers: bool, printer: &Printer) -> Result<(), Failure> {
    let prefix = args.prefix();
    let mut report = verify::of_line(prefix, &args.endpoint, device).await?;
    if report.diagnosis == Diagnosis::OnLink && !answers {
        answer(prefix, device, printer)?;
        report = verify::of_line(prefix, &args.endpoint, device).await?;
    }
    if report.ok {
        printer.note(format!(
            "verified: {} of {} connections left from addresses of {prefix}",
            report.egress.answered, report.egress.tried
        ));
        return Ok(());
    }
    if !is_proof(&report) {
        printer.warning(format!(
            "not verified, which shows nothing against {prefix}: {}",
            report.meaning
        ));
        return Ok(());
    }
    let failure = Failure::new(
        Exit::NotRun,
        format!("connections do not leave from {prefix}, and the command did not run"),
    )
    .why(format!("{}: {}", report.diagnosis, report.meaning));
    let failure = match report.diagnosis.code() {
        Some(code) => failure.code(code),
        None => failure,
    };
    Err(match &report.hint {
        Some(hint) => failure.hint(format!("{hint}; --no-verify goes on all the same")),
        None => failure.hint("--no-verify goes on all the same"),
    })
}

/// Whether the report proves that connections do not leave from the prefix. A server that does not answer, a name that
/// is not found or a full table prove nothing.
fn is_proof(report: &Report) -> bool {
    let egress = &report.egress;
    if egress.answered > egress.mismatched {
        return false;
    }
    matches!(
        report.diagnosis,
        Diagnosis::OnLink
            | Diagnosis::NoReturn
            | Diagnosis::Filtered
            | Diagnosis::Rewritten
            | Diagnosis::NotSetUp
            | Diagnosis::DroppedHere
            | Diagnosis::Misrouted
            | Diagnosis::Renumbered
    )
}

fn say_entry(report: &SetupReport, entry: Entry, printer: &Printer) {
    let prefix = named(report.prefix);
    for remark in &report.remarks {
        printer.note(format!("note: {remark}"));
    }
    if entry == Entry::SetUp {
        if printer.is_verbose() {
            printer.table(steps(report, printer));
        }
        printer.note(format!(
            "{prefix} is set up ({} changes), until the command has ended",
            report.changed
        ));
        return;
    }
    let whose = match entry {
        Entry::Lasting => "is set up already: it is used and left",
        _ => "is set up for another command, and until the last has ended",
    };
    printer.note(format!("{prefix} {whose}"));
    for step in report
        .steps
        .iter()
        .filter(|step| step.state == SetupState::Changed)
    {
        printer.warning(format!("{} is {}, and is left so", step.id, value(step)));
    }
}

/// Lets go of everything that is the caller's but for standard error, and says that the command may begin.
fn say_ready(program: Program) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::new(Exit::NotRun, "cannot go on in the background").why(error.to_string())
    };
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(failed)?;
    keep_standard_error(program, &null).map_err(failed)?;
    writeln!(io::stdout(), "{READY}").map_err(failed)?;
    dup2_stdin(&null).map_err(|errno| failed(errno.into()))?;
    dup2_stdout(&null).map_err(|errno| failed(errno.into()))
}

/// What sudo gave as standard error ends with sudo: the command's own is what is wanted.
fn keep_standard_error(program: Program, null: &File) -> io::Result<()> {
    let theirs = format!("/proc/{}/fd/2", program.pid);
    let identity = |path: &str| fs::metadata(path).map(|found| (found.dev(), found.ino(), found.rdev()));
    if let (Ok(theirs), Ok(ours)) = (identity(&theirs), identity("/proc/self/fd/2"))
        && theirs == ours
    {
        return Ok(());
    }
    let flags = OFlag::O_NOCTTY | OFlag::O_APPEND;
    let opened = File::options()
        .append(true)
        .custom_flags(flags.bits())
        .open(theirs);
    dup2_stderr(opened.as_ref().unwrap_or(null)).map_err(io::Error::from)
}

/// Waits for what the program left running, which is named once.
fn outlast(program: Program, prefix: Prefix, printer: &Printer) {
    let mut left = program.descendants();
    if !left.is_empty() {
        printer.note(format!(
            "{} still runs: {prefix} stays set up until it has ended",
            Running::listed(&left)
        ));
        // Whoever reads it to its end does not wait for those.
        if let Ok(null) = File::options().write(true).open("/dev/null") {
            let _ = dup2_stderr(&null);
        }
    }
    while let Some(running) = left.first() {
        let Ok(this) = Program::of(running.pid) else {
            left = program.descendants();
            continue;
        };
        wait_for(this.pid, || this.is_running());
        left = program.descendants();
    }
}

/// Says only what is not as it was.
fn told(report: Option<TeardownReport>, printer: &Printer) -> Exit {
    let mut exit = Exit::Done;
    for step in report.iter().flat_map(|report| &report.steps) {
        let reason = step.reason.as_deref().unwrap_or_default();
        match step.state {
            TeardownState::Restored | TeardownState::AlreadyGone => {}
            TeardownState::ChangedByOther => printer.note(format!("{}: {reason}", step.id)),
            TeardownState::Failed => {
                exit = Exit::Failed;
                printer.warning(format!(
                    "{} could not be put back: {reason}; `sudo v6kit teardown` tries again",
                    step.id
                ));
            }
        }
    }
    exit
}
