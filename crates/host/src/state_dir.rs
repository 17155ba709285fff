//! The directory of journal and summary, and the lock on it.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, FcntlArg, FdFlag, Flock, FlockArg, OFlag, fcntl};
use nix::sys::statfs::{
    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, FsType, PROC_SUPER_MAGIC, SECURITYFS_MAGIC,
    SYSFS_MAGIC, TRACEFS_MAGIC, statfs,
};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, faccessat};
use tokio::time::Instant;
use v6kit_net::{Code, Hint, shell_path};

/// How long another v6kit may hold the lock before this one gives up.
const PATIENCE: Duration = Duration::from_secs(10);
/// flock(2) cannot be awaited with a deadline, so it is tried again and again.
const RETRY: Duration = Duration::from_millis(50);

/// The sticky bit tells a directory that setup made from one that was there: it is set by the same
/// mkdir(2), so that no kill can come between. On a directory only its owner writes to it means nothing.
const MADE_BY_SETUP: u32 = 0o1000;
const MODE: u32 = 0o755;

/// Bytes that journal and summary of a first setup take, as far as blocks of 4 KiB tell.
const ROOM: u64 = 12 << 10;

/// The file systems that show the kernel's own state and keep no files.
const KERNELS_OWN: [FsType; 7] = [
    PROC_SUPER_MAGIC,
    SYSFS_MAGIC,
    CGROUP_SUPER_MAGIC,
    CGROUP2_SUPER_MAGIC,
    DEBUGFS_MAGIC,
    SECURITYFS_MAGIC,
    TRACEFS_MAGIC,
];

/// The state directory, locked until this is dropped.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    lock: Flock<File>,
}

/// Why there is no state directory to work with.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// It cannot be made or opened.
    #[error("the state directory {} cannot be used", .path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The directory, or one above it, is a symbolic link to something that is not there.
    #[error("{} is a symbolic link to {}, which is not there", .link.display(), .target.display())]
    NoTarget {
        /// The link.
        link: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// It would lie among the kernel's own files.
    #[error("{} holds the kernel's own files and keeps no others", .path.display())]
    NoFiles {
        /// The directory that is there.
        path: PathBuf,
    },
    /// Another v6kit is at work.
    #[error("another v6kit has been at work on {} for {} s", .path.display(), PATIENCE.as_secs())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
}

impl Hint for StateDirError {
    fn code(&self) -> Code {
        match self {
            Self::Open { .. } | Self::NoTarget { .. } | Self::NoFiles { .. } => Code::StateDir,
            Self::Busy { .. } => Code::Busy,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Open { source, path } if source.kind() == io::ErrorKind::NotFound => format!(
                "make its parent first: `mkdir -p {}`",
                shell_path(path.parent().unwrap_or(path))
            ),
            Self::Open { source, .. }
                if matches!(
                    source.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                ) =>
            {
                "make room there, or name a directory with room: --state-dir DIR".to_owned()
            }
            Self::Open { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "run it as root, or name a directory you may write to: --state-dir DIR".to_owned()
            }
            Self::Open { .. } | Self::NoFiles { .. } => {
                "name a directory that can be written to: --state-dir DIR".to_owned()
            }
            Self::NoTarget { target, .. } => format!(
                "mount what is missing, or make it: `mkdir -p {}`; or name another directory: --state-dir DIR",
                shell_path(target)
            ),
            Self::Busy { .. } => {
                "wait for it to end, then run this again: `pgrep -a v6kit` shows it".to_owned()
            }
        })
    }
}

/// Fails where `path`, or a directory above it, is a symbolic link to something that is not there: a disk
/// that is not mounted is no reason to begin anew.
pub(crate) fn require_target(path: &Path) -> Result<(), StateDirError> {
    for part in path.ancestors() {
        let is_link = fs::symlink_metadata(part).is_ok_and(|found| found.is_symlink());
        let is_away = || fs::metadata(part).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if is_link && is_away() {
            let target = fs::read_link(part).map_err(failed(part))?;
            return Err(StateDirError::NoTarget {
                target: part.parent().unwrap_or(part).join(target),
                link: part.to_owned(),
            });
        }
    }
    Ok(())
}

