//! The system calls that no library wraps, and all that is unsafe in this crate.

#![allow(
    unsafe_code,
    reason = "seccomp(2), its ioctls, pidfd_getfd(2), fork(2) and exec are raw system calls; each is wrapped here into \
              something that owns what it returns"
)]

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{c_int, c_long, c_ulong, sock_filter, sock_fprog};
use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, raise, signal};
use nix::unistd::{ForkResult, Pid};

/// PIDFD_THREAD of linux/pidfd.h: a descriptor of a thread rather than of its process, since Linux 6.9.
const PIDFD_THREAD: c_int = libc::O_EXCL;

/// SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP of linux/seccomp.h, since Linux 6.6: who asks and who answers take turns.
const SYNC_WAKE_UP: c_ulong = 1;

fn number(result: c_long) -> nix::Result<c_int> {
    // Descriptors and counts fit.
    Errno::result(result).map(|value| c_int::try_from(value).unwrap_or(c_int::MAX))
}

fn owned(result: c_long) -> nix::Result<OwnedFd> {
    let descriptor = number(result)?;
    // SAFETY: the kernel has just made it for this process.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// A call that waits for an answer (`struct seccomp_notif`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notice {
    /// Names it in the answer.
    pub(crate) id: u64,
    /// The thread that calls.
    pub(crate) thread: Pid,
    pub(crate) architecture: u32,
    pub(crate) number: c_int,
    pub(crate) arguments: [u64; 6],
}

/// What the caller gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The call goes on.
    Continue,
    /// It returns this, and nothing is done.
    Value(i64),
    /// It fails.
    Refuse(Errno),
}

/// Where calls are received and answered.
#[derive(Debug)]
pub(crate) struct Listener(OwnedFd);

impl Listener {
    /// Puts this thread, and all that it starts, under the filter for good. Privileges that a program would gain are
    /// given up only where the kernel wants it (PR_SET_NO_NEW_PRIVS).
    pub(crate) fn install(program: &[sock_filter]) -> nix::Result<Self> {
        let mut flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        let mut filter = program.to_vec();
        let filter = sock_fprog {
            len: u16::try_from(filter.len()).map_err(|_too_long| Errno::EINVAL)?,
            filter: filter.as_mut_ptr(),
        };
        loop {
            // SAFETY: the program lives until the call returns, which copies it.
            let result = unsafe {
                libc::syscall(
                    libc::SYS_seccomp,
                    libc::SECCOMP_SET_MODE_FILTER,
                    flags,
                    &raw const filter,
                )
            };
            match owned(result) {
                Err(Errno::EACCES) if nix::sys::prctl::get_no_new_privs() == Ok(false) => {
                    nix::sys::prctl::set_no_new_privs()?;
                }
                // Before Linux 5.19.
                Err(Errno::EINVAL) if flags & libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0 => {
                    flags &= !libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
                }
                result => return result.map(Self),
            }
        }
    }

    pub(crate) fn of(descriptor: OwnedFd) -> Self {
        let listener = Self(descriptor);
        // Only quicker; older kernels have no such flag.
        let _ = listener.ioctl(libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP);
        listener
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    pub(crate) fn borrowed(&self) -> BorrowedFd<'_> {
        // SAFETY: it is open as long as `self` is.
        unsafe { BorrowedFd::borrow_raw(self.descriptor()) }
    }

    fn ioctl(&self, request: libc::Ioctl, argument: c_ulong) -> nix::Result<c_int> {
        // SAFETY: callers hand over a number, or the address of what the request reads and writes.
        Errno::result(unsafe { libc::ioctl(self.descriptor(), request, argument) })
    }

    /// The next call; ENOENT where its caller is gone.
    pub(crate) fn receive(&self) -> nix::Result<Notice> {
        // SAFETY: all zeros is what the kernel wants to be handed.
        let mut notice: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        self.ioctl(libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut notice as c_ulong)?;
        Ok(Notice {
            id: notice.id,
            thread: Pid::from_raw(notice.pid.cast_signed()),
            architecture: notice.data.arch,
            number: notice.data.nr,
            arguments: notice.data.args,
        })
    }

