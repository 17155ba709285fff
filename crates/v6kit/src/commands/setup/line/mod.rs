//! `v6kit setup … -- CMD`: sets up, verifies, and executes CMD in this process's own place, under `v6kit exec` unless
//! told otherwise.
//!
//! Three processes have a part in it. *This one* is where CMD will be: it waits, drops root where it came by it through
//! sudo, and execs. A *watcher* in a session of its own sets up, verifies, waits until this process and what it started
//! have ended, and undoes. Where this one is no root, a *keeper* that sudo starts has root for the watcher's sake.
//! Terminal, job control, signals and exit status are CMD's own: with `--plain` no one stands between it and its parent.

mod asking;
mod caller;
mod exec;
mod keeper;
mod responder;
mod watcher;

use std::ffi::OsString;

use nix::unistd::geteuid;
use v6kit_host::Program;

use self::caller::Identity;
use self::keeper::{Kept, keep, keep_through};
use super::SetupArgs;
use super::which;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

/// Which of the processes this is.
pub(super) fn run(args: SetupArgs, printer: &Printer) -> Result<Exit, Failure> {
    let outcome = match args.for_program {
        Some(program) if args.watch => watcher::watch(&args, program, printer),
        Some(program) => keep(&args, program).map(|kept| match kept {
            Kept::Ready => Exit::Done,
            Kept::Told => Exit::NotRun,
        }),
        None => launch(args, printer),
    };
    outcome.map_err(|failure| Failure {
        exit: Exit::NotRun,
        ..failure
    })
}

fn launch(mut args: SetupArgs, printer: &Printer) -> Result<Exit, Failure> {
    if args.no_verify && args.wish.values("endpoint").is_some() {
        return Err(Failure::new(Exit::NotRun, "wrong usage")
            .why("--no-verify asks no --endpoint")
            .hint("leave one of the two out")
            .code(v6kit_net::Code::Usage));
    }
    which::for_command(&mut args, printer)?;
    let program = Program::of(std::process::id().cast_signed()).map_err(|error| {
        Failure::new(Exit::NotRun, "this process cannot be looked at").why(error.to_string())
    })?;
    let (identity, kept) = if geteuid().is_root() {
        let identity = Identity::for_command(args.run_as.as_deref(), printer)?;
        (identity, keep(&args, program)?)
    } else {
        caller::require_self(args.run_as.as_deref())?;
        (None, keep_through(asking::tool()?, &args, program)?)
    };
    if kept == Kept::Told {
        return Ok(Exit::NotRun);
    }
    let mut environment = exec::Environment::new(&args, program);
    exec::limit_files(args.nofile, args.wish.values("nofile").is_some(), printer)?;
    if let Some(identity) = identity {
        identity.become_it()?;
        environment.belongs_to(&identity);
    }
    exec::exec(&command(&args, printer), environment)
}

/// The command, under `v6kit exec` where its connections are to leave from the prefix, which is said.
fn command(args: &SetupArgs, printer: &Printer) -> Vec<OsString> {
    if !args.wraps_command() {
        return args.command.clone();
    }
    let prefix = args.prefix();
    let program = args.command.first().map(|word| word.to_string_lossy());
    printer.note(format!(
        "{} runs under v6kit exec, so that its connections leave from {prefix}; --plain runs it as it is",
        program.unwrap_or_default()
    ));
    let mut words: Vec<OsString> = ["v6kit", "exec"].map(OsString::from).into();
    if printer.is_quiet() {
        words.push("--quiet".into());
    }
    words.extend(["--prefix".into(), prefix.to_string().into(), "--".into()]);
    words.extend(args.command.iter().cloned());
    words
}
