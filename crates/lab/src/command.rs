//! Commands in the lab, started and followed by PID 1.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigmaskHow, Signal, kill, pthread_sigmask};
use nix::unistd::Pid;

use crate::error::LabError;
use crate::isolate::Entered;
use crate::lab::Lab;
use crate::signals::{Origin, reap};

/// A command line.
#[derive(Debug, Clone)]
pub struct LabCommand {
    /// The program and its arguments; at least the program.
    pub words: Vec<OsString>,
    /// What it finds in its environment besides the lab's.
    pub variables: Vec<(&'static str, OsString)>,
}

impl LabCommand {
    /// A command line as it is.
    #[must_use]
    pub fn new(words: Vec<OsString>) -> Self {
        let variables = Vec::new();
        Self { words, variables }
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its exit status, or 128 + the signal that ended it.
    pub(crate) status: u8,
    /// Whether somebody wanted the lab to stop while it ran.
    pub(crate) interrupted: bool,
}

impl Lab {
    /// Runs `command` on the host side to its end, passes signals on to it, and reaps what it leaves
    /// behind. Returns its exit status, or 128 + the signal that ended it.
    ///
    /// # Errors
    /// [`LabError::Command`] where it cannot be started.
    pub fn run(&self, entered: &Entered, command: &LabCommand) -> Result<u8, LabError> {
        let Some((program, arguments)) = command.words.split_first() else {
            return Err(LabError::Command {
                command: String::new(),
                source: io::ErrorKind::InvalidInput.into(),
            });
        };
        let variables = command.variables.iter().map(|(name, value)| (name, value));
        let mut command = Command::new(program);
        command.args(arguments).envs(variables);
        self.run_to_its_end(entered, command).map(|ended| ended.status)
    }

    /// Starts `command` with the lab's environment and follows it.
    pub(crate) fn run_to_its_end(&self, entered: &Entered, command: Command) -> Result<Ended, LabError> {
        let failed = |source: Errno| LabError::system("wait for the command", source);
        let child = self.start(entered, command)?;
        let mut interrupted = false;
        loop {
            if let Some(status) = reap(child).map_err(failed)? {
                return Ok(Ended { status, interrupted });
            }
            let (signal, origin) = entered.signals.next().map_err(failed)?;
            interrupted |= matches!(signal, Signal::SIGHUP | Signal::SIGINT | Signal::SIGTERM);
            // What comes from the terminal has reached the command by itself.
            if signal != Signal::SIGCHLD && origin == Origin::Process {
                // It may have ended in between, which the next round sees.
                let _ = kill(child, signal);
            }
        }
    }

    #[allow(
        unsafe_code,
        reason = "the signal mask and the limit on open files are the lab's own and have to be put back \
                  between fork and exec; both are single system calls, which is all that is allowed there"
    )]
    fn start(&self, entered: &Entered, mut command: Command) -> Result<Pid, LabError> {
        let (mask, (soft, hard)) = (entered.mask, self.file_limit);
        command.envs(self.environment());
        // SAFETY: sigprocmask(2) and setrlimit(2) allocate nothing and take no lock.
        unsafe {
            command.pre_exec(move || {
                setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
                Ok(pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?)
            });
        }
        let child = command.spawn().map_err(|source| LabError::Command {
            command: command.get_program().to_string_lossy().into_owned(),
            source,
        })?;
        Ok(Pid::from_raw(child.id().cast_signed()))
    }
}
