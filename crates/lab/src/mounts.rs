//! What the file system looks like in the lab: as outside, except for /proc, /sys, the state of setup, the files that
//! setup writes, and an /etc whose changes go with the lab.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{FsFlags, statvfs};
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
    let directory = directory_of_the_lab()?;
    keep_etc(&directory)?;
    for directory in COVERED.iter().filter(|directory| Path::new(directory).is_dir()) {
        mount_tmpfs(directory)?;
    }
    Ok(directory)
}

/// Lays a directory of the lab over /etc, where changes go; where the kernel has none for user namespaces (before 5.11,
/// overlayfs "userxattr"), /etc is read-only instead.
fn keep_etc(lab: &Path) -> Result<(), LabError> {
    let (upper, work) = (lab.join("etc"), lab.join("etc.work"));
    for directory in [&upper, &work] {
        fs::create_dir(directory)
            .map_err(|source| LabError::system("find a place for the lab's files", source))?;
    }
    // A file that a container mounted in /etc lies below the overlay.
    let mounted: Vec<(PathBuf, Vec<u8>)> = mounted_in("/etc")
        .into_iter()
        .filter_map(|file| fs::read(&file).ok().map(|content| (file, content)))
        .collect();
    let layers = format!(
        "lowerdir=/etc,upperdir={},workdir={}",
        upper.display(),
        work.display()
    );
    let overlay = [format!("{layers},userxattr"), layers].iter().any(|data| {
        mount_at(
            "/etc",
            Some("overlay"),
            Some("overlay"),
            MsFlags::MS_NOSUID,
            Some(data),
        )
        .is_ok()
    });
    if !overlay {
        return protect_etc();
    }
    for (file, content) in mounted {
        fs::write(&file, content)
            .map_err(|source| LabError::system(format!("show {} in the lab", file.display()), source))?;
    }
    Ok(())
}

/// Makes /etc read-only, with what is mounted in it.
fn protect_etc() -> Result<(), LabError> {
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    let again = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    // Flags that an outer namespace has set may not be taken back (mount_namespaces(7), "Restrictions").
    let set = statvfs("/etc").map_or(FsFlags::empty(), |found| found.flags());
    let kept = [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
    ];
    let kept = kept.into_iter().filter(|(found, _)| set.contains(*found));
    let flags = kept.fold(again, |flags, (_, flag)| flags | flag);
    mount_at("/etc", Some("/etc"), None, bind, None)
        .and_then(|()| mount_at("/etc", None, None, flags, None))
        .map_err(|errno| LabError::system("make /etc read-only", errno))
}

/// The files below `directory` that are mount points (proc_pid_mountinfo(5), field 5).
fn mounted_in(directory: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(PathBuf::from)
        .filter(|point| point.starts_with(directory) && point.is_file())
        .collect()
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
