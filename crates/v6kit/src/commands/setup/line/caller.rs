//! Who runs the command: the one who called sudo, doas or pkexec, or whom `--as` names.

use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Uid, User, getgrouplist, getppid, getuid, setgroups, setresgid, setresuid};
use procfs::process::Process;

use crate::failure::{Exit, Failure};
use crate::printer::Printer;

/// Programs that run others as root for whoever calls them.
const TOOLS: [&str; 4] = ["sudo", "sudo-rs", "doas", "pkexec"];

/// An account, and what a program of it is given.
#[derive(Debug)]
pub(super) struct Identity {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
    pub(super) name: String,
    pub(super) home: PathBuf,
    pub(super) shell: PathBuf,
}

fn not_run(why: impl Into<String>) -> Failure {
    Failure::new(Exit::NotRun, "the command did not run").why(why)
}

/// Nobody but root gives a command to another user.
pub(super) fn require_self(named: Option<&str>) -> Result<(), Failure> {
    let Some(named) = named else { return Ok(()) };
    if account(named)?.uid == getuid() {
        return Ok(());
    }
    Err(not_run(format!("only root may run a command as {named}"))
        .hint("leave --as out: the command runs as you; or put sudo in front")
        .code(v6kit_net::Code::NotPermitted))
}

impl Identity {
    /// Whom root's command runs as: whom `--as` names, or who called. `None`: as root.
    pub(super) fn for_command(named: Option<&str>, printer: &Printer) -> Result<Option<Self>, Failure> {
        let caller = caller();
        let Some(named) = named else {
            let Some(uid) = caller else {
                printer.note("the command runs as root, who called it (--as USER changes that)");
                return Ok(None);
            };
            return Self::of(&account(&uid.to_string())?).map(Some);
        };
        let user = account(named)?;
        if user.uid.is_root() {
            return Ok(None);
        }
        if caller != Some(user.uid) && reads_typed_keys() {
            return Err(not_run(format!(
                "{named} would share this terminal, on which a program can type into the shell of its owner (TIOCSTI)"
            ))
            .hint("run it without a terminal, or set dev.tty.legacy_tiocsti to 0, which forbids that to every program"));
        }
        Self::of(&user).map(Some)
    }

    fn of(user: &User) -> Result<Self, Failure> {
        Ok(Self {
            uid: user.uid,
            gid: user.gid,
            groups: groups(user)?,
            name: user.name.clone(),
            home: user.dir.clone(),
            shell: user.shell.clone(),
        })
    }

    /// Drops root, for good.
    pub(super) fn become_it(&self) -> Result<(), Failure> {
        let failed =
            |errno: nix::errno::Errno| not_run(format!("it cannot become {}: {}", self.name, errno.desc()));
        setgroups(&self.groups).map_err(failed)?;
        setresgid(self.gid, self.gid, self.gid).map_err(failed)?;
        setresuid(self.uid, self.uid, self.uid).map_err(failed)?;
        if setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok() {
            return Err(not_run("root was dropped and came back"));
        }
        Ok(())
    }
}

/// The account with this name or number.
fn account(named: &str) -> Result<User, Failure> {
    let number = named
        .parse::<u32>()
        .ok()
        .filter(|uid| *uid != u32::MAX)
        .map(Uid::from_raw);
    let found = match number {
        Some(uid) => User::from_uid(uid),
        None => User::from_name(named),
    };
    found.ok().flatten().or_else(|| listed(named)).ok_or_else(|| {
        not_run(format!("there is no account `{named}`"))
            .hint("`getent passwd` lists the accounts; --as USER names one")
    })
}

