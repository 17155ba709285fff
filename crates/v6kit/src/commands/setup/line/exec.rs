//! The command in this process's own place.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use v6kit_host::Program;

use super::caller::Identity;
use crate::asker::in_path;
use crate::commands::setup::SetupArgs;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

/// What sudo and the like leave behind, which says nothing of the command's own user.
const STALE: [&str; 8] = [
    "SUDO_UID",
    "SUDO_GID",
    "SUDO_USER",
    "SUDO_COMMAND",
    "SUDO_HOME",
    "SUDO_TTY",
    "DOAS_USER",
    "PKEXEC_UID",
];

/// What changes in the environment.
pub(super) struct Environment {
    set: Vec<(&'static str, OsString)>,
    removed: &'static [&'static str],
}

impl Environment {
    pub(super) fn new(args: &SetupArgs, program: Program) -> Self {
        let (name, value) = program.mark();
        Self {
            set: vec![
                (name, value.into()),
                ("V6KIT_STATE_DIR", args.state.state_dir.clone().into()),
            ],
            removed: &[],
        }
    }

    /// The command is another user's now.
    pub(super) fn belongs_to(&mut self, identity: &Identity) {
        self.set.extend([
            ("HOME", identity.home.clone().into()),
            ("USER", identity.name.clone().into()),
            ("LOGNAME", identity.name.clone().into()),
            ("SHELL", identity.shell.clone().into()),
        ]);
        self.removed = &STALE;
    }
}

/// The soft limit on open files becomes what setup is asked for, as far as the hard limit goes. No file is written.
pub(super) fn limit_files(nofile: u64, is_said: bool, printer: &Printer) -> Result<(), Failure> {
    let failed =
        |errno: Errno| Failure::new(Exit::NotRun, "the limit on open files cannot be set").why(errno.desc());
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed)?;
    if nofile > hard && is_said {
        printer.note(format!(
            "the command may open {hard} files, the hard limit here, and not {nofile}"
        ));
    }
    setrlimit(Resource::RLIMIT_NOFILE, nofile.min(hard), hard).map_err(failed)
}

/// Becomes the command. Returns only where that fails, with 127 where it is not there and 126 otherwise, as env(1).
pub(super) fn exec(words: &[OsString], environment: Environment) -> Result<Exit, Failure> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Failure::new(Exit::NotRun, "the command did not run").why("there is none"));
    };
    let is_this = program == "v6kit";
    let mut path: OsString = if is_this {
        this_program().into()
    } else {
        program.clone()
    };
    let command = |path: &OsStr| {
        let mut command = Command::new(path);
        for (name, value) in &environment.set {
            command.env(name, value);
        }
        for name in environment.removed {
            command.env_remove(name);
        }
        command
    };
    let mut error = command(&path).arg0(program).args(arguments).exec();
    // A script without #!: a shell's business (exec(3)), which the system's library does not do everywhere.
    if error.raw_os_error() == Some(Errno::ENOEXEC as i32) {
        if let Some(found) = program
            .to_str()
            .filter(|name| !name.contains('/'))
            .and_then(in_path)
        {
            path = found.into();
        }
        error = command(OsStr::new("/bin/sh")).arg(&path).args(arguments).exec();
    }
    let (status, what) = match error.kind() {
        std::io::ErrorKind::NotFound => (127, "name"),
        _ => (126, "permissions"),
    };
    let failure = Failure::new(Exit::Child(status), "the command did not run")
        .why(format!("{}: {error}", program.to_string_lossy()))
        .hint(format!("check its {what}; what was set up for it is undone"));
    // The exit code is not that of our own failures.
    crate::printer::tell(&failure);
    Ok(Exit::Child(status))
}

/// The file of this program: by its name, unless that was replaced meanwhile.
fn this_program() -> PathBuf {
    std::env::current_exe()
        .ok()
        .filter(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}
