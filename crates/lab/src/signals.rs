//! Signals as events to be read, and children to be reaped.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// What somebody may send to a running lab, and the end of a child.
const WATCHED: [Signal; 8] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGCHLD,
];

/// Who sent a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The kernel, which tells every process of the terminal's foreground group.
    Kernel,
    /// A process, which meant the receiver alone.
    Process,
}

/// Signals that are read instead of delivered (signalfd(2)).
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Blocks the signals for this thread and all that it starts; also returns the mask from before.
    pub(crate) fn block() -> nix::Result<(Self, SigSet)> {
        let watched: SigSet = WATCHED.into_iter().collect();
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&watched), Some(&mut before))?;
        Ok((
            Self(SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC)?),
            before,
        ))
    }

    /// Waits for the next signal.
    pub(crate) fn next(&self) -> nix::Result<(Signal, Origin)> {
        loop {
            match self.0.read_signal() {
                Ok(Some(info)) => {
                    let signal = Signal::try_from(info.ssi_signo.cast_signed())?;
                    // si_code is positive for signals that the kernel generated (sigaction(2)).
                    let origin = if info.ssi_code > 0 {
                        Origin::Kernel
                    } else {
                        Origin::Process
                    };
                    return Ok((signal, origin));
                }
                Ok(None) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// The exit status of `child`, if it has ended: its own, or 128 + the signal that ended it.
pub(crate) fn exit_status(child: Pid) -> nix::Result<Option<u8>> {
    Ok(ended(waitpid(child, Some(WaitPidFlag::WNOHANG))?).map(|(_, status)| status))
}

/// Reaps every child that has ended; the exit status of `command` if it is one of them.
pub(crate) fn reap(command: Pid) -> nix::Result<Option<u8>> {
    let mut found = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(found),
            Ok(status) => {
                if let Some((pid, status)) = ended(status)
                    && pid == command
                {
                    found = Some(status);
                }
            }
            Err(errno) => return Err(errno),
        }
    }
}

fn ended(status: WaitStatus) -> Option<(Pid, u8)> {
    match status {
        // An exit status has 8 bits (wait(2)).
        WaitStatus::Exited(pid, code) => Some((pid, u8::try_from(code & 0xff).unwrap_or(u8::MAX))),
        WaitStatus::Signaled(pid, signal, _) => {
            Some((pid, u8::try_from(128 + signal as i32).unwrap_or(u8::MAX)))
        }
        _ => None,
    }
}