/// What getent(1) says, which asks directory services (nsswitch.conf(5)) that a static program does not know.
fn listed(named: &str) -> Option<User> {
    let output = Command::new("getent")
        .args(["passwd", "--", named])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let fields: Vec<&str> = text.lines().next()?.split(':').collect();
    let &[name, _, uid, gid, _, home, shell] = fields.as_slice() else {
        return None;
    };
    Some(User {
        name: name.to_owned(),
        passwd: CString::default(),
        uid: Uid::from_raw(uid.parse().ok()?),
        gid: Gid::from_raw(gid.parse().ok()?),
        gecos: CString::default(),
        dir: home.into(),
        shell: shell.into(),
    })
}

/// The groups of an account: as id(1) lists them, which knows directory services, or as /etc/group does.
fn groups(user: &User) -> Result<Vec<Gid>, Failure> {
    let listed = Command::new("id").args(["-G", "--", &user.name]).output();
    if let Ok(output) = listed
        && output.status.success()
        && let Ok(text) = String::from_utf8(output.stdout)
    {
        let numbers = text
            .split_whitespace()
            .map(|number| number.parse().map(Gid::from_raw));
        if let Ok(groups) = numbers.collect::<Result<Vec<Gid>, _>>()
            && !groups.is_empty()
        {
            return Ok(groups);
        }
    }
    let failed = |why: String| not_run(format!("the groups of {} cannot be listed: {why}", user.name));
    let name = CString::new(user.name.as_str()).map_err(|error| failed(error.to_string()))?;
    getgrouplist(&name, user.gid).map_err(|errno| failed(errno.desc().to_owned()))
}

/// The user above sudo, doas or pkexec. What they say in the environment is stale in old shells, and anybody may write
/// it there: it counts only below sudo itself, and where no user is seen above it. In a root shell the caller is root,
/// whose terminal must not be shared (TIOCSTI).
fn caller() -> Option<Uid> {
    let parent = Process::new(getppid().as_raw()).ok()?;
    let is_below_sudo = is_tool(&parent);
    let mut process = parent;
    while is_tool(&process) {
        process = Process::new(process.stat().ok()?.ppid).ok()?;
    }
    let above = process.status().ok()?.ruid;
    let uid = match above {
        0 if is_below_sudo => said_by_sudo()?,
        uid => uid,
    };
    (uid != 0 && is_mapped(uid)).then(|| Uid::from_raw(uid))
}

#[allow(
    clippy::disallowed_methods,
    reason = "sudo(8) tells who called in the environment"
)]
fn said_by_sudo() -> Option<u32> {
    std::env::var("SUDO_UID").ok()?.parse().ok()
}

fn is_tool(process: &Process) -> bool {
    let name = |path: &Path| path.file_name().map(OsString::from);
    let exe = process.exe().ok().as_deref().and_then(name);
    exe.is_some_and(|exe| TOOLS.iter().any(|tool| exe == *tool))
}

/// Whether this user namespace knows the user (user_namespaces(7)): users that it does not are all shown as one.
fn is_mapped(uid: u32) -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.lines().any(|line| {
        let fields: Vec<u64> = line
            .split_whitespace()
            .filter_map(|field| field.parse().ok())
            .collect();
        matches!(fields.as_slice(), [first, _, count] if (*first..first + count).contains(&u64::from(uid)))
    })
}

/// Whether programs on this terminal can type into it (TIOCSTI; Documentation/admin-guide/sysctl of Linux 6.2).
fn reads_typed_keys() -> bool {
    let has_terminal = File::open("/dev/tty").is_ok();
    let forbids = fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti").is_ok_and(|text| text.trim() == "0");
    has_terminal && !forbids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_name_and_number_and_minus_one_is_none() {
        assert_eq!(account("root").unwrap().uid, Uid::from_raw(0));
        assert_eq!(account("0").unwrap().name, "root");
        for none in ["4294967295", "-1", "no-such-user", "3999999999", ""] {
            let failure = account(none).unwrap_err();
            assert!(failure.why.unwrap().contains("no account"), "{none}");
        }
    }

    #[test]
    fn groups_are_those_of_the_account() {
        let root = account("root").unwrap();
        assert!(groups(&root).unwrap().contains(&root.gid));
    }
}
