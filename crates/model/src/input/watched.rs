//! A file that is read while it is crawled, and must stay as it was.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// What tells a file from one that was put in its place or written to since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// When it was last written to, in seconds and nanoseconds. Links and permissions may change.
    written: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// A file with what it was like at first.
#[derive(Debug)]
pub(super) struct Watched {
    path: PathBuf,
    stamp: Stamp,
    has_changed: AtomicBool,
}

impl Watched {
    /// `file`, which lies at `path`, as it is now.
    pub(super) fn new(path: &Path, file: &File) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            stamp: Stamp::of(&file.metadata()?),
            has_changed: AtomicBool::new(false),
        })
    }

    /// Whether `file` is as it was, and still lies where it lay. Once it was not, it never is.
    pub(super) fn is_as_it_was(&self, file: &File) -> bool {
        let same = |metadata: io::Result<Metadata>| {
            metadata.is_ok_and(|metadata| Stamp::of(&metadata) == self.stamp)
        };
        let is_same = same(file.metadata()) && same(std::fs::metadata(&self.path));
        if !is_same {
            self.has_changed.store(true, Ordering::Relaxed);
        }
        !self.has_changed.load(Ordering::Relaxed)
    }

    /// Where it lies, once it was seen to have changed.
    pub(super) fn changed(&self) -> Option<&Path> {
        self.has_changed.load(Ordering::Relaxed).then_some(&*self.path)
    }
}
