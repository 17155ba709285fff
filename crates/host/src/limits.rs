//! Limits on open files for logins: limits.conf(5) of pam_limits(8).

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};
use serde::{Deserialize, Serialize};

use crate::owner::Owner;
use crate::value::Value;

/// Our file.
pub(crate) const FILE: &str = "/etc/security/limits.d/90-v6kit.conf";
/// Written first and renamed. pam_limits reads `*.conf` only.
const NEW_FILE: &str = "/etc/security/limits.d/90-v6kit.conf.new";
const DIRECTORY: &str = "/etc/security/limits.d";
/// What the kernel starts with as fs.nr_open: with a line above it nobody could log in after the next boot
/// (pam_limits fails when setrlimit(2) does).
pub(crate) const HIGHEST: u64 = 1_048_576;
const HEADER: &str = "# Written by `v6kit setup`; `v6kit teardown` removes it.";

/// What the last line begins with, which says for which state directory it was written.
const MARK: &str = "# For the setup in ";

/// `nofile` limits for everybody (`*`) and for root, whom `*` does not include. `None`: no line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// Of everybody but root.
    pub(crate) everybody: Pair,
    /// Of root.
    pub(crate) root: Pair,
}

/// A soft and a hard limit in file descriptors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pair {
    /// What is enforced.
    pub(crate) soft: Option<u64>,
    /// How far a process may raise it.
    pub(crate) hard: Option<u64>,
}

impl Pair {
    /// The lower of each that is known.
    pub(crate) fn lowest(self, other: Self) -> Self {
        self.map_with(other, |one, other| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        })
    }

    fn describe(self) -> String {
        match (self.soft, self.hard) {
            (None, None) => "no limit".to_owned(),
            (Some(soft), None) => format!("soft {soft}"),
            (None, Some(hard)) => format!("hard {hard}"),
            (Some(soft), Some(hard)) => format!("soft {soft}, hard {hard}"),
        }
    }

    fn map_with(self, other: Self, f: impl Fn(Option<u64>, Option<u64>) -> Option<u64>) -> Self {
        Self {
            soft: f(self.soft, other.soft),
            hard: f(self.hard, other.hard),
        }
    }
}

impl Limits {
    /// Whether there is no line.
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The highest of all, line by line.
    pub(crate) fn strictest<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        all.fold(Self::default(), |sum, limits| Self {
            everybody: sum.everybody.map_with(limits.everybody, Option::max),
            root: sum.root.map_with(limits.root, Option::max),
        })
    }

    /// The file.
    pub(crate) fn render(self) -> String {
        let mut text = format!("{HEADER}\n");
        for (domain, pair) in [("*", self.everybody), ("root", self.root)] {
            for (kind, limit) in [("soft", pair.soft), ("hard", pair.hard)] {
                if let Some(limit) = limit {
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "{domain} {kind} nofile {limit}");
                }
            }
        }
        text
    }

    /// The file's lines on one line, for people.
    pub(crate) fn describe(text: &str) -> String {
        let Self { everybody, root } = Self::parse(text);
        if everybody == root {
            format!("{} for all and root", everybody.describe())
        } else {
            format!("{} for all, {} for root", everybody.describe(), root.describe())
        }
    }

    /// The lines of our own file.
    pub(crate) fn parse(text: &str) -> Self {
        let mut limits = Self::default();
        for line in text.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let &[domain, kind, "nofile", limit] = fields.as_slice() else {
                continue;
            };
            let pair = match domain {
                "*" => &mut limits.everybody,
                "root" => &mut limits.root,
                _ => continue,
            };
            let limit = limit.parse().ok();
            match kind {
                "soft" => pair.soft = limit,
                "hard" => pair.hard = limit,
                _ => {}
            }
        }
        limits
    }
}

/// Our file without its mark.
pub(crate) fn read() -> io::Result<Value> {
    let unmarked = |text: String| match text.rfind(MARK) {
        Some(at) if text[at..].trim_end().lines().count() == 1 => text[..at].to_owned(),
        _ => text,
    };
    match fs::read_to_string(FILE) {
        Ok(text) => Ok(Value::text(unmarked(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Value::ABSENT),
        Err(error) => Err(error),
    }
}

/// The state directory that our file was written for; `None` where it does not say, as those of earlier versions.
pub(crate) fn owner() -> io::Result<Option<PathBuf>> {
    match fs::read_to_string(FILE) {
        Ok(text) if text.starts_with(HEADER) => {
            let mut lines = text.lines();
            Ok(lines.find_map(|line| line.strip_prefix(MARK)).map(PathBuf::from))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(None),
    }
}

/// Why our file cannot be written, as far as that can be told without writing: a read-only or an immutable
/// directory (access(2)).
pub(crate) fn refusal() -> Option<Errno> {
    faccessat(
        AT_FDCWD,
        DIRECTORY,
        AccessFlags::W_OK | AccessFlags::X_OK,
        AtFlags::AT_EACCESS,
    )
    .err()
    .filter(|errno| *errno != Errno::ENOENT)
}

/// Replaces our file in one step, with the mark of `owner`, or removes it and what a killed run left beside it.
pub(crate) fn write(value: &Value, owner: &Owner) -> io::Result<()> {
    remove(NEW_FILE)?;
    match value.as_text() {
        None => remove(FILE)?,
        Some(text) => {
            let mut file = fs::File::create_new(NEW_FILE)?;
            // The umask of whoever runs setup does not decide who may read it.
            file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
            file.write_all(text.as_bytes())?;
            if let Some(directory) = owner.directory() {
                writeln!(file, "{MARK}{}", directory.display())?;
            }
            file.sync_all()?;
            fs::rename(NEW_FILE, FILE)?;
        }
    }
    fs::File::open(DIRECTORY)?.sync_all()
}

/// A read-only file system refuses to remove even what is not there.
fn remove(path: &str) -> io::Result<()> {
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(soft: u64, hard: u64) -> Pair {
        Pair {
            soft: Some(soft),
            hard: Some(hard),
        }
    }

    #[test]
    fn two_prefixes_get_the_higher_of_their_limits() {
        let small = Limits {
            everybody: pair(10, 10),
            root: pair(10, 10),
        };
        let large = Limits {
            everybody: pair(5, 20),
            root: Pair::default(),
        };
        let both = Limits::strictest([&small, &large].into_iter());
        assert_eq!(both.everybody, pair(10, 20));
        assert_eq!(both.root, pair(10, 10));
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let limits = Limits {
            everybody: pair(7, 7),
            root: Pair {
                soft: Some(9),
                hard: None,
            },
        };
        assert_eq!(
            limits.render(),
            format!("{HEADER}\n* soft nofile 7\n* hard nofile 7\nroot soft nofile 9\n")
        );
        assert_eq!(Limits::parse(&limits.render()), limits);
        assert_eq!(
            Limits::describe(&limits.render()),
            "soft 7, hard 7 for all, soft 9 for root"
        );
    }
}