    /// Whether the caller still waits, so that its thread id is not another's by now.
    pub(crate) fn is_waiting(&self, id: u64) -> bool {
        self.ioctl(libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id as c_ulong)
            .is_ok()
    }

    /// Answers; ENOENT where the caller is gone.
    pub(crate) fn answer(&self, id: u64, answer: Answer) -> nix::Result<()> {
        let (value, error, flags) = match answer {
            Answer::Continue => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE),
            Answer::Value(value) => (value, 0, 0),
            Answer::Refuse(errno) => (0, -(errno as i32), 0),
        };
        let response = libc::seccomp_notif_resp {
            id,
            val: value,
            error,
            // One bit.
            flags: flags as u32,
        };
        self.ioctl(libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const response as c_ulong)
            .map(drop)
    }
}

/// A copy of descriptor `number` of the thread, or of its process where the kernel knows no descriptors of threads;
/// which of the two it was.
pub(crate) fn take(
    thread: Pid,
    process: impl FnOnce() -> Pid,
    number: RawFd,
) -> nix::Result<(OwnedFd, Table)> {
    match open(thread, PIDFD_THREAD) {
        // Before Linux 6.9.
        Err(Errno::EINVAL) => Ok((take_from(&open(process(), 0)?, number)?, Table::OfProcess)),
        opened => Ok((take_from(&opened?, number)?, Table::OfThread)),
    }
}

/// Whose table of descriptors was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// The caller's own.
    OfThread,
    /// That of the first thread of its process, which may be another one.
    OfProcess,
}

fn open(pid: Pid, flags: c_int) -> nix::Result<OwnedFd> {
    // SAFETY: two numbers.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), flags) })
}

fn take_from(process: &OwnedFd, number: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: three numbers.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) })
}

/// fork(2) of a process with one thread.
pub(crate) fn fork() -> nix::Result<ForkResult> {
    // SAFETY: with a single thread the child may do all that the parent may; `v6kit exec` starts none before.
    unsafe { nix::unistd::fork() }
}

/// Ends this process at once: nothing of what it shares with its parent is flushed twice.
pub(crate) fn leave(status: c_int) -> ! {
    // SAFETY: it does not return.
    unsafe { libc::_exit(status) }
}

/// Becomes `command` with this signal mask; returns only where that fails.
pub(crate) fn become_program(command: &mut Command, mask: SigSet) -> io::Error {
    // SAFETY: sigprocmask(2) allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(move || Ok(pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?));
    }
    command.exec()
}

/// Closes all but standard input, output and error, and `kept`.
pub(crate) fn close_all_but(kept: &[RawFd]) -> io::Result<()> {
    let open: Vec<RawFd> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > 2 && !kept.contains(descriptor))
        .collect();
    for descriptor in open {
        // SAFETY: the process was just forked, and nothing in it uses what is not kept.
        let _ = unsafe { libc::close(descriptor) };
    }
    Ok(())
}

/// Ends this process by `ending`, so that who waits for it sees that. Returns where the signal does not end processes.
pub(crate) fn die_by(ending: Signal) {
    // SAFETY: the default is no handler of ours.
    let _ = unsafe { signal(ending, SigHandler::SigDfl) };
    let mut set = SigSet::empty();
    set.add(ending);
    let _ = raise(ending);
    let _ = pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&set), None);
}

/// connect(2) to an address that no library makes: AF_UNSPEC.
pub(crate) fn connect(socket: &OwnedFd, address: &libc::sockaddr) -> nix::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(address)).unwrap_or(0);
    // SAFETY: the address and its length belong together.
    Errno::result(unsafe { libc::connect(socket.as_raw_fd(), address, length) }).map(drop)
}

/// Sends a signal by its number, as realtime signals have no name. A process that has ended needs none.
pub(crate) fn send_signal(to: Pid, signal: c_int) {
    // SAFETY: two numbers.
    let _ = unsafe { libc::kill(to.as_raw(), signal) };
}
