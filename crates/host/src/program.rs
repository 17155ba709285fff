//! The programs that a prefix is set up for, as long as they run.

use std::fs;
use std::io;
use std::thread;
use std::time::Duration;

use procfs::process::{Process, Stat, StatFlags};
use serde::{Deserialize, Serialize};

use crate::place::Place;

/// The variable by which what a program starts is known, whoever its parent is by then.
const MARK: &str = "V6KIT_SETUP_FOR";
/// How often is looked again while a process changes its program, and how long is waited before: two seconds.
const MAX_LOOKS: usize = 400;
const PAUSE: Duration = Duration::from_millis(5);

/// A process that a prefix is set up for. Its id may be another's later; the time of its start is then later too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its process id.
    pub pid: i32,
    /// When it started, in clock ticks since boot (proc_pid_stat(5)).
    pub start: u64,
}

/// A process that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Running {
    /// Its process id.
    pub pid: i32,
    /// Its name, as ps(1) shows it.
    pub name: String,
}

impl std::fmt::Display for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

impl Running {
    /// As many of them as fit a line, and how many more there are.
    #[must_use]
    pub fn listed(all: &[Self]) -> String {
        const SHOWN: usize = 3;
        let texts: Vec<String> = all.iter().take(SHOWN).map(ToString::to_string).collect();
        match all.len() - texts.len() {
            0 => texts.join(", "),
            more => format!("{} and {more} more", texts.join(", ")),
        }
    }
}

impl Program {
    /// The process `pid`.
    ///
    /// # Errors
    /// There is none, or it cannot be looked at.
    pub fn of(pid: i32) -> io::Result<Self> {
        let stat = stat_of(pid).ok_or(io::ErrorKind::NotFound)?;
        Ok(Self {
            pid,
            start: stat.starttime,
        })
    }

    /// The variable and its value that mark what this program starts.
    #[must_use]
    pub fn mark(&self) -> (&'static str, String) {
        (MARK, format!("{}-{}", self.pid, self.start))
    }

    /// Whether the process itself runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.itself().is_some()
    }

    fn itself(&self) -> Option<Running> {
        let stat = stat_of(self.pid).filter(|stat| stat.starttime == self.start)?;
        Some(Running {
            pid: self.pid,
            name: stat.comm,
        })
    }

    /// The processes that it started, or that those started, and that run; as far as this process may see them.
    #[must_use]
    pub fn descendants(&self) -> Vec<Running> {
        let (name, value) = self.mark();
        let mark = format!("{name}={value}");
        let mut looks_without = 0;
        for _ in 0..MAX_LOOKS {
            let (found, changing) = self.look(mark.as_bytes());
            if !found.is_empty() {
                return found;
            }
            if changing {
                thread::sleep(PAUSE);
            } else {
                // One can start another, with an id that this look has passed, and end.
                looks_without += 1;
                if looks_without == 2 {
                    break;
                }
            }
        }
        Vec::new()
    }

    /// The processes whose environment has the mark, and whether one is just changing its program.
    fn look(&self, mark: &[u8]) -> (Vec<Running>, bool) {
        let mut found = Vec::new();
        let mut changing = false;
        for pid in pids() {
            // Whoever asks is not what is asked for.
            if pid == self.pid || u32::try_from(pid) == Ok(std::process::id()) {
                continue;
            }
            let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
                continue;
            };
            let Some(stat) = stat_of(pid) else { continue };
            if environment.split(|byte| *byte == 0).any(|entry| entry == mark) {
                found.push(Running { pid, name: stat.comm });
            } else {
                changing = changing || is_in_execve(&stat, environment.len() as u64);
            }
        }
        (found, changing)
    }

    /// What runs of it, where it was journaled in `place`.
    pub(crate) fn running(&self, place: &Place, here: &Place) -> Vec<Running> {
        if place.boot_id != here.boot_id {
            return Vec::new();
        }
        let mut running = Vec::new();
        match place.is_same_container(here) {
            // Process ids of another container say nothing here, and its processes may not be seen.
            Some(false) if !here.sees_every_process() => running.push(Running {
                pid: self.pid,
                name: "a program in another container".to_owned(),
            }),
            Some(false) => {}
            _ => running.extend(self.itself()),
        }
        running.extend(self.descendants());
        running
    }
}

/// What /proc says of a process that has not ended.
fn stat_of(pid: i32) -> Option<Stat> {
    let stat = Process::new(pid).and_then(|process| process.stat()).ok()?;
    (!matches!(stat.state, 'Z' | 'X' | 'x')).then_some(stat)
}

/// Whether a process changed its program while so many bytes of its environment were read: execve(2) writes where it
/// lies at its end, and what was opened before has nothing to read after. Threads of the kernel have none.
fn is_in_execve(stat: &Stat, read: u64) -> bool {
    let is_kernels = stat
        .flags()
        .is_ok_and(|flags| flags.contains(StatFlags::PF_KTHREAD));
    let length = match (stat.env_start, stat.env_end) {
        (Some(start), Some(end)) if end != 0 => end.checked_sub(start),
        _ => None,
    };
    !is_kernels && length != Some(read)
}

fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_and_an_ended_one_does_not_run() {
        let mut child = Command::new("sleep").arg("infinity").spawn().unwrap();
        let program = Program::of(child.id().cast_signed()).unwrap();
        assert!(program.is_running());
        let later = Program {
            start: program.start + 1,
            ..program
        };
        assert!(!later.is_running());
        child.kill().unwrap();
        // Not waited for yet: a zombie.
        while program.is_running() {
            thread::yield_now();
        }
        child.wait().unwrap();
        assert!(Program::of(program.pid).is_err());
    }

    #[test]
    fn what_a_program_leaves_running_is_found_by_its_mark() {
        let program = Program {
            pid: i32::MAX,
            start: 7,
        };
        assert_eq!(program.descendants(), []);
        let (name, value) = program.mark();
        let mut orphan = Command::new("sh")
            .args(["-c", "exec sleep infinity"])
            .env(name, value)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let pid = orphan.id().cast_signed();
        assert!(program.descendants().iter().any(|running| running.pid == pid));
        orphan.kill().unwrap();
        orphan.wait().unwrap();
        assert_eq!(program.descendants(), []);
    }
    #[test]
    fn what_changes_its_program_all_the_time_is_found_at_each_look() {
        let program = Program {
            pid: i32::MAX,
            start: 8,
        };
        let (name, value) = program.mark();
        let mut orphan = Command::new("sh")
            .args(["-c", r#"exec sh -c "$AGAIN""#])
            .env("AGAIN", r#"exec sh -c "$AGAIN""#)
            .env(name, value)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let pid = orphan.id().cast_signed();
        let missed = (0..200)
            .filter(|_| !program.descendants().iter().any(|running| running.pid == pid))
            .count();
        orphan.kill().unwrap();
        orphan.wait().unwrap();
        assert_eq!(missed, 0);
    }
}
