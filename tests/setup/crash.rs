//! kill -9, Ctrl-C and failing system calls at every moment, injected by strace.

use super::on_host;
use crate::harness::quoted;

/// `killed CALL N COMMAND…` runs a command and kills it at its Nth CALL. False once it is not killed any
/// more, because there is no Nth.
const KILLED: &str = r#"
killed() {
    local call=$1 n=$2 code=0; shift 2
    strace -qq -o /dev/null -e trace=$call -e inject=$call:signal=SIGKILL:when=$n -- "$@" >/dev/null 2>&1 || code=$?
    case $code in 137) return 0 ;; 0) return 1 ;; *) fail "$* ended with $code at $call $n" ;; esac
}
clean() {
    snapshot >"$T/log/after"
    diff "$T/log/before" "$T/log/after" || fail "residue after $*: $(cat "$T/log/report")"
}
"#;

/// Kills `victim` at each of its calls of a kind, runs `recovery`, and compares the host with what it was.
/// `prepare` runs first each time, after the snapshot.
#[track_caller]
fn killed_at_each(calls: &[&str], least: u32, prepare: &str, victim: &str, recovery: &str) {
    for call in calls {
        on_host(
            &[
                KILLED,
                format!(
                    "CALL={call} LEAST={least} PREPARE={} VICTIM={} RECOVERY={}",
                    quoted(prepare),
                    quoted(victim),
                    quoted(recovery)
                )
                .as_str(),
                include_str!("crash/each_kill.sh"),
            ]
            .join("\n"),
        );
    }
}

const SETUP: &str = "$SETUP --for proxy --conntrack notrack";

#[test]
fn a_teardown_after_a_setup_killed_at_any_journal_write_leaves_no_residue() {
    killed_at_each(&["fdatasync"], 20, "", SETUP, "$V6KIT teardown");
}

#[test]
fn a_teardown_after_a_setup_killed_at_any_other_call_leaves_no_residue() {
    killed_at_each(
        &[
            "write",
            "sendto",
            "ftruncate",
            "rename",
            "fsync",
            "mkdir",
            "clone,clone3,vfork",
        ],
        1,
        "",
        SETUP,
        "$V6KIT teardown",
    );
}

#[test]
fn a_setup_after_a_killed_one_completes_it_and_can_be_undone() {
    killed_at_each(
        &["fdatasync"],
        20,
        "",
        SETUP,
        "$SETUP --for proxy --conntrack notrack; $V6KIT status; $V6KIT teardown",
    );
}

#[test]
fn a_teardown_killed_at_any_journal_write_is_finished_by_the_next() {
    killed_at_each(
        &["fdatasync", "unlink", "rmdir", "clone,clone3,vfork"],
        1,
        "$SETUP --for proxy --conntrack notrack >/dev/null",
        "$V6KIT teardown",
        "$V6KIT teardown",
    );
}

#[test]
fn what_a_killed_setup_of_one_prefix_began_does_not_outlive_the_other() {
    killed_at_each(
        &["fdatasync"],
        5,
        "$V6KIT setup --prefix $P2 --dev up0 >/dev/null",
        "$V6KIT setup --prefix $P --dev up0 --for server --nofile 300000",
        // The other prefix is intact, and goes last.
        "$V6KIT teardown --prefix $P || ! grep -q $P \"$V6KIT_STATE_DIR/journal.jsonl\"; $V6KIT status --prefix $P2; $V6KIT teardown",
    );
}

#[test]
fn a_killed_change_of_options_goes_back_to_those_before() {
    killed_at_each(
        &["fdatasync"],
        1,
        "$SETUP --for proxy >/dev/null",
        "$SETUP --inbound allow --nofile 300000",
        "$V6KIT setup --prefix $P2 --dev up0; $V6KIT teardown --prefix $P2; $SETUP --for proxy; $V6KIT status; $V6KIT teardown",
    );
}

#[test]
fn an_interrupted_setup_undoes_what_it_did_and_exits_130() {
    on_host(
        r#"
        snapshot >"$T/log/before"
        for signal in SIGINT SIGTERM; do
            ends 130 strace -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:signal=$signal:when=5 -- $SETUP 2>"$T/log/stderr"
            grep -q '^why: it was interrupted' "$T/log/stderr"
            snapshot >"$T/log/after"
            diff "$T/log/before" "$T/log/after"
        done"#,
    );
}

#[test]
fn a_journal_that_cannot_be_synced_stops_setup_and_everything_is_undone() {
    on_host(
        r#"
        snapshot >"$T/log/before"
        for n in 1 2 3 10 15; do
            ends 1 strace -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:error=EIO:when=$n -- $SETUP 2>"$T/log/stderr"
            grep -q '^why: the journal .*Input/output error' "$T/log/stderr"
            snapshot >"$T/log/after"
            diff "$T/log/before" "$T/log/after"
        done"#,
    );
}

/// As it is where nothing passes this host.
const EVERYTHING: &str = "$SETUP --for everything --from lo --yes";

#[test]
fn a_setup_for_everything_killed_while_it_fills_its_map_leaves_no_residue() {
    killed_at_each(&["clone,clone3,vfork"], 20, "", EVERYTHING, "$V6KIT teardown");
}

#[test]
fn a_setup_for_everything_after_a_killed_one_completes_it_and_can_be_undone() {
    killed_at_each(
        &["fdatasync"],
        10,
        "",
        EVERYTHING,
        "$SETUP --for everything --from lo --yes; $V6KIT status; $V6KIT teardown",
    );
}
