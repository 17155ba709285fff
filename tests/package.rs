//! The Debian package, installed, used, upgraded and purged in a copy of this system; and the release script.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::{Run, V6KIT, in_namespace, in_namespace_with, path_with_sbin, repository, run};

/// The package of this build and that of the next version.
struct Packages {
    old: PathBuf,
    new: PathBuf,
    /// Of the old one, made twice.
    sums: [String; 2],
}

const OLD: &str = "0.0.1-1";
const NEW: &str = "0.0.2-1";

/// Builds the packages once for all tests.
fn packages() -> &'static Packages {
    static PACKAGES: OnceLock<Packages> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let package = |version: &str| {
            run(Command::new(repository().join(".ci/release"))
                .args(["package", V6KIT, version])
                .env("PATH", path_with_sbin()))
            .expect(0);
            repository().join(format!("target/dist/v6kit_{version}_{}.deb", architecture()))
        };
        let new = package(NEW);
        let first = sum(&package(OLD));
        let old = package(OLD);
        let sums = [first, sum(&old)];
        Packages { old, new, sums }
    })
}

fn sum(file: &Path) -> String {
    let run = run(Command::new("sha256sum").arg(file)).expect(0);
    run.stdout.split_whitespace().next().expect("a sum").to_owned()
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
fn ubuntus_apparmor_gets_a_profile_where_it_knows_what_that_says() {
    in_a_copy_of_this_system(
        &[
            SYSTEMD,
            format!("OLD='{OLD}' NEW='{NEW}'").as_str(),
            include_str!("package/apparmor.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
}

#[test]
fn what_the_tests_install_starts_no_service_and_leaves_none_enabled() {
    in_a_copy_of_this_system(&format!(
        "TESTS={}\n{}",
        repository().join("tests").display(),
        include_str!("package/services.sh")
    ))
    .expect(0);
}

#[test]
fn where_namespaces_are_forbidden_that_is_told_once_and_before_anything_is_built() {
    let run = in_namespace(&format!(
        "echo 0 >/proc/sys/user/max_user_namespaces\nexec {}/tests/install",
        repository().display()
    ))
    .expect(1);
    assert!(run.stderr.contains("user.max_user_namespaces=0"), "{run}");
    assert_eq!(run.stderr.matches("error: ").count(), 1, "{run}");
    assert_eq!(run.stderr.lines().count(), 3, "{run}");
}

#[test]
fn two_packages_of_one_binary_are_equal_to_the_byte() {
    let [first, again] = &packages().sums;
    assert_eq!(first, again);
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

/// A release of this build alone in a directory `release`, signed with a key of the test's.
fn release(scratch: &Path) -> String {
    let directory = scratch.join("release");
    fs::create_dir(&directory).expect("a directory");
    let binary = scratch.join("v6kit");
    fs::copy(V6KIT, &binary).expect("a copy");
    run(Command::new("strip").arg(&binary)).expect(0);
    let key = scratch.join("key");
    run(Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key))
    .expect(0);
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let script = repository().join(".ci/release");
    run(Command::new(&script)
        .arg("tarball")
        .arg(&binary)
        .arg(&target)
        .arg(&directory))
    .expect(0);
    run(Command::new(&script)
        .arg("sign")
        .arg(&directory)
        .env("V6KIT_SIGNING_KEY", &key))
    .expect(0);
    format!("v6kit-{}-{target}", env!("CARGO_PKG_VERSION"))
}

/// The name of the file that cargo-binstall looks for, by the metadata of the crate.
fn binstall_takes() -> String {
    let manifest = fs::read_to_string(repository().join("crates/v6kit/Cargo.toml")).expect("a manifest");
    let url = manifest
        .lines()
        .find_map(|line| line.strip_prefix("pkg-url = "))
        .expect("a URL");
    let (_, file) = url.trim_matches('"').rsplit_once('/').expect("a file");
    file.replace("{ name }", "v6kit")
        .replace("{ version }", env!("CARGO_PKG_VERSION"))
        .replace(
            "{ target }",
            &format!("{}-unknown-linux-musl", std::env::consts::ARCH),
        )
}

#[test]
fn the_installer_installs_all_of_what_is_signed_or_nothing() {
    let scratch = tempfile::tempdir().expect("a directory");
    let name = release(scratch.path());
    assert_eq!(binstall_takes(), format!("{name}.tar.gz"));
    in_namespace_with(
        scratch.path(),
        &format!(
            "NAME={name} VERSION={} RELEASE={}\n{}",
            env!("CARGO_PKG_VERSION"),
            repository().join(".ci/release").display(),
            include_str!("package/installer.sh")
        ),
    )
    .expect(0);
}

#[test]
fn a_release_stops_without_a_key_and_without_rustsecs_own_database() {
    let release = || {
        let mut command = Command::new(repository().join(".ci/release"));
        command.env_remove("V6KIT_SIGNING_KEY");
        command
    };
    let unsigned = run(&mut release()).expect(1);
    assert!(
        unsigned.stderr.contains("V6KIT_SIGNING_KEY names no key"),
        "{unsigned}"
    );
    // A database that nobody answers for, and one that is not RustSec's.
    let scratch = tempfile::tempdir().expect("a directory");
    let database = scratch.path().join("database");
    let checked = || {
        run(Command::new(repository().join(".ci/advisories"))
            .arg("--real")
            .env("GIT_CONFIG_COUNT", "1")
            .env(
                "GIT_CONFIG_KEY_0",
                format!("url.{}.insteadOf", database.display()),
            )
            .env("GIT_CONFIG_VALUE_0", "https://github.com/RustSec/advisory-db"))
    };
    let missing = checked().expect(1);
    assert!(missing.stderr.contains("cannot be fetched"), "{missing}");
    let made = "git init -q -b main . && mkdir -p crates/a && touch crates/a/RUSTSEC-2026-0001.md && git add . \
                && git -c user.name=a -c user.email=a@localhost commit -q -m a";
    fs::create_dir(&database).expect("a directory");
    run(Command::new("sh").args(["-c", made]).current_dir(&database)).expect(0);
    let small = checked().expect(1);
    assert!(small.stderr.contains("holds 1 advisories"), "{small}");
    assert!(small.stderr.contains("hint: "), "{small}");
}

#[test]
fn lines_that_install_a_release_stand_nowhere_before_there_is_one() {
    let top = repository();
    let lines = run(Command::new(top.join(".ci/release")).arg("lines"))
        .expect(0)
        .stdout;
    let from = lines
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().nth(2))
        .expect("a URL");
    let (from, _) = from.split_once("/download/").expect("where releases are");
    let cargo = fs::read_to_string(top.join("Cargo.toml")).expect("Cargo.toml");
    assert!(
        cargo.contains(&format!(
            "repository = \"{}\"",
            from.trim_end_matches("/releases")
        )),
        "{from}"
    );
    let mut pages = vec![top.join("README.md")];
    for entry in fs::read_dir(top.join("docs")).expect("docs") {
        pages.push(entry.expect("an entry").path());
    }
    for page in pages {
        let text = fs::read_to_string(&page).expect("a page");
        for line in [from, "cargo binstall", "cargo install v6kit"] {
            assert!(!text.contains(line), "{}: {line}", page.display());
        }
    }
}
