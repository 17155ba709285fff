//! An OpenWrt router over ssh: what it is, what is installed there, and the three things done to it.
//!
//! Every one of them is a run of the same script with other arguments.

use serde::Serialize;
use v6kit_net::{Code, Hint, Prefix};

use crate::openwrt::{Base, Follow, Wanted, arguments};
use crate::package::PROVISION;
use crate::ssh::{Ran, Ssh, SshError};
use crate::status::{Probe, RoutedPrefix, Status};
use crate::values::{LinkLocal, Name, SectionName};

/// Whether something is done or only said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Done.
    Make,
    /// Said.
    DryRun,
}

/// What a push did.
#[derive(Debug, Clone, Serialize)]
pub struct Pushed {
    /// What the prefix follows, if anything.
    pub base: Option<Base>,
    /// What was changed, or would be, one sentence each.
    pub changes: Vec<String>,
    /// The router afterwards.
    pub router: Probe,
}

/// What a check found.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// Nothing below is wrong.
    pub in_order: bool,
    /// What is wrong, one sentence each.
    pub findings: Vec<String>,
    /// What deserves a look, one sentence each.
    pub warnings: Vec<String>,
    /// The router.
    pub router: Probe,
}

/// What a removal did.
#[derive(Debug, Clone, Serialize)]
pub struct Removed {
    /// What was undone, or would be, one sentence each.
    pub changes: Vec<String>,
}

/// Why something was not done on the router.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    /// It was not reached.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// The script ran and ended with a failure.
    #[error("{said}")]
    Failed {
        /// Its messages on one line.
        said: String,
        /// What it had done before, one sentence each.
        changes: Vec<String>,
    },
    /// The script refused an argument or a setting; nothing was changed.
    #[error("{said}")]
    Refused {
        /// Its message.
        said: String,
    },
    /// The router's flash is full; nothing is half-written.
    #[error("{said}")]
    DiskFull {
        /// Its message.
        said: String,
    },
    /// What came back is not what the script prints.
    #[error("the router's answer cannot be read")]
    Answer {
        /// Where and how.
        #[source]
        source: serde_json::Error,
    },
    /// The prefix holds the LAN's own.
    #[error("{prefix} holds the LAN's own prefix {lan}")]
    HoldsLan {
        /// What was to be routed to the host.
        prefix: Prefix,
        /// What the LAN has.
        lan: ipnet::Ipv6Net,
    },
    /// The prefix is to follow one that it is no part of.
    #[error("{prefix} is not inside the prefix of the router's {}, {}", .base.as_str(), .has.map_or_else(|| "which has none now".to_owned(), |has| has.to_string()))]
    NothingToFollow {
        /// What was to be routed to the host.
        prefix: Prefix,
        /// What it was to follow.
        base: Base,
        /// What that has.
        has: Option<ipnet::Ipv6Net>,
    },
}

impl Hint for RouterError {
    fn code(&self) -> Code {
        match self {
            Self::Ssh(error) => error.code(),
            Self::Failed { .. } => Code::RouterFailed,
            Self::Refused { .. } => Code::RouterSettings,
            Self::DiskFull { .. } => Code::RouterDiskFull,
            Self::Answer { .. } => Code::RouterAnswer,
            Self::HoldsLan { .. } => Code::RouterLan,
            Self::NothingToFollow { .. } => Code::RouterFollow,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Ssh(error) => return error.hint(),
            Self::Failed { said, .. } if said.contains("not OpenWrt") => {
                "router render prints the same for other routers, to copy by hand: `v6kit help router render`"
                    .to_owned()
            }
            Self::Failed { said, .. } if said.contains("no fw4") => {
                "update OpenWrt, or give --notrack off and have the table raised only".to_owned()
            }
            Self::Failed { .. } => "`v6kit router check` says what there is now".to_owned(),
            Self::Refused { .. } => {
                "correct /etc/config/v6kit-router on the router, or remove it there and push again".to_owned()
            }
            Self::DiskFull { .. } => "free some space on the router: `df -h /overlay` there".to_owned(),
            Self::Answer { .. } => "run it with -v, and try `ssh` to the router by hand".to_owned(),
            Self::HoldsLan { lan, .. } => format!(
                "give a part of it that leaves the LAN its addresses, such as a /80 inside {lan}, or another \
                 subnet of the delegation"
            ),
            Self::NothingToFollow { .. } => {
                "leave --follow out, or give the prefix as it is now: `v6kit router check` shows both"
                    .to_owned()
            }
        })
    }
}

