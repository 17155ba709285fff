//! Signals as events to be read.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Those that stay what they are: faults of this process itself, and what cannot be blocked.
const OWN: [Signal; 8] = [
    Signal::SIGKILL,
    Signal::SIGSTOP,
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGILL,
    Signal::SIGFPE,
    Signal::SIGABRT,
    Signal::SIGTRAP,
];

/// Who sent a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The kernel, which tells every process of the terminal's foreground group.
    Kernel,
    /// A process.
    Process,
}

/// Signals that are read instead of delivered (signalfd(2)).
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

fn watched() -> SigSet {
    let mut all = SigSet::all();
    for signal in OWN {
        all.remove(signal);
    }
    all
}

/// Blocks all signals that can be blocked, for this thread and all that it starts; the mask from before.
pub(crate) fn block() -> nix::Result<SigSet> {
    let mut before = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&watched()), Some(&mut before))?;
    Ok(before)
}

/// Puts the mask back.
pub(crate) fn restore(mask: &SigSet) {
    // It was one before.
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(mask), None);
}

impl Signals {
    /// Reads what is blocked.
    pub(crate) fn open() -> nix::Result<Self> {
        SignalFd::with_flags(&watched(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map(Self)
    }

    /// The next signal by its number, if there is one.
    pub(crate) fn next(&self) -> nix::Result<Option<(i32, Origin)>> {
        match self.0.read_signal() {
            Ok(Some(info)) => {
                // si_code is positive for signals that the kernel generated (sigaction(2)).
                let origin = if info.ssi_code > 0 {
                    Origin::Kernel
                } else {
                    Origin::Process
                };
                Ok(Some((info.ssi_signo.cast_signed(), origin)))
            }
            Ok(None) | Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
