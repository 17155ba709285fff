//! What cannot be done: one line of what, one of why, one hint, the right exit code, nothing changed.

use super::{ECHO, on_host};
use crate::harness::v6kit;

/// Runs a setup that must be refused, explained, and leave no trace.
const REFUSED: &str = r#"
refused() { # code, words of the explanation, command...
    local code=$1 words=$2; shift 2
    snapshot >"$T/log/before"
    ends $code "$@" >"$T/log/stdout" 2>"$T/log/stderr"
    same "$(sed 's/ .*//' "$T/log/stderr" | tr '\n' ' ')" 'error: why: hint: ' "$(cat "$T/log/stderr")"
    grep -qE "$words" "$T/log/stderr" || fail "not explained: $(cat "$T/log/stderr")"
    snapshot >"$T/log/after"
    diff "$T/log/before" "$T/log/after"
}
"#;

#[track_caller]
fn refused(script: &str) {
    on_host(&format!("{REFUSED}\n{script}"));
}

#[test]
fn wrong_usage_is_explained_and_exits_2() {
    for wrong in [
        &["--prefix", "2409:1:2:3:abcd::5/80", "--dev", "lo"][..],
        &["--prefix", "10.0.0.0/8", "--dev", "lo"],
        &["--prefix", "foo", "--dev", "lo"],
        &["--dev", "lo"],
        &["--prefix", "2001:db8::/64", "--dev", "lo", "--conntrack", "some"],
        &["--prefix", "2001:db8::/64", "--dev", "lo", "--inbound", "maybe"],
        &["--prefix", "2001:db8::/64", "--dev", "lo", "--nofile", "10"],
        &["--prefix", "2001:db8::/64", "--dev", "lo", "--for", "fun"],
    ] {
        let run = v6kit(&[&["setup"], wrong].concat()).expect(2);
        let starts: Vec<&str> = run
            .stderr
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(starts, ["error:", "why:", "hint:"], "{run}");
    }
}

#[test]
fn without_a_prefix_the_device_of_the_default_route_and_its_addresses_are_named() {
    refused(
        r#"
        refused 2 "why: the default route leaves by up0, which has $OWN/64" $V6KIT setup
        refused 2 "hint: .*--prefix 2001:db8:ffff::/64 --dev up0" $V6KIT setup --for proxy
        ip -6 route del default
        refused 2 'why: there is no IPv6 default route' $V6KIT setup --prefix $P
        ip -6 route add default via $PEER"#,
    );
}

#[test]
fn a_plain_server_is_set_up_without_prefix_and_device() {
    on_host(include_str!(
        "refusals/a_plain_server_is_set_up_without_prefix_and_device.sh"
    ));
}

#[test]
fn an_unknown_device_exits_2_and_those_that_exist_are_named() {
    refused(
        r#"
        refused 2 'hint: there are: .*up0' $V6KIT setup --prefix $P --dev wan9
        refused 2 'wan9' $V6KIT setup --prefix $P --dev up0 --route-dev wan9"#,
    );
}

#[test]
fn a_plain_user_is_told_which_capability_is_missing() {
    refused(
        r#"
        # Nobody's user in a namespace without any.
        plain() { unshare --user -- "$@"; }
        refused 4 'CAP_NET_ADMIN is missing: a plain user' plain $SETUP
        refused 4 "hint: .*\`sudo $V6KIT setup --prefix $P --dev up0 --state-dir $V6KIT_STATE_DIR\`" plain $SETUP
        # The plan is that of root all the same.
        plain $SETUP --dry-run --json | jq '[.steps[].state]' >"$T/log/plan"
        $SETUP --json | jq '[.steps[].state]' >"$T/log/done"
        diff "$T/log/plan" "$T/log/done"
        refused 4 'CAP_NET_ADMIN' plain $V6KIT teardown
        refused 4 'CAP_NET_ADMIN' plain $V6KIT status
        $V6KIT teardown"#,
    );
}