/// Installs and sets what is `wanted`, or says what that would change.
///
/// # Errors
/// [`RouterError`]; what was changed before a failure is in it.
pub fn push(ssh: &Ssh, wanted: &Wanted, follow: Follow, change: Change) -> Result<Pushed, RouterError> {
    let before = probe(ssh, wanted.lan.as_ref(), wanted.wan.as_ref())?;
    let base = base_for(wanted.prefix, follow, &before.status)?;
    let mut words = arguments(wanted, base);
    words.extend(dry_run(change));
    let changes = lines(&succeeded(ssh.run(PROVISION, &words)?)?);
    let router = match change {
        Change::Make => probe(ssh, None, None)?,
        Change::DryRun => before,
    };
    Ok(Pushed {
        base: base.map(|(base, _)| base),
        changes,
        router,
    })
}

/// Compares the router with this version's files and with its own settings, and where given with the
/// prefix and the host that it should serve. Changes nothing.
///
/// # Errors
/// [`RouterError`] when it cannot be read.
pub fn check(
    ssh: &Ssh,
    name: &SectionName,
    prefix: Option<Prefix>,
    host: Option<LinkLocal>,
) -> Result<Check, RouterError> {
    let router = probe(ssh, None, None)?;
    let mut findings = Vec::new();
    let mut warnings = router.status.warnings.clone();
    if router.installed {
        // Where a package manager keeps the files, another version of them is its business.
        if router.package {
            warnings.extend(router.files.iter().cloned());
        } else {
            findings.extend(router.files.iter().cloned());
        }
        if !router.service {
            findings.push("the service does not start at boot".to_owned());
        }
        findings.extend(router.status.differences.iter().cloned());
        findings.extend(router.status.problems.iter().cloned());
        if router.status.enabled {
            findings.extend(mismatch(&router.status, name, prefix, host));
        }
    } else {
        findings.push("v6kit-router is not installed".to_owned());
    }
    Ok(Check {
        in_order: findings.is_empty(),
        findings,
        warnings,
        router,
    })
}

/// Undoes everything on the router, or says what that would change.
///
/// # Errors
/// [`RouterError`]; what was undone before a failure is in it.
pub fn remove(ssh: &Ssh, change: Change) -> Result<Removed, RouterError> {
    let mut words = vec!["--remove".to_owned()];
    words.extend(dry_run(change));
    let changes = lines(&succeeded(ssh.run(PROVISION, &words)?)?);
    Ok(Removed { changes })
}

fn probe(ssh: &Ssh, lan: Option<&Name>, wan: Option<&Name>) -> Result<Probe, RouterError> {
    let mut words = vec!["--status".to_owned()];
    for (option, name) in [("--lan", lan), ("--wan", wan)] {
        if let Some(name) = name {
            words.extend([option.to_owned(), name.to_string()]);
        }
    }
    let answer = succeeded(ssh.run(PROVISION, &words)?)?;
    serde_json::from_str(&answer).map_err(|source| RouterError::Answer { source })
}

fn dry_run(change: Change) -> Option<String> {
    (change == Change::DryRun).then(|| "--dry-run".to_owned())
}

/// Standard output, or the failure that the exit code means (see provision.sh).
fn succeeded(ran: Ran) -> Result<String, RouterError> {
    let said = one_line(&ran.stderr);
    match ran.code {
        0 => Ok(ran.stdout),
        2 => Err(RouterError::Refused { said }),
        3 => Err(RouterError::DiskFull { said }),
        code => Err(RouterError::Failed {
            said: if said.is_empty() {
                format!("the script ended with {code}")
            } else {
                said
            },
            changes: lines(&ran.stdout),
        }),
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !matches!(*line, "" | "nothing to change" | "nothing to remove"))
        .map(ToOwned::to_owned)
        .collect()
}

fn one_line(text: &str) -> String {
    let parts: Vec<&str> = text
        .lines()
        .map(|line| {
            let line = line.trim();
            let line = line.strip_prefix("provision.sh: ").unwrap_or(line);
            line.strip_prefix("v6kit-router: ").unwrap_or(line)
        })
        .filter(|line| !line.is_empty())
        .collect();
    parts.join("; ").chars().filter(|c| !c.is_control()).collect()
}

/// What `prefix` is a part of, with the length of that, as far as it is to follow.
fn base_for(prefix: Prefix, follow: Follow, status: &Status) -> Result<Option<(Base, u8)>, RouterError> {
    if let Some(lan) = status.lan.prefix
        && prefix.length() <= lan.prefix_len()
        && prefix.contains(lan.network())
    {
        return Err(RouterError::HoldsLan { prefix, lan });
    }
    let inside = |base: Base| {
        let has = match base {
            Base::Lan => status.lan.prefix,
            Base::Wan => status.wan.prefix,
        };
        has.filter(|has| has.contains(&prefix.network()) && prefix.length() > has.prefix_len())
            .map(|has| (base, has.prefix_len()))
            .ok_or(RouterError::NothingToFollow { prefix, base, has })
    };
    match follow {
        Follow::Never => Ok(None),
        Follow::Base(base) => inside(base).map(Some),
        Follow::Auto => Ok(inside(Base::Lan).or_else(|_| inside(Base::Wan)).ok()),
    }
}

