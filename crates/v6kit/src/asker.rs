//! What asks for root here, and the commands of hints as this caller can type them.
//!
//! The sources write `sudo …` and `apt install …`. Where there is no sudo, or another program installs packages, what
//! is printed names what is there.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, geteuid};

const SUDO: &str = "sudo ";
const INSTALL: &str = "apt install ";

/// Programs that install packages, and how: those of Debian, Fedora, Alpine, Arch Linux and openSUSE.
const INSTALLERS: [(&str, &str); 5] = [
    ("apt", INSTALL),
    ("dnf", "dnf install "),
    ("apk", "apk add "),
    ("pacman", "pacman -S "),
    ("zypper", "zypper install "),
];

/// What makes a caller root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asker {
    /// This program, before the command: sudo(8), doas(1), pkexec(1), run0(1).
    Program(&'static str),
    /// Nothing is needed: the caller is root.
    IsRoot,
    /// There is nothing that asks for it.
    Nobody,
}

impl Asker {
    /// That of this process.
    pub(crate) fn here() -> Self {
        // Who came by one of them goes on typing it.
        let came_by = [
            ("SUDO_UID", "sudo"),
            ("DOAS_USER", "doas"),
            ("PKEXEC_UID", "pkexec"),
        ];
        let is_there = |program: &&'static str| in_path(program).is_some();
        if geteuid().is_root() {
            let came = came_by
                .iter()
                .filter(|(variable, _)| is_set(variable))
                .map(|(_, program)| *program);
            return came
                .chain(["sudo"])
                .find(is_there)
                .map_or(Self::IsRoot, Self::Program);
        }
        ["sudo", "doas", "run0"]
            .into_iter()
            .find(is_there)
            .map_or(Self::Nobody, Self::Program)
    }

    /// `text` with its commands as this caller types them.
    pub(crate) fn rewrite<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if *self == Self::Program("sudo") || !text.contains("sudo") {
            return Cow::Borrowed(text);
        }
        let way = match self {
            Self::Program(program) => format!("with {program}"),
            Self::IsRoot | Self::Nobody => "as root".to_owned(),
        };
        let lines = text
            .split('\n')
            .map(|line| self.rewrite_line(&line.replace("with sudo", &way)));
        Cow::Owned(lines.collect::<Vec<_>>().join("\n"))
    }

    fn rewrite_line(&self, line: &str) -> String {
        // Outside and inside of backticks by turns.
        let mut out = String::new();
        let mut is_closed = true;
        for (at, part) in line.split('`').enumerate() {
            if !is_closed {
                out.push('`');
            }
            is_closed = false;
            let (text, is_changed) = self.rewrite_commands(part);
            let is_said = out.contains("as root");
            out.push_str(&text);
            if is_changed && !is_said && *self == Self::Nobody {
                is_closed = at % 2 == 1;
                out.push_str(if is_closed { "` as root" } else { " (as root)" });
            }
        }
        out
    }

    /// Replaces each sudo that begins a command, and says whether there was one.
    fn rewrite_commands(&self, text: &str) -> (String, bool) {
        let mut out = String::new();
        let (mut rest, mut is_changed) = (text, false);
        while let Some(at) = rest.find(SUDO) {
            let (before, behind) = rest.split_at(at);
            out.push_str(before);
            rest = &behind[SUDO.len()..];
            let begins = out.is_empty() || [": ", "; ", "& ", "| ", "("].iter().any(|end| out.ends_with(end));
            if !begins {
                out.push_str(SUDO);
                continue;
            }
            is_changed = true;
            if let Self::Program(program) = self {
                out.push_str(program);
                out.push(' ');
            }
        }
        out.push_str(rest);
        (out, is_changed)
    }
}

/// `text` with the program that installs packages here; `None` where none is known.
pub(crate) fn installing<'a>(text: &'a str, installer: Option<&str>) -> Cow<'a, str> {
    match installer {
        Some(installer) if installer != INSTALL && text.contains(INSTALL) => {
            Cow::Owned(text.replace(INSTALL, installer))
        }
        _ => Cow::Borrowed(text),
    }
}

/// How packages are installed here.
pub(crate) fn installer() -> Option<&'static str> {
    let found = INSTALLERS.iter().find(|(program, _)| in_path(program).is_some());
    found.map(|(_, command)| *command)
}

/// The program of that name which the shell would run.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    directories()
        .map(|directory| directory.join(name))
        .find(|file| is_executable(file))
}

/// Where the shell looks for programs.
#[allow(
    clippy::disallowed_methods,
    reason = "programs are looked for where the shell does"
)]
pub(crate) fn directories() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

pub(crate) fn is_executable(file: &Path) -> bool {
    file.is_file() && access(file, AccessFlags::X_OK).is_ok()
}

#[allow(
    clippy::disallowed_methods,
    reason = "sudo(8), doas(1) and pkexec(1) tell in the environment that they were called"
)]
fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_name_what_asks_this_caller_for_root() {
        let hint = "run it with sudo: `sudo v6kit setup --prefix P` (more: `v6kit explain x`)";
        let undo = "1 changed: P is set up. Next: v6kit verify. Undo: sudo v6kit teardown";
        let two = "`sudo mv -f a b; sudo rm c` helps, put sudo in front of it";
        let doas = Asker::Program("doas");
        assert_eq!(
            doas.rewrite(hint),
            "run it with doas: `doas v6kit setup --prefix P` (more: `v6kit explain x`)"
        );
        assert_eq!(
            doas.rewrite(two),
            "`doas mv -f a b; doas rm c` helps, put sudo in front of it"
        );
        assert!(doas.rewrite(undo).ends_with("Undo: doas v6kit teardown"));
        assert_eq!(
            Asker::IsRoot.rewrite(hint),
            "run it as root: `v6kit setup --prefix P` (more: `v6kit explain x`)"
        );
        assert!(Asker::IsRoot.rewrite(undo).ends_with("Undo: v6kit teardown"));
        assert_eq!(
            Asker::Nobody.rewrite(hint),
            "run it as root: `v6kit setup --prefix P` (more: `v6kit explain x`)"
        );
        assert!(
            Asker::Nobody
                .rewrite(undo)
                .ends_with("Undo: v6kit teardown (as root)")
        );
        assert_eq!(
            Asker::Nobody.rewrite("see it: `sudo nft list ruleset`, or leave it"),
            "see it: `nft list ruleset` as root, or leave it"
        );
        assert!(matches!(Asker::Program("sudo").rewrite(hint), Cow::Borrowed(_)));
    }

    #[test]
    fn packages_are_installed_by_what_is_there() {
        let hint = "install it: `sudo apt install nftables`";
        assert_eq!(
            installing(hint, Some("apk add ")),
            "install it: `sudo apk add nftables`"
        );
        for same in [None, Some(INSTALL)] {
            assert_eq!(installing(hint, same), hint);
        }
    }
}
