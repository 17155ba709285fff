//! The lab: what each topology shows, that the command in it is the user's own, and that nothing stays.

mod demo;
mod ends;
mod greeting;
mod refused;
mod topologies;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::geteuid;

use crate::harness::{V6KIT, in_lab, in_namespace, path_with_sbin, run, v6kit};

/// Makes every address of the prefix an own one, as for any program that binds to one.
const PREPARE: &str = r#"
    echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind
    ip -6 route add local "$V6KIT_LAB_PREFIX" dev lo
    source="${V6KIT_LAB_PREFIX%/*}abcd"
    in_router() { nsenter --net="$V6KIT_LAB_ROUTER_NS" "$@"; }
"#;

fn in_prepared_lab(topology: &str, script: &str) -> crate::harness::Run {
    in_lab(topology, &format!("{PREPARE}\n{script}"))
}

#[test]
fn the_exit_status_is_the_commands() {
    v6kit(&["lab", "run", "--", "sh", "-c", "exit 7"]).expect(7);
    v6kit(&["lab", "run", "--", "sh", "-c", "kill -KILL $$"]).expect(137);
    let missing = v6kit(&["lab", "run", "--", "no-such-command"]).expect(127);
    assert!(missing.stderr.contains("no-such-command"), "{missing}");
    v6kit(&["lab", "run", "--", "/"]).expect(126);
    v6kit(&["lab", "run", "--"]).expect(2);
}

#[test]
fn the_commands_options_are_its_own() {
    let run = v6kit(&["lab", "run", "--", "echo", "--json", "-q", "--topology"]).expect(0);
    assert_eq!(run.stdout, "--json -q --topology\n");
}

#[test]
fn files_in_the_users_directory_are_real() {
    let scratch = tempfile::tempdir().unwrap();
    run(Command::new(V6KIT)
        .args([
            "lab",
            "run",
            "--",
            "sh",
            "-c",
            "echo kept > file && ulimit -n > files",
        ])
        .current_dir(scratch.path()))
    .expect(0);
    let read = |name| std::fs::read_to_string(scratch.path().join(name)).unwrap();
    assert_eq!(read("file"), "kept\n");
    let (soft, _) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    assert_eq!(read("files").trim(), soft.to_string());
}

#[test]
fn what_the_lab_changes_stays_in_the_lab() {
    // Inside a namespace of the test, whose /etc may be written to.
    in_namespace(
        r#"
        mkdir -p /etc/security/limits.d
        look() { ls -AR /etc; cat /etc/hosts; cat /proc/sys/net/ipv6/ip_nonlocal_bind /proc/sys/fs/nr_open; }
        look > "$T/before"
        "$V6KIT" lab run -- bash -c '
            set -eu
            touch /etc/security/limits.d/99-lab
            echo 2001:db8:80::80 target.test >> /etc/hosts
            grep -q target.test /etc/hosts
            mkdir /etc/of-the-lab
            rm /etc/group
            echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind
            mkdir -p "$V6KIT_STATE_DIR" && touch "$V6KIT_STATE_DIR/journal"
            if echo 1048577 > /proc/sys/fs/nr_open; then exit 9; fi'
        look > "$T/after"
        diff "$T/before" "$T/after"
        "#,
    )
    .expect(0);
}

#[test]
fn it_works_for_a_plain_user() {
    let script = format!("id -u; {PREPARE} curl -sS -m 20 --interface \"$source\" \"$V6KIT_LAB_TARGET\"");
    let as_user = as_plain_user(&[
        "lab",
        "run",
        "--topology",
        "stateful",
        "--",
        "bash",
        "-c",
        &script,
    ])
    .expect(0);
    assert_eq!(as_user.stdout, "0\n2001:db8:6::abcd\n");
}

/// Runs the binary without root's ids, from a place where everybody may read it.
fn as_plain_user(args: &[&str]) -> crate::harness::Run {
    if !geteuid().is_root() {
        return run(Command::new(V6KIT).args(args).env("PATH", path_with_sbin()));
    }
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let binary = scratch.path().join("v6kit");
    std::fs::copy(V6KIT, &binary).expect("a copy");
    readable_to_all(scratch.path());
    readable_to_all(&binary);
    run(Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(&binary)
        .args(args)
        .current_dir("/")
        .env("PATH", path_with_sbin()))
}

fn readable_to_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
}

#[test]
fn a_lab_can_be_built_in_a_lab() {
    // Root's labs protect /proc/sys, in which the kernel allows no further /proc: the third has an old one.
    let nested = [V6KIT, "lab", "run", "--"].repeat(3);
    let run = run(Command::new(nested[0]).args(&nested[1..]).args([
        "curl",
        "-sS",
        "-m",
        "20",
        "http://[2001:db8:80::80]/",
    ]))
    .expect(0);
    assert_eq!(run.stdout, "2001:db8:1::2\n");
}

#[test]
fn without_nft_a_filtering_router_is_refused_with_advice() {
    let refused = in_namespace(
        r#"
        mount -t tmpfs none /usr/sbin
        "$V6KIT" lab run --topology stateful -- true
        "#,
    )
    .expect(1);
    assert!(
        refused.stderr.contains("hint: `sudo apt install nftables`"),
        "{refused}"
    );
}

#[test]
fn where_user_namespaces_are_refused_root_does_without() {
    in_namespace(
        r#"
        echo 0 > /proc/sys/user/max_user_namespaces
        "$V6KIT" lab run -- curl -sS -m 20 http://[2001:db8:80::80]/
        "#,
    )
    .expect(0);
}

#[test]
fn a_refusal_names_the_setting_that_causes_it() {
    let refused = in_namespace(
        r#"
        echo 0 > /proc/sys/user/max_user_namespaces
        setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all "$V6KIT" lab run -- true
        "#,
    )
    .expect(4);
    assert!(refused.stderr.contains("hint: "), "{refused}");
    assert!(refused.stderr.contains("user.max_user_namespaces"), "{refused}");
}
