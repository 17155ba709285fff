//! Two prefixes side by side, two runs at once, and boots in between.

use super::on_host;

#[test]
fn two_prefixes_are_torn_down_in_any_order() {
    for (first, second) in [("$P", "$P2"), ("$P2", "$P")] {
        on_host(
            &[
                format!("FIRST={first} SECOND={second}").as_str(),
                include_str!("shared/two_prefixes_are_torn_down_in_any_order.sh"),
            ]
            .join("\n"),
        );
    }
}

#[test]
fn what_only_one_of_two_prefixes_needs_goes_with_it() {
    on_host(
        r#"
        snapshot >"$T/log/before"
        $SETUP --nofile 300000
        $V6KIT setup --prefix $P2 --dev up0 --for server --nofile 70000
        same "$(sysctl -n net.core.somaxconn)" 65535
        grep -q 'soft nofile 300000' /etc/security/limits.d/90-v6kit.conf
        $V6KIT teardown --prefix $P
        grep -q 'soft nofile 70000' /etc/security/limits.d/90-v6kit.conf
        same "$(sysctl -n net.core.somaxconn)" 65535
        $V6KIT status
        $V6KIT teardown
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#,
    );
}

#[test]
fn the_prefix_set_up_last_comes_first_in_the_summary() {
    on_host(
        r#"
        $SETUP
        $V6KIT setup --prefix $P2 --dev up0
        $SETUP
        same "$(jq -r '[.setups[].prefix] | join(" ")' "$V6KIT_STATE_DIR/summary.json")" "$P $P2""#,
    );
}

#[test]
fn two_setups_at_once_take_turns() {
    on_host(
        r#"
        snapshot >"$T/log/before"
        $SETUP --json >"$T/log/one" & one=$!
        $V6KIT setup --prefix $P2 --dev up0 --json >"$T/log/two" & two=$!
        $SETUP --json >"$T/log/three" & three=$!
        wait $one && wait $two && wait $three
        $V6KIT status
        # Each shared sysctl was changed by exactly one of them.
        same "$(jq -s '[.[].steps[] | select(.id == "net.ipv4.tcp_tw_reuse" and .state == "changed")] | length' "$T/log/one" "$T/log/two" "$T/log/three")" 1
        $V6KIT teardown & one=$!; $V6KIT teardown & two=$!
        wait $one && wait $two
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#,
    );
}

#[test]
fn a_setup_that_another_keeps_waiting_gives_up_with_advice() {
    on_host(
        r#"
        mkdir "$V6KIT_STATE_DIR"
        snapshot >"$T/log/before"
        exec 8<"$V6KIT_STATE_DIR"
        flock 8
        ends 1 $SETUP 2>"$T/log/stderr"
        grep -q 'waiting for another v6kit' "$T/log/stderr"
        grep -q '^why: another v6kit' "$T/log/stderr"
        grep -q '^hint: ' "$T/log/stderr"
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#,
    );
}

/// The kernel's boot id is covered by another one, and what a boot forgets is put back by hand.
const REBOOT: &str = r#"
reboot() {
    cat /proc/sys/kernel/random/uuid >"$T/log/boot-$1"
    mount --bind "$T/log/boot-$1" /proc/sys/kernel/random/boot_id
    nft flush ruleset
    ip -6 route flush table all proto 86
    sysctl -qw net.ipv6.ip_nonlocal_bind=0 net.ipv4.tcp_tw_reuse=2 net.ipv4.tcp_max_tw_buckets=131072 \
        net.ipv4.ip_local_port_range='32768 60999'
}
"#;

#[test]
fn after_a_boot_only_files_are_undone() {
    on_host(
        &[
            REBOOT,
            include_str!("shared/after_a_boot_only_files_are_undone.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn a_setup_after_a_boot_makes_everything_anew() {
    on_host(
        &[
            REBOOT,
            include_str!("shared/a_setup_after_a_boot_makes_everything_anew.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn a_journal_of_another_network_namespace_is_left_alone() {
    on_host(
        r#"
        $SETUP
        snapshot >"$T/log/before"
        for command in status teardown "setup --prefix $P --dev lo"; do
            ends 1 in_peer $V6KIT $command 2>"$T/log/stderr"
            grep -q 'belongs to another network namespace' "$T/log/stderr"
            grep -q '^hint: ' "$T/log/stderr"
        done
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after"
        $V6KIT teardown"#,
    );
}
