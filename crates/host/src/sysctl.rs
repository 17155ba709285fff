//! Files below /proc/sys.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, faccessat};

use crate::value::Value;

/// A sysctl as this process finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sysctl {
    /// Its value, with single spaces; absent where this kernel has no such sysctl.
    pub(crate) value: Value,
    /// Whether it can be changed from here.
    pub(crate) access: Access,
}

/// Whether a sysctl can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It can.
    Writable,
    /// /proc/sys is mounted read-only, as in most containers.
    ReadOnlyMount,
    /// Root may, and this process is not root, or not that of the namespace it belongs to.
    NeedsRoot,
    /// Nobody may in this namespace.
    Denied,
}

/// Reads a sysctl and looks whether it can be changed.
pub(crate) fn inspect(name: &str) -> io::Result<Sysctl> {
    Ok(Sysctl {
        value: read(name)?,
        access: access(name),
    })
}

/// The value of a sysctl, absent where this kernel has none of that name.
pub(crate) fn read(name: &str) -> io::Result<Value> {
    match fs::read_to_string(path(name)) {
        Ok(text) => Ok(Value::text(text.split_whitespace().collect::<Vec<_>>().join(" "))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Value::ABSENT),
        Err(error) => Err(error),
    }
}

/// Sets a sysctl in one write(2), as the kernel wants it (Documentation/admin-guide/sysctl).
pub(crate) fn write(name: &str, value: &str) -> io::Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .open(path(name))?
        .write_all(format!("{value}\n").as_bytes())
}

/// Where the sysctl lies. As in sysctl(8) a name may have slashes between its parts, which then may hold dots.
pub(crate) fn path(name: &str) -> PathBuf {
    let root = PathBuf::from("/proc/sys");
    if name.contains('/') {
        return root.join(name);
    }
    root.join(name.replace('.', "/"))
}

/// The name of a setting of IPv6 on a device.
pub(crate) fn of_device(device: &str, setting: &str) -> String {
    let separator = if device.contains('.') { "/" } else { "." };
    ["net", "ipv6", "conf", device, setting].join(separator)
}

fn access(name: &str) -> Access {
    let cwd = nix::fcntl::AT_FDCWD;
    match faccessat(cwd, &path(name), AccessFlags::W_OK, AtFlags::AT_EACCESS) {
        Ok(()) => Access::Writable,
        Err(Errno::EROFS) => Access::ReadOnlyMount,
        Err(_) if is_writable_by_owner(name) => Access::NeedsRoot,
        Err(_) => Access::Denied,
    }
}

fn is_writable_by_owner(name: &str) -> bool {
    fs::metadata(path(name)).is_ok_and(|found| found.permissions().mode() & 0o200 != 0)
}
