//! The front: it was started in the program's place, passes signals on to it, and ends as it did.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, raise};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid};

use crate::error::ExecError;
use crate::kernel;
use crate::settings::Settings;
use crate::signals::{self, Origin, Signals};
use crate::supervise::{self, Around, Leaves, MESSAGE, Told};
use crate::tally::{Note, Status, Tally};
use crate::watch::watch;

/// A run that is over for its caller. Programs that were left behind are served on.
#[derive(Debug)]
pub struct Ended {
    /// How the program ended.
    pub status: Status,
    /// What it came to.
    pub tally: Tally,
}

/// Runs `words` so that its connections leave as `settings` say, and tells what is worth a line meanwhile.
///
/// This process must have a single thread: it is cloned. Signals are blocked in it until it returns, and passed on.
///
/// # Errors
/// [`ExecError`]. That the program cannot be started is no error but [`Status::NotStarted`].
pub fn run(words: &[OsString], settings: Settings, tell: &mut dyn FnMut(Note)) -> Result<Ended, ExecError> {
    let pair = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    );
    let (ours, theirs) = pair.map_err(ExecError::system("make a pair of sockets"))?;
    let mask = signals::block().map_err(ExecError::system("block signals"))?;
    let signals = Signals::open().map_err(ExecError::system("read signals"))?;
    let watcher = match kernel::fork().map_err(ExecError::system("start a process"))? {
        ForkResult::Child => {
            drop((ours, signals));
            let supervise = |watcher| {
                let front = theirs;
                supervise::run(words, settings, Around { front, watcher, mask })
            };
            let watched = std::panic::AssertUnwindSafe(|| watch(supervise));
            kernel::leave(std::panic::catch_unwind(watched).unwrap_or(1));
        }
        ForkResult::Parent { child } => child,
    };
    drop(theirs);
    let ended = follow(&ours, &signals, watcher, tell);
    signals::restore(&mask);
    ended
}

/// Passes signals on, and hears from the supervisor until the program has ended.
fn follow(
    supervisor: &OwnedFd,
    signals: &Signals,
    watcher: Pid,
    tell: &mut dyn FnMut(Note),
) -> Result<Ended, ExecError> {
    let mut message = vec![0; MESSAGE];
    loop {
        let mut of_interest = [
            PollFd::new(supervisor.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut of_interest, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(ExecError::system("wait for the program")(errno)),
        }
        while let Some((signal, origin)) = signals.next().map_err(ExecError::system("read signals"))? {
            // What comes from the terminal has reached the program by itself.
            if origin == Origin::Process && signal != libc::SIGCHLD {
                // A supervisor that is gone is heard of below.
                let _ = send(
                    supervisor.as_raw_fd(),
                    &signal.to_ne_bytes(),
                    MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT,
                );
            }
        }
        let length = match recv(supervisor.as_raw_fd(), &mut message, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EAGAIN | Errno::EINTR) => continue,
            Ok(length) if length > 0 => length,
            _ => {
                // It ends when what was served has.
                let _ = waitpid(watcher, None);
                return Err(ExecError::SupervisorGone);
            }
        };
        match serde_json::from_slice(&message[..length]) {
            Ok(Told::Note(note)) => tell(note),
            Ok(Told::Stopped) => {
                let _ = raise(Signal::SIGSTOP);
            }
            Ok(Told::Ended {
                status,
                tally,
                leaves,
            }) => {
                if leaves == Leaves::Nothing {
                    // Who waits for this process finds nothing left of it.
                    let _ = waitpid(watcher, None);
                }
                return Ok(Ended {
                    status,
                    tally: *tally,
                });
            }
            Ok(Told::Failed { call, errno }) => {
                return Err(ExecError::NotServed {
                    call,
                    source: std::io::Error::from_raw_os_error(errno),
                });
            }
            Err(_) => return Err(ExecError::SupervisorGone),
        }
    }
}

/// Ends this process by the signal that ended the program, so that its caller sees what it would have seen. Returns where
/// that does not end it.
pub fn end_like(signal: i32) {
    let Ok(signal) = Signal::try_from(signal) else {
        return;
    };
    // The program has left its memory behind, where it was to.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    kernel::die_by(signal);
}
