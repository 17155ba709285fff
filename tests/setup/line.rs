//! `v6kit setup … -- CMD`: set up for as long as the command runs, and undone however it ends.

use super::on_host;
use crate::harness::{in_lab, repository};

/// `gone` waits until nothing is set up any more, and compares the host with what it was.
const LINE: &str = include_str!("line/line.sh");

#[track_caller]
fn on_host_with_lines(script: &str) {
    on_host(&format!("{LINE}\n{script}"));
}

#[test]
fn a_command_runs_with_the_prefix_set_up_in_this_process_and_nothing_is_left_of_it() {
    on_host_with_lines(include_str!(
        "line/a_command_runs_with_the_prefix_set_up_in_this_process_and_nothing_is_left_of_it.sh"
    ));
}

#[test]
fn what_fails_before_the_command_runs_ends_with_125_and_says_so_on_standard_error_alone() {
    on_host_with_lines(include_str!(
        "line/what_fails_before_the_command_runs_ends_with_125_and_says_so_on_standard_error_alone.sh"
    ));
}

#[test]
fn a_watcher_that_is_killed_while_it_sets_up_leaves_nothing() {
    on_host_with_lines(include_str!(
        "line/a_watcher_that_is_killed_while_it_sets_up_leaves_nothing.sh"
    ));
}

#[test]
fn a_line_that_is_killed_while_it_sets_up_is_undone_at_once() {
    on_host_with_lines(include_str!(
        "line/a_line_that_is_killed_while_it_sets_up_is_undone_at_once.sh"
    ));
}

#[test]
fn whatever_is_killed_while_the_command_runs_it_is_undone_at_once_or_by_the_next_call() {
    on_host_with_lines(include_str!(
        "line/whatever_is_killed_while_the_command_runs_it_is_undone_at_once_or_by_the_next_call.sh"
    ));
}

#[test]
fn of_two_commands_the_last_undoes_and_teardown_names_those_that_run_and_refuses() {
    on_host_with_lines(include_str!(
        "line/of_two_commands_the_last_undoes_and_teardown_names_those_that_run_and_refuses.sh"
    ));
}

#[test]
fn what_a_command_leaves_running_keeps_the_setup_and_is_named() {
    on_host_with_lines(include_str!(
        "line/what_a_command_leaves_running_keeps_the_setup_and_is_named.sh"
    ));
}

#[test]
fn a_setup_that_lasts_is_used_and_left_and_what_drifted_is_named_first() {
    on_host_with_lines(include_str!(
        "line/a_setup_that_lasts_is_used_and_left_and_what_drifted_is_named_first.sh"
    ));
}

#[test]
fn without_a_prefix_what_is_routed_here_is_taken_and_what_is_on_link_is_asked_about() {
    on_host_with_lines(include_str!(
        "line/without_a_prefix_what_is_routed_here_is_taken_and_what_is_on_link_is_asked_about.sh"
    ));
}

#[test]
fn a_terminal_is_the_commands_own() {
    let terminal = repository().join("tests/setup/line/terminal.py");
    on_host_with_lines(&format!(
        "TERMINAL={}\n{}",
        terminal.display(),
        include_str!("line/a_terminal_is_the_commands_own.sh")
    ));
}

#[test]
fn a_command_waits_for_proof_of_the_opposite_only() {
    let run = in_lab(
        "rewritten",
        r#"
        LINE="$V6KIT setup --prefix $V6KIT_LAB_PREFIX --dev $V6KIT_LAB_DEV"
        $LINE -- echo ran && exit 1 || test $? = 125
        # A server that refuses every caller, and one that is not there, prove nothing.
        V6KIT_ENDPOINT=http://[2001:db8:80::80]:9/ $LINE -- echo beside
        $LINE --no-verify -- echo unverified"#,
    )
    .expect(0);
    assert_eq!(run.stdout, "beside\nunverified\n", "{run}");
    for line in [
        "why: rewritten: ",
        "--no-verify goes on all the same",
        "warning: not verified",
    ] {
        assert!(run.stderr.contains(line), "{line}: {run}");
    }
    let run = in_lab(
        "routed",
        "$V6KIT setup --prefix $V6KIT_LAB_PREFIX --dev $V6KIT_LAB_DEV -- echo ran",
    )
    .expect(0);
    assert!(run.stderr.contains("verified: 4 of 4 connections"), "{run}");
}

#[test]
fn where_the_prefix_is_on_link_its_addresses_are_answered_for_as_long_as_the_command_runs() {
    let run = in_lab(
        "on-link",
        r#"
        $V6KIT setup --prefix $V6KIT_LAB_PREFIX --dev $V6KIT_LAB_DEV -- \
            v6kit crawl --robots ignore "$V6KIT_LAB_TARGET/items/{1..40}" -r max --keep-free 1M \
            -o "$T/job" --json | jq .ok
        eventually test ! -e "$V6KIT_STATE_DIR""#,
    )
    .expect(0);
    assert_eq!(run.stdout, "40\n", "{run}");
    assert!(
        run.stderr
            .contains("neighbour solicitations for it are answered on"),
        "{run}"
    );
}

#[test]
fn a_command_that_knows_nothing_of_it_leaves_from_the_prefix_unless_it_is_to_run_as_it_is() {
    for topology in ["routed", "on-link"] {
        let run = in_lab(
            topology,
            r#"
            LINE="$V6KIT setup --prefix $V6KIT_LAB_PREFIX --dev $V6KIT_LAB_DEV"
            $LINE -- sh -c 'for i in 1 2 3; do curl -sS -g "$V6KIT_LAB_TARGET"; done; exit 6' >"$T/seen" || test $? = 6
            test "$(grep -c "^${V6KIT_LAB_PREFIX%::*}:" "$T/seen")" = 3
            test "$(sort -u "$T/seen" | wc -l)" = 3
            eventually test ! -e "$V6KIT_STATE_DIR"
            $LINE --plain -- curl -sS -g "$V6KIT_LAB_TARGET" >"$T/seen"
            ! grep "^${V6KIT_LAB_PREFIX%::*}:" "$T/seen""#,
        )
        .expect(0);
        let said = "sh runs under v6kit exec, so that its connections leave from 2001:db8:6::/64; --plain runs it as it is";
        assert_eq!(run.stderr.matches(said).count(), 1, "{run}");
        assert!(!run.stderr.contains("still runs"), "{run}");
    }
}
