//! What setup brings about, and that teardown leaves no trace of it.

use super::{ECHO, on_host};

#[test]
fn after_setup_other_programs_send_from_any_address_and_get_their_answers() {
    on_host(&format!(
        r#"{ECHO}
        $SETUP
        for i in 1 2 3; do
            # The kernel writes an address in its shortest form, as the peer does.
            from=$(ip -6 route get $(random_address $P) | grep -oE '2001:db8:1:[^ ]*' | head -1)
            same "$(curl --silent --show-error --fail --interface $from "http://[$PEER]/" | tr -d '\n')" $from
        done"#
    ));
}

#[test]
fn a_second_setup_changes_nothing_and_says_so() {
    on_host(
        r#"
        $SETUP --json | jq -e '.changed > 5' >/dev/null
        snapshot >"$T/log/first"
        cp "$V6KIT_STATE_DIR/journal.jsonl" "$T/log/journal"
        $SETUP --json >"$T/log/again"
        same "$(jq .changed "$T/log/again")" 0
        same "$(jq '[.steps[].state] | unique' -c "$T/log/again")" '["unchanged"]'
        snapshot >"$T/log/second"
        diff "$T/log/first" "$T/log/second"
        cmp "$V6KIT_STATE_DIR/journal.jsonl" "$T/log/journal"
        $SETUP | has '^Nothing to change'"#,
    );
}

#[test]
fn the_route_survives_its_link_going_down_and_up() {
    on_host(
        r#"
        $SETUP
        ip link set up0 down
        ip link set up0 up
        ip addr replace $OWN/64 dev up0 nodad
        ip -6 route show table all | has "local $P dev lo proto 86 metric 1 "
        $V6KIT status"#,
    );
}

#[test]
fn teardown_leaves_the_host_exactly_as_it_was() {
    on_host(
        r#"
        snapshot >"$T/log/before"
        $SETUP --for proxy --conntrack notrack
        snapshot >"$T/log/during"
        fails cmp -s "$T/log/before" "$T/log/during"
        $V6KIT teardown --json >"$T/log/report"
        same "$(jq -c '[.steps[].state] | unique' "$T/log/report")" '["restored"]'
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after"
        test ! -e "$V6KIT_STATE_DIR"
        $V6KIT teardown | has 'nothing to do'"#,
    );
}

#[test]
fn teardown_is_the_reverse_of_setup() {
    on_host(
        r#"
        $SETUP --json | jq -r '.steps[] | select(.state == "changed").id' >"$T/log/made"
        $V6KIT teardown --json | jq -r '.steps[].id' >"$T/log/undone"
        diff <(tac "$T/log/made") "$T/log/undone""#,
    );
}

#[test]
fn teardown_keeps_a_route_that_was_there_before_setup() {
    for route in [
        "local $P dev lo",
        "local $P dev lo metric 7 proto static",
        "local $P dev up0",
    ] {
        on_host(&format!(
            r#"
            ip -6 route add {route}
            snapshot >"$T/log/before"
            $SETUP --json | jq -e '.steps[] | select(.id == "route").state == "unchanged"'
            same "$(ip -6 route show table all | grep -c "local $P ")" 1
            $V6KIT status
            $V6KIT teardown
            snapshot >"$T/log/after"
            diff "$T/log/before" "$T/log/after""#
        ));
    }
}

#[test]
fn teardown_keeps_sysctls_limits_and_rules_that_were_there_before_setup() {
    on_host(
        r#"
        sysctl -qw net.ipv4.tcp_tw_reuse=1 net.ipv4.ip_local_port_range='1024 65535' \
            net.ipv4.ip_local_reserved_ports=11000,12000-12002 net.ipv6.ip_nonlocal_bind=1
        printf '%s\n' '* - nofile 200000' 'root - nofile 200000' >/etc/security/limits.d/50-site.conf
        nft add table inet site
        snapshot >"$T/log/before"
        $SETUP --json >"$T/log/setup"
        same "$(jq -r '[.steps[] | select(.state == "changed").id] | join(" ")' "$T/log/setup")" \
            'inbound route net.ipv4.tcp_max_tw_buckets'
        $V6KIT status
        $V6KIT teardown
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#,
    );
}

