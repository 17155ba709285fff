//! A command in the lab, started and followed by PID 1.

use std::ffi::OsString;
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

/// A command line and what is set in its environment besides what is set here.
#[derive(Debug, Clone)]
pub struct LabCommand {
    /// The program and its arguments; at least the program.
    pub words: Vec<OsString>,
}

impl Lab {
    /// Runs `command` on the host side to its end, passes signals on to it, and reaps what it leaves
    /// behind. Returns its exit status, or 128 + the signal that ended it.
    ///
    /// # Errors
    /// [`LabError::Command`] where it cannot be started.
    pub fn run(&self, entered: &Entered, command: &LabCommand) -> Result<u8, LabError> {
        let failed = |source: Errno| LabError::system("wait for the command", source);
        let child = self.start(entered, command)?;
        loop {
            if let Some(status) = reap(child).map_err(failed)? {
                return Ok(status);
            }
            let (signal, origin) = entered.signals.next().map_err(failed)?;
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
    fn start(&self, entered: &Entered, command: &LabCommand) -> Result<Pid, LabError> {
        let (mask, files) = (entered.mask, self.file_limit);
        let Some((program, arguments)) = command.words.split_first() else {
            return Err(LabError::Command {
                command: String::new(),
                source: std::io::ErrorKind::InvalidInput.into(),
            });
        };
        let mut child = Command::new(program);
        child.args(arguments).envs(self.environment());
        // SAFETY: sigprocmask(2) and setrlimit(2) allocate nothing and take no lock.
        unsafe {
            child.pre_exec(move || {
                setrlimit(Resource::RLIMIT_NOFILE, files.0, files.1)?;
                Ok(pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?)
            });
        }
        let child = child.spawn().map_err(|source| LabError::Command {
            command: program.to_string_lossy().into_owned(),
            source,
        })?;
        Ok(Pid::from_raw(child.id().cast_signed()))
    }
}
