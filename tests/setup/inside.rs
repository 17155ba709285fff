//! Who lives inside the prefix: virtual machines, gateways, name servers, sessions; and what comes before table main.

use super::{ECHO, on_host};

/// Sends from an address of the prefix to the peer.
const FETCH: &str = r#"
fetch() { curl --silent --show-error --fail --connect-timeout 2 --interface "$1" "http://[$PEER]/"; }
"#;

#[test]
fn a_container_inside_the_prefix_is_reached_as_before() {
    on_host(
        &[
            ECHO,
            FETCH,
            include_str!("inside/a_container_inside_the_prefix_is_reached_as_before.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn the_gateway_the_name_server_and_the_session_inside_an_on_link_prefix_stay_reachable() {
    on_host(&[ECHO, FETCH, include_str!("inside/the_gateway_the_name_server_and_the_session_inside_an_on_link_prefix_stay_reachable.sh")].join("\n"));
}

#[test]
fn whom_no_route_leads_to_is_named_before_anything_is_changed() {
    on_host(
        r#"
        ip -6 route del default
        echo 'nameserver 2001:db8:1::53' >/etc/resolv.conf
        snapshot >"$T/log/before"
        ends 1 $SETUP 2>"$T/log/stderr"
        has '^why: .*2001:db8:1::53, a name server of this host' "$T/log/stderr"
        has '^hint: .*--yes' "$T/log/stderr"
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after"
        $SETUP --yes | has 'note: cut off: .*2001:db8:1::53'
        $V6KIT teardown"#,
    );
}

#[test]
fn a_vpn_that_is_started_later_is_drift_and_another_setup_mends_it() {
    on_host(
        &[
            ECHO,
            FETCH,
            include_str!("inside/a_vpn_that_is_started_later_is_drift_and_another_setup_mends_it.sh"),
        ]
        .join("\n"),
    );
}

/// What a version that knew the local table only left behind.
const EARLIER: &str = r#"
snapshot | grep -v boot_id >"$T/log/before"
ip -6 route add local $P dev lo proto 86
mkdir -m 1755 "$V6KIT_STATE_DIR"
line() { jq -nc --arg boot "$(cat /proc/sys/kernel/random/boot_id)" --argjson netns "$(stat -Lc %i /proc/self/ns/net)" --arg p $P "{boot: \$boot, netns: \$netns, prefix: \$p} + $1"; }
route='step: "route", resource: {kind: "route", prefix: $p, device: "lo"}'
text='("local " + $p + " dev lo proto 86")'
{
    line "{event: \"begin\", $route, want: {want: \"present\"}, original: null, expect: $text}"
    line "{event: \"done\", $route, after: $text}"
    line '{event: "ready", device: "up0", route_device: "lo", met: []}'
} >"$V6KIT_STATE_DIR/journal.jsonl"
"#;

#[test]
fn what_an_earlier_version_set_up_is_recognised_undone_and_moved() {
    on_host(
        &[
            ECHO,
            FETCH,
            EARLIER,
            include_str!("inside/what_an_earlier_version_set_up_is_recognised_undone_and_moved.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn a_port_of_a_bridge_is_refused_with_the_device_that_packets_arrive_on() {
    on_host(
        r#"
        ip link add br7 type bridge
        ip link add p0 type veth peer name p1
        ip link set p0 master br7
        ends 2 $V6KIT setup --prefix $P --dev p0 2>"$T/log/stderr"
        has '^hint: .*--dev br7' "$T/log/stderr"
        ends 2 $V6KIT setup --prefix $P --dev lo 2>"$T/log/stderr"
        has '^hint: there are: .*up0' "$T/log/stderr""#,
    );
}

#[test]
fn longer_routes_that_discard_what_comes_to_a_part_of_the_prefix_are_named_with_the_line_that_removes_them() {
    on_host(
        r#"
        for kind in blackhole unreachable prohibit; do
            part=${P%/64}/66
            ip -6 route add $kind $part
            $SETUP >"$T/log/out" 2>&1
            has "^note: answers to a part of $P are discarded on this host: $kind $part" "$T/log/out" || fail "$(cat "$T/log/out")"
            $V6KIT status >"$T/log/out"
            has "^note: answers to a part of $P are discarded on this host: $kind $part" "$T/log/out" || fail "$(cat "$T/log/out")"
            sudo() { "$@"; }
            export -f sudo
            bash -c "$(sed -n 's/.*are discarded[^`]*`\([^`]*\)`.*/\1/p' "$T/log/out")"
            same "$(ip -6 route show $part)" ''
            $V6KIT status >"$T/log/out"
            if has 'discarded' "$T/log/out"; then fail "$(cat "$T/log/out")"; fi
            $V6KIT teardown >/dev/null
        done"#,
    );
}
