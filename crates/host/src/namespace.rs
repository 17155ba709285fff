//! Whether a network namespace is still there: namespaces(7) has it end with the last process, open file
//! and mount that holds it.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};

use crate::place::{self, Place};

/// What is known of a namespace that is not this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Something holds it.
    Held,
    /// Nothing does.
    Gone,
    /// Not everything that may hold it can be seen from here.
    Unknown,
}

/// Looks for whatever holds the network namespace of `place`, which is of this boot.
pub(crate) fn presence(place: &Place, here: &Place) -> Presence {
    // Two namespaces that are there have two inodes: this one has got that of the other.
    if place.network_namespace == here.network_namespace {
        return Presence::Gone;
    }
    let is_below = place.sees_every_process() && !here.sees_every_process();
    // An earlier life of this container: its processes ended with its process 1 (pid_namespaces(7)). A unit
    // without CAP_SYS_PTRACE could not look for more.
    if !is_below && !here.sees_every_process() && place.is_same_container(here) == Some(false) {
        return Presence::Gone;
    }
    let mut search = Search {
        place,
        is_complete: !is_below && nix::unistd::geteuid().is_root(),
        mount_namespaces: HashSet::new(),
    };
    if search.finds_a_holder() {
        Presence::Held
    } else if search.is_complete {
        Presence::Gone
    } else {
        Presence::Unknown
    }
}

struct Search<'a> {
    place: &'a Place,
    /// Whether everything that was looked at could be seen.
    is_complete: bool,
    /// Those whose mounts were looked at.
    mount_namespaces: HashSet<PathBuf>,
}

impl Search<'_> {
    fn finds_a_holder(&mut self) -> bool {
        let processes = self.entries(Path::new("/proc"));
        processes
            .into_iter()
            .filter(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
            .any(|pid| self.is_held_by(&Path::new("/proc").join(pid)))
    }

    fn is_held_by(&mut self, process: &Path) -> bool {
        let threads = process.join("task");
        let mut links: Vec<PathBuf> = self
            .entries(&threads)
            .into_iter()
            .map(|thread| threads.join(thread).join("ns/net"))
            .collect();
        let files = process.join("fd");
        links.extend(self.entries(&files).into_iter().map(|file| files.join(file)));
        links.into_iter().any(|link| self.is_it(&link)) || self.is_mounted_for(process)
    }

    /// Whether the link of /proc leads to the namespace.
    fn is_it(&mut self, link: &Path) -> bool {
        let name = self.seen(fs::read_link(link));
        let wanted = self.name();
        if name.is_none_or(|name| name.as_os_str() != wanted.as_str()) {
            return false;
        }
        self.has_the_cookie(link)
    }

    /// `ip netns add` holds a namespace by a mount (ip-netns(8)).
    fn is_mounted_for(&mut self, process: &Path) -> bool {
        let Some(namespace) = self.seen(fs::read_link(process.join("ns/mnt"))) else {
            return false;
        };
        if !self.mount_namespaces.insert(namespace) {
            return false;
        }
        let mounts = self.seen(fs::read_to_string(process.join("mountinfo")));
        let name = self.name();
        let points: Vec<PathBuf> = mounts
            .unwrap_or_default()
            .lines()
            .filter_map(|line| {
                let fields: Vec<&str> = line.split(' ').collect();
                let point = fields.get(4)?.trim_start_matches('/');
                (*fields.get(3)? == name).then(|| process.join("root").join(point))
            })
            .collect();
        points.into_iter().any(|point| self.has_the_cookie(&point))
    }

    /// As links of /proc and proc_pid_mountinfo(5) call it.
    fn name(&self) -> String {
        format!("net:[{}]", self.place.network_namespace)
    }

    /// Whether the namespace behind `path`, whose inode is that of the place, is not a later one.
    fn has_the_cookie(&mut self, path: &Path) -> bool {
        let Some(wanted) = self.place.cookie else {
            return true;
        };
        match cookie_of(path) {
            Ok(Some(found)) => found == wanted,
            Ok(None) => true,
            Err(error) => {
                self.seen::<()>(Err(error));
                false
            }
        }
    }

    fn entries(&mut self, directory: &Path) -> Vec<OsString> {
        let entries = self.seen(fs::read_dir(directory));
        entries
            .into_iter()
            .flatten()
            .filter_map(|entry| self.seen(entry))
            .map(|entry| entry.file_name())
            .collect()
    }

    /// A process may end while it is looked at; everything else that fails leaves something unseen.
    fn seen<T>(&mut self, found: io::Result<T>) -> Option<T> {
        const ESRCH: i32 = libc::ESRCH;
        match found {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH) => {
                None
            }
            Err(_) => {
                self.is_complete = false;
                None
            }
        }
    }
}

/// The cookie of the namespace behind `path`, which only a thread inside can ask for (CAP_SYS_ADMIN). The
/// thread ends there.
fn cookie_of(path: &Path) -> io::Result<Option<u64>> {
    let file = File::open(path)?;
    let thread = std::thread::spawn(move || {
        setns(file, CloneFlags::CLONE_NEWNET)?;
        Ok(place::cookie())
    });
    thread
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the thread that looked at it panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place of this boot in a namespace that nothing holds.
    fn ended() -> Place {
        Place {
            network_namespace: 1,
            cookie: Some(u64::MAX),
            ..Place::here().unwrap()
        }
    }

    #[test]
    fn a_namespace_that_this_process_is_in_is_held_and_one_that_nothing_holds_is_not() {
        let here = Place::here().unwrap();
        let elsewhere = Place {
            network_namespace: 1,
            ..here.clone()
        };
        assert_eq!(presence(&here, &elsewhere), Presence::Held);
        // Where not every process can be looked at, it is not known to be gone.
        assert_ne!(presence(&ended(), &here), Presence::Held);
    }

    #[test]
    fn from_inside_a_container_one_of_its_machine_cannot_be_seen_and_one_of_an_earlier_life_is_gone() {
        let inside = Place {
            pid_namespace: Some(7),
            init: Some(1000),
            ..Place::here().unwrap()
        };
        let machine = Place {
            pid_namespace: Some(0xEFFF_FFFC),
            init: Some(1),
            ..ended()
        };
        assert_eq!(presence(&machine, &inside), Presence::Unknown);
        let earlier = Place {
            pid_namespace: Some(7),
            init: Some(500),
            ..ended()
        };
        assert_eq!(presence(&earlier, &inside), Presence::Gone);
    }
}
