//! Starts the watcher with root, and sees that nothing is left where that fails.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use v6kit_host::Program;

use super::watcher::READY;
use crate::commands::block_on;
use crate::commands::setup::{SetupArgs, config, failure};
use crate::failure::{Exit, Failure};

/// How starting the watcher ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// All is set up, and somebody watches.
    Ready,
    /// It is not, and the watcher or the keeper has said why.
    Told,
}

/// Starts the watcher, and waits until all is set up. Where it is killed meanwhile, what it did is undone here.
pub(super) fn keep(args: &SetupArgs, program: Program) -> Result<Kept, Failure> {
    let mut watcher = Command::new(this_program()?)
        .args(words(args, program))
        .arg("--watch")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| not_started(&error.to_string()))?;
    let mut said = String::new();
    if let Some(output) = watcher.stdout.take() {
        let _ = BufReader::new(output).read_line(&mut said);
    }
    if said.trim_end() == READY {
        return Ok(Kept::Ready);
    }
    let status = watcher.wait().map_err(|error| not_started(&error.to_string()))?;
    if status.code() == Some(Exit::NotRun.code().into()) {
        return Ok(Kept::Told);
    }
    block_on::<_, Failure>(async {
        v6kit_host::leave(&args.state.state_dir, args.prefix(), program)
            .await
            .map_err(|error| failure("what was begun could not be undone", &error))
    })?;
    Err(not_started(&format!(
        "the process that sets up ended ({status}); what it had begun is undone"
    )))
}

/// [`keep`] as root, through sudo or doas.
pub(super) fn keep_through(tool: PathBuf, args: &SetupArgs, program: Program) -> Result<Kept, Failure> {
    let this = this_program()?;
    let status = Command::new(&tool)
        .arg("--")
        .arg(this)
        .args(words(args, program))
        .stdout(Stdio::null())
        .status()
        .map_err(|error| not_started(&format!("{}: {error}", tool.display())))?;
    match status.code() {
        Some(0) => Ok(Kept::Ready),
        Some(code) if code == i32::from(Exit::NotRun.code()) => Ok(Kept::Told),
        _ => Err(not_started(&format!("{} gave no root ({status})", named(&tool)))
            .code(v6kit_net::Code::NotPermitted)
            .hint(
                "only setting up needs root, the command runs as you; as root: `--as USER` runs it as a user",
            )),
    }
}

fn named(tool: &Path) -> String {
    tool.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn not_started(why: &str) -> Failure {
    Failure::new(Exit::NotRun, "the command did not run").why(why)
}

fn this_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| not_started(&format!("the path of this program: {error}")))
}

/// The words after the program's name that ask for the same setup, for `program`.
fn words(args: &SetupArgs, program: Program) -> Vec<OsString> {
    let mut wish = args.wish.clone().without(&[
        "as",
        "cmd",
        "dev",
        "plain",
        "prefix",
        "state-dir",
        "json",
        "for-program",
        "watch",
    ]);
    wish.say("prefix", vec![args.prefix().to_string()]);
    if let Some(device) = &args.dev {
        wish.say("dev", vec![device.clone()]);
    }
    if !args.endpoint.is_empty() {
        wish.say(
            "endpoint",
            args.endpoint.iter().map(ToString::to_string).collect(),
        );
    }
    let mut words = vec![OsString::from("setup")];
    words.extend(wish.words(&config::command()));
    let mut state_dir = OsString::from("--state-dir=");
    state_dir
        .push(std::path::absolute(&args.state.state_dir).unwrap_or_else(|_| args.state.state_dir.clone()));
    words.push(state_dir);
    words.push(format!("--for-program={}-{}", program.pid, program.start).into());
    words
}
