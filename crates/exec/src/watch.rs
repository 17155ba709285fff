//! The watcher: it ends what the supervisor served when that dies before it.

use std::fs::File;
use std::io::{self, PipeWriter};
use std::os::fd::AsRawFd;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, chdir, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use crate::kernel;
use crate::process;

/// Runs `supervise` in a process below this one, and returns its own status when all that was served has ended.
pub(crate) fn watch(supervise: impl FnOnce(io::PipeReader) -> i32) -> i32 {
    if nix::sys::prctl::set_child_subreaper(true).is_err() {
        return 1;
    }
    let Ok((life, alive)) = io::pipe() else { return 1 };
    match kernel::fork() {
        Ok(ForkResult::Child) => {
            drop(alive);
            let work = std::panic::AssertUnwindSafe(move || supervise(life));
            kernel::leave(std::panic::catch_unwind(work).unwrap_or(1));
        }
        Ok(ForkResult::Parent { child }) => {
            drop(life);
            detach(&alive);
            loop {
                match waitpid(child, None) {
                    Ok(WaitStatus::Exited(_, 0)) => return 0,
                    Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..))
                    | Err(nix::errno::Errno::ECHILD) => {
                        process::end_all_below();
                        return 1;
                    }
                    Ok(_) | Err(_) => {}
                }
            }
        }
        Err(_) => 1,
    }
}

/// Out of the terminal's session, so that what ends a group of processes does not end this.
fn detach(alive: &PipeWriter) {
    // A process that was forked leads no group.
    let _ = setsid();
    let _ = kernel::close_all_but(&[alive.as_raw_fd()]);
    let _ = let_go();
    let _ = chdir("/");
}

/// Lets go of standard input, output and error.
pub(crate) fn let_go() -> nix::Result<()> {
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(|error| {
            error
                .raw_os_error()
                .map_or(nix::errno::Errno::EIO, nix::errno::Errno::from_raw)
        })?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)
}
