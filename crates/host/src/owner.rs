//! The mark on what outlives a journal: which boot, which network namespace and which state directory it was made for.
//!
//! Other programs save a ruleset and bring it back, at a boot or when they are started again. The table is then
//! there, and no journal knows of it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::place::Place;

/// What the first line of a mark begins with.
const OF: &str = "of v6kit setup:";
/// What its second line begins with.
const IN: &str = "state directory ";
/// The longest comment of a rule that nft takes, in octets (NFTNL_UDATA_COMMENT_MAXLEN).
const LONGEST: usize = 127;

/// For whom something was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    boot_id: String,
    /// The inode of the network namespace.
    network_namespace: u64,
    /// SO_NETNS_COOKIE; `None` before Linux 5.14.
    cookie: Option<u64>,
    /// The state directory; `None` where its name is too long for a comment or has octets that none may have.
    directory: Option<PathBuf>,
    /// The number of the file system that it lies on: a container may have another of the same name.
    device: Option<u64>,
}

impl Owner {
    /// Whoever sets up in `place` with the state directory `directory`.
    pub(crate) fn new(place: &Place, directory: &Path) -> Self {
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let is_there = |path: &&Path| path.exists();
        let device = directory
            .ancestors()
            .find(is_there)
            .and_then(|path| fs::metadata(path).ok());
        Self {
            boot_id: place.boot_id.clone(),
            network_namespace: place.network_namespace,
            cookie: place.cookie,
            directory: Some(directory).filter(|directory| fits(directory)),
            device: device.map(|found| found.dev()),
        }
    }

    /// The comments that say so.
    pub(crate) fn comments(&self) -> Vec<String> {
        let mut place = format!("{OF} boot={} netns={}", self.boot_id, self.network_namespace);
        // Writing to a String cannot fail.
        if let Some(cookie) = self.cookie {
            let _ = write!(place, " cookie={cookie}");
        }
        if let Some(device) = self.device {
            let _ = write!(place, " dev={device}");
        }
        let directory = self
            .directory
            .as_ref()
            .map(|path| format!("{IN}{}", path.display()));
        std::iter::once(place).chain(directory).collect()
    }

    /// Reads [`Owner::comments`] among other comments.
    pub(crate) fn parse<'a>(comments: impl Iterator<Item = &'a str>) -> Option<Self> {
        let (mut place, mut directory) = (None, None);
        for comment in comments {
            if let Some(said) = comment.strip_prefix(OF) {
                place = Some(said);
            } else if let Some(path) = comment.strip_prefix(IN) {
                directory = Some(PathBuf::from(path));
            }
        }
        let value = |name: &str| place?.split(' ').find_map(|word| word.strip_prefix(name));
        let number = |name| value(name)?.parse().ok();
        Some(Self {
            boot_id: value("boot=")?.to_owned(),
            network_namespace: number("netns=")?,
            cookie: number("cookie="),
            directory,
            device: number("dev="),
        })
    }

    /// Why nobody here needs what carries this mark, for a journal of `here` that does not hold it; `None` where
    /// somebody may. `has_routes`: some route of this network namespace carries our protocol number, so that a
    /// setup of this boot is at work in it, whatever its journal.
    pub(crate) fn why_left(&self, here: &Self, has_routes: bool) -> Option<&'static str> {
        let is_of_this_boot = self.boot_id == here.boot_id;
        let is_of_this_namespace = match (self.cookie, here.cookie) {
            (Some(one), Some(other)) => one == other,
            _ => self.network_namespace == here.network_namespace,
        };
        let is_of_this_directory =
            self.directory.is_some() && self.directory == here.directory && self.device == here.device;
        if is_of_this_boot && !is_of_this_namespace {
            Some("made in another network namespace, so that another program brought it here")
        } else if is_of_this_directory {
            Some("undone since, or made before this boot, so that another program brought it back")
        } else if !is_of_this_boot && !has_routes {
            Some("made before this boot, so that another program brought it back")
        } else {
            None
        }
    }

    /// Its state directory, for people.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }
}

/// Whether a comment can hold the path as it is.
fn fits(path: &Path) -> bool {
    path.to_str().is_some_and(|text| {
        IN.len() + text.len() <= LONGEST
            && text
                .bytes()
                .all(|octet| octet.is_ascii_graphic() && !b"\"\\".contains(&octet))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(boot: &str, cookie: u64, directory: &str) -> Owner {
        Owner {
            boot_id: boot.to_owned(),
            network_namespace: 4_026_531_840,
            cookie: Some(cookie),
            directory: Some(directory.into()),
            device: Some(65_024),
        }
    }

    #[test]
    fn a_mark_is_read_as_it_was_written_and_fits_a_comment() {
        let boot = "6a0f9a2c-35f1-4d6e-8a1b-2f0c5a7e9d11";
        let written = owner(boot, u64::from(u32::MAX), "/var/lib/v6kit");
        let comments = written.comments();
        assert!(
            comments.iter().all(|comment| comment.len() <= LONGEST),
            "{comments:?}"
        );
        let others = ["2001:db8::/64: no ping".to_owned()];
        let listed = others.iter().chain(&comments).map(String::as_str);
        assert_eq!(Owner::parse(listed), Some(written));
        assert_eq!(Owner::parse(others.iter().map(String::as_str)), None);
        assert!(!fits(Path::new(&format!("/{}", "a".repeat(LONGEST)))) && !fits(Path::new("/a\"b")));
    }

    #[test]
    fn what_nobody_can_need_is_told_from_what_another_setup_may() {
        let here = owner("now", 7, "/var/lib/v6kit");
        let is_left = |mark: &Owner, has_routes| mark.why_left(&here, has_routes).is_some();
        // This journal holds none.
        assert!(is_left(&here, true));
        assert!(is_left(&owner("before", 7, "/var/lib/v6kit"), true));
        assert!(is_left(&owner("now", 6, "/srv/state"), true));
        assert!(is_left(&owner("before", 6, "/srv/state"), false));
        // Those of another setup that may be at work.
        assert!(!is_left(&owner("now", 7, "/srv/state"), false));
        assert!(!is_left(&owner("before", 7, "/srv/state"), true));
        let of_a_container = Owner {
            device: Some(3),
            ..here.clone()
        };
        assert!(!is_left(&of_a_container, true));
    }
}
