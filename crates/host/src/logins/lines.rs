//! The lines of limits.conf(5) about open files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::limits;

const DIRECTORY: &str = "/etc/security/limits.d";
const MAIN_FILE: &str = "/etc/security/limits.conf";

/// A line about open files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) path: PathBuf,
    /// Counted from 1.
    pub(crate) number: usize,
    pub(crate) domain: Domain,
    pub(crate) soft: bool,
    pub(crate) hard: bool,
    /// `None`: whoever it names keeps what is inherited.
    pub(crate) limit: Option<u64>,
}

impl Line {
    /// Whether pam_limits(8) reads it after the file of ours.
    pub(super) fn comes_after_ours(&self) -> bool {
        self.path != Path::new(MAIN_FILE) && self.path.file_name() > Path::new(limits::FILE).file_name()
    }
}

/// Whom a line is for. Those before `Everybody` win over it in whatever file they stand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Domain {
    /// A user, or a range of user ids.
    User(String),
    /// A group, or a range of group ids.
    Group(String),
    /// `*`: everybody but root.
    Everybody,
}

impl Domain {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "*" => Self::Everybody,
            // For maxlogins only.
            _ if text.starts_with('%') => return None,
            _ => match text.strip_prefix('@') {
                Some(group) => Self::Group(group.to_owned()),
                None => Self::User(text.to_owned()),
            },
        })
    }

    pub(super) fn root() -> Self {
        Self::User("root".to_owned())
    }

    /// Whom it is for, in words.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::User(name) => name.clone(),
            Self::Group(name) => format!("group {name}"),
            Self::Everybody => "everybody".to_owned(),
        }
    }

    /// Whether a line for this domain is one for `domain`: `*` is not for root.
    pub(super) fn concerns(&self, domain: &Self) -> bool {
        self == domain || (*self == Self::Everybody && *domain != Self::root())
    }
}

/// The lines about open files: `DOMAIN TYPE nofile LIMIT`, or `DOMAIN -` for no limits at all. As in
/// pam_limits, type and item may be written in any case.
pub(super) fn parse<'a>(path: &'a Path, text: &'a str) -> impl Iterator<Item = Line> + 'a {
    text.lines().zip(1..).filter_map(move |(line, number)| {
        let fields: Vec<&str> = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let (domain, kind, limit) = match fields.as_slice() {
            [domain, "-"] => (domain, "-".to_owned(), None),
            [domain, kind, item, limit] if item.eq_ignore_ascii_case("nofile") => {
                (domain, kind.to_ascii_lowercase(), Some(parse_limit(limit)?))
            }
            _ => return None,
        };
        Some(Line {
            path: path.to_owned(),
            number,
            domain: Domain::parse(domain)?,
            soft: kind == "soft" || kind == "-",
            hard: kind == "hard" || kind == "-",
            limit,
        })
    })
}

/// A number, or a word for none.
pub(super) fn parse_limit(text: &str) -> Option<u64> {
    match text {
        "-1" | "unlimited" | "infinity" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Whether there is a place for them.
pub(super) fn exist() -> bool {
    Path::new(DIRECTORY).is_dir()
}

/// All of them but ours, in the order in which pam_limits(8) reads them.
pub(super) fn read() -> io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for path in files()? {
        let text = fs::read(&path)?;
        lines.extend(parse(&path, &String::from_utf8_lossy(&text)));
    }
    Ok(lines)
}

/// limits.conf, then limits.d/*.conf in the order of the C locale; ours is left out.
fn files() -> io::Result<Vec<PathBuf>> {
    let mut fragments: Vec<PathBuf> = fs::read_dir(DIRECTORY)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    fragments.retain(|path| path.extension().is_some_and(|e| e == "conf") && path != Path::new(limits::FILE));
    fragments.sort();
    let main = PathBuf::from(MAIN_FILE);
    Ok(main
        .exists()
        .then_some(main)
        .into_iter()
        .chain(fragments)
        .collect())
}
