//! Runs the binary, alone or as root of fresh namespaces, and says what went wrong when it did.

#![allow(
    dead_code,
    reason = "each module of the suite uses another part of the harness"
)]

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;

/// The binary under test.
pub(crate) const V6KIT: &str = env!("CARGO_BIN_EXE_v6kit");

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Run {
    /// The command, for messages.
    pub(crate) command: String,
    /// Its exit code, or 128 + the signal that ended it.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Run {
    /// Fails the test unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            command,
            code,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "`{command}` ended with {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}

/// Runs `command` to its end.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Run {
    let text = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{text} cannot start: {error}"));
    finished(text, &output)
}

fn finished(command: String, output: &Output) -> Run {
    use std::os::unix::process::ExitStatusExt;
    Run {
        command,
        code: output
            .status
            .code()
            .unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// How a script waits: `eventually`, and `pause` where the time itself matters. Before every script of the harness.
pub(crate) const WAIT: &str = include_str!("wait.bash");

/// Waits until `condition` holds, and panics with `otherwise` when it does not within two minutes.
///
/// Waiting is for an event, not a time: of the Rust of the tests only this sleeps.
#[track_caller]
pub(crate) fn eventually(otherwise: impl Fn() -> String, mut condition: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(120);
    while !condition() {
        assert!(Instant::now() < give_up, "{}", otherwise());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs the binary with `args`.
#[track_caller]
pub(crate) fn v6kit(args: &[&str]) -> Run {
    run(Command::new(V6KIT).args(args))
}

/// Runs a bash script as root of a fresh user, network, mount and PID namespace, with `lo` up.
///
/// In the script `$V6KIT` is the binary, `$T` a temporary directory that vanishes with the test, and
/// `/etc` a copy of its own that may be changed.
#[track_caller]
pub(crate) fn in_namespace(script: &str) -> Run {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    in_namespace_with(scratch.path(), script)
}

/// [`in_namespace`] with a directory that outlives the script.
#[track_caller]
pub(crate) fn in_namespace_with(scratch: &Path, script: &str) -> Run {
    require_namespaces();
    let prelude = r#"
        set -euo pipefail
        mkdir "$T/etc"
        cp -a /etc/. "$T/etc/" 2>/dev/null || true
        mount --bind "$T/etc" /etc
        ip link set lo up
    "#;
    run(Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(["bash", "-c", &format!("{prelude}\n{WAIT}\n{script}")])
        .envs(python_modules())
        .env("V6KIT", V6KIT)
        .env("V6KIT_STATE_DIR", scratch.join("state"))
        .env("PATH", path_with_sbin())
        .env("LC_ALL", "C")
        .env("TESTS", repository().join("tests"))
        .env("T", scratch))
}

/// Runs a bash script on the host side of the binary's own lab, with `$V6KIT` and `$T` set.
#[track_caller]
pub(crate) fn in_lab(topology: &str, script: &str) -> Run {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    in_lab_with(topology, scratch.path(), script)
}

/// [`in_lab`] with a directory that outlives the script.
#[track_caller]
pub(crate) fn in_lab_with(topology: &str, scratch: &Path, script: &str) -> Run {
    require_namespaces();
    run(Command::new(V6KIT)
        .args(["lab", "run", "--topology", topology, "--"])
        .args(["bash", "-c", &format!("set -euo pipefail\n{WAIT}\n{script}")])
        .envs(python_modules())
        .env("V6KIT", V6KIT)
        .env("PATH", path_with_sbin())
        .env("LC_ALL", "C")
        .env("TESTS", repository().join("tests"))
        .env("T", scratch))
}

/// Where the Python of a script finds `wait.py`, without leaving bytecode beside it.
fn python_modules() -> [(&'static str, PathBuf); 2] {
    [
        ("PYTHONPATH", repository().join("tests/harness")),
        ("PYTHONDONTWRITEBYTECODE", PathBuf::from("1")),
    ]
}

/// A word of the shell that stands for `text`.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Fails where no user namespace can be made: the first test says why, the others refer to it.
#[track_caller]
fn require_namespaces() {
    static REFUSAL: OnceLock<Option<String>> = OnceLock::new();
    let mut is_first = false;
    let refusal = REFUSAL.get_or_init(|| {
        is_first = true;
        let probe = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "true"])
            .output();
        match probe {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(format!(
                "every test of the binary needs user and network namespaces, and this machine allows none: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )),
            Err(error) => Some(format!("this test needs `unshare` of util-linux: {error}")),
        }
    });
    match refusal {
        None => {}
        Some(why) if is_first => panic!("{why}"),
        Some(_) => panic!("no namespaces, as another test says"),
    }
}

/// The top of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the repository")
}

#[allow(clippy::disallowed_methods, reason = "tests hand their own PATH on")]
pub(crate) fn path_with_sbin() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// How many connections a namespace may track: one number for all namespaces of the machine.
pub(crate) const NF_CONNTRACK_MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

/// Keeps other tests from changing [`NF_CONNTRACK_MAX`] until it is dropped. Who changes it holds the file
/// locked exclusively. `None` where nothing is tracked yet, and so nobody changes it.
pub(crate) fn steady_conntrack_max() -> Option<Flock<File>> {
    let file = File::open(NF_CONNTRACK_MAX).ok()?;
    let lock = Flock::lock(file, FlockArg::LockShared);
    Some(lock.unwrap_or_else(|(_, error)| panic!("{NF_CONNTRACK_MAX}: {error}")))
}

/// Keeps other tests from filling the neighbour table until it is dropped: the kernel counts the entries of all
/// namespaces together (net/core/neighbour.c, `neigh_alloc`).
pub(crate) fn room_for_neighbours() -> MutexGuard<'static, ()> {
    static TABLE: Mutex<()> = Mutex::new(());
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fails the test unless `records` are one for each position below `count`.
#[track_caller]
pub(crate) fn assert_each_once(records: &[Value], count: u64) {
    let positions: HashSet<u64> = records
        .iter()
        .map(|record| record["pos"].as_u64().expect("a position"))
        .collect();
    assert_eq!(records.len() as u64, count, "as many records as items");
    assert_eq!(positions, (0..count).collect(), "each position once");
}
