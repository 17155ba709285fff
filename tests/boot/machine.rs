//! A machine of its own: this host's systemd, booted in namespaces by systemd-nspawn, with the units of
//! the repository.
//!
//! Its /usr is this host's with the binary and the units laid over it, read-only; everything else is its
//! own. It has one device, `up0`, and reaches nothing outside.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Run, V6KIT, WAIT, eventually, path_with_sbin, repository, run};

/// What of this host's /etc a machine needs to run programs.
const ETC: [&str; 13] = [
    "alternatives",
    "group",
    "gshadow",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "login.defs",
    "nsswitch.conf",
    "os-release",
    "pam.d",
    "passwd",
    "security",
    "shadow",
];

/// How the binary came to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Install {
    /// As from a package: /usr/bin/v6kit and every unit.
    Package,
    /// The binary alone, in /usr/local/bin.
    Binary,
}

/// A machine that is running, or was; it vanishes with this.
pub(super) struct Machine {
    directory: tempfile::TempDir,
    install: Install,
    cgroups: Vec<PathBuf>,
    running: Option<Running>,
}

struct Running {
    nspawn: Child,
    init: Pid,
}

impl Machine {
    /// Makes a machine and boots it.
    pub(super) fn boot(install: Install) -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "this test boots systemd in namespaces, which only root may: sudo tests/run"
        );
        let mut machine = Self {
            directory: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory"),
            install,
            cgroups: Vec::new(),
            running: None,
        };
        machine.furnish();
        machine.start();
        machine
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.directory
            .path()
            .join("root")
            .join(inside.trim_start_matches('/'))
    }

    /// The files of a fresh machine.
    fn furnish(&self) {
        for directory in [
            "usr",
            "etc/systemd/system",
            "etc/v6kit/jobs",
            "var/lib",
            "var/log",
            "tmp",
            "root",
            "run",
        ] {
            if directory.starts_with("etc/v6kit") && self.install == Install::Binary {
                continue;
            }
            fs::create_dir_all(self.path(directory)).expect("a directory of the machine");
        }
        for link in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{link}"), self.path(link)).expect("a link of the machine");
        }
        for file in ETC {
            let copied = Command::new("cp")
                .args(["-aL", &format!("/etc/{file}")])
                .arg(self.path("etc"))
                .status();
            assert!(
                copied.expect("cp").success() || file == "gshadow",
                "/etc/{file} cannot be copied"
            );
        }
        fs::write(self.path("etc/machine-id"), "").expect("/etc/machine-id");
        fs::write(self.path("etc/hostname"), "boot\n").expect("/etc/hostname");
        fs::write(
            self.path("etc/nftables.conf"),
            "flush ruleset\ntable inet filter {}\n",
        )
        .expect("nftables.conf");
        // The device that the prefix is routed to, as a network daemon would bring it up.
        self.write(
            "etc/systemd/system/uplink.service",
            "[Unit]\nBefore=network-online.target\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
             ExecStart=/bin/sh -c 'ip link add up0 type veth peer name down0 && ip link set up0 up && ip link set down0 up && ip -6 addr add 2001:db8:ffff::1/128 dev lo'\n",
        );
        let wants = self.path("etc/systemd/system/multi-user.target.wants");
        fs::create_dir_all(&wants).expect("a directory of the machine");
        symlink("../uplink.service", wants.join("uplink.service")).expect("a link of the machine");
        self.overlay();
    }

    /// What is laid over /usr.
    fn overlay(&self) {
        let over = self.directory.path().join("over");
        let bin = match self.install {
            Install::Package => over.join("bin"),
            Install::Binary => over.join("local/bin"),
        };
        fs::create_dir_all(&bin).expect("a directory");
        if fs::hard_link(V6KIT, bin.join("v6kit")).is_err() {
            fs::copy(V6KIT, bin.join("v6kit")).expect("the binary");
        }
        if self.install == Install::Binary {
            return;
        }
        let systemd = repository().join("systemd");
        for (from, to) in [
            ("", "lib/systemd/system"),
            ("sysusers.d", "lib/sysusers.d"),
            ("tmpfiles.d", "lib/tmpfiles.d"),
        ] {
            let to = over.join(to);
            fs::create_dir_all(&to).expect("a directory");
            for entry in fs::read_dir(systemd.join(from)).expect("the units") {
                let path = entry.expect("a unit").path();
                if path.is_file() {
                    fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a unit");
                }
            }
        }
    }

    /// Writes a file of the machine.
    pub(super) fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory of the machine");
        fs::write(path, text).expect("a file of the machine");
    }

    fn start(&mut self) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "v6kit-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        self.cgroups = own_cgroups(&name);
        let procs: Vec<String> = self
            .cgroups
            .iter()
            .map(|group| format!("echo $$ >'{}/cgroup.procs'", group.display()))
            .collect();
        let root = self.path("");
        let over = self.directory.path().join("over");
        let script = format!(
            "{}\nexec setpriv --pdeathsig KILL systemd-nspawn --quiet --directory='{}' --machine={name} \
             --overlay-ro='/usr:{}:/usr' --boot --register=no --keep-unit --private-network --console=pipe \
             --link-journal=no --timezone=off --resolv-conf=off",
            procs.join("\n"),
            root.display(),
            over.display(),
        );
        let log = fs::File::create(self.directory.path().join("console")).expect("a log");
        let nspawn = Command::new("bash")
            .args(["-c", &script])
            .env("PATH", path_with_sbin())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("bash starts");
        let nspawn_pid = nspawn.id();
        let mut nspawn = Some(nspawn);
        let mut running = None;
        let otherwise = || format!("the machine does not boot: {}", self.console());
        eventually(otherwise, || {
            if let Some(status) = nspawn.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                panic!("systemd-nspawn ended with {status}: {}", self.console());
            }
            let children = format!("/proc/{nspawn_pid}/task/{nspawn_pid}/children");
            let init = fs::read_to_string(children)
                .ok()
                .and_then(|text| text.split_whitespace().next()?.parse().ok())
                .map(Pid::from_raw);
            if let Some(init) = init
                && let Some(nspawn) = nspawn.take_if(|_| is_booted(init))
            {
                running = Some(Running { nspawn, init });
            }
            running.is_some()
        });
        self.running = running;
    }

    fn console(&self) -> String {
        fs::read_to_string(self.directory.path().join("console")).unwrap_or_default()
    }

    /// Runs a script on the machine, as root, and fails unless it succeeds.
    #[track_caller]
    pub(super) fn run(&self, script: &str) -> Run {
        let running = self.running.as_ref().expect("the machine runs");
        let prelude = r#"
            set -euo pipefail
            trap 'echo "line $LINENO: $BASH_COMMAND" >&2' ERR
            P=2001:db8:1::/64
            P2=2001:db8:2::/64
            fail() { echo "$*" >&2; exit 1; }
            same() { [ "$1" = "$2" ] || fail "expected: $2
found:    $1"; }
            ends() { local code=$1 got=0; shift; "$@" || got=$?; same "$got" "$code"; }
            has() { grep "$@" >/dev/null; }
            state() { systemctl show -P ActiveState "$1"; }
            result() { systemctl show -P Result "$1"; }
        "#;
        let pid = running.init.to_string();
        let run = run(Command::new("nsenter")
            .args(["--target", &pid, "--all", "--", "/usr/bin/env", "-i"])
            .args([
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "LC_ALL=C",
                "HOME=/root",
            ])
            .args(["bash", "-c", &format!("cd /root\n{prelude}\n{WAIT}\n{script}")]));
        if run.code != 0 {
            let journal = Command::new("nsenter")
                .args([
                    "--target",
                    &pid,
                    "--all",
                    "--",
                    "journalctl",
                    "--no-pager",
                    "-n",
                    "60",
                    "-o",
                    "cat",
                ])
                .output();
            let journal = journal.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            panic!("{run}\n--- journal\n{}", journal.unwrap_or_default());
        }
        run
    }

    /// Shuts down in order and boots again: another boot id, the same disk.
    pub(super) fn reboot(&mut self) {
        self.shut_down();
        self.start();
    }

    /// Takes the power away and boots again.
    pub(super) fn crash(&mut self) {
        if let Some(mut running) = self.running.take() {
            // The first process takes all others along.
            let _ = kill(running.init, Signal::SIGKILL);
            running.nspawn.wait().expect("systemd-nspawn ends");
        }
        self.leave_cgroups();
        self.start();
    }

    fn shut_down(&mut self) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        // systemd(1): SIGRTMIN+4 powers off.
        let poweroff = Command::new("kill")
            .args(["-s", "RTMIN+4", &running.init.to_string()])
            .status();
        assert!(poweroff.expect("kill").success(), "the machine does not listen");
        let otherwise = || {
            let _ = kill(running.init, Signal::SIGKILL);
            format!("the machine does not shut down: {}", self.console())
        };
        eventually(otherwise, || {
            running.nspawn.try_wait().expect("systemd-nspawn").is_some()
        });
        self.leave_cgroups();
    }

    fn leave_cgroups(&mut self) {
        for group in std::mem::take(&mut self.cgroups) {
            remove_cgroup(&group);
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = kill(running.init, Signal::SIGKILL);
            let _ = running.nspawn.wait();
        }
        self.leave_cgroups();
    }
}

