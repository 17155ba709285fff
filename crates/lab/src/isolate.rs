//! The way into the lab: a child in namespaces of its own, and the launcher that waits for it.
//!
//! The child is PID 1 of its PID namespace and dies with the launcher (PR_SET_PDEATHSIG), and with
//! PID 1 the kernel ends every process, mount and network device of the lab. So nothing needs to be
//! cleaned up, and nothing stays behind after `kill -9` either.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, pthread_sigmask};
use nix::unistd::{Gid, Pid, Uid, getegid, geteuid, getpid};

use crate::error::{LabError, Refusal};
use crate::signals::{Origin, Signals, exit_status};

/// On which side of the clone the caller finds itself.
#[derive(Debug)]
pub enum Isolation {
    /// The launcher: the lab has ended with this exit status.
    Ended(u8),
    /// PID 1 of the lab. Its signals are blocked.
    Entered(Entered),
}

/// PID 1 of the lab.
#[derive(Debug)]
pub struct Entered {
    /// The signal mask that the user's shell gave us, for the commands that run in the lab.
    pub(crate) mask: SigSet,
    pub(crate) signals: Signals,
}

/// Clones this process into new user, mount, PID and network namespaces.
///
/// Returns twice, like fork(2): in the child at once, in the launcher when the child has ended. Call it
/// while the process has one thread. A plain user is root inside; root keeps its ids, and where user
/// namespaces are refused root does without one.
///
/// # Errors
/// Says which setting of the machine stands against it, where one does.
pub fn isolate() -> Result<Isolation, LabError> {
    let cannot_wait = |source: Errno| LabError::system("block signals", source);
    let (signals, mask) = Signals::block().map_err(cannot_wait)?;
    let outcome = launch(signals, mask);
    if !matches!(outcome, Ok(Isolation::Entered(_))) {
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&mask), None).map_err(cannot_wait)?;
    }
    outcome
}

fn launch(signals: Signals, mask: SigSet) -> Result<Isolation, LabError> {
    let (launcher, inside) =
        UnixStream::pair().map_err(|source| LabError::system("make a socket pair", source))?;
    let own = Ids {
        user: geteuid(),
        group: getegid(),
    };
    match clone_with_user_namespace_if_possible()? {
        Cloned::Child => {
            drop(launcher);
            wait_for_the_launcher(inside, own)?;
            Ok(Isolation::Entered(Entered { mask, signals }))
        }
        Cloned::Parent { child, user } => {
            drop(inside);
            if let Err(error) = let_in(launcher, child, user, own) {
                // It waits for a word that will not come; if it has ended already there is nothing to end.
                let _ = kill(child, Signal::SIGKILL);
                follow(child, &signals)?;
                return Err(error);
            }
            follow(child, &signals).map(Isolation::Ended)
        }
    }
}

/// Whether the child lives in a user namespace of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UserNamespace {
    New,
    Same,
}

enum Cloned {
    Child,
    Parent { child: Pid, user: UserNamespace },
}

fn clone_with_user_namespace_if_possible() -> Result<Cloned, LabError> {
    let plain = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNET;
    let cloned = |child: Option<Pid>, user| match child {
        Some(child) => Cloned::Parent { child, user },
        None => Cloned::Child,
    };
    clone(plain | CloneFlags::CLONE_NEWUSER)
        .map(|child| cloned(child, UserNamespace::New))
        .or_else(|refusal| match geteuid().is_root().then(|| clone(plain)) {
            Some(Ok(child)) => Ok(cloned(child, UserNamespace::Same)),
            _ => Err(refused(refusal)),
        })
}

/// The kernel's refusal, with the setting of this machine that causes it.
pub(crate) fn refused(source: Errno) -> LabError {
    let reason = match Refusal::found() {
        found if is_plain_user() => found,
        // The limit holds for root, too (user_namespaces(7)).
        Some(Refusal::MaxUserNamespaces) if source == Errno::ENOSPC => Some(Refusal::NoCapability),
        _ => None,
    };
    LabError::Refused { source, reason }
}

/// Whether this process, or who made the user namespace it is root of, is not root. None of the settings binds root
/// with all capabilities, who can do without a user namespace.
fn is_plain_user() -> bool {
    !geteuid().is_root()
        || fs::read_to_string("/proc/self/uid_map").is_ok_and(|rows| maps_one_plain_user(&rows))
}

/// Whether a uid_map is the one that [`map_one`] writes for a user who is not root.
fn maps_one_plain_user(rows: &str) -> bool {
    let fields: Vec<&str> = rows.split_whitespace().collect();
    matches!(fields[..], ["0", outside, "1"] if outside != "0")
}

