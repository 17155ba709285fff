//! What cannot be done: one line of what, one of why, one hint, the right exit code, nothing changed.

use super::on_host;
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
        &["--prefix", "2001:db8::/64"],
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
fn an_unknown_device_exits_2_and_those_that_exist_are_named() {
    refused(
        r#"
        refused 2 'hint: there are: lo, .*up0' $V6KIT setup --prefix $P --dev wan9
        refused 2 'wan9' $V6KIT setup --prefix $P --dev up0 --route-dev wan9"#,
    );
}

#[test]
fn a_plain_user_is_told_which_capability_is_missing() {
    refused(
        r#"
        plain() { setpriv --inh-caps=-all --bounding-set=-all --ambient-caps=-all -- "$@"; }
        # Without its capabilities root of the namespace is as powerless as any user.
        refused 4 'CAP_NET_ADMIN.*' plain $SETUP
        refused 4 'hint: .*sudo v6kit setup' plain $SETUP
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
fn a_namespace_of_somebody_else_is_refused_after_everything_was_undone() {
    // The capabilities of a nested user namespace do not hold for the network namespace around it.
    refused("refused 4 'CAP_NET_ADMIN' unshare --user --map-root-user -- $SETUP");
}

#[test]
fn a_read_only_proc_sys_is_refused_with_the_way_around_it() {
    refused(
        r#"
        mount --bind /proc/sys /proc/sys
        mount -o remount,bind,ro /proc/sys
        refused 4 'why: net.ipv6.ip_nonlocal_bind .*read-only' $SETUP
        refused 4 "hint: .*--sysctl 'net.ipv6.ip_nonlocal_bind=1'" $SETUP"#,
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
            refused 1 'hint: .*ip -6 route del' $SETUP
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
fn a_state_directory_that_cannot_be_is_explained() {
    refused(
        r#"
        refused 2 'hint: make its parent first' $SETUP --state-dir "$T/log/a/b"
        touch "$T/log/file"
        refused 2 'hint: .*--state-dir' $SETUP --state-dir "$T/log/file"
        mkdir "$T/log/ro"
        mount -t tmpfs -o ro tmpfs "$T/log/ro"
        refused 4 'hint: .*--state-dir' $SETUP --state-dir "$T/log/ro/state""#,
    );
}

#[test]
fn a_full_disk_stops_setup_with_3_and_does_not_keep_teardown_from_its_work() {
    refused(
        r#"
        mkdir "$T/log/disk"
        mount -t tmpfs -o size=16k tmpfs "$T/log/disk"
        fill() { dd if=/dev/zero of="$T/log/disk/ballast" bs=1k count=${1:-100} 2>/dev/null || true; }
        export V6KIT_STATE_DIR="$T/log/disk/state"
        # Full at once.
        fill
        refused 3 'No space left' $SETUP
        # Full half way: what was done is undone.
        fill 8
        refused 3 'No space left' $SETUP
        rm "$T/log/disk/ballast"
        snapshot >"$T/log/clean"
        $SETUP
        fill
        $V6KIT teardown
        rm "$T/log/disk/ballast"
        snapshot >"$T/log/after"
        diff "$T/log/clean" "$T/log/after""#,
    );
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