/// Whether the first process of a machine has come to the end of its boot.
fn is_booted(init: Pid) -> bool {
    let output = Command::new("nsenter")
        .args([
            "--target",
            &init.to_string(),
            "--all",
            "--",
            "systemctl",
            "is-system-running",
        ])
        .stderr(Stdio::null())
        .output();
    output.is_ok_and(|output| {
        matches!(
            String::from_utf8_lossy(&output.stdout).trim(),
            "running" | "degraded"
        )
    })
}

/// A control group for a machine alone, in each hierarchy that systemd uses.
fn own_cgroups(name: &str) -> Vec<PathBuf> {
    [
        "/sys/fs/cgroup/systemd",
        "/sys/fs/cgroup/unified",
        "/sys/fs/cgroup",
    ]
    .map(Path::new)
    .into_iter()
    .filter(|hierarchy| hierarchy.join("cgroup.procs").exists())
    .map(|hierarchy| {
        let group = hierarchy.join(name);
        fs::create_dir(&group).unwrap_or_else(|error| panic!("{}: {error}", group.display()));
        group
    })
    .collect()
}

fn remove_cgroup(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_cgroup(&entry.path());
        }
    }
    // What has just ended leaves its group a moment later.
    eventually(
        || format!("{} stays in use", group.display()),
        || fs::remove_dir(group).is_ok() || !group.exists(),
    );
}
