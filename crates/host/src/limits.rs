//! Limits on open files for logins: limits.conf(5) of pam_limits(8).

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::value::Value;

/// Our file.
pub(crate) const FILE: &str = "/etc/security/limits.d/90-v6kit.conf";
/// Written first and renamed. pam_limits reads `*.conf` only.
const NEW_FILE: &str = "/etc/security/limits.d/90-v6kit.conf.new";
const DIRECTORY: &str = "/etc/security/limits.d";
const MAIN_FILE: &str = "/etc/security/limits.conf";
const HEADER: &str = "# Written by `v6kit setup`; `v6kit teardown` removes it.";

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
    /// The lines that raise `present` limits to `nofile`; no line where they are as high already, so
    /// that nothing is ever lowered.
    pub(crate) fn raising(present: Self, nofile: u64) -> Self {
        let raise = |limit: Option<u64>| limit.is_none_or(|limit| limit < nofile).then_some(nofile);
        let pair = |pair: Pair| Pair {
            soft: raise(pair.soft),
            hard: raise(pair.hard),
        };
        Self {
            everybody: pair(present.everybody),
            root: pair(present.root),
        }
    }

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
        let mut limits = Self::default();
        limits.override_from(text);
        let Self { everybody, root } = limits;
        if everybody == root {
            format!("{} for all and root", everybody.describe())
        } else {
            format!("{} for all, {} for root", everybody.describe(), root.describe())
        }
    }

    /// What other files than ours set, over what logins inherit from the first process.
    ///
    /// `None` where there is no limits.d directory, as without PAM.
    pub(crate) fn present() -> io::Result<Option<Self>> {
        if !Path::new(DIRECTORY).is_dir() {
            return Ok(None);
        }
        let inherited = first_process();
        let mut limits = Self {
            everybody: inherited,
            root: inherited,
        };
        for path in files()? {
            limits.override_from(&fs::read_to_string(path)?);
        }
        Ok(Some(limits))
    }

    fn override_from(&mut self, text: &str) {
        for line in text.lines() {
            let fields: Vec<&str> = line
                .split('#')
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .collect();
            let &[domain, kind, "nofile", limit] = fields.as_slice() else {
                continue;
            };
            let pair = match domain {
                "*" => &mut self.everybody,
                "root" => &mut self.root,
                _ => continue,
            };
            let Some(limit) = parse_limit(limit) else { continue };
            if kind == "soft" || kind == "-" {
                pair.soft = Some(limit);
            }
            if kind == "hard" || kind == "-" {
                pair.hard = Some(limit);
            }
        }
    }
}

fn parse_limit(text: &str) -> Option<u64> {
    match text {
        "-1" | "unlimited" | "infinity" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// limits.conf, then limits.d/*.conf in the order of the C locale. Later ones win.
fn files() -> io::Result<Vec<PathBuf>> {
    let mut fragments: Vec<PathBuf> = fs::read_dir(DIRECTORY)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    fragments.retain(|path| path.extension().is_some_and(|e| e == "conf") && path != Path::new(FILE));
    fragments.sort();
    let main = PathBuf::from(MAIN_FILE);
    Ok(main
        .exists()
        .then_some(main)
        .into_iter()
        .chain(fragments)
        .collect())
}

/// The limits of the first process, which daemons and logins inherit. Unknown where it cannot be seen.
fn first_process() -> Pair {
    let limit = |value| match value {
        procfs::process::LimitValue::Unlimited => u64::MAX,
        procfs::process::LimitValue::Value(number) => number,
    };
    procfs::process::Process::new(1)
        .and_then(|process| process.limits())
        .map(|limits| Pair {
            soft: Some(limit(limits.max_open_files.soft_limit)),
            hard: Some(limit(limits.max_open_files.hard_limit)),
        })
        .unwrap_or_default()
}

/// Our file as it is.
pub(crate) fn read() -> io::Result<Value> {
    match fs::read_to_string(FILE) {
        Ok(text) => Ok(Value::text(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Value::ABSENT),
        Err(error) => Err(error),
    }
}

/// Replaces our file in one step, or removes it and what a killed run left beside it.
pub(crate) fn write(value: &Value) -> io::Result<()> {
    remove(NEW_FILE)?;
    match value.as_text() {
        None => remove(FILE)?,
        Some(text) => {
            let mut file = fs::File::create_new(NEW_FILE)?;
            // The umask of whoever runs setup does not decide who may read it.
            file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(NEW_FILE, FILE)?;
        }
    }
    fs::File::open(DIRECTORY)?.sync_all()
}

fn remove(path: &str) -> io::Result<()> {
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
    fn a_hard_limit_that_is_higher_already_gets_no_line() {
        let present = Limits {
            everybody: pair(1024, 524_288),
            root: pair(1024, 524_288),
        };
        let limits = Limits::raising(present, 65_536);
        assert_eq!(
            limits.render(),
            format!("{HEADER}\n* soft nofile 65536\nroot soft nofile 65536\n")
        );
        assert!(Limits::raising(present, 1024).is_empty());
    }

    #[test]
    fn unknown_limits_are_set() {
        let limits = Limits::raising(Limits::default(), 7);
        assert_eq!(limits.everybody, pair(7, 7));
        assert_eq!(
            Limits::describe(&limits.render()),
            "soft 7, hard 7 for all and root"
        );
    }

    #[test]
    fn what_other_files_set_is_read_as_pam_reads_it() {
        let mut limits = Limits::default();
        limits.override_from(
            "# c\n*  -  nofile 100 # both\nroot hard nofile unlimited\n@db soft nofile 9\n* soft core 0\n",
        );
        assert_eq!(limits.everybody, pair(100, 100));
        assert_eq!(limits.root.hard, Some(u64::MAX));
        assert_eq!(limits.root.soft, None);
    }

    #[test]
    fn two_prefixes_get_the_higher_of_their_limits() {
        let small = Limits::raising(Limits::default(), 10);
        let large = Limits {
            everybody: pair(5, 20),
            root: Pair::default(),
        };
        let both = Limits::strictest([&small, &large].into_iter());
        assert_eq!(both.everybody, pair(10, 20));
        assert_eq!(both.root, pair(10, 10));
    }
}
