//! The machine and what this process may use of it.

use std::fs;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use serde::Serialize;
use v6kit_net::Code;

use super::cgroup::{Ceilings, ceilings};
use super::finding::Finding;
use super::kernel::{self, KernelFeature};
use super::text::{binary, count};

/// Fewer files than this are met by an ordinary crawl.
const FEW_FILES: u64 = 4096;
/// A group that is stopped in more than one of ten periods is short of CPU time.
const MANY_THROTTLED: u64 = 10;

/// The machine, as far as this process sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// `Linux 6.1.0-13-amd64`.
    pub kernel: String,
    /// What needs a later kernel than the oldest.
    pub kernel_features: Vec<KernelFeature>,
    /// `x86_64`.
    pub architecture: String,
    /// PRETTY_NAME of os-release(5).
    pub distribution: Option<String>,
    /// `docker`, `lxc`, `container` where one can be told.
    pub container: Option<String>,
    /// The effective user.
    pub user: u32,
    /// The effective capabilities (capabilities(7)).
    pub capabilities: Vec<String>,
    /// Cores this process may run on, after affinity and cgroups.
    pub cores: usize,
    /// In bytes.
    pub memory_total: Option<u64>,
    /// In bytes, without swapping.
    pub memory_available: Option<u64>,
    /// Open files that this process may have.
    pub files_soft: u64,
    /// How far it may raise that.
    pub files_hard: u64,
    /// Open files of all processes (`fs.file-nr`).
    pub files_open: Option<u64>,
    /// How many all processes may have (`fs.file-max`).
    pub files_max: Option<u64>,
    /// Whether a plain user may make namespaces, as the lab needs them.
    pub user_namespaces: bool,
    /// The ceilings of control groups.
    pub cgroups: Option<Ceilings>,
}

/// Reads the machine, and judges it.
pub(super) fn examine(findings: &mut Vec<Finding>) -> Machine {
    let (cgroups, no_cgroups) = match ceilings() {
        Ok(ceilings) => (Some(ceilings), None),
        Err(why) => (None, Some(why)),
    };
    let machine = read(cgroups);
    findings.push(kernel(&machine));
    findings.push(kernel::finding(&machine.kernel_features));
    findings.push(privileges(&machine));
    findings.push(namespaces(&machine));
    findings.push(cpu(&machine));
    findings.push(memory(&machine));
    findings.extend(tasks(&machine));
    if let Some(why) = no_cgroups {
        findings.push(Finding::unknown(
            "cgroups",
            format!("ceilings cannot be seen: {why}"),
        ));
    }
    findings.push(files(&machine));
    machine
}

fn read(cgroups: Option<Ceilings>) -> Machine {
    use procfs::Current;
    let uname = nix::sys::utsname::uname().ok();
    let part = |part: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
        uname.as_ref().map_or_else(
            || "unknown".to_owned(),
            |name| part(name).to_string_lossy().into_owned(),
        )
    };
    let memory = procfs::Meminfo::current().ok();
    let (files_soft, files_hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((0, 0));
    let files = procfs::sys::fs::file_nr().ok();
    Machine {
        kernel: format!("{} {}", part(|name| name.sysname()), part(|name| name.release())),
        kernel_features: kernel::features(&part(|name| name.release())),
        architecture: part(|name| name.machine()),
        distribution: distribution(),
        container: container(),
        user: nix::unistd::geteuid().as_raw(),
        capabilities: capabilities(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_total: memory.as_ref().map(|memory| memory.mem_total),
        memory_available: memory.as_ref().and_then(|memory| memory.mem_available),
        files_soft,
        files_hard,
        files_open: files.as_ref().map(|files| files.allocated),
        files_max: files.as_ref().map(|files| files.max),
        user_namespaces: may_make_namespaces(),
        cgroups,
    }
}

/// PRETTY_NAME of os-release(5).
fn distribution() -> Option<String> {
    ["/etc/os-release", "/usr/lib/os-release"]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok())?
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map(|name| name.trim_matches(['"', '\'']).to_owned())
}

/// What says that this is a container: systemd's container interface, and the files of Docker and Podman.
fn container() -> Option<String> {
    if let Ok(name) = fs::read_to_string("/run/systemd/container") {
        return Some(name.trim().to_owned());
    }
    [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")]
        .iter()
        .find(|(path, _)| Path::new(path).exists())
        .map(|(_, name)| (*name).to_owned())
}

fn capabilities() -> Vec<String> {
    let Ok(effective) = caps::read(None, caps::CapSet::Effective) else {
        return Vec::new();
    };
    let mut names: Vec<String> = effective.iter().map(ToString::to_string).collect();
    names.sort();
    names
}

/// user_namespaces(7), and the switches of Debian and Ubuntu. Root may in any case.
fn may_make_namespaces() -> bool {
    let switch = |name: &str| {
        let path = Path::new("/proc/sys").join(name);
        fs::read_to_string(path).ok().map(|value| value.trim().to_owned())
    };
    let is = |name, value: &str| switch(name).as_deref() == Some(value);
    if !Path::new("/proc/self/ns/user").exists() || is("user/max_user_namespaces", "0") {
        return false;
    }
    nix::unistd::geteuid().is_root()
        || !(is("kernel/unprivileged_userns_clone", "0")
            || is("kernel/apparmor_restrict_unprivileged_userns", "1") && !has_apparmor_profile())
}

/// Whether AppArmor has a profile of this name for this process, as the Debian package brings it.
fn has_apparmor_profile() -> bool {
    fs::read_to_string("/proc/self/attr/current").is_ok_and(|label| label.starts_with("v6kit"))
}

fn kernel(machine: &Machine) -> Finding {
    let mut detail = format!("{} {}", machine.kernel, machine.architecture);
    for part in [
        machine.distribution.clone(),
        machine
            .container
            .as_ref()
            .map(|name| format!("in a container ({name})")),
    ]
    .into_iter()
    .flatten()
    {
        detail = format!("{detail}, {part}");
    }
    Finding::ok("kernel", detail)
}

fn privileges(machine: &Machine) -> Finding {
    let who = match machine.user {
        0 => "root".to_owned(),
        user => format!("user {user}"),
    };
    let held = machine.capabilities.len();
    let known = caps::runtime::thread_all_supported().len();
    let what = match held {
        0 => "no capabilities".to_owned(),
        _ if held == known => "every capability".to_owned(),
        1..=6 => machine.capabilities.join(", "),
        _ => {
            let wanted = [
                "CAP_NET_ADMIN",
                "CAP_NET_RAW",
                "CAP_SYS_ADMIN",
                "CAP_SYS_RESOURCE",
            ];
            let (with, without): (Vec<_>, Vec<_>) = wanted
                .into_iter()
                .partition(|name| machine.capabilities.iter().any(|held| held == name));
            format!(
                "{held} of {known} capabilities; with {}, without {}",
                or_none(&with),
                or_none(&without)
            )
        }
    };
    Finding::ok("privileges", format!("{who}, {what}"))
}

fn or_none(names: &[&str]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(" ")
    }
}