/// Fails where no state directory can be at `path`, or no file in it; changes nothing.
pub(crate) fn check(path: &Path) -> Result<(), StateDirError> {
    require_target(path)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let there = path
        .ancestors()
        .find(|part| fs::symlink_metadata(part).is_ok())
        .unwrap_or(Path::new("."));
    let is_kernels_own = statfs(there).is_ok_and(|found| KERNELS_OWN.contains(&found.filesystem_type()));
    if is_kernels_own {
        return Err(StateDirError::NoFiles {
            path: there.to_owned(),
        });
    }
    let written = match fs::metadata(path) {
        Ok(found) if !found.is_dir() => return Err(failed(path)(io::ErrorKind::NotADirectory.into())),
        Ok(_) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => parent,
        Err(error) => return Err(failed(path)(error)),
    };
    faccessat(
        AT_FDCWD,
        written,
        AccessFlags::W_OK | AccessFlags::X_OK,
        AtFlags::AT_EACCESS,
    )
    .map_err(|errno| failed(path)(errno.into()))?;
    require_room(written).map_err(|errno| failed(path)(errno.into()))
}

/// Fails with ENOSPC where the file system of `directory` has no room for a journal. Some count neither
/// blocks nor files.
fn require_room(directory: &Path) -> nix::Result<()> {
    let found = statvfs(directory)?;
    let has_blocks = found.blocks() == 0 || found.blocks_free() * found.fragment_size() >= ROOM;
    let has_files = found.files() == 0 || found.files_free() > 0;
    if has_blocks && has_files {
        Ok(())
    } else {
        Err(Errno::ENOSPC)
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> StateDirError {
    move |source| StateDirError::Open {
        path: path.to_owned(),
        source,
    }
}

impl StateDir {
    /// Makes the directory where it is missing, and locks it.
    pub(crate) async fn make(path: &Path) -> Result<Self, StateDirError> {
        loop {
            require_target(path)?;
            match fs::DirBuilder::new().mode(MODE | MADE_BY_SETUP).create(path) {
                Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(StateDirError::Open {
                        path: path.to_owned(),
                        source,
                    });
                }
                _ => {}
            }
            // Another run may remove it just now, being the last teardown.
            if let Some(dir) = Self::open(path).await? {
                dir.open_to_readers()?;
                return Ok(dir);
            }
        }
    }

    /// Locks the directory, or says that there is none.
    pub(crate) async fn open(path: &Path) -> Result<Option<Self>, StateDirError> {
        let failed = failed(path);
        let give_up = Instant::now() + PATIENCE;
        let mut told = false;
        loop {
            let directory = File::options()
                .read(true)
                .custom_flags(OFlag::O_DIRECTORY.bits())
                .open(path);
            let directory = match directory {
                Ok(directory) => directory,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(failed(error)),
            };
            match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => {
                    // It may have been removed, or removed and made anew, since it was opened.
                    if is_at(&lock, path).map_err(&failed)? {
                        hand_to_children(&lock).map_err(&failed)?;
                        let path = path.to_owned();
                        return Ok(Some(Self { path, lock }));
                    }
                }
                Err((_, Errno::EWOULDBLOCK)) => {
                    if Instant::now() > give_up {
                        return Err(StateDirError::Busy {
                            path: path.to_owned(),
                        });
                    }
                    if !told {
                        tracing::warn!("waiting for another v6kit that is at work on {}", path.display());
                        told = true;
                    }
                    tokio::time::sleep(RETRY).await;
                }
                Err((_, errno)) => return Err(failed(errno.into())),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets everybody read the summary, whatever umask the directory was made under.
    fn open_to_readers(&self) -> Result<(), StateDirError> {
        let wanted = MODE | MADE_BY_SETUP;
        self.lock
            .metadata()
            .and_then(|found| {
                let is_restricted = found.mode() & MADE_BY_SETUP != 0 && found.mode() & 0o7777 != wanted;
                if is_restricted {
                    self.lock.set_permissions(fs::Permissions::from_mode(wanted))?;
                }
                Ok(())
            })
            .map_err(failed(&self.path))
    }

    /// Removes the directory when setup made it and nothing else lies in it.
    pub(crate) fn remove_if_ours(&self) -> Result<(), StateDirError> {
        let failed = failed(&self.path);
        let made_by_setup = self.lock.metadata().map_err(&failed)?.mode() & MADE_BY_SETUP != 0;
        if !made_by_setup {
            return Ok(());
        }
        match fs::remove_dir(&self.path) {
            Err(error) if !is_in_use(error.kind()) => Err(failed(error)),
            _ => Ok(()),
        }
    }
}

/// Whether a directory cannot go because something lies in it, or because a service has it as a mount.
fn is_in_use(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::ResourceBusy | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// Whether the locked directory is the one at `path`.
fn is_at(lock: &File, path: &Path) -> io::Result<bool> {
    let locked = lock.metadata()?;
    match fs::metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (locked.dev(), locked.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lets child processes inherit the lock: when this process is killed while nft commits a transaction,
/// the next run waits until that is over instead of reading the state before.
fn hand_to_children(lock: &Flock<File>) -> io::Result<()> {
    fcntl(lock.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_that_setup_made_is_removed_and_another_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let ours = dir.path().join("ours");
        StateDir::make(&ours).await.unwrap().remove_if_ours().unwrap();
        assert!(!ours.exists());
        let theirs = dir.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        StateDir::make(&theirs).await.unwrap().remove_if_ours().unwrap();
        assert!(theirs.exists());
    }

    #[tokio::test]
    async fn a_directory_with_something_else_in_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let state = StateDir::make(&path).await.unwrap();
        fs::write(path.join("notes"), "").unwrap();
        state.remove_if_ours().unwrap();
        assert!(path.exists());
    }

    #[tokio::test]
    async fn the_second_waits_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let first = StateDir::make(&path).await.unwrap();
        let second = tokio::spawn({
            let path = path.clone();
            async move { StateDir::make(&path).await.unwrap() }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        // The last teardown removes the directory that the second has opened.
        first.remove_if_ours().unwrap();
        drop(first);
        let second = second.await.unwrap();
        assert!(is_at(&second.lock, &path).unwrap());
    }

    #[tokio::test]
    async fn a_link_to_something_that_is_away_is_left_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("away/disk", &link).unwrap();
        for path in [link.clone(), link.join("below")] {
            let error = StateDir::make(&path).await.unwrap_err();
            assert!(matches!(error, StateDirError::NoTarget { .. }), "{error:?}");
            let target = dir.path().join("away/disk");
            let wanted = format!("`mkdir -p {}`", target.display());
            assert!(error.hint().unwrap().contains(&wanted), "{error:?}");
        }
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        fs::create_dir_all(dir.path().join("away/disk")).unwrap();
        StateDir::make(&link.join("below")).await.unwrap();
        assert!(dir.path().join("away/disk/below").exists());
    }

    #[test]
    fn the_kernels_own_files_and_what_is_no_directory_are_refused_before_anything_is_made() {
        for place in ["/proc/nope", "/proc/sys/nope/deeper", "/sys/nope"] {
            let error = check(Path::new(place)).unwrap_err();
            assert!(
                matches!(error, StateDirError::NoFiles { .. }),
                "{place}: {error:?}"
            );
            assert!(!error.hint().unwrap().contains("mkdir"), "{place}");
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            let error = check(&path).unwrap_err();
            assert!(
                matches!(&error, StateDirError::Open { source, .. } if source.kind() == io::ErrorKind::NotADirectory),
                "{error:?}"
            );
        }
        check(&dir.path().join("new")).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_missing_parent_is_explained() {
        let dir = tempfile::tempdir().unwrap();
        let error = StateDir::make(&dir.path().join("a/b")).await.unwrap_err();
        assert!(error.hint().unwrap().starts_with("make its parent first"));
        let error = check(&dir.path().join("a/b")).unwrap_err();
        assert!(error.hint().unwrap().starts_with("make its parent first"));
    }
}
