//! What the file system looks like in the lab: as outside, except for /proc, /sys, the state of setup
//! and the files that setup writes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::unistd::{AccessFlags, access};

use crate::error::LabError;
use crate::isolate::refused;

/// Directories that exist on one system or another and hold nothing that a command could want in the
/// lab. The first one found is where the lab's own tmpfs lies.
const PLACES: [&str; 7] = [
    "/var/lib/v6kit",
    "/run/lock",
    "/var/empty",
    "/var/lock",
    "/media",
    "/srv",
    "/mnt",
];

/// Where setup writes files outside its state directory.
const COVERED: [&str; 1] = ["/etc/security/limits.d"];

/// Arranges the mounts of this mount namespace; returns a directory that belongs to the lab alone.
pub(crate) fn arrange() -> Result<PathBuf, LabError> {
    // Nothing mounted here may show outside.
    mount_at("/", None, None, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None).map_err(refused)?;
    show_own_processes()?;
    protect_sysctls_of_the_machine()?;
    show_own_devices()?;
    for directory in COVERED.iter().filter(|directory| Path::new(directory).is_dir()) {
        mount_tmpfs(directory)?;
    }
    directory_of_the_lab()
}

/// Mounts a /proc of this PID namespace. Kernels refuse that where parts of the old one are covered, as
/// in containers; then the old one stays, and process ids in it are those of outside.
fn show_own_processes() -> Result<(), LabError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    match mount_at("/proc", Some("proc"), Some("proc"), flags, None) {
        Ok(()) | Err(Errno::EPERM | Errno::EBUSY) => Ok(()),
        Err(errno) => Err(LabError::system("mount /proc", errno)),
    }
}

/// Makes /proc/sys read-only except for /proc/sys/net, which belongs to the network namespace.
///
/// The kernel lets user id 0 of the machine write /proc/sys/fs and others without asking for a
/// capability, so a user namespace alone does not keep root's hands off.
fn protect_sysctls_of_the_machine() -> Result<(), LabError> {
    // It is not done without need: the kernel then refuses a fresh /proc to whoever nests namespaces here.
    if access("/proc/sys/fs/nr_open", AccessFlags::W_OK).is_err() {
        return Ok(());
    }
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    let again =
        MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let protect = || {
        mount_at("/proc/sys", Some("/proc/sys"), None, bind, None)?;
        mount_at("/proc/sys/net", Some("/proc/sys/net"), None, bind, None)?;
        mount_at("/proc/sys", None, None, again | MsFlags::MS_RDONLY, None)
    };
    match protect() {
        // Read-only already, and locked so.
        Ok(()) | Err(Errno::EPERM) => Ok(()),
        Err(errno) => Err(LabError::system("make /proc/sys read-only", errno)),
    }
}

/// Mounts a /sys that shows the lab's network devices, with the control groups of the old one. Kernels
/// may refuse it; then the old one stays.
fn show_own_devices() -> Result<(), LabError> {
    let groups = fs::File::open("/sys/fs/cgroup");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    match mount_at("/sys", Some("sysfs"), Some("sysfs"), flags, None) {
        Ok(()) => {}
        Err(Errno::EPERM | Errno::EBUSY | Errno::ENOENT | Errno::ENODEV) => return Ok(()),
        Err(errno) => return Err(LabError::system("mount /sys", errno)),
    }
    let Ok(groups) = groups else { return Ok(()) };
    let source = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&groups));
    match mount_at(
        "/sys/fs/cgroup",
        Some(&source),
        None,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        None,
    ) {
        // An old directory without a mount on it cannot be bound across the new /sys; nothing is lost.
        Ok(()) | Err(Errno::EINVAL | Errno::EPERM | Errno::ENOENT) => Ok(()),
        Err(errno) => Err(LabError::system("bind /sys/fs/cgroup", errno)),
    }
}

fn directory_of_the_lab() -> Result<PathBuf, LabError> {
    let cannot = |source: io::Error| LabError::system("find a place for the lab's files", source);
    let place = PLACES
        .into_iter()
        .find(|place| Path::new(place).is_dir())
        .ok_or_else(|| cannot(io::ErrorKind::NotFound.into()))?;
    mount_tmpfs(place)?;
    let directory = Path::new(place).join("v6kit-lab");
    fs::create_dir(&directory).map_err(cannot)?;
    Ok(directory)
}

fn mount_tmpfs(target: &str) -> Result<(), LabError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount_at(target, Some("tmpfs"), Some("tmpfs"), flags, Some("mode=755"))
        .map_err(|errno| LabError::system(format!("mount a tmpfs on {target}"), errno))
}

fn mount_at(
    target: &str,
    source: Option<&str>,
    kind: Option<&str>,
    flags: MsFlags,
    data: Option<&str>,
) -> nix::Result<()> {
    mount(source, target, kind, flags, data)
}
