//! The ceilings of the control groups around this process: cgroups(7), and the kernel's
//! Documentation/admin-guide/cgroup-v2.rst.
//!
//! Each group on the way up may have a ceiling, and the lowest counts. In a container with a cgroup
//! namespace of its own, the groups above its root cannot be seen.

use std::fs;
use std::path::{Component, Path, PathBuf};

use procfs::Current as _;
use procfs::process::{MountInfo, Process};
use serde::Serialize;

/// The ceilings that hold for this process.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Ceilings {
    /// The group of this process, as /proc/self/cgroup names it.
    pub group: String,
    /// CPU time.
    pub cpu: Option<CpuCeiling>,
    /// Memory.
    pub memory: Option<MemoryCeiling>,
    /// Processes and threads.
    pub tasks: Option<TaskCeiling>,
}

/// The lowest `cpu.max` on the way up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CpuCeiling {
    /// How many cores' time: quota through period.
    pub cores: f64,
    /// The group that sets it.
    pub set_by: String,
    /// Periods in which something of the group ran (`cpu.stat`).
    pub periods: Option<u64>,
    /// Periods in which the group was stopped at the ceiling.
    pub throttled: Option<u64>,
}

/// The lowest of `memory.max` and `memory.high` on the way up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryCeiling {
    /// In bytes.
    pub bytes: u64,
    /// What the group uses of it, in bytes, page cache included.
    pub used: Option<u64>,
    /// The group that sets it.
    pub set_by: String,
}

/// The lowest `pids.max` on the way up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskCeiling {
    /// Processes and threads.
    pub tasks: u64,
    /// How many the group has.
    pub used: Option<u64>,
    /// The group that sets it.
    pub set_by: String,
}

/// Reads the ceilings around this process.
///
/// # Errors
/// One line that says what cannot be read, as without /sys/fs/cgroup.
pub(super) fn ceilings() -> Result<Ceilings, String> {
    let process = Process::myself().map_err(|error| format!("/proc/self cannot be read: {error}"))?;
    let memberships = process
        .cgroups()
        .map_err(|error| format!("/proc/self/cgroup cannot be read: {error}"))?;
    let mounts = process
        .mountinfo()
        .map_err(|error| format!("/proc/self/mountinfo cannot be read: {error}"))?
        .0;
    let unified = memberships.0.iter().find(|group| group.hierarchy == 0);
    let mut ceilings = Ceilings {
        group: unified
            .or(memberships.0.first())
            .map(|group| group.pathname.clone())
            .ok_or("this process is in no control group")?,
        ..Ceilings::default()
    };
    let mut has_any = false;
    if let (Some(group), Some(mount)) = (unified, mounts.iter().find(|mount| mount.fs_type == "cgroup2")) {
        let levels = levels(mount, &group.pathname);
        has_any = is_visible(&levels);
        ceilings.read_unified(&levels);
    }
    // The older hierarchies, one mount per controller.
    for group in memberships.0.iter().filter(|group| group.hierarchy != 0) {
        for controller in &group.controllers {
            if let Some(mount) = mounts.iter().find(|mount| is_of(mount, controller)) {
                let levels = levels(mount, &group.pathname);
                has_any |= is_visible(&levels);
                ceilings.read_older(controller, &levels);
            }
        }
    }
    if has_any {
        Ok(ceilings)
    } else {
        Err("the group of this process is not below a cgroup mount".to_owned())
    }
}

/// Bytes of memory that this process may use: what the machine has or, where that is less, what its control groups
/// leave it. `None` where neither can be read.
#[must_use]
pub fn memory() -> Option<u64> {
    let ceiling = ceilings()
        .ok()
        .and_then(|ceilings| ceilings.memory)
        .map(|memory| memory.bytes);
    let machine = procfs::Meminfo::current().ok().map(|memory| memory.mem_total);
    ceiling.into_iter().chain(machine).min()
}

fn is_of(mount: &MountInfo, controller: &str) -> bool {
    mount.fs_type == "cgroup" && mount.super_options.contains_key(controller)
}

/// Something may be mounted over the file system, and the group of a process may lie outside of it.
fn is_visible(levels: &[Level]) -> bool {
    levels
        .first()
        .is_some_and(|own| own.directory.join("cgroup.procs").exists())
}

/// A group that can be seen: its directory, and its name below the mount.
struct Level {
    directory: PathBuf,
    name: String,
}

/// The group and those above it, up to the root of the mount; the group itself first.
fn levels(mount: &MountInfo, group: &str) -> Vec<Level> {
    let group = Path::new(group);
    // A mount may show a part of the hierarchy only, as that of a container does.
    let below = group
        .strip_prefix(&mount.root)
        .or_else(|_| group.strip_prefix("/"))
        .unwrap_or(group);
    // The group of a process that came from outside this namespace starts with `/..`.
    let below = if below.components().any(|part| part == Component::ParentDir) {
        Path::new("")
    } else {
        below
    };
    below
        .ancestors()
        .map(|part| Level {
            directory: mount.mount_point.join(part),
            name: format!("/{}", part.display()),
        })
        .collect()
}

impl Ceilings {
    fn read_unified(&mut self, levels: &[Level]) {
        for level in levels {
            if let Some(cores) = text(level, "cpu.max").and_then(|text| quota(&text)) {
                self.lower_cpu(cores, level);
            }
            for file in ["memory.max", "memory.high"] {
                if let Some(bytes) = number(level, file) {
                    self.lower_memory(bytes, number(level, "memory.current"), level);
                }
            }
            if let Some(tasks) = number(level, "pids.max") {
                self.lower_tasks(tasks, number(level, "pids.current"), level);
            }
        }
    }

