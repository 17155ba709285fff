//! Where and when a setup was made: network namespaces that ended, boot ids that differ, devices that were
//! renamed, and journals of another version.

use super::on_host;

/// `elsewhere SCRIPT`: runs it in a network namespace of its own, with an uplink, which ends with it.
const ELSEWHERE: &str = r#"
elsewhere() {
    unshare --net -- bash -c "set -e
        ip link add up0 type veth peer name down0
        for device in lo up0 down0; do ip link set \$device up; done
        ip addr add 2001:db8:ffff::2/64 dev up0 nodad
        $1"
}
"#;

#[test]
fn what_was_set_up_in_a_namespace_that_ended_is_stale_as_after_a_boot() {
    on_host(&format!(
        r#"{ELSEWHERE}
        snapshot >"$T/log/before"
        elsewhere "$SETUP"
        # Another one, which may get the inode of the first.
        elsewhere "! $V6KIT status --json" >"$T/log/status"
        jq -e '.remarks | any(contains("is gone, as after the restart of a container"))' "$T/log/status"
        jq -e '.steps[] | select(.id == "route").state == "missing"' "$T/log/status"
        elsewhere "$SETUP --json >$T/log/again; $V6KIT status; $V6KIT doctor --json >$T/log/doctor || true"
        same "$(jq -r '.steps[] | select(.id == "route").state' "$T/log/again")" changed
        jq -e '.findings[] | select(.id == "setup").state == "ok"' "$T/log/doctor"
        # The file that it left is put back from whatever namespace; nothing else is touched.
        $V6KIT teardown --json >"$T/log/report"
        same "$(jq -r '[.steps[] | select(.state == "restored").id] | join(" ")' "$T/log/report")" nofile
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#
    ));
}

#[test]
fn a_namespace_that_an_open_file_or_a_mount_holds_is_not_stale() {
    on_host(
        &[
            ELSEWHERE,
            include_str!("identity/a_namespace_that_an_open_file_or_a_mount_holds_is_not_stale.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn two_boot_ids_in_one_namespace_are_one_boot_where_our_route_is_there() {
    on_host(include_str!(
        "identity/two_boot_ids_in_one_namespace_are_one_boot_where_our_route_is_there.sh"
    ));
}

#[test]
fn a_journal_of_a_later_version_is_refused_and_left_as_it_is() {
    on_host(
        r#"
        $SETUP
        echo '{"version":99,"what":"nobody knows"}' >>"$V6KIT_STATE_DIR/journal.jsonl"
        snapshot >"$T/log/before"
        for command in "$SETUP" "$SETUP --dry-run" "$V6KIT teardown" "$V6KIT status"; do
            ends 1 $command 2>"$T/log/stderr"
            grep -q '^why: .* written by another version of v6kit (format 99)' "$T/log/stderr"
            grep -q '^hint: use the v6kit that set this host up' "$T/log/stderr"
        done
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after"
        sed -i '$d' "$V6KIT_STATE_DIR/journal.jsonl"
        # A journal of the first format has no version.
        sed -i 's/^{"version":[0-9]*,/{/' "$V6KIT_STATE_DIR/journal.jsonl"
        $V6KIT status
        $V6KIT teardown"#,
    );
}

#[test]
fn a_renamed_device_is_drift_and_setup_takes_the_new_name() {
    on_host(include_str!(
        "identity/a_renamed_device_is_drift_and_setup_takes_the_new_name.sh"
    ));
}

#[test]
fn status_tells_of_a_prefix_that_nothing_shields() {
    on_host(
        r#"
        started "$V6KIT" echo --listen '[::]:8080'
        nft=$(realpath "$(command -v nft)")
        mount --bind /dev/null "$nft"
        $SETUP --json | jq -e '.steps[] | select(.id == "inbound").state == "skipped"'
        $V6KIT status >"$T/log/status"
        grep -qE "^note: inbound was left out for $P: callers from outside reach .*tcp 8080" "$T/log/status"
        umount "$nft"
        $SETUP
        if $V6KIT status | has 'left out'; then fail 'it is shut now'; fi
        $V6KIT teardown"#,
    );
}
