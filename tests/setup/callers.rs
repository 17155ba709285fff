//! Whom the command of `v6kit setup … -- CMD` runs as, below sudo, doas and a root login.

use std::process::Command;

use crate::harness::{V6KIT, WAIT, path_with_sbin, run};

/// A host with the account alice, who may call sudo and doas, in namespaces with an /etc of their own.
const HOST: &str = include_str!("callers/host.sh");

#[track_caller]
fn with_alice(script: &str) {
    assert!(
        nix::unistd::geteuid().is_root(),
        "this test calls sudo and doas, which only root can prepare: sudo tests/run"
    );
    let scratch = tempfile::tempdir().expect("a temporary directory");
    run(Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(["bash", "-c", &format!("{WAIT}\n{HOST}\n{script}")])
        .env("V6KIT_UNDER_TEST", V6KIT)
        .env_remove("V6KIT_STATE_DIR")
        .env("PATH", path_with_sbin())
        .env("LC_ALL", "C")
        .env("T", scratch.path()))
    .expect(0);
}

#[test]
fn below_sudo_and_doas_a_command_is_the_callers_whatever_the_environment_says() {
    with_alice(include_str!(
        "callers/below_sudo_and_doas_a_command_is_the_callers_whatever_the_environment_says.sh"
    ));
}

#[test]
fn without_sudo_in_front_a_command_keeps_everything_that_it_was_given() {
    with_alice(include_str!(
        "callers/without_sudo_in_front_a_command_keeps_everything_that_it_was_given.sh"
    ));
}

#[test]
fn a_root_login_stays_root_and_says_so_also_in_an_old_root_shell() {
    with_alice(include_str!(
        "callers/a_root_login_stays_root_and_says_so_also_in_an_old_root_shell.sh"
    ));
}

#[test]
fn what_is_killed_below_sudo_is_undone_at_once() {
    with_alice(include_str!(
        "callers/what_is_killed_below_sudo_is_undone_at_once.sh"
    ));
}