/// What differs from the `prefix` and the `host` that are asked for. A prefix is found under whatever name it
/// has; only where it is nowhere, what `name` has instead is told.
fn mismatch(
    status: &Status,
    name: &SectionName,
    prefix: Option<Prefix>,
    host: Option<LinkLocal>,
) -> Vec<String> {
    let name = name.to_string();
    let place = |wanted: &dyn Fn(&RoutedPrefix) -> bool| status.prefixes.iter().find(|there| wanted(there));
    let Some(there) =
        place(&|there| prefix == Some(there.prefix)).or_else(|| place(&|there| there.name == name))
    else {
        return vec![format!("no prefix is in place for `{name}`")];
    };
    let mut findings = Vec::new();
    if let Some(prefix) = prefix.filter(|prefix| *prefix != there.prefix) {
        findings.push(format!("`{}` has {}, not {prefix}", there.name, there.prefix));
    }
    if let Some(host) = host
        .map(|host| host.to_string())
        .filter(|host| *host != there.host)
    {
        findings.push(format!(
            "{} (`{}`) is routed to {}, not to {host}",
            there.prefix, there.name, there.host
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(lan: &str, wan: &str) -> Status {
        let answer = format!(
            r#"{{"version":"0.1.0","release":"24.10.0","memory_kib":250000,"enabled":true,
            "lan":{{"interface":"lan","device":"br-lan","prefix":{lan}}},
            "wan":{{"interface":"wan6","device":"wan","prefix":{wan}}},
            "prefixes":[{{"name":"crawler","prefix":"2001:db8:1:2:abcd::/80","host":"fe80::9","route":"ok","notrack":"ok"}}],
            "conntrack":{{"count":1,"max":2,"buckets":null,"full_in_log":0}},
            "neighbours":{{"count":2,"limit":1024,"overflows_in_log":0}},
            "differences":[],"problems":[],"warnings":[]}}"#
        );
        serde_json::from_str(&answer).unwrap()
    }

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_follows_the_lan_before_the_wan() {
        let status = status(r#""2001:db8:1:2::/64""#, r#""2001:db8:1::/56""#);
        let base = |text| base_for(prefix(text), Follow::Auto, &status).unwrap();
        assert_eq!(base("2001:db8:1:2:abcd::/80"), Some((Base::Lan, 64)));
        assert_eq!(base("2001:db8:1:3::/64"), Some((Base::Wan, 56)));
        assert_eq!(base("2001:db8:9::/48"), None);
    }

    #[test]
    fn a_prefix_that_holds_the_lan_is_refused() {
        let status = status(r#""2001:db8:1:2::/64""#, "null");
        for text in ["2001:db8:1:2::/64", "2001:db8:1::/48"] {
            let error = base_for(prefix(text), Follow::Never, &status).unwrap_err();
            assert!(matches!(error, RouterError::HoldsLan { .. }), "{error}");
        }
    }

    #[test]
    fn following_what_is_not_there_is_refused() {
        let status = status("null", r#""2001:db8:1::/56""#);
        let error = base_for(prefix("2001:db8:1:2:abcd::/80"), Follow::Base(Base::Lan), &status).unwrap_err();
        assert_eq!(
            error.to_string(),
            "2001:db8:1:2:abcd::/80 is not inside the prefix of the router's lan, which has none now"
        );
    }

    #[test]
    fn another_prefix_or_host_is_a_finding() {
        let status = status("null", "null");
        let name = "crawler".parse().unwrap();
        let same = mismatch(
            &status,
            &name,
            Some(prefix("2001:db8:1:2:abcd::/80")),
            "fe80::9".parse().ok(),
        );
        assert!(same.is_empty());
        let other = mismatch(
            &status,
            &name,
            Some(prefix("2001:db8::/64")),
            "fe80::8".parse().ok(),
        );
        assert_eq!(other.len(), 2);
        let by_another_name = "other".parse().unwrap();
        assert_eq!(mismatch(&status, &by_another_name, None, None).len(), 1);
        let here = Some(prefix("2001:db8:1:2:abcd::/80"));
        assert!(mismatch(&status, &by_another_name, here, "fe80::9".parse().ok()).is_empty());
        assert_eq!(
            mismatch(&status, &by_another_name, here, "fe80::8".parse().ok()),
            ["2001:db8:1:2:abcd::/80 (`crawler`) is routed to fe80::9, not to fe80::8"]
        );
    }
}
