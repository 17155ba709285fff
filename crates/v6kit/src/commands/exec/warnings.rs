//! What would make a program leave by another way, said before it starts.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::printer::Printer;

/// Variables by which programs are told to let a proxy do their work (curl(1), wget(1), and others after them).
const PROXIES: [&str; 7] = [
    "all_proxy",
    "ALL_PROXY",
    "ftp_proxy",
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
];

/// Clients that hand their work to a daemon, which was started elsewhere.
const CLIENTS: [(&str, &str); 8] = [
    ("docker", "the Docker daemon"),
    ("flatpak", "the user's service manager, in part"),
    ("kubectl", "the cluster, for what runs there"),
    ("nerdctl", "containerd"),
    ("run0", "systemd"),
    ("snap", "snapd"),
    ("systemctl", "systemd"),
    ("systemd-run", "systemd"),
];

pub(super) fn say(command: &[OsString], printer: &Printer) {
    let set = proxies();
    if !set.is_empty() {
        printer.warning(format_args!(
            "{} is set: what goes through that proxy leaves from the proxy's address",
            set.join(", ")
        ));
    }
    let Some(program) = command.first() else { return };
    let name = Path::new(program).file_name().and_then(OsStr::to_str);
    if let Some((name, daemon)) = CLIENTS.iter().find(|(client, _)| Some(*client) == name) {
        printer.warning(format_args!(
            "{name} hands its work to {daemon}, whose connections are none of this program's"
        ));
    }
    // As root nothing is given up.
    if !nix::unistd::geteuid().is_root()
        && let Some(file) = found(program)
        && is_set_id(&file)
    {
        printer.warning(format_args!(
            "{} runs with its owner's rights elsewhere and has yours here: a filter takes such rights away",
            file.display()
        ));
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "what other programs read there is what is warned of"
)]
fn proxies() -> Vec<&'static str> {
    PROXIES
        .into_iter()
        .filter(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
        .collect()
}

/// The file that a word names.
fn found(program: &OsStr) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return Some(path.to_owned());
    }
    program.to_str().and_then(crate::asker::in_path)
}

/// Whether the file has the set-user-ID or set-group-ID bit (inode(7)).
fn is_set_id(file: &Path) -> bool {
    let mode = std::fs::metadata(file).map_or(0, |metadata| metadata.permissions().mode());
    mode & 0o6000 != 0
}
