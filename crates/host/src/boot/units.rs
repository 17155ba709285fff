//! The units that carry the wish out.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use v6kit_net::run_program;

use super::{BootError, file};

/// How long systemd may take to start or stop the units: as long as it gives a unit itself, and a little
/// (DefaultTimeoutStartSec of systemd-system.conf(5)).
const PATIENCE: Duration = Duration::from_secs(100);

/// Where an administrator's units lie.
const OWN: &str = "/etc/systemd/system";

/// Where packages put units, see systemd.unit(5).
const PACKAGED: [&str; 3] = [
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The binary that the units name.
const BINARY: &str = "/usr/bin/v6kit";

const SETUP: &str = "v6kit-setup.service";
const TIMER: &str = "v6kit-check.timer";
const ADDRESSES: &str = "v6kit-addresses.service";

/// The units that setting up at boot needs, as a package has them.
const UNITS: [(&str, &str); 4] = [
    (SETUP, include_str!("../../../../systemd/v6kit-setup.service")),
    (
        "v6kit-check.service",
        include_str!("../../../../systemd/v6kit-check.service"),
    ),
    (TIMER, include_str!("../../../../systemd/v6kit-check.timer")),
    (
        ADDRESSES,
        include_str!("../../../../systemd/v6kit-addresses.service"),
    ),
];

/// A unit that is written where no package brought it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unit {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// The units that have to be written: none where a package brought them.
pub(super) fn needed() -> Result<Vec<Unit>, BootError> {
    let is_packaged = |name: &str| {
        PACKAGED
            .iter()
            .any(|directory| Path::new(directory).join(name).exists())
    };
    if UNITS.iter().all(|(name, _)| is_packaged(name)) {
        return Ok(Vec::new());
    }
    let binary = binary()?;
    UNITS
        .iter()
        .map(|(name, text)| {
            let unit = Unit {
                path: Path::new(OWN).join(name),
                text: text.replace(BINARY, &binary),
            };
            match file::read(&unit.path)? {
                Some(found) if !is_ours(&found, text) => Err(BootError::ForeignUnit { path: unit.path }),
                _ => Ok(unit),
            }
        })
        .collect()
}

/// Whether a unit is what we write, whatever binary it names.
fn is_ours(found: &str, text: &str) -> bool {
    found.lines().next() == text.lines().next()
}

/// The running binary, where a service may run it as root.
fn binary() -> Result<String, BootError> {
    let path = std::env::current_exe().map_err(BootError::read(Path::new("/proc/self/exe")))?;
    let refused = |why| {
        Err(BootError::Binary {
            path: path.clone(),
            why,
        })
    };
    if ["/home", "/root", "/tmp", "/var/tmp", "/run"]
        .iter()
        .any(|place| path.starts_with(place))
    {
        return refused("services see no home directory and no temporary one");
    }
    for part in path.ancestors() {
        let is_safe = fs::metadata(part)
            .is_ok_and(|found| found.uid() == 0 && (found.mode() & 0o022 == 0 || found.mode() & 0o1000 != 0));
        if !is_safe {
            return refused("others than root may change it");
        }
    }
    if let Some(label) = label_that_services_may_not_run(&path) {
        return Err(BootError::Label { path, label });
    }
    match path.to_str() {
        Some(text)
            if text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"/._+-".contains(&byte)) =>
        {
            Ok(text.to_owned())
        }
        _ => refused("its name needs quoting in a unit"),
    }
}

/// The SELinux label of a program, where SELinux is in the kernel and the label is that of a home directory or of a
/// temporary one: a program that was moved from there keeps it, and init may not run it (systemd.exec(5), 203/EXEC).
fn label_that_services_may_not_run(path: &Path) -> Option<String> {
    if !Path::new("/sys/fs/selinux/enforce").exists() {
        return None;
    }
    let mut label = [0; 256];
    let length = rustix::fs::getxattr(path, "security.selinux", &mut label).ok()?;
    let label = String::from_utf8_lossy(label.get(..length)?)
        .trim_end_matches('\0')
        .to_owned();
    is_of_a_home(&label).then_some(label)
}

/// Whether a label `user:role:type:level` has a type that the reference policy gives to what users and programs put into
/// home directories and temporary ones.
fn is_of_a_home(label: &str) -> bool {
    let Some(kind) = label.split(':').nth(2) else {
        return false;
    };
    kind.contains("home") || kind == "tmp_t" || kind.ends_with("_tmp_t")
}

/// The init that runs in systemd's place, where it has left a trace of its own.
pub(super) fn other_init() -> Option<&'static str> {
    [
        ("/run/openrc/softlevel", "OpenRC"),
        ("/run/runit", "runit"),
        ("/run/s6", "s6"),
    ]
    .into_iter()
    .find_map(|(trace, name)| Path::new(trace).exists().then_some(name))
}

/// sd_booted(3).
fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Whether the setup is started at boot.
pub(super) fn is_enabled() -> bool {
    fs::symlink_metadata(Path::new(OWN).join("multi-user.target.wants").join(SETUP)).is_ok()
}

/// Has systemd set up at boot and check regularly, from now on. False where there is no systemd.
pub(super) fn enable() -> Result<bool, BootError> {
    if !has_systemd() {
        return Ok(false);
    }
    reload()?;
    // Active from now on, so that a restarted firewall finds it.
    systemctl(&["--quiet", "enable", "--now", SETUP, TIMER, ADDRESSES])?;
    Ok(true)
}

/// Undoes [`enable`]. Says whether there was anything to undo.
pub(super) fn disable() -> Result<bool, BootError> {
    let was_enabled = is_enabled();
    take_down(&["disable", "--now"], &[ADDRESSES, TIMER, SETUP])?;
    Ok(was_enabled)
}

pub(super) fn stop_checks() -> Result<(), BootError> {
    take_down(&["stop"], &[TIMER])
}

/// Does so to the units that are there: a run that was cut off may have left some, not yet read by systemd.
fn take_down(how: &[&str], units: &[&str]) -> Result<(), BootError> {
    let known: Vec<&str> = units.iter().copied().filter(|unit| is_known(unit)).collect();
    if !has_systemd() || known.is_empty() {
        return Ok(());
    }
    reload()?;
    systemctl(&[&["--quiet"], how, &known].concat())
}

pub(super) fn reload() -> Result<(), BootError> {
    if has_systemd() {
        systemctl(&["daemon-reload"])?;
    }
    Ok(())
}

fn is_known(unit: &str) -> bool {
    PACKAGED
        .iter()
        .chain([&OWN])
        .any(|directory| Path::new(directory).join(unit).exists())
}

fn systemctl(words: &[&str]) -> Result<(), BootError> {
    let failed = |said: String| BootError::Systemctl {
        words: words.join(" "),
        said,
    };
    let mut command = Command::new("systemctl");
    command.args(words).env("SYSTEMD_COLORS", "0");
    let output =
        run_program(&mut command, b"", PATIENCE).map_err(|error| failed(v6kit_net::chain(&error)))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    Err(failed(lines.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_homes_and_temporary_directories_are_told_from_those_of_programs() {
        for label in [
            "unconfined_u:object_r:user_home_t:s0",
            "system_u:object_r:admin_home_t:s0",
            "unconfined_u:object_r:user_tmp_t:s0:c1,c2",
            "system_u:object_r:tmp_t:s0",
        ] {
            assert!(is_of_a_home(label), "{label}");
        }
        for label in [
            "system_u:object_r:bin_t:s0",
            "system_u:object_r:usr_t:s0",
            "",
            "bin_t",
        ] {
            assert!(!is_of_a_home(label), "{label}");
        }
    }
}