#[test]
fn ports_of_present_listeners_are_reserved_and_given_back() {
    on_host(
        r#"
        sysctl -qw net.ipv4.ip_local_reserved_ports=20000
        started "$V6KIT" echo --listen "[::1]:11211"
        $SETUP
        same "$(sysctl -n net.ipv4.ip_local_reserved_ports)" 11211,20000
        same "$($SETUP --json | jq .changed)" 0
        $V6KIT teardown
        same "$(sysctl -n net.ipv4.ip_local_reserved_ports)" 20000"#,
    );
}

#[test]
fn a_dry_run_shows_the_plan_and_changes_nothing() {
    on_host(
        r#"
        snapshot >"$T/log/before"
        $SETUP --dry-run --json >"$T/log/plan"
        same "$(jq -c '[.dry_run, .changed > 5]' "$T/log/plan")" '[true,true]'
        $SETUP --dry-run | has 'Nothing was changed'
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after"
        # What it says is what happens.
        $SETUP --json >"$T/log/done"
        diff <(jq '[.steps[] | {id, state, before, reason}]' "$T/log/plan") \
            <(jq '[.steps[] | {id, state, before, reason}]' "$T/log/done")"#,
    );
}

#[test]
fn what_somebody_else_changed_since_setup_is_left_alone_and_named() {
    on_host(include_str!(
        "restore/what_somebody_else_changed_since_setup_is_left_alone_and_named.sh"
    ));
}

#[test]
fn status_names_every_drift_and_another_setup_repairs_it() {
    on_host(include_str!(
        "restore/status_names_every_drift_and_another_setup_repairs_it.sh"
    ));
}

#[test]
fn status_watches_what_was_in_order_before_setup() {
    on_host(
        r#"
        ip -6 route add local $P dev lo
        sysctl -qw net.ipv4.tcp_tw_reuse=1
        $SETUP
        $V6KIT status
        ip -6 route del local $P dev lo
        sysctl -qw net.ipv4.tcp_tw_reuse=0
        ends 1 $V6KIT status --json >"$T/log/status"
        same "$(jq -r '[.steps[] | select(.state != "in_order") | .id + " " + .state] | join(", ")' "$T/log/status")" \
            'route missing, net.ipv4.tcp_tw_reuse drifted'"#,
    );
}

#[test]
fn status_and_teardown_say_so_where_nothing_is_set_up() {
    on_host(
        r#"
        ends 1 $V6KIT status | has 'Nothing is set up'
        same "$($V6KIT teardown --json | jq -c .steps)" '[]'
        test ! -e "$V6KIT_STATE_DIR""#,
    );
}

#[test]
fn other_options_replace_those_of_the_setup_before() {
    on_host(
        r#"
        snapshot >"$T/log/before"
        $SETUP
        # The route moves to another device, and the protection goes.
        $SETUP --route-dev up0 --inbound allow --json >"$T/log/report"
        same "$(jq -c '[.steps[] | select(.state == "changed").id]' "$T/log/report")" '["route","inbound","route"]'
        same "$(ip -6 route show table all | grep -c "local $P ")" 1
        ip -6 route show table all | has "local $P dev up0 proto 86 metric 1 "
        same "$(nft list ruleset)" ''
        $V6KIT status
        $V6KIT teardown
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#,
    );
}

#[test]
fn a_state_directory_that_was_there_before_stays_with_what_else_is_in_it() {
    on_host(
        r#"
        mkdir "$V6KIT_STATE_DIR"
        snapshot >"$T/log/before"
        $SETUP && $V6KIT teardown
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after"
        rmdir "$V6KIT_STATE_DIR"
        $SETUP
        echo mine >"$V6KIT_STATE_DIR/notes"
        $V6KIT teardown
        same "$(ls "$V6KIT_STATE_DIR")" notes"#,
    );
}

#[test]
fn the_summary_is_readable_by_everybody_whatever_the_umask() {
    on_host(
        r#"
        umask 077
        $SETUP
        same "$(stat -c %A "$V6KIT_STATE_DIR" "$V6KIT_STATE_DIR"/* | tr '\n' ' ')" 'drwxr-xr-t -rw-r--r-- -rw-r--r-- '
        same "$(jq -r '.setups[0] | .prefix + " " + .device' "$V6KIT_STATE_DIR/summary.json")" "$P up0"
        same "$(stat -c %a /etc/security/limits.d/90-v6kit.conf)" 644"#,
    );
}
