//! Places that cannot be written to: foreseen before anything is changed, the same in the plan and in the run.

use super::on_host;

const READ_ONLY: &str = r#"
read_only() { mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; }
nofile() { jq -r '.steps[] | select(.id == "nofile") | '"$1" "$2"; }
LIMITED="prlimit --nofile=1024:4096 -- $SETUP --nofile 15000"
prlimit --pid 1 --nofile=$(ulimit -Hn):
"#;

#[test]
fn with_a_read_only_etc_everything_else_is_done_and_can_be_undone() {
    on_host(
        &[
            READ_ONLY,
            include_str!("unwritable/with_a_read_only_etc_everything_else_is_done_and_can_be_undone.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn a_journal_that_cannot_be_written_any_more_keeps_nothing_from_being_undone_and_told() {
    on_host(&format!(
        r#"{READ_ONLY}
        snapshot >"$T/log/before"
        mkdir "$T/log/state"
        export V6KIT_STATE_DIR="$T/log/state"
        $SETUP >/dev/null
        read_only "$T/log/state"
        ends 4 $V6KIT teardown >"$T/log/said" 2>&1
        has 'route  *restored' <"$T/log/said"
        has '^error: what was undone could not be noted; the next teardown finds it so' <"$T/log/said"
        has 'Read-only file system' <"$T/log/said"
        same "$(ip -6 route show table all proto 86)" ''
        umount "$T/log/state"
        $V6KIT teardown --json | jq -r '[.steps[].state] | unique | join(" ")' | has '^already_gone$'
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#
    ));
}

#[test]
fn a_file_that_cannot_be_taken_back_now_is_told_with_all_that_was_and_can_be_later() {
    on_host(&[READ_ONLY, include_str!("unwritable/a_file_that_cannot_be_taken_back_now_is_told_with_all_that_was_and_can_be_later.sh")].join("\n"));
}

#[test]
fn what_cannot_be_written_for_the_next_boot_is_told_before_anything_is_changed() {
    on_host(&format!(
        r#"{READ_ONLY}
        read_only /etc
        snapshot >"$T/log/before"
        for more in '' --dry-run; do
            code=0
            $SETUP --persist --state-dir /var/lib/v6kit $more 2>"$T/log/said" || code=$?
            case $code in 2 | 4) ;; *) fail "it ended with $code: $(cat "$T/log/said")" ;; esac
        done
        has 'Read-only file system' "$T/log/said" || fail "$(cat "$T/log/said")"
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#
    ));
}
