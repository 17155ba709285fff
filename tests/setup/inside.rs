//! Who lives inside the prefix: virtual machines, gateways, name servers, sessions; and what comes before table main.

use super::{ECHO, on_host};

/// Sends from an address of the prefix to the peer.
const FETCH: &str = r#"
fetch() { curl --silent --show-error --fail --connect-timeout 2 --interface "$1" "http://[$PEER]/"; }
"#;

#[test]
fn a_container_inside_the_prefix_is_reached_as_before() {
    on_host(&format!(
        r#"{ECHO}{FETCH}
        unshare --net sleep infinity &
        box=$!
        until [ "$(readlink /proc/$box/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
        in_box() {{ nsenter --target $box --net -- "$@"; }}
        ip link add c0 type veth peer name eth0 netns $box
        sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.c0.accept_dad=0
        in_box sysctl -qw net.ipv6.conf.eth0.accept_dad=0
        ip link set c0 up
        ip addr add fe80::1/64 dev c0 nodad
        in_box ip link set eth0 up
        in_box ip addr add 2001:db8:1:0:5::2/80 dev eth0 nodad
        in_box ip -6 route add default via fe80::1 dev eth0
        ip -6 route add 2001:db8:1:0:5::/80 dev c0
        works() {{
            in_peer ping -q -c 1 -W 5 2001:db8:1:0:5::2
            ping -q -c 1 -W 5 2001:db8:1:0:5::2
            in_box curl --silent --fail --connect-timeout 5 "http://[$PEER]/" | has 2001:db8:1:0:5::2
        }}
        works
        snapshot >"$T/log/before"
        $SETUP >"$T/log/out"
        has 'goes on so: .*2001:db8:1:0:5::/80 dev c0' "$T/log/out"
        works
        same "$(fetch 2001:db8:1::77:88)" 2001:db8:1::77:88
        $V6KIT status
        $V6KIT teardown
        works
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#
    ));
}

#[test]
fn the_gateway_the_name_server_and_the_session_inside_an_on_link_prefix_stay_reachable() {
    on_host(&format!(
        r#"{ECHO}{FETCH}
        # The host's own address and its gateway lie in what is set up.
        LAN=2001:db8:ffff::/64
        in_peer ip addr add 2001:db8:ffff::53/64 dev down0 nodad
        in_peer ip addr add 2001:db8:ffff::22/64 dev down0 nodad
        in_peer ip -6 route add 2001:db8:ffff::7777/128 via $OWN
        echo 'nameserver 2001:db8:ffff::53' >/etc/resolv.conf
        snapshot >"$T/log/before"
        SSH_CONNECTION="2001:db8:ffff::22 50000 $OWN 22" $V6KIT setup --prefix $LAN --dev up0 --json >"$T/log/report"
        jq -r '.steps[] | select(.id == "neighbour") | .state + " " + .after' "$T/log/report" >"$T/log/neighbours"
        diff "$T/log/neighbours" - <<'TEXT'
changed 2001:db8:ffff::1 dev up0 proto 86
changed 2001:db8:ffff::22 dev up0 proto 86
changed 2001:db8:ffff::53 dev up0 proto 86
TEXT
        for address in $PEER 2001:db8:ffff::53 2001:db8:ffff::22; do ping -q -c 1 -W 5 $address; done
        in_peer ping -q -c 1 -W 5 $OWN
        same "$(fetch 2001:db8:ffff::7777)" 2001:db8:ffff::7777
        $V6KIT status
        # Again, without the session: its route stays.
        same "$($V6KIT setup --prefix $LAN --dev up0 --json | jq -c '[.changed, ([.steps[] | select(.id == "neighbour")] | length)]')" '[0,3]'
        # One that is gone is missing.
        ip -6 route del 2001:db8:ffff::53
        ends 1 $V6KIT status --json | jq -e '.steps[] | select(.found == null and .id == "neighbour").state == "missing"'
        $V6KIT setup --prefix $LAN --dev up0
        $V6KIT status
        $V6KIT teardown
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#
    ));
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
    on_host(&format!(
        r#"{ECHO}{FETCH}
        snapshot >"$T/log/before"
        $SETUP
        fetch 2001:db8:1::5:6
        # All but its own packets go by a table of its own.
        ip -6 route add default dev lo table 99
        ip -6 route add $PEER dev up0 table 99
        ip -6 rule add pref 100 not fwmark 0x63 lookup 99
        fails fetch 2001:db8:1::5:6
        ends 1 $V6KIT status --json >"$T/log/status"
        same "$(jq -r '[.steps[] | select(.state != "in_order").id] | join(" ")' "$T/log/status")" route
        jq -e '.steps[] | select(.id == "route").found | contains("`100: not from all fwmark 0x63 lookup 99`")' "$T/log/status"
        $V6KIT doctor --json >"$T/log/doctor" || true
        jq -e '.findings[] | select(.id == "setup") | .state == "failed"' "$T/log/doctor"
        $SETUP >"$T/log/out"
        has 'note: the policy rule `100: .*local table' "$T/log/out"
        fetch 2001:db8:1::5:6
        $V6KIT status
        # The VPN goes, and nothing needs the local table any more.
        ip -6 rule del pref 100
        ip -6 route flush table 99
        $V6KIT status | has 'note: the route of .* lies in the local table'
        $SETUP
        ip -6 route show table all | has "local $P dev lo proto 86 metric 1 "
        ip -6 route show table local | fails has "local $P dev lo"
        fetch 2001:db8:1::5:6
        $V6KIT teardown
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#
    ));
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
    on_host(&format!(
        r#"{ECHO}{FETCH}{EARLIER}
        # In order as long as nothing is hidden by it, and told.
        $V6KIT status >"$T/log/out"
        has 'note: .*local table, as earlier versions had it' "$T/log/out"
        ip -6 route add 2001:db8:1::10/128 dev up0
        ends 1 $V6KIT status >"$T/log/out"
        has 'route .*drifted .*it hides the route 2001:db8:1::10 dev up0' "$T/log/out"
        cp -a "$V6KIT_STATE_DIR" "$T/log/earlier"
        $SETUP >"$T/log/out"
        ip -6 route show table all | has "local $P dev lo proto 86 metric 1 "
        ip -6 route show table local | fails has "local $P dev lo"
        same "$(fetch 2001:db8:1::5:6)" 2001:db8:1::5:6
        $V6KIT status
        $V6KIT teardown
        # Undone as it was left.
        rm -rf "$V6KIT_STATE_DIR"
        cp -a "$T/log/earlier" "$V6KIT_STATE_DIR"
        ip -6 route add local $P dev lo proto 86
        $V6KIT teardown --json | jq -e '.steps[0].state == "restored"'
        ip -6 route del 2001:db8:1::10
        ip -6 route show table all | fails has "local $P dev lo"
        "#
    ));
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
