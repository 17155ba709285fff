//! The program itself: put under the filter, and started when its calls are received.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::unistd::{ForkResult, Pid};

use crate::filter;
use crate::kernel::{self, Listener};

/// What the child says before it becomes the program: the number of its listener, or what went wrong, negative.
type Said = [u8; 4];

/// A child under the filter that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) pid: Pid,
    pub(crate) listener: Listener,
    said: PipeReader,
    go: PipeWriter,
}

/// Why there is no child that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotInstalled {
    /// It could not be started.
    Fork(Errno),
    /// It could not be put under the filter.
    Seccomp(Errno),
    /// Its listener could not be taken.
    Take(Errno),
}

/// What a child does when it is let go; what it returns is its status.
pub(crate) trait Then: FnOnce(Child) -> i32 {}
impl<F: FnOnce(Child) -> i32> Then for F {}

/// The child's ends.
#[derive(Debug)]
pub(crate) struct Child {
    said: PipeWriter,
}

impl Child {
    /// Says what went wrong. The pipe closes by itself where the program runs.
    fn failed(mut self, errno: i32) {
        let _ = self.said.write_all(&errno.to_ne_bytes());
    }
}

/// Starts a child under the filter, which does `then` when it is told to go, and nothing where this process ends before.
pub(crate) fn start(then: impl Then) -> Result<Waiting, NotInstalled> {
    let pipe = || io::pipe().map_err(|error| NotInstalled::Fork(errno_of(&error)));
    let ((mut said, says), (goes, go)) = (pipe()?, pipe()?);
    match kernel::fork().map_err(NotInstalled::Fork)? {
        ForkResult::Child => {
            drop((said, go));
            let work = move || wait_and(Child { said: says }, goes, then);
            let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            kernel::leave(status.unwrap_or(125));
        }
        ForkResult::Parent { child } => {
            drop((says, goes));
            let mut number = Said::default();
            // A child that died says nothing.
            said.read_exact(&mut number)
                .map_err(|_ended| NotInstalled::Seccomp(Errno::ESRCH))?;
            let number = i32::from_ne_bytes(number);
            if number < 0 {
                return Err(NotInstalled::Seccomp(Errno::from_raw(-number)));
            }
            let (listener, _) = kernel::take(child, || child, number).map_err(NotInstalled::Take)?;
            Ok(Waiting {
                pid: child,
                listener: Listener::of(listener),
                said,
                go,
            })
        }
    }
}

fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

fn wait_and(mut child: Child, mut goes: PipeReader, then: impl Then) -> i32 {
    let listener = match Listener::install(&filter::program()) {
        Ok(listener) => listener,
        Err(errno) => {
            child.failed(-(errno as i32));
            return 125;
        }
    };
    // write(2) is not shown to anybody, unlike sendmsg(2), by which descriptors are handed over.
    let said = child.said.write_all(&listener.descriptor().to_ne_bytes());
    let mut told = [0];
    if said.is_err() || goes.read_exact(&mut told).is_err() {
        return 125;
    }
    // Only who answers may hold it: with it gone, calls fail rather than wait.
    drop(listener);
    then(child)
}

impl Waiting {
    /// Lets the child go.
    pub(crate) fn go(mut self) -> (Pid, Listener, Going) {
        // A child that has ended is told by what it said.
        let _ = self.go.write_all(&[1]);
        (self.pid, self.listener, Going(self.said))
    }
}

/// What says whether the program runs.
#[derive(Debug)]
pub(crate) struct Going(PipeReader);

impl Going {
    /// Waits until the program runs, or why it does not.
    pub(crate) fn outcome(mut self) -> Result<(), Errno> {
        let mut errno = Said::default();
        match self.0.read_exact(&mut errno) {
            Ok(()) => Err(Errno::from_raw(i32::from_ne_bytes(errno))),
            Err(_runs) => Ok(()),
        }
    }

    pub(crate) fn descriptor(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

/// Becomes the program, with the signal mask and as many open files as it may have.
pub(crate) fn become_program(child: Child, words: &[OsString], mask: SigSet) -> i32 {
    // As `setup -- CMD` has it. One that cannot be raised stays.
    let _ = v6kit_net::raise_file_limit(0);
    let Some((program, arguments)) = words.split_first() else {
        child.failed(Errno::ENOENT as i32);
        return 127;
    };
    let mut command = Command::new(program);
    let mut error = kernel::become_program(command.args(arguments), mask);
    // A script without #!: a shell's business (exec(3)), which not every system's library does.
    if error.raw_os_error() == Some(Errno::ENOEXEC as i32)
        && let Some(script) = found(program)
    {
        let mut command = Command::new("/bin/sh");
        error = kernel::become_program(command.arg0("sh").arg(script).args(arguments), mask);
    }
    child.failed(error.raw_os_error().unwrap_or(Errno::EIO as i32));
    126
}

/// The file that a word names, as exec finds it.
#[allow(
    clippy::disallowed_methods,
    reason = "programs are looked for where exec looks"
)]
fn found(program: &OsStr) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return Some(path.to_owned());
    }
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join(program))
        .find(|file| File::open(file).is_ok())
}
