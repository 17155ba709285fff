//! The processes that are served, as /proc knows them.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};
use procfs::process::{Process, all_processes};

/// The name of the program that a thread runs, as ps(1) shows it.
pub(crate) fn name(thread: Pid) -> String {
    Process::new(thread.as_raw())
        .and_then(|process| process.stat())
        .map_or_else(|_gone| "a program".to_owned(), |stat| stat.comm)
}

/// The process that a thread belongs to.
pub(crate) fn of_thread(thread: Pid) -> Pid {
    Process::new(thread.as_raw())
        .and_then(|process| process.status())
        .map_or(thread, |status| Pid::from_raw(status.tgid))
}

/// The process that a thread belongs to, and the time of its start: no other has both.
pub(crate) fn identity(thread: Pid) -> (i32, u64) {
    let process = of_thread(thread);
    let start = Process::new(process.as_raw())
        .and_then(|process| process.stat())
        .map_or(0, |stat| stat.starttime);
    (process.as_raw(), start)
}

/// Ends all processes below this one, and returns when none is left.
pub(crate) fn end_all_below() {
    loop {
        for pid in below(getpid()) {
            // One that has ended meanwhile is what is wanted.
            let _ = kill(pid, Signal::SIGKILL);
        }
        // Those below the ones that end come to this process, which adopts orphans.
        match waitpid(None, None) {
            Err(Errno::ECHILD) => return,
            Ok(_) | Err(_) => {
                while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive)
                {
                }
            }
        }
    }
}

fn below(root: Pid) -> Vec<Pid> {
    let all: Vec<(i32, i32)> = all_processes()
        .into_iter()
        .flatten()
        .filter_map(|process| {
            let stat = process.ok()?.stat().ok()?;
            // A process whose first thread has ended is shown as a zombie while others of it run.
            Some((stat.pid, stat.ppid))
        })
        .collect();
    let mut found = vec![root.as_raw()];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(
            all.iter()
                .filter(|(_, ppid)| *ppid == parent)
                .map(|(pid, _)| *pid),
        );
        at += 1;
    }
    found.into_iter().skip(1).map(Pid::from_raw).collect()
}
