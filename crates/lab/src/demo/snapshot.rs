//! What a host looks like from the outside, to be compared with what it looked like before.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::RouteAttribute;
use rtnetlink::{IpVersion, RouteMessageBuilder};

use crate::error::LabError;
use crate::firewall;
use crate::netns::NetNs;

/// The kernel settings that a setup could touch: files and directories below /proc/sys.
const SETTINGS: [&str; 3] = ["net", "fs/nr_open", "fs/file-max"];
/// Counts, not settings.
const COUNTS: [&str; 1] = ["/proc/sys/net/netfilter/nf_conntrack_count"];
/// Where limits on open files are configured.
const LIMITS: &str = "/etc/security/limits.d";

/// Routes, rules, kernel settings, packet filter and limits of a host.
#[derive(Debug)]
pub(super) struct Snapshot {
    routes: Vec<String>,
    rules: Vec<String>,
    settings: BTreeMap<PathBuf, String>,
    /// As nft(8) lists it; `None` where it cannot.
    ruleset: Option<String>,
    limits: BTreeMap<PathBuf, String>,
}

impl Snapshot {
    pub(super) fn take(host: &NetNs) -> Result<Self, LabError> {
        let mut settings = BTreeMap::new();
        host.run(|| {
            for path in SETTINGS {
                read_all(&Path::new("/proc/sys").join(path), &mut settings);
            }
            Ok(())
        })?;
        let mut limits = BTreeMap::new();
        read_all(Path::new(LIMITS), &mut limits);
        let (routes, rules) = routes_and_rules(host)?;
        Ok(Self {
            routes,
            rules,
            settings,
            ruleset: firewall::list(host).ok(),
            limits,
        })
    }

    pub(super) fn routes(&self) -> usize {
        self.routes.len()
    }

    pub(super) fn settings(&self) -> usize {
        self.settings.len()
    }

    /// What is different in `later`, by name.
    ///
    /// Settings that appear are not: a kernel module that is loaded brings its own.
    pub(super) fn differences(&self, later: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let mut compare = |what: &str, same: bool| {
            if !same {
                found.push(what.to_owned());
            }
        };
        compare("routes", self.routes == later.routes);
        compare("policy rules", self.rules == later.rules);
        compare("nft ruleset", self.ruleset == later.ruleset);
        compare(LIMITS, self.limits == later.limits);
        for (path, value) in &self.settings {
            compare(&path.to_string_lossy(), later.settings.get(path) == Some(value));
        }
        found
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} routes, {} sysctls, ", self.routes(), self.settings())?;
        f.write_str(if self.ruleset.is_some() {
            "ruleset, limits"
        } else {
            "limits"
        })
    }
}

/// Adds `path`, or every file below it, with its contents. What cannot be read (write-only settings)
/// is left out.
fn read_all(path: &Path, into: &mut BTreeMap<PathBuf, String>) {
    if COUNTS.iter().any(|count| path == Path::new(count)) {
        return;
    }
    if let Ok(entries) = fs::read_dir(path) {
        for entry in entries.flatten() {
            read_all(&entry.path(), into);
        }
    } else if let Ok(text) = fs::read_to_string(path) {
        into.insert(path.to_owned(), text);
    }
}

fn routes_and_rules(host: &NetNs) -> Result<(Vec<String>, Vec<String>), LabError> {
    host.netlink(async |netlink| {
        let failed = |source| LabError::Netlink {
            what: "list the host's routes".to_owned(),
            source,
        };
        let every = RouteMessageBuilder::<Ipv6Addr>::new().table_id(0).build();
        let routes: Vec<_> = netlink
            .route()
            .get(every)
            .execute()
            .try_collect()
            .await
            .map_err(failed)?;
        let rules: Vec<_> = netlink
            .rule()
            .get(IpVersion::V6)
            .execute()
            .try_collect()
            .await
            .map_err(failed)?;
        let mut routes: Vec<String> = routes
            .into_iter()
            .filter(|route| route.header.address_family == AddressFamily::Inet6)
            .map(|mut route| {
                // It counts uses and ages.
                route
                    .attributes
                    .retain(|attribute| !matches!(attribute, RouteAttribute::CacheInfo(_)));
                format!("{route:?}")
            })
            .collect();
        routes.sort_unstable();
        let rules = rules.iter().map(|rule| format!("{rule:?}")).collect();
        Ok((routes, rules))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(settings: &[(&str, &str)]) -> Snapshot {
        Snapshot {
            routes: vec![],
            rules: vec![],
            settings: settings
                .iter()
                .map(|(path, value)| (PathBuf::from(path), (*value).to_owned()))
                .collect(),
            ruleset: None,
            limits: BTreeMap::new(),
        }
    }

    #[test]
    fn a_changed_setting_is_named_and_a_new_one_is_not() {
        let before = snapshot(&[("/proc/sys/net/a", "0\n"), ("/proc/sys/net/b", "0\n")]);
        let after = snapshot(&[
            ("/proc/sys/net/a", "1\n"),
            ("/proc/sys/net/b", "0\n"),
            ("/proc/sys/net/c", "0\n"),
        ]);
        assert_eq!(before.differences(&after), ["/proc/sys/net/a"]);
        assert!(before.differences(&before).is_empty());
    }
}
