//! Two prefixes side by side, two runs at once, and boots in between.

use super::on_host;

#[test]
fn two_prefixes_are_torn_down_in_any_order() {
    for (first, second) in [("$P", "$P2"), ("$P2", "$P")] {
        on_host(&format!(
            r#"
            snapshot >"$T/log/before"
            $SETUP
            $V6KIT setup --prefix $P2 --dev up0 --for server --json >"$T/log/second"
            same "$(jq -c '[.steps[] | select(.state == "changed").id]' "$T/log/second")" \
                '["inbound","route","net.core.somaxconn","net.ipv4.tcp_max_syn_backlog"]'
            same "$(jq -r '[.setups[].prefix] | join(" ")' "$V6KIT_STATE_DIR/summary.json")" "$P2 $P"
            $V6KIT status
            $V6KIT teardown --prefix {first} --json >"$T/log/report"
            # What both need stays as the other needs it, and is told.
            jq -e '[.kept[].id] | contains(["net.ipv6.ip_nonlocal_bind", "net.ipv4.tcp_tw_reuse", "nofile"])' "$T/log/report"
            jq -e '[.steps[].state] | unique == ["restored"]' "$T/log/report"
            same "$(sysctl -n net.ipv6.ip_nonlocal_bind)" 1
            same "$(ip -6 route show table all | grep -c 'proto 86')" 1
            $V6KIT status
            same "$(jq -r '[.setups[].prefix] | join(" ")' "$V6KIT_STATE_DIR/summary.json")" "{second}"
            ends 2 $V6KIT teardown --prefix {first}
            $V6KIT teardown --prefix {second} --json >"$T/log/report"
            jq -e '.kept == null' "$T/log/report"
            snapshot >"$T/log/after"
            diff "$T/log/before" "$T/log/after""#
        ));
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
    on_host(&format!(
        r#"{REBOOT}
        snapshot | grep -v boot_id >"$T/log/before"
        $SETUP
        reboot 1
        # Somebody else's value of this boot must not be taken for ours.
        sysctl -qw net.ipv4.tcp_tw_reuse=1
        ends 1 $V6KIT status --json >"$T/log/status"
        same "$(jq -r '.steps[] | select(.id == "route").state' "$T/log/status")" missing
        jq -e '.remarks[0] | contains("booted since")' "$T/log/status"
        $V6KIT teardown --json >"$T/log/report"
        same "$(jq -r '[.steps[] | select(.state == "restored").id] | join(" ")' "$T/log/report")" nofile
        same "$(jq -r '[.steps[].state] | unique | join(" ")' "$T/log/report")" 'already_gone restored'
        same "$(sysctl -n net.ipv4.tcp_tw_reuse)" 1
        sysctl -qw net.ipv4.tcp_tw_reuse=2
        snapshot | grep -v boot_id >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#
    ));
}

#[test]
fn a_setup_after_a_boot_makes_everything_anew() {
    on_host(&format!(
        r#"{REBOOT}
        snapshot | grep -v boot_id >"$T/log/before"
        $SETUP
        $V6KIT setup --prefix $P2 --dev up0
        reboot 1
        $SETUP --json >"$T/log/report"
        jq -e '[.steps[] | select(.state == "changed").id] | contains(["inbound", "route", "net.ipv4.tcp_tw_reuse"])' "$T/log/report"
        $V6KIT status --prefix $P
        ends 1 $V6KIT status --prefix $P2
        $V6KIT setup --prefix $P2 --dev up0
        $V6KIT status
        reboot 2
        $SETUP
        $V6KIT teardown --prefix $P
        # The other one is of an earlier boot: nothing holds the shared sysctls any more.
        same "$(sysctl -n net.ipv6.ip_nonlocal_bind)" 0
        $V6KIT teardown
        snapshot | grep -v boot_id >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#
    ));
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