fn namespaces(machine: &Machine) -> Finding {
    if machine.user_namespaces {
        Finding::ok("namespaces", "user namespaces can be made: the lab works")
    } else {
        Finding::warning(
            "namespaces",
            "user namespaces cannot be made here: the lab needs them",
        )
        .hint(Code::NoNamespaces, "run the lab as root: `sudo v6kit lab demo`")
    }
}

fn cpu(machine: &Machine) -> Finding {
    let cores = machine.cores;
    let plural = if cores == 1 { "core" } else { "cores" };
    let Some(ceiling) = machine.cgroups.as_ref().and_then(|groups| groups.cpu.as_ref()) else {
        return Finding::ok("cpu", format!("{cores} {plural}{}", no_ceiling(machine)));
    };
    let mut detail = format!(
        "{cores} {plural}; at most the time of {:.2} (cgroup {})",
        ceiling.cores, ceiling.set_by
    );
    let (Some(periods), Some(throttled)) = (ceiling.periods, ceiling.throttled) else {
        return Finding::ok("cpu", detail);
    };
    detail = format!(
        "{detail}, stopped there in {} of {} periods",
        count(throttled),
        count(periods)
    );
    if throttled > 0 && throttled.saturating_mul(MANY_THROTTLED) >= periods {
        Finding::warning("cpu", detail).hint(
            Code::Ceiling,
            "raise CPUQuota of the unit, or --cpus of the container",
        )
    } else {
        Finding::ok("cpu", detail)
    }
}

/// Where control groups cannot be seen, a finding of its own says so.
fn no_ceiling(machine: &Machine) -> &'static str {
    match machine.cgroups {
        Some(_) => ", no ceiling in sight",
        None => "",
    }
}

fn memory(machine: &Machine) -> Finding {
    let Some(total) = machine.memory_total else {
        return Finding::unknown("memory", "/proc/meminfo cannot be read");
    };
    let mut detail = binary(total);
    if let Some(available) = machine.memory_available {
        detail = format!("{detail}, {} available", binary(available));
    }
    let ceiling = machine.cgroups.as_ref().and_then(|groups| groups.memory.as_ref());
    let Some(ceiling) = ceiling.filter(|ceiling| ceiling.bytes < total) else {
        return Finding::ok("memory", format!("{detail}{}", no_ceiling(machine)));
    };
    detail = format!(
        "{detail}; at most {} (cgroup {})",
        binary(ceiling.bytes),
        ceiling.set_by
    );
    match ceiling.used {
        Some(used) => Finding::ok("memory", format!("{detail}, {} used", binary(used))),
        None => Finding::ok("memory", detail),
    }
}

/// Only where there is a ceiling that may be met.
fn tasks(machine: &Machine) -> Option<Finding> {
    const ID: &str = "tasks";
    let ceiling = machine.cgroups.as_ref()?.tasks.as_ref()?;
    let detail = format!(
        "at most {} processes and threads (cgroup {}), {} there",
        count(ceiling.tasks),
        ceiling.set_by,
        ceiling.used.map_or_else(|| "?".to_owned(), count)
    );
    let wanted = machine.cores as u64 + 8;
    let room = ceiling.tasks.saturating_sub(ceiling.used.unwrap_or(0));
    Some(if room < wanted {
        Finding::warning(ID, detail).hint(
            Code::Ceiling,
            "raise TasksMax of the unit, or --pids-limit of the container",
        )
    } else {
        Finding::ok(ID, detail)
    })
}

fn files(machine: &Machine) -> Finding {
    const ID: &str = "files";
    let mut detail = format!(
        "soft {}, hard {} for this process",
        count(machine.files_soft),
        count(machine.files_hard)
    );
    if let (Some(open), Some(max)) = (machine.files_open, machine.files_max) {
        detail = format!("{detail}; {} of {} open on the machine", count(open), count(max));
        if open >= max {
            return Finding::failed(ID, detail).hint(
                Code::OpenFiles,
                format!("raise it: `sudo sysctl -w fs.file-max={}`", max.saturating_mul(2)),
            );
        }
    }
    if machine.files_hard < FEW_FILES {
        Finding::warning(ID, detail)
            .hint(Code::OpenFiles, "every connection is an open file: raise the hard limit: setup does for logins (`v6kit help setup`), LimitNOFILE= for a unit")
    } else {
        Finding::ok(ID, detail)
    }
}
