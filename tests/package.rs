//! The Debian package, installed, used, upgraded and purged in a copy of this system; and the release script.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::{Run, V6KIT, in_namespace, path_with_sbin, repository, run};

/// The package of this build and that of the next version.
struct Packages {
    old: PathBuf,
    new: PathBuf,
}

const OLD: &str = "0.0.1-1";
const NEW: &str = "0.0.2-1";

/// Builds the packages once for all tests.
fn packages() -> &'static Packages {
    static PACKAGES: OnceLock<Packages> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let [old, new] = [OLD, NEW].map(|version| {
            run(Command::new(repository().join(".ci/release"))
                .args(["package", V6KIT, version])
                .env("PATH", path_with_sbin()))
            .expect(0);
            repository().join(format!("target/dist/v6kit_{version}_{}.deb", architecture()))
        });
        Packages { old, new }
    })
}

fn architecture() -> String {
    run(Command::new("dpkg").arg("--print-architecture"))
        .expect(0)
        .stdout
        .trim()
        .to_owned()
}

/// Runs a bash script in a copy of this system that vanishes with it: an overlay over `/`, with network,
/// process and mount namespaces of its own. dpkg gives files to users, so it takes the real root.
#[track_caller]
fn in_a_copy_of_this_system(script: &str) -> Run {
    let scratch = tempfile::tempdir().expect("a directory");
    let script = format!("set -euo pipefail\n{script}");
    fs::write(scratch.path().join("script"), script).expect("a script");
    let prelude = r#"
        set -euo pipefail
        mount -t tmpfs -o mode=755 none "$T/copy"
        mkdir "$T/copy/upper" "$T/copy/work" "$T/copy/root"
        mount -t overlay -o "lowerdir=/,upperdir=$T/copy/upper,workdir=$T/copy/work" none "$T/copy/root"
        root=$T/copy/root
        mount -t proc none "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t tmpfs none "$root/run"
        mount -t tmpfs none "$root/tmp"
        cp "$T/script" "$OLD" "$NEW" "$root/tmp/"
        ip link set lo up
        exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root bash /tmp/script
    "#;
    fs::create_dir(scratch.path().join("copy")).expect("a directory");
    let packages = packages();
    let mut command = if nix::unistd::geteuid().is_root() {
        Command::new("env")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env"]);
        sudo
    };
    run(command
        .arg(format!("T={}", scratch.path().display()))
        .arg(format!("OLD={}", packages.old.display()))
        .arg(format!("NEW={}", packages.new.display()))
        .args(["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"])
        .args(["bash", "-c", prelude])
        .env("PATH", path_with_sbin()))
}

/// Records what is asked of systemd, which does not run in the copy.
const SYSTEMD: &str = r#"
    mkdir -p /run/systemd/system
    cat >/usr/local/bin/systemctl <<'RECORD'
#!/bin/sh
echo "$@" >>/tmp/asked
RECORD
    cp /usr/local/bin/systemctl /usr/local/sbin/systemctl
    chmod 755 /usr/local/bin/systemctl /usr/local/sbin/systemctl
    export PATH=/usr/local/bin:$PATH
    : >/tmp/asked
    # Where packages put things: elsewhere the tests beside this one are at work.
    files() { find /etc /opt /srv /usr /var -xdev -path '/var/lib/dpkg/*' -prune -o -path '/var/log/*' -prune \
        -o -path '/var/cache/*' -prune -o -path '/etc/*-' -prune -o -path '/etc/.pwd.lock' -prune -o -print | sort; }
    packages() { dpkg-query -W; }
"#;

#[test]
fn the_package_is_installed_upgraded_and_purged_without_a_trace() {
    let run = in_a_copy_of_this_system(
        &[
            SYSTEMD,
            format!("OLD='{OLD}' NEW='{NEW}'").as_str(),
            include_str!("package/the_package_is_installed_upgraded_and_purged_without_a_trace.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
    assert_eq!(run.stdout, "", "{run}");
}

#[test]
fn a_removal_that_cannot_put_the_host_back_stops_and_says_so() {
    in_a_copy_of_this_system(&format!(
        r#"{SYSTEMD}
        dpkg --install /tmp/v6kit_{OLD}_*.deb >/dev/null
        mkdir -p /var/lib/v6kit
        echo '{{}}' >/var/lib/v6kit/journal.jsonl
        dpkg --remove v6kit >/tmp/said 2>&1 && exit 1
        grep -q 'delete /var/lib/v6kit first' /tmp/said
        v6kit --version >/dev/null
        rm -r /var/lib/v6kit
        dpkg --remove v6kit >/dev/null
        test ! -e /usr/bin/v6kit
        "#
    ))
    .expect(0);
}

#[test]
fn lintian_finds_no_error_and_no_warning_in_the_package() {
    let run = run(Command::new("lintian")
        .args([
            "--fail-on",
            "error,warning",
            "--allow-root",
            "--tag-display-limit",
            "0",
        ])
        .arg(&packages().old)
        .env("LC_ALL", "C.UTF-8"));
    run.expect(0);
}

/// The release script beside another CHANGELOG.
fn release_of(changelog: &str) -> (tempfile::TempDir, PathBuf) {
    let scratch = tempfile::tempdir().expect("a directory");
    let script = scratch.path().join(".ci/release");
    fs::create_dir(scratch.path().join(".ci")).expect("a directory");
    fs::copy(repository().join(".ci/release"), &script).expect("the script");
    fs::copy(repository().join("Cargo.toml"), scratch.path().join("Cargo.toml")).expect("Cargo.toml");
    fs::write(scratch.path().join("CHANGELOG.md"), changelog).expect("a changelog");
    (scratch, script)
}

#[track_caller]
fn check_tag(script: &Path, tag: &str) -> Run {
    run(Command::new(script).args(["check-tag", tag]))
}

#[test]
fn a_tag_that_does_not_fit_version_and_changelog_is_refused() {
    let version = env!("CARGO_PKG_VERSION");
    let tag = format!("v{version}");
    let (_kept, script) = release_of(&format!("## [Unreleased]\n\n## [{version}] - 2026-01-01\n"));
    check_tag(&script, &tag).expect(0);
    let wrong = check_tag(&script, "v99.0.0").expect(1);
    assert!(
        wrong
            .stderr
            .contains(&format!("Cargo.toml says version {version}")),
        "{wrong}"
    );
    let (_kept, script) = release_of("## [Unreleased]\n");
    let wrong = check_tag(&script, &tag).expect(1);
    assert!(wrong.stderr.contains("CHANGELOG.md has no section"), "{wrong}");
    assert!(wrong.stderr.contains("hint: "), "{wrong}");
}

#[test]
fn a_target_that_is_not_installed_is_named_before_anything_is_built() {
    // Without Debian's compiler and without sources.
    let run = in_namespace(&format!(
        r#"
        mkdir "$T/empty"
        for sources in /usr/lib/rustlib "$(rustc --print sysroot)/lib/rustlib/src"; do
            [ ! -d "$sources" ] || mount --bind "$T/empty" "$sources"
        done
        exec {}/.ci/release --targets riscv64gc-unknown-linux-musl
        "#,
        repository().display()
    ))
    .expect(1);
    for advice in [
        "hint: rustup target add riscv64gc-unknown-linux-musl",
        "apt-get install rustc-web rust-web-src",
    ] {
        assert!(run.stderr.contains(advice), "{run}");
    }
    let unknown =
        self::run(Command::new(repository().join(".ci/release")).args(["--targets", "riscv64-unknown-musl"]))
            .expect(1);
    assert!(unknown.stderr.contains("no target of Rust"), "{unknown}");
}
