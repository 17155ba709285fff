//! How many files a login may open: what it inherits, and over that the lines of limits.conf(5).
//!
//! Process 1 is no measure: systemd raises its own limit and gives everybody else DefaultLimitNOFILE
//! (systemd-system.conf(5)).

mod inherited;
mod lines;

use std::collections::BTreeMap;
use std::io;

pub(crate) use self::lines::{Domain, Line};
use crate::limits::{self, Limits, Pair};

/// What decides about the open files of logins, our own file left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Logins {
    /// The lowest that a login is known to start with.
    pub(crate) inherited: Pair,
    /// The hard limit of what starts logins, below which no line of ours may go.
    pub(crate) hard_of_daemons: Option<u64>,
    /// The lines about open files, in the order in which pam_limits(8) reads them.
    pub(crate) lines: Vec<Line>,
}

/// A line that keeps somebody below what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// What it does.
    pub(crate) why: String,
    /// Where to change it.
    pub(crate) hint: String,
}

/// A limit and the line that sets it; none where it is inherited or ours.
#[derive(Debug, Clone, Copy, Default)]
struct Source<'a> {
    limit: Option<u64>,
    line: Option<&'a Line>,
    is_of_the_domain: bool,
}

impl Logins {
    /// What is there now. `None` where there is no limits.d directory, as without PAM.
    pub(crate) fn gather() -> io::Result<Option<Self>> {
        if !lines::exist() {
            return Ok(None);
        }
        let daemons = inherited::of_daemons()?;
        // With our file there, the limits of this process may come from it.
        let inherited = match limits::read()?.is_absent() {
            true => daemons.lowest(inherited::own()),
            false => daemons,
        };
        Ok(Some(Self {
            inherited,
            hard_of_daemons: daemons.hard,
            lines: lines::read()?,
        }))
    }

    /// Whether logins are given limits by files at all, which is what PAM does.
    pub(crate) fn are_limited() -> bool {
        lines::exist()
    }

    /// What keeps somebody below `nofile` as the files are now, ours among them. The one judgement of setup, status
    /// and doctor.
    pub(crate) fn obstacle_now(nofile: u64) -> io::Result<Option<Obstacle>> {
        let Some(logins) = Self::gather()? else {
            return Ok(None);
        };
        let ours = limits::read()?.as_text().map(Limits::parse).unwrap_or_default();
        Ok(logins.obstacle(nofile, &ours))
    }

    /// The lines of ours that let every login open `nofile` files, and lower nothing. `held` are those that
    /// are in force: what it was like without them cannot be seen.
    pub(crate) fn raising(&self, nofile: u64, held: &Limits) -> Limits {
        let none = Limits::default();
        let pair = |domain: &Domain, held: Pair| {
            let (soft, hard) = self.of(domain, &none);
            let is_low = |found: Source, held: Option<u64>| {
                let is_hidden = found.line.is_none() && held.is_some();
                is_hidden || found.limit.is_none_or(|limit| limit < nofile)
            };
            Pair {
                soft: is_low(soft, held.soft).then_some(nofile),
                hard: is_low(hard, held.hard)
                    .then_some(nofile.max(self.hard_of_daemons.unwrap_or(0).min(limits::HIGHEST))),
            }
        };
        Limits {
            everybody: pair(&Domain::Everybody, held.everybody),
            root: pair(&Domain::root(), held.root),
        }
    }

    /// The lines that keep somebody below `nofile` although `ours` are there.
    pub(crate) fn obstacle(&self, nofile: u64, ours: &Limits) -> Option<Obstacle> {
        let mut domains: Vec<Domain> = self.lines.iter().map(|line| line.domain.clone()).collect();
        domains.extend([Domain::Everybody, Domain::root()]);
        domains.sort();
        domains.dedup();
        // By where they stand, with whom they hold down.
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        for domain in &domains {
            let (soft, hard) = self.of(domain, ours);
            for (kind, source) in [("soft", soft), ("hard", hard)] {
                let Some(line) = source.line else { continue };
                let limit = source.limit.unwrap_or(0);
                if limit < nofile && line.domain == *domain {
                    let place = format!("{}:{}", line.path.display(), line.number);
                    found.insert(place, format!("{} {limit} ({kind})", domain.describe()));
                }
            }
        }
        if found.is_empty() {
            return None;
        }
        let lines: Vec<String> = found
            .iter()
            .map(|(place, whom)| format!("{place} gives {whom}"))
            .collect();
        let places: Vec<&str> = found.keys().map(String::as_str).collect();
        Some(Obstacle {
            why: format!(
                "a line that wins over {} allows less than {nofile}: {}",
                limits::FILE,
                lines.join(", ")
            ),
            hint: format!("raise or remove {}, and run setup again", places.join(", ")),
        })
    }

