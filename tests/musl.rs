//! The static binaries, each alone in an empty root directory: that for x86_64, also on a kernel of its own, and
//! that for aarch64 under an emulator.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Run, in_namespace_with, path_with_sbin, repository, run};

/// The binary that `.ci/release static quick` made for `target`: that for aarch64 with `--slim`.
#[track_caller]
fn binary(target: &str) -> PathBuf {
    let binary = repository().join(format!("target/{target}/quick/v6kit"));
    assert!(
        binary.exists(),
        "{} is missing: tests/run makes it, or `.ci/release static quick {target}` alone",
        binary.display()
    );
    binary
}

/// Runs a bash script as root of fresh namespaces, beside a directory `$ROOT` with nothing but the binary for
/// `target` and, where `emulator` names one, a program that runs it and is static itself. `alone ...` runs the
/// binary with `$ROOT` as its root directory.
#[track_caller]
fn with_an_empty_root(target: &str, emulator: Option<&str>, script: &str) -> Run {
    let scratch = tempfile::tempdir().expect("a directory");
    let root = scratch.path().join("root");
    fs::create_dir(&root).expect("a directory");
    fs::copy(binary(target), root.join("v6kit")).expect("a copy");
    if let Some(name) = emulator {
        fs::copy(PathBuf::from("/usr/bin").join(name), root.join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let emulator = emulator.map(|name| format!("/{name}")).unwrap_or_default();
    let prelude = r#"
        trap 'echo "line $LINENO: $BASH_COMMAND" >&2' ERR
        unset V6KIT_STATE_DIR
        ROOT=$T/root
        alone() { chroot "$ROOT" $EMULATOR /v6kit "$@"; }
        # Answers at http://[::1]:8080, with nothing but the binary.
        target() {
            alone echo --quiet --listen '[::1]:8080' &
            eventually quietly curl -sf 'http://[::1]:8080/healthz'
        }
        crawls_100_items() {
            alone crawl 'http://[::1]:8080/items/{1..100}' -o /items -r max --quiet --keep-free 1M
            alone crawl cat /items --outcome ok >"$T/records"
            jq --slurp --exit-status \
                '(map(.pos) | unique | length) == 100 and all(.body.id == .pos + 1)' "$T/records" >/dev/null
        }
    "#;
    in_namespace_with(
        scratch.path(),
        &format!("EMULATOR={emulator}\n{prelude}\n{script}"),
    )
}

/// What nothing outside the file may be asked for.
#[track_caller]
fn assert_static(target: &str) {
    let headers = run(Command::new("readelf")
        .args(["--program-headers", "--wide"])
        .arg(binary(target)))
    .expect(0);
    assert!(headers.stdout.contains("LOAD"), "{headers}");
    assert!(!headers.stdout.contains("INTERP"), "{headers}");
}

/// What doctor says of the binary and of what it runs on.
#[track_caller]
fn assert_at_home(doctor: &Run, target: &str) {
    let document = doctor.json();
    assert_eq!(document["v6kit"]["target"], target, "{doctor}");
    assert_eq!(document["v6kit"]["linked"], "static", "{doctor}");
    assert_eq!(
        document["v6kit"]["version"],
        env!("CARGO_PKG_VERSION"),
        "{doctor}"
    );
    assert_eq!(document["ok"], true, "{doctor}");
}

#[test]
fn the_x86_64_binary_needs_nothing_beside_it() {
    const TARGET: &str = "x86_64-unknown-linux-musl";
    assert_static(TARGET);
    let doctor = with_an_empty_root(
        TARGET,
        None,
        r#"
        alone doctor --json
        target
        crawls_100_items
        # There is no resolv.conf, no certificate and no /proc: each is told, none is a crash.
        alone crawl 'https://localhost:1/' -o /names --json >"$T/said" 2>&1 && exit 1
        grep -q '^hint: ' "$T/said"
        alone setup --prefix 2001:db8:6::/64 --dev lo >"$T/said" 2>&1 && exit 1
        grep -q '^hint: ' "$T/said"
        "#,
    )
    .expect(0);
    assert_at_home(&doctor, "x86_64-linux-musl");
}

#[test]
fn the_x86_64_binary_sets_a_host_up_and_puts_it_back() {
    with_an_empty_root(
        "x86_64-unknown-linux-musl",
        None,
        include_str!("musl/the_x86_64_binary_sets_a_host_up_and_puts_it_back.sh"),
    )
    .expect(0);
}

#[test]
fn the_aarch64_binary_runs_under_an_emulator_and_names_the_features_that_it_lacks() {
    const TARGET: &str = "aarch64-unknown-linux-musl";
    assert_static(TARGET);
    let doctor = with_an_empty_root(
        TARGET,
        Some("qemu-aarch64-static"),
        include_str!(
            "musl/the_aarch64_binary_runs_under_an_emulator_and_names_the_features_that_it_lacks.sh"
        ),
    )
    .expect(0);
    assert_at_home(&doctor, "aarch64-linux-musl");
}

/// Boots the kernel of `tests/install` in an emulator, with busybox, the binary, and a shell script as its first
/// process, which has a fresh /proc, /sys and /dev, and runs `first` itself. Returns what the script wrote to standard
/// output.
#[track_caller]
fn on_a_kernel_of_its_own(first: &str, script: &str) -> String {
    let scratch = tempfile::tempdir().expect("a directory");
    let root = scratch.path().join("root");
    fs::create_dir(&root).expect("a directory");
    fs::copy(binary("x86_64-unknown-linux-musl"), root.join("v6kit")).expect("a copy");
    let init = format!(
        "#!/bin/busybox sh\n/bin/busybox --install -s /bin\nexport PATH=/bin\n\
         mount -t proc proc /proc\nmount -t sysfs sys /sys\nmount -t devtmpfs dev /dev\n\
         {first}\n(set -eu\n{script}\n) >/dev/ttyS1 2>&1\npoweroff -f\n"
    );
    fs::write(root.join("init"), init).expect("the first process");
    let boot = include_str!("musl/on_a_kernel_of_its_own.sh");
    run(Command::new("bash")
        .args(["-c", boot])
        .env("T", scratch.path())
        .env("KERNEL", repository().join("target/kernel/vmlinuz"))
        .env("EMULATOR", repository().join("target/emulator/run"))
        .env("PATH", path_with_sbin()))
    .expect(0)
    .stdout
    .replace('\r', "")
}

#[test]
fn ceilings_of_cgroup_v2_are_seen() {
    let said = on_a_kernel_of_its_own(
        "",
        r#"
        mount -t cgroup2 none /sys/fs/cgroup
        cd /sys/fs/cgroup
        echo '+cpu +memory +pids' >cgroup.subtree_control
        # The ceilings are set above the group of the process, and one of them is lower further up.
        mkdir -p wide/narrow
        echo '+cpu +memory +pids' >wide/cgroup.subtree_control
        echo '+cpu +memory +pids' >wide/narrow/cgroup.subtree_control
        mkdir wide/narrow/inner
        echo '20000 100000' >wide/cpu.max
        echo '50000 100000' >wide/narrow/cpu.max
        echo 314572800 >wide/narrow/memory.max
        echo 100 >wide/narrow/pids.max
        sh -c 'echo $$ >wide/narrow/inner/cgroup.procs && exec /v6kit doctor --json'
        "#,
    );
    let document: serde_json::Value =
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("no JSON ({error}): {said}"));
    let ceilings = &document["machine"]["cgroups"];
    assert_eq!(ceilings["group"], "/wide/narrow/inner", "{said}");
    assert_eq!(ceilings["cpu"]["cores"], 0.2, "{said}");
    assert_eq!(ceilings["cpu"]["set_by"], "/wide", "{said}");
    assert_eq!(ceilings["memory"]["bytes"], 300 << 20, "{said}");
    assert_eq!(ceilings["memory"]["set_by"], "/wide/narrow", "{said}");
    assert_eq!(ceilings["tasks"]["tasks"], 100, "{said}");
    // Read from the kernel's own counters: in a fifth of a core, the start alone is throttled.
    assert!(ceilings["cpu"]["throttled"].as_u64() > Some(0), "{said}");
    assert!(ceilings["memory"]["used"].as_u64() > Some(0), "{said}");
}

#[test]
fn logins_are_raised_on_a_kernel_whose_first_process_may_open_more_than_they() {
    let said = on_a_kernel_of_its_own(
        // In the first namespace of a kernel it may go as high as fs.nr_open.
        "ulimit -n 1048576",
        include_str!("musl/logins_are_raised_on_a_kernel_whose_first_process_may_open_more_than_they.sh"),
    );
    let has = |line: &str| said.lines().any(|found| found.trim() == line);
    let says = |words: &str| said.contains(words);
    assert!(has("done") && has("in order") && has("in order again"), "{said}");
    assert!(
        has("* soft nofile 600000") && has("root soft nofile 600000"),
        "{said}"
    );
    assert!(has("* soft nofile 1048576"), "{said}");
    assert!(has("setup: 1") && has("status: 1"), "{said}");
    assert!(
        says("/etc/security/limits.d/99-site.conf:1 gives everybody 2048 (hard)"),
        "{said}"
    );
    // As it was.
    assert!(said.trim_end().ends_with("0\n524288\ndone"), "{said}");
}