/// Forks into new namespaces: `None` in the child.
#[allow(
    unsafe_code,
    reason = "fork and unshare in one step have no safe wrapper; the caller has one thread, so that \
              the child may go on in its copy of the memory (clone(2))"
)]
fn clone(flags: CloneFlags) -> nix::Result<Option<Pid>> {
    let flags = libc::c_long::from(flags.bits() | libc::SIGCHLD);
    let none: libc::c_long = 0;
    // s390 takes the stack first; everybody else the flags.
    let (first, second) = if cfg!(target_arch = "s390x") {
        (none, flags)
    } else {
        (flags, none)
    };
    // SAFETY: without CLONE_VM this is a fork; a null stack means the copy of the caller's.
    let pid = Errno::result(unsafe { libc::syscall(libc::SYS_clone, first, second, none, none, none) })?;
    // A process id fits (pid_max is at most 2^22); the system call only widens it.
    Ok(libc::pid_t::try_from(pid)
        .ok()
        .filter(|pid| *pid != 0)
        .map(Pid::from_raw))
}

/// In the child: ties its life to the launcher's and waits until its user ids are mapped.
fn wait_for_the_launcher(mut launcher: UnixStream, outside: Ids) -> Result<(), LabError> {
    prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|source| LabError::system("die with the launcher", source))?;
    // The launcher may have died before the line above; then one of these fails.
    launcher.write_all(&[READY]).map_err(LabError::Orphaned)?;
    let mut word = [0];
    launcher.read_exact(&mut word).map_err(LabError::Orphaned)?;
    match word {
        [MAP_YOURSELF] => map_one("self", outside),
        _ => Ok(()),
    }
}

/// In the launcher: maps the child's user ids once the child is ready, and lets it go on.
fn let_in(mut child_end: UnixStream, child: Pid, user: UserNamespace, own: Ids) -> Result<(), LabError> {
    child_end.read_exact(&mut [0]).map_err(LabError::Orphaned)?;
    let word = match user {
        UserNamespace::Same => GO,
        // A /proc of another PID namespace has other numbers, except for oneself.
        UserNamespace::New if fs::read_link("/proc/self").ok() != Some(getpid().to_string().into()) => {
            MAP_YOURSELF
        }
        UserNamespace::New => {
            map_ids(child, own)?;
            GO
        }
    };
    child_end.write_all(&[word]).map_err(LabError::Orphaned)
}

/// What the child tells the launcher.
const READY: u8 = b'r';
/// What the launcher answers.
const GO: u8 = b'g';
const MAP_YOURSELF: u8 = b'm';

/// The ids of a process.
#[derive(Debug, Clone, Copy)]
struct Ids {
    user: Uid,
    group: Gid,
}

/// Maps every id that root has here to itself, or the one id of a plain user to root
/// (user_namespaces(7)).
fn map_ids(child: Pid, own: Ids) -> Result<(), LabError> {
    let child = child.to_string();
    if own.user.is_root()
        && let (Ok(users), Ok(groups)) = (own_ids("uid_map"), own_ids("gid_map"))
        && write_map(&child, "uid_map", &users).is_ok()
    {
        return write_map(&child, "gid_map", &groups);
    }
    map_one(&child, own)
}

fn map_one(process: &str, outside: Ids) -> Result<(), LabError> {
    write_map(process, "uid_map", &format!("0 {} 1", outside.user))?;
    write_map(process, "setgroups", "deny")?;
    write_map(process, "gid_map", &format!("0 {} 1", outside.group))
}

fn write_map(process: &str, file: &'static str, text: &str) -> Result<(), LabError> {
    fs::write(format!("/proc/{process}/{file}"), text).map_err(|source| LabError::MapUser { file, source })
}

/// The ids that exist in this user namespace, as an identity map.
fn own_ids(file: &str) -> io::Result<String> {
    let rows = fs::read_to_string(format!("/proc/self/{file}"))?;
    Ok(rows.lines().filter_map(identity_row).collect())
}

fn identity_row(row: &str) -> Option<String> {
    let mut fields = row.split_whitespace();
    let (inside, _outside, count) = (fields.next()?, fields.next()?, fields.next()?);
    Some(format!("{inside} {inside} {count}\n"))
}

/// Passes signals on to `child` until it ends, and returns its exit status.
fn follow(child: Pid, signals: &Signals) -> Result<u8, LabError> {
    let failed = |source: Errno| LabError::system("wait for the lab", source);
    loop {
        if let Some(status) = exit_status(child).map_err(failed)? {
            return Ok(status);
        }
        let (signal, origin) = signals.next().map_err(failed)?;
        // What comes from the terminal has reached the lab's processes by itself.
        if signal != Signal::SIGCHLD && origin == Origin::Process {
            // It may have ended in between, which the next round sees.
            let _ = kill(child, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_of_a_container_maps_the_ids_it_has_to_themselves() {
        assert_eq!(
            identity_row("         0     100000      65536").as_deref(),
            Some("0 0 65536\n")
        );
        assert_eq!(
            identity_row("         0          0 4294967295").as_deref(),
            Some("0 0 4294967295\n")
        );
    }

    #[test]
    fn who_is_root_of_a_lab_by_way_of_a_plain_user_is_told_from_root() {
        assert!(maps_one_plain_user("         0       1000          1\n"));
        assert!(!maps_one_plain_user("         0          0          1\n"));
        assert!(!maps_one_plain_user("         0          0 4294967295\n"));
        assert!(!maps_one_plain_user("         0     100000      65536\n"));
        assert!(!maps_one_plain_user(
            "         0       1000          1\n         1     100000      65536\n"
        ));
    }
}