    /// The soft and the hard limit of whoever the domain names, with `ours` among the files.
    fn of<'a>(&'a self, domain: &Domain, ours: &Limits) -> (Source<'a>, Source<'a>) {
        let inherited = |limit| Source {
            limit,
            ..Source::default()
        };
        let mut pair = (inherited(self.inherited.soft), inherited(self.inherited.hard));
        let is_ours_next = |line: &Line| line.comes_after_ours();
        let (before, after): (Vec<&Line>, Vec<&Line>) =
            self.lines.iter().partition(|line| !is_ours_next(line));
        let apply = |pair: &mut (Source<'a>, Source<'a>), lines: Vec<&'a Line>| {
            for line in lines.into_iter().filter(|line| line.domain.concerns(domain)) {
                let is_of_the_domain = line.domain == *domain;
                for (wanted, source, base) in [
                    (line.soft, &mut pair.0, self.inherited.soft),
                    (line.hard, &mut pair.1, self.inherited.hard),
                ] {
                    if wanted && (is_of_the_domain || !source.is_of_the_domain) {
                        *source = Source {
                            limit: line.limit.or(base),
                            line: Some(line),
                            is_of_the_domain,
                        };
                    }
                }
            }
        };
        apply(&mut pair, before);
        let own = if *domain == Domain::root() {
            ours.root
        } else {
            ours.everybody
        };
        let is_own_domain = matches!(domain, Domain::Everybody) || *domain == Domain::root();
        for (limit, source) in [(own.soft, &mut pair.0), (own.hard, &mut pair.1)] {
            if limit.is_some() && (is_own_domain || !source.is_of_the_domain) {
                *source = inherited(limit);
            }
        }
        apply(&mut pair, after);
        pair
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::inherited::SYSTEMD_DEFAULT;
    use super::lines::parse;
    use super::*;

    fn pair(soft: u64, hard: u64) -> Pair {
        Pair {
            soft: Some(soft),
            hard: Some(hard),
        }
    }

    /// What logins get where they inherit 1024:524288 and the files say so, in this order.
    fn logins(files: &[(&str, &str)]) -> Logins {
        Logins {
            inherited: SYSTEMD_DEFAULT,
            hard_of_daemons: SYSTEMD_DEFAULT.hard,
            lines: files
                .iter()
                .flat_map(|(path, text)| parse(Path::new(path), text))
                .collect(),
        }
    }

    fn ours(logins: &Logins) -> Limits {
        logins.raising(65_536, &Limits::default())
    }

    #[test]
    fn a_hard_limit_that_is_higher_already_gets_no_line() {
        let limits = ours(&logins(&[]));
        assert_eq!(limits.everybody.soft, Some(65_536));
        assert_eq!(limits.everybody.hard, None);
        assert_eq!(limits.root, limits.everybody);
        assert!(logins(&[]).raising(1024, &Limits::default()).is_empty());
    }

    #[test]
    fn a_hard_limit_of_daemons_is_not_lowered() {
        let low = Logins {
            inherited: pair(1024, 4096),
            hard_of_daemons: Some(200_000),
            lines: Vec::new(),
        };
        assert_eq!(ours(&low).everybody, pair(65_536, 200_000));
        let unlimited = Logins {
            hard_of_daemons: Some(u64::MAX),
            ..low
        };
        assert_eq!(ours(&unlimited).everybody.hard, Some(limits::HIGHEST));
    }

    #[test]
    fn what_is_in_force_by_a_line_of_ours_is_asked_for_again() {
        let raised = Logins {
            inherited: pair(65_536, 524_288),
            ..logins(&[])
        };
        let held = Limits {
            everybody: Pair {
                soft: Some(65_536),
                hard: None,
            },
            root: Pair::default(),
        };
        assert_eq!(raised.raising(65_536, &held), held);
        assert!(ours(&raised).is_empty());
    }

    #[test]
    fn lines_of_other_files_that_are_high_enough_need_none_of_ours() {
        let high = logins(&[(
            "/etc/security/limits.d/99-site.conf",
            "* - nofile 200000\nroot - NOFILE 200000",
        )]);
        assert!(ours(&high).is_empty());
        assert_eq!(high.obstacle(65_536, &Limits::default()), None);
    }

    #[test]
    fn a_lower_line_of_an_earlier_file_is_overridden_and_one_of_a_later_file_is_named() {
        let line = "# site\n\n* hard nofile 4096 # few\n";
        let earlier = logins(&[
            ("/etc/security/limits.conf", line),
            ("/etc/security/limits.d/50-a.conf", line),
        ]);
        assert_eq!(ours(&earlier).everybody.hard, Some(524_288));
        assert_eq!(earlier.obstacle(65_536, &ours(&earlier)), None);
        let later = logins(&[("/etc/security/limits.d/zz.conf", line)]);
        let obstacle = later.obstacle(65_536, &ours(&later)).unwrap();
        assert!(
            obstacle
                .why
                .contains("/etc/security/limits.d/zz.conf:3 gives everybody 4096 (hard)"),
            "{obstacle:?}"
        );
        assert!(
            obstacle.hint.contains("/etc/security/limits.d/zz.conf:3"),
            "{obstacle:?}"
        );
    }

    #[test]
    fn lines_of_users_and_groups_win_in_whatever_file_they_stand() {
        for (line, whom) in [
            ("www-data soft nofile 2048", "www-data 2048 (soft)"),
            ("@db - nofile 9", "group db 9 (hard)"),
            ("1000: hard nofile 512", "1000: 512 (hard)"),
            ("root - nofile 4096", "root 4096 (hard)"),
            ("guest -", "guest 1024 (soft)"),
        ] {
            let found = logins(&[("/etc/security/limits.conf", line)]);
            let ours = ours(&found);
            let obstacle = found.obstacle(65_536, &ours);
            // Our own line for root comes after it.
            if line.starts_with("root") {
                assert_eq!(obstacle, None, "{line}");
                continue;
            }
            let why = obstacle.unwrap_or_else(|| panic!("{line}")).why;
            assert!(
                why.contains(&format!("/etc/security/limits.conf:1 gives {whom}")),
                "{line}: {why}"
            );
        }
        let root = logins(&[("/etc/security/limits.d/99-x.conf", "root - nofile 4096")]);
        assert!(
            root.obstacle(65_536, &ours(&root))
                .unwrap()
                .why
                .contains("gives root 4096")
        );
        // Higher lines, and those of other kinds, are nobody's obstacle.
        let fine = logins(&[(
            "/etc/security/limits.conf",
            "db - nofile 1000000\n@x hard nproc 20\n%y - maxlogins 4\n",
        )]);
        assert_eq!(fine.obstacle(65_536, &ours(&fine)), None);
    }
}
