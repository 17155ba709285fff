//! Which v6kit is run by whom: user, sudo and the units may each find another one.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Uid, User, geteuid, getuid};
use serde::Serialize;
use v6kit_host::{Finding, FindingState};
use v6kit_net::run_system_program;

use crate::asker::{directories, is_executable};
use crate::runnable::SECURE_PATH;

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(2);
/// Where units lie.
const UNITS: [&str; 3] = [
    "/etc/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
const UNIT: &str = "v6kit-setup.service";

/// A v6kit of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Installed {
    /// Without symbolic links.
    pub(super) path: PathBuf,
    /// What it says of itself; `None` where it was not asked or did not answer.
    pub(super) version: Option<String>,
    /// Whether this process was started from it.
    pub(super) this: bool,
    /// Who runs it: `you`, `sudo`, `units`.
    pub(super) run_by: Vec<&'static str>,
}

/// Every v6kit that is found on the ways that programs are looked for.
pub(super) fn installed() -> Vec<Installed> {
    let this = std::env::current_exe()
        .ok()
        .and_then(|path| path.canonicalize().ok());
    let mut found: Vec<Installed> = Vec::new();
    let mut add = |file: PathBuf, who: Option<&'static str>| {
        let Ok(path) = file.canonicalize() else { return };
        if !is_executable(&path) {
            return;
        }
        let at = found
            .iter()
            .position(|known| known.path == path)
            .unwrap_or_else(|| {
                let is_this = this.as_ref() == Some(&path);
                found.push(Installed {
                    version: if is_this {
                        Some(env!("CARGO_PKG_VERSION").to_owned())
                    } else {
                        version(&path)
                    },
                    this: is_this,
                    run_by: Vec::new(),
                    path,
                });
                found.len() - 1
            });
        found[at].run_by.extend(who);
    };
    let in_order: [(&'static str, Vec<PathBuf>); 2] = [
        ("you", directories().collect()),
        ("sudo", SECURE_PATH.iter().map(PathBuf::from).collect()),
    ];
    for (who, directories) in in_order {
        let mut who = Some(who);
        for file in directories.into_iter().map(|directory| directory.join("v6kit")) {
            if is_executable(&file) {
                add(file, who.take());
            }
        }
    }
    for file in homes()
        .iter()
        .flat_map(|home| [".cargo/bin", ".local/bin"].map(|directory| home.join(directory).join("v6kit")))
    {
        add(file, None);
    }
    if let Some(file) = of_the_unit() {
        add(file, Some("units"));
    }
    if let Some(this) = &this {
        add(this.clone(), None);
    }
    found
}

/// What is said of them where there are several.
pub(super) fn finding(installed: &[Installed]) -> Option<Finding> {
    if installed.len() < 2 {
        return None;
    }
    let texts: Vec<String> = installed.iter().map(text).collect();
    let is_one_version = installed.iter().all(|one| one.version == installed[0].version);
    let (state, hint) = if is_one_version {
        (FindingState::Ok, None)
    } else {
        let hint = "keep one: `type -a v6kit` lists those on your PATH; a set-up is undone by the version that made it, or a later one";
        (FindingState::Warning, Some(hint.to_owned()))
    };
    Some(Finding {
        id: "installed",
        state,
        detail: texts.join("; "),
        hint,
        code: None,
    })
}

fn text(installed: &Installed) -> String {
    let version = installed.version.as_deref().unwrap_or("of unknown version");
    let mut text = format!("{} {version}", installed.path.display());
    let who: Vec<String> = installed
        .this
        .then(|| "this one".to_owned())
        .into_iter()
        .chain(installed.run_by.iter().map(|who| match *who {
            "you" => "first on your PATH".to_owned(),
            "sudo" => "found by sudo".to_owned(),
            who => format!("run by the {who}"),
        }))
        .collect();
    if !who.is_empty() {
        text.push_str(&format!(" ({})", who.join(", ")));
    }
    text
}

/// Asks a program for its version. Root starts none that somebody else could have written.
fn version(path: &Path) -> Option<String> {
    let owner = fs::metadata(path).ok()?;
    let is_trusted = owner.uid() == 0 || owner.uid() == geteuid().as_raw();
    if !is_trusted || owner.mode() & 0o022 != 0 {
        return None;
    }
    let output = run_system_program(path.to_str()?, &["--version"], b"", PATIENCE).ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.lines().next()?.strip_prefix("v6kit ")?;
    Some(version.split(' ').next()?.to_owned())
}

/// The home of this user, and of who called sudo.
fn homes() -> Vec<PathBuf> {
    let mut users = vec![getuid()];
    users.extend(caller());
    users.dedup();
    users
        .into_iter()
        .filter_map(|user| User::from_uid(user).ok().flatten())
        .map(|user| user.dir)
        .collect()
}

#[allow(
    clippy::disallowed_methods,
    reason = "sudo(8) tells who called in the environment; here a home is looked into, no more"
)]
fn caller() -> Option<Uid> {
    std::env::var("SUDO_UID").ok()?.parse().ok().map(Uid::from_raw)
}

/// What the unit of setup starts (ExecStart= of systemd.service(5)).
fn of_the_unit() -> Option<PathBuf> {
    let text = UNITS
        .iter()
        .find_map(|directory| fs::read_to_string(Path::new(directory).join(UNIT)).ok())?;
    let command = text.lines().find_map(|line| line.strip_prefix("ExecStart="))?;
    Some(PathBuf::from(command.split_whitespace().next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str, version: &str, run_by: &[&'static str]) -> Installed {
        Installed {
            path: path.into(),
            version: Some(version.to_owned()),
            this: path.starts_with("/home"),
            run_by: run_by.to_vec(),
        }
    }

    #[test]
    fn several_versions_are_named_with_who_runs_them_and_one_is_not() {
        let mine = one("/home/a/.cargo/bin/v6kit", "0.2.0", &["you"]);
        let theirs = one("/usr/bin/v6kit", "0.1.0", &["sudo", "units"]);
        assert_eq!(finding(std::slice::from_ref(&mine)), None);
        let found = finding(&[mine.clone(), theirs]).unwrap();
        assert_eq!(found.state, FindingState::Warning);
        assert_eq!(
            found.detail,
            "/home/a/.cargo/bin/v6kit 0.2.0 (this one, first on your PATH); /usr/bin/v6kit 0.1.0 (found by sudo, run by the units)"
        );
        let same = one("/usr/bin/v6kit", "0.2.0", &[]);
        assert_eq!(finding(&[mine, same]).unwrap().state, FindingState::Ok);
    }
}