    fn read_older(&mut self, controller: &str, levels: &[Level]) {
        // "No limit" is the largest multiple of a page.
        const NO_MEMORY_LIMIT: u64 = 1 << 62;
        for level in levels {
            match controller {
                "cpu" => {
                    let quota = number(level, "cpu.cfs_quota_us");
                    let period = number(level, "cpu.cfs_period_us").filter(|period| *period > 0);
                    if let (Some(quota), Some(period)) = (quota, period) {
                        self.lower_cpu(quota as f64 / period as f64, level);
                    }
                }
                "memory" => {
                    let bytes =
                        number(level, "memory.limit_in_bytes").filter(|bytes| *bytes < NO_MEMORY_LIMIT);
                    if let Some(bytes) = bytes {
                        self.lower_memory(bytes, number(level, "memory.usage_in_bytes"), level);
                    }
                }
                "pids" => {
                    if let Some(tasks) = number(level, "pids.max") {
                        self.lower_tasks(tasks, number(level, "pids.current"), level);
                    }
                }
                _ => {}
            }
        }
    }

    fn lower_cpu(&mut self, cores: f64, level: &Level) {
        if self.cpu.as_ref().is_none_or(|lowest| cores < lowest.cores) {
            let statistics = text(level, "cpu.stat").unwrap_or_default();
            self.cpu = Some(CpuCeiling {
                cores,
                set_by: level.name.clone(),
                periods: entry(&statistics, "nr_periods"),
                throttled: entry(&statistics, "nr_throttled"),
            });
        }
    }

    fn lower_memory(&mut self, bytes: u64, used: Option<u64>, level: &Level) {
        if self.memory.as_ref().is_none_or(|lowest| bytes < lowest.bytes) {
            self.memory = Some(MemoryCeiling {
                bytes,
                used,
                set_by: level.name.clone(),
            });
        }
    }

    fn lower_tasks(&mut self, tasks: u64, used: Option<u64>, level: &Level) {
        if self.tasks.as_ref().is_none_or(|lowest| tasks < lowest.tasks) {
            self.tasks = Some(TaskCeiling {
                tasks,
                used,
                set_by: level.name.clone(),
            });
        }
    }
}

/// The root group has no such files, and a controller may be switched off.
fn text(level: &Level, file: &str) -> Option<String> {
    fs::read_to_string(level.directory.join(file)).ok()
}

/// A number; `None` for `max` and `-1`.
fn number(level: &Level, file: &str) -> Option<u64> {
    text(level, file)?.trim().parse().ok()
}

/// `cpu.max`: `QUOTA PERIOD` in microseconds, or `max PERIOD`.
fn quota(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let quota: f64 = words.next()?.parse().ok()?;
    let period: f64 = words.next()?.parse().ok()?;
    (period > 0.0).then(|| quota / period)
}

/// A line `NAME NUMBER` of a statistics file.
fn entry(statistics: &str, name: &str) -> Option<u64> {
    statistics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two groups, the outer of which is narrower.
    fn two_levels(files: &[(&str, &str)]) -> (tempfile::TempDir, Vec<Level>) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let levels = ["outer/inner", "outer", ""]
            .map(|part| Level {
                directory: root.path().join(part),
                name: format!("/{part}"),
            })
            .into();
        (root, levels)
    }

    #[test]
    fn the_lowest_ceiling_on_the_way_up_counts() {
        let (_root, levels) = two_levels(&[
            ("outer/inner/cpu.max", "max 100000\n"),
            ("outer/inner/memory.max", "1073741824\n"),
            ("outer/inner/memory.high", "max\n"),
            ("outer/inner/pids.max", "max\n"),
            ("outer/cpu.max", "50000 100000\n"),
            ("outer/cpu.stat", "usage_usec 7\nnr_periods 40\nnr_throttled 4\n"),
            ("outer/memory.max", "max\n"),
            ("outer/memory.high", "536870912\n"),
            ("outer/memory.current", "1048576\n"),
        ]);
        let mut ceilings = Ceilings::default();
        ceilings.read_unified(&levels);
        let cpu = ceilings.cpu.unwrap();
        assert_eq!((cpu.cores, cpu.set_by.as_str()), (0.5, "/outer"));
        assert_eq!((cpu.periods, cpu.throttled), (Some(40), Some(4)));
        let memory = ceilings.memory.unwrap();
        assert_eq!((memory.bytes, memory.used), (536_870_912, Some(1_048_576)));
        assert_eq!(memory.set_by, "/outer");
        assert_eq!(ceilings.tasks, None);
    }

    #[test]
    fn the_older_hierarchies_are_read_as_well() {
        let (_root, levels) = two_levels(&[
            ("outer/cpu.cfs_quota_us", "150000\n"),
            ("outer/cpu.cfs_period_us", "100000\n"),
            ("outer/inner/cpu.cfs_quota_us", "-1\n"),
            ("outer/inner/cpu.cfs_period_us", "100000\n"),
            ("outer/memory.limit_in_bytes", "9223372036854771712\n"),
            ("outer/pids.max", "64\n"),
        ]);
        let mut ceilings = Ceilings::default();
        for controller in ["cpu", "memory", "pids", "devices"] {
            ceilings.read_older(controller, &levels);
        }
        assert_eq!(ceilings.cpu.unwrap().cores, 1.5);
        assert_eq!(ceilings.memory, None);
        assert_eq!(ceilings.tasks.unwrap().tasks, 64);
    }

    #[test]
    fn a_ceiling_that_is_none_is_not_taken_for_a_number() {
        assert_eq!(quota("max 100000\n"), None);
        assert_eq!(quota("100000 0"), None);
        assert_eq!(quota(""), None);
        assert_eq!(entry("nr_throttled_usec 9\n", "nr_throttled"), None);
    }
}
