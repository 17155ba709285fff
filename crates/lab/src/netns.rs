//! Network namespaces without names, held by a file descriptor.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::Handle;

use crate::error::LabError;

/// A network namespace that lives as long as this value or a process in it.
#[derive(Debug)]
pub struct NetNs {
    /// Host, router or target.
    name: &'static str,
    file: File,
}

impl NetNs {
    /// Makes a namespace.
    pub(crate) fn new(name: &'static str) -> Result<Self, LabError> {
        let cannot =
            |source: io::Error| LabError::system(format!("make a network namespace for the {name}"), source);
        let file = on_a_thread_of_its_own(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        })
        .map_err(cannot)?;
        Ok(Self { name, file })
    }

    /// The namespace that this thread is in.
    pub(crate) fn current(name: &'static str) -> Result<Self, LabError> {
        let file = File::open("/proc/thread-self/ns/net")
            .map_err(|source| LabError::system("open the network namespace", source))?;
        Ok(Self { name, file })
    }

    /// Host, router or target.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// A path of the namespace for `nsenter --net=PATH`, valid in the lab while the lab lives.
    pub fn path(&self) -> PathBuf {
        // With an old /proc the process has another number there than it sees itself.
        let own = fs::read_link("/proc/self").unwrap_or_else(|_| "1".into());
        PathBuf::from("/proc")
            .join(own)
            .join("fd")
            .join(self.file.as_raw_fd().to_string())
    }

    /// Does `work` in the namespace, on a thread that is thrown away: no error can leave the caller in
    /// the wrong place.
    pub(crate) fn run<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, LabError> + Send,
    ) -> Result<T, LabError> {
        on_a_thread_of_its_own(|| {
            self.enter()?;
            work()
        })
    }

    /// Moves this thread into the namespace for good.
    pub(crate) fn enter(&self) -> Result<(), LabError> {
        setns(&self.file, CloneFlags::CLONE_NEWNET).map_err(|source| {
            LabError::system(format!("enter the {}'s network namespace", self.name), source)
        })
    }

    /// Speaks rtnetlink in the namespace.
    pub(crate) fn netlink<T: Send>(
        &self,
        talk: impl AsyncFnOnce(Handle) -> Result<T, LabError> + Send,
    ) -> Result<T, LabError> {
        let cannot = |source| LabError::system("open a netlink socket", source);
        self.run(|| {
            runtime().map_err(cannot)?.block_on(async {
                let (connection, handle, _) = rtnetlink::new_connection().map_err(cannot)?;
                tokio::spawn(connection);
                talk(handle).await
            })
        })
    }

    /// Writes a kernel setting of the namespace; `key` is the path below /proc/sys/net/ipv6.
    pub(crate) fn set(&self, key: &str, value: &str) -> Result<(), LabError> {
        let path = format!("/proc/sys/net/ipv6/{key}");
        self.run(|| {
            fs::write(&path, value).map_err(|source| LabError::Sysctl {
                path: path.clone(),
                side: self.name,
                source,
            })
        })
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A runtime for one thread in one namespace.
pub(crate) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn on_a_thread_of_its_own<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        scope
            .spawn(work)
            .join()
            .unwrap_or_else(|panic| resume_unwind(panic))
    })
}