#[test]
fn root_without_the_capability_is_told_how_a_container_gets_it() {
    refused(
        r#"
        bare() { setpriv --inh-caps=-all --bounding-set=-all --ambient-caps=-all -- "$@"; }
        for command in "$SETUP" "$SETUP --dry-run"; do
            refused 4 'hint: .*--cap-add NET_ADMIN' bare $command
            refused 4 'CAP_NET_ADMIN is missing: without it root' bare $command
            if grep sudo "$T/log/stderr"; then fail 'root has no use for sudo'; fi
        done
        $SETUP
        refused 4 'hint: .*--cap-add NET_ADMIN' bare $V6KIT teardown
        refused 4 'hint: .*--cap-add NET_ADMIN' bare $V6KIT status"#,
    );
}

#[test]
fn a_namespace_of_somebody_else_is_refused_in_the_plan_as_well() {
    // The capabilities of a nested user namespace do not hold for the network namespace around it.
    refused(
        "refused 4 'CAP_NET_ADMIN' unshare --user --map-root-user -- $SETUP
         refused 4 'CAP_NET_ADMIN' unshare --user --map-root-user -- $SETUP --dry-run",
    );
}

#[test]
fn with_a_read_only_proc_sys_the_route_is_made_and_the_sysctls_are_named() {
    on_host(
        &[
            ECHO,
            include_str!("refusals/with_a_read_only_proc_sys_the_route_is_made_and_the_sysctls_are_named.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn in_a_container_that_was_given_the_one_sysctl_the_others_are_skipped() {
    on_host(
        r#"
        sysctl -qw net.ipv6.ip_nonlocal_bind=1
        mount --bind /proc/sys /proc/sys
        mount -o remount,bind,ro /proc/sys
        snapshot >"$T/log/before"
        $SETUP --json >"$T/log/report"
        same "$(jq -r '.steps[] | select(.id == "route").state' "$T/log/report")" changed
        same "$(jq -r '.steps[] | select(.id == "net.ipv4.tcp_tw_reuse") | .state + " " + .reason' "$T/log/report")" \
            'skipped /proc/sys is read-only here'
        $V6KIT status
        $V6KIT teardown
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#,
    );
}

#[test]
fn routes_in_the_way_are_conflicts_and_nothing_is_changed() {
    refused(
        r#"
        for route in "blackhole $P table local" "$P via $PEER" "$P dev lo"; do
            ip -6 route add $route
            refused 1 'hint: .*ip -6 route del' $SETUP --yes
            ends 1 $SETUP --json >"$T/log/report"
            same "$(jq -c '[.changed, (.steps[] | select(.id == "route").state)]' "$T/log/report")" '[0,"conflict"]'
            ip -6 route del $route
        done"#,
    );
}

#[test]
fn a_device_that_is_down_takes_no_route() {
    refused("ip link set lo down; refused 1 'hint: .*ip link set lo up' $SETUP");
}

#[test]
fn a_device_without_ipv6_is_named() {
    refused(
        r#"
        sysctl -qw net.ipv6.conf.up0.disable_ipv6=1
        refused 1 'why: IPv6 is switched off on `up0`' $SETUP"#,
    );
}

#[test]
fn a_device_whose_packets_are_too_small_for_ipv6_is_named_with_what_it_lacks() {
    refused(
        r#"
        ip link set up0 mtu 1279
        refused 1 'why: `up0` carries no IPv6: its MTU is 1279, and IPv6 takes 1280' $SETUP
        refused 1 'hint: raise it: `sudo ip link set up0 mtu 1280`' $SETUP --dry-run
        # The same once it is set up.
        ip link set up0 mtu 1280
        $SETUP
        ip link set up0 mtu 1279
        ends 1 $V6KIT doctor >"$T/log/said" 2>&1
        has '^failed .*`up0` carries no IPv6: its MTU is 1279' <"$T/log/said""#,
    );
}

#[test]
fn a_state_directory_that_cannot_be_is_explained() {
    refused(
        r#"
        refused 2 'hint: make its parent first' $SETUP --state-dir "$T/log/a/b"
        touch "$T/log/file"
        refused 2 'hint: .*--state-dir' $SETUP --state-dir "$T/log/file"
        mkdir "$T/log/ro"
        mount -t tmpfs -o ro tmpfs "$T/log/ro"
        refused 4 'hint: .*--state-dir' $SETUP --state-dir "$T/log/ro/state"
        refused 4 'why: .*Read-only file system' $SETUP --state-dir "$T/log/ro/state" --dry-run
        for place in /proc/nope /sys/nope/deeper; do
            refused 2 "why: .* holds the kernel's own files" $SETUP --state-dir $place
            if grep mkdir "$T/log/stderr"; then fail 'nothing can be made there'; fi
            refused 2 "why: .* holds the kernel's own files" $SETUP --state-dir $place --dry-run
        done"#,
    );
}

#[test]
fn a_state_directory_on_a_disk_that_is_away_is_left_alone_by_every_command() {
    refused(
        r#"
        ln -s "$T/log/disk/state" "$T/log/link"
        for command in "$SETUP" "$SETUP --dry-run" "$V6KIT status" "$V6KIT teardown" "$V6KIT verify"; do
            refused 2 "why: .*$T/log/link is a symbolic link to $T/log/disk/state, which is not there" \
                timeout 20 $command --state-dir "$T/log/link"
        done
        refused 2 'is a symbolic link to' timeout 20 $SETUP --state-dir "$T/log/link/below"
        # The hint runs as it is printed.
        ends 2 $SETUP --state-dir "$T/log/link" 2>"$T/log/stderr"
        bash -c "$(sed -n 's/^hint: [^`]*`\([^`]*\)`.*/\1/p' "$T/log/stderr")"
        $SETUP --state-dir "$T/log/link"
        test -L "$T/log/link" -a -s "$T/log/disk/state/journal.jsonl"
        $V6KIT teardown --state-dir "$T/log/link"
        test -L "$T/log/link"
        rm -r "$T/log/disk" "$T/log/link""#,
    );
}

#[test]
fn loopback_and_ports_of_a_bridge_or_bond_are_no_device_to_arrive_on() {
    refused(
        r#"
        refused 2 'hint: there are: .*up0' $V6KIT setup --prefix $P --dev lo
        ip link add br7 type bridge
        ip link add port7 type veth peer name end7
        ip link set port7 master br7
        refused 2 'hint: .*--dev br7' $V6KIT setup --prefix $P --dev port7
        refused 2 'why: `port7` is a port of `br7`' $V6KIT setup --prefix $P --dev port7 --dry-run
        # The other end is a port of nothing.
        $V6KIT setup --prefix $P --dev end7 --dry-run
        ip link del br7
        ip link del port7"#,
    );
}

#[test]
fn a_full_disk_stops_setup_with_3_and_does_not_keep_teardown_from_its_work() {
    refused(include_str!(
        "refusals/a_full_disk_stops_setup_with_3_and_does_not_keep_teardown_from_its_work.sh"
    ));
}

#[test]
fn a_damaged_journal_is_named_and_nothing_is_touched() {
    refused(
        r#"
        $SETUP
        sed -i '2s/^./#/' "$V6KIT_STATE_DIR/journal.jsonl"
        for command in "$SETUP" "$V6KIT teardown" "$V6KIT status"; do
            refused 1 'why: line 2 of the journal' $command
        done"#,
    );
}

#[test]
fn an_unknown_prefix_is_answered_with_those_that_are_set_up() {
    refused(
        r#"
        refused 2 'nothing is set up' $V6KIT status --prefix $P
        $SETUP
        refused 2 "hint: set up are: $P" $V6KIT teardown --prefix $P2
        refused 2 "hint: set up are: $P" $V6KIT status --prefix $P2"#,
    );
}
