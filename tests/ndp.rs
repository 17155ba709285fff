//! Answering neighbour solicitations, against the kernel's own neighbour discovery on the other side.

use serde_json::Value;

use crate::harness::{Run, in_lab, in_namespace, room_for_neighbours, v6kit};

/// What every script starts with. The host of the lab is where it runs.
const PRELUDE: &str = r#"
    P=${V6KIT_LAB_PREFIX%/*} DEV=$V6KIT_LAB_DEV
    router() { nsenter --net="$V6KIT_LAB_ROUTER_NS" "$@"; }
    # Waits for a command to succeed; the last word is the deadline's.
    await() {
        local tries
        for ((tries = 0; tries < 600; tries++)); do
            if "$@" >/dev/null 2>&1; then return 0; fi
            sleep 0.1
        done
        echo "never happened: $*" >&2
        cat "$T"/ndp.* >&2
        return 1
    }
    logged() { grep -q -- "$1" "$T/ndp.log"; }
    # Starts the responder and waits until it says that it is ready.
    start() {
        "$V6KIT" ndp --json "$@" >"$T/ndp.log" 2>"$T/ndp.err" &
        NDP=$!
        await logged '"event":"ready"'
    }
    start_verbose() { start --log-solicitations "$@"; }
    # Ends it as a service manager would, and shows what it said.
    stop() {
        kill -TERM "$NDP"
        wait "$NDP"
        cat "$T/ndp.log"
    }
    # Lets programs of the host send from the prefix.
    usable_prefix() {
        ip -6 route add local "$V6KIT_LAB_PREFIX" dev lo
        sysctl -qw net.ipv6.ip_nonlocal_bind=1
    }
    fetch_from() { curl -sS --max-time 30 --interface "$1" "$V6KIT_LAB_TARGET/"; }
"#;

fn on_link(script: &str) -> Run {
    in_lab("on-link", &format!("{PRELUDE}\n{script}"))
}

/// The lines of the log that are events.
#[track_caller]
fn events(run: &Run) -> Vec<Value> {
    run.stdout
        .lines()
        .filter(|line| line.starts_with("{\"event\""))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

#[track_caller]
fn summary(run: &Run) -> Value {
    let last = events(run).pop().unwrap_or_else(|| panic!("no events: {run}"));
    assert_eq!(last["event"], "summary", "{run}");
    last
}

/// What became of the solicitations for an address, in their order.
fn verdicts(run: &Run, target: &str) -> Vec<Value> {
    events(run)
        .into_iter()
        .filter(|event| event["event"] == "solicitation" && event["target"] == target)
        .collect()
}

#[track_caller]
fn assert_refused(run: &Run, target: &str, cause: &str) {
    let verdicts = verdicts(run, target);
    assert!(!verdicts.is_empty(), "nobody asked for {target}: {run}");
    for verdict in verdicts {
        assert_eq!(verdict["refused"], cause, "{run}");
    }
}

#[test]
fn ndp_makes_an_on_link_prefix_reachable() {
    let run = on_link(
        r#"
        usable_prefix
        if curl -sS --connect-timeout 4 --interface "${P}77" "$V6KIT_LAB_TARGET/" 2>/dev/null; then exit 9; fi
        start_verbose --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        fetch_from "${P}aaaa"
        fetch_from "${P}bbbb"
        stop
        "#,
    )
    .expect(0);
    assert!(
        run.stdout.starts_with("2001:db8:6::aaaa\n2001:db8:6::bbbb\n"),
        "{run}"
    );
    let summary = summary(&run);
    assert!(summary["resolution"].as_u64() >= Some(2), "{run}");
    let ready = &events(&run)[0];
    assert_eq!(ready["capabilities"], serde_json::json!(["CAP_NET_RAW"]));
    assert_eq!(ready["whole_prefix"], true, "nobody sends from the prefix yet");
    assert!(
        events(&run).iter().any(|event| event["event"] == "only_used"),
        "{run}"
    );
}

#[test]
fn verify_says_on_link_without_ndp_and_ok_with_it() {
    let run = on_link(
        r#"
        usable_prefix
        verify() {
            code=0
            "$V6KIT" verify --json --prefix "$V6KIT_LAB_PREFIX" --endpoint "$V6KIT_LAB_TARGET" --timeout 10s \
                >"$T/verify" || code=$?
            echo "$(jq -r .diagnosis "$T/verify") $code"
        }
        verify
        start --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        verify
        stop
        "#,
    )
    .expect(0);
    assert!(run.stdout.starts_with("on-link 1\nok 0\n"), "{run}");
}

#[test]
fn only_addresses_with_a_socket_are_answered_for_while_somebody_sends_from_the_prefix() {
    let run = on_link(
        r#"
        usable_prefix
        "$V6KIT" echo --listen "[${P}50]:80" >/dev/null 2>&1 & ECHO=$!
        await sh -c "ss -6ltn | grep -q '${P}50'"
        start_verbose --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        fetch_from "${P}1"
        router ping -c 1 -W 1 "${P}2" && exit 9
        # A socket that only listens counts as well.
        router ping -c 1 -W 30 "${P}50" >/dev/null
        stop
        kill "$ECHO"
        "#,
    )
    .expect(0);
    assert_refused(&run, "2001:db8:6::2", "unused");
    assert_eq!(
        verdicts(&run, "2001:db8:6::50")[0]["answered"],
        "resolution",
        "{run}"
    );
}

#[test]
fn every_address_is_answered_for_where_others_behind_the_host_use_the_prefix() {
    let run = on_link(
        r#"
        usable_prefix
        start_verbose --all --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        fetch_from "${P}1"
        router ping -c 1 -W 30 "${P}2" >/dev/null
        stop
        cat "$T/ndp.err"
        "#,
    )
    .expect(0);
    assert_eq!(
        verdicts(&run, "2001:db8:6::2")[0]["answered"],
        "resolution",
        "{run}"
    );
    assert!(run.stdout.contains("will be told that it is taken"), "{run}");
}

#[test]
fn an_address_in_use_is_defended_against_others_and_a_free_one_is_not() {
    let run = on_link(
        r#"
        usable_prefix
        start_verbose --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        "$V6KIT" echo --listen "[${P}7]:80" >/dev/null 2>&1 & ECHO=$!
        await sh -c "ss -6ltn | grep -q '${P}7'"
        router sysctl -qw net.ipv6.conf.lan.accept_dad=1 net.ipv6.conf.lan.dad_transmits=1
        router ip -6 address add "${P}7/128" dev lan
        router ip -6 address add "${P}8/128" dev lan
        settled() { ! router ip -6 address show dev lan tentative | grep -v dadfailed | grep -q "${P}$1/"; }
        await settled 7
        await settled 8
        router ip -6 address show dev lan dadfailed
        stop
        kill "$ECHO"
        "#,
    )
    .expect(0);
    assert!(
        run.stdout
            .contains("inet6 2001:db8:6::7/128 scope global dadfailed"),
        "{run}"
    );
    assert!(!run.stdout.contains("inet6 2001:db8:6::8/128"), "{run}");
    assert_eq!(summary(&run)["duplicate"], 1, "{run}");
    assert_refused(&run, "2001:db8:6::8", "unused");
}

#[test]
fn a_router_that_checks_on_an_address_is_answered() {
    let run = on_link(
        r#"
        usable_prefix
        start_verbose --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        fetch_from "${P}7"
        mac=$(cat "/sys/class/net/$DEV/address")
        router ip -6 neighbour replace "${P}7" lladdr "$mac" dev lan nud probe
        await sh -c "nsenter --net=$V6KIT_LAB_ROUTER_NS ip -6 neighbour show ${P}7 | grep -q REACHABLE"
        stop
        "#,
    )
    .expect(0);
    assert!(summary(&run)["reachability"].as_u64() >= Some(1), "{run}");
}

#[test]
fn the_addresses_of_this_host_its_gateways_and_its_neighbours_are_left_alone() {
    let run = on_link(
        r#"
        usable_prefix
        ip -6 address add "${P}5/128" dev "$DEV" nodad
        start_verbose --all --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        # All but the first come while it runs.
        ip -6 address add "${P}15/128" dev "$DEV" nodad
        ip -6 neighbour add "${P}6" lladdr 02:00:00:00:00:66 dev "$DEV" nud permanent
        ip -6 route add 2001:db8:ffff::/48 via "${P}9" dev "$DEV" onlink
        router ping -c 1 -W 30 "${P}5" >/dev/null
        router ping -c 1 -W 30 "${P}15" >/dev/null
        for host in 6 9; do
            if router ping -c 1 -W 1 "${P}$host"; then exit 9; fi
        done
        if router ping -c 1 -W 1 "$P"; then exit 9; fi
        await logged "\"target\":\"${P}6\""
        await logged "\"target\":\"${P}9\""
        # They are nobody's any more.
        ip -6 neighbour del "${P}6" dev "$DEV"
        ip -6 route del 2001:db8:ffff::/48
        router ip -6 neighbour flush dev lan
        router ping -c 1 -W 30 "${P}6" >/dev/null
        stop
        "#,
    )
    .expect(0);
    assert_refused(&run, "2001:db8:6::5", "own_address");
    assert_refused(&run, "2001:db8:6::15", "own_address");
    assert_refused(&run, "2001:db8:6::9", "gateway");
    assert_refused(&run, "2001:db8:6::", "anycast");
    let neighbour = verdicts(&run, "2001:db8:6::6");
    assert_eq!(neighbour[0]["refused"], "neighbour", "{run}");
    assert_eq!(neighbour.last().unwrap()["answered"], "resolution", "{run}");
}

#[test]
fn a_neighbour_that_was_heard_is_not_answered_for() {
    let run = on_link(
        r#"
        usable_prefix
        start_verbose --all --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        # The router itself has an address in the prefix and asks from it. It gets an answer; the reply to
        # the ping stays on the host, where the whole prefix is local.
        router ip -6 address add "${P}20/128" dev lan nodad
        router ping -c 1 -W 1 -I "${P}20" "${P}21" >/dev/null || true
        await logged "\"asker\":\"${P}20\""
        router ip -6 address del "${P}20/128" dev lan
        if router ping -c 1 -W 1 "${P}20"; then exit 9; fi
        await logged "\"target\":\"${P}20\""
        stop
        "#,
    )
    .expect(0);
    assert_refused(&run, "2001:db8:6::20", "neighbour");
}

#[test]
fn kill_leaves_no_allmulti_and_no_entries() {
    let run = on_link(
        r#"
        state() {
            ip -details link show "$DEV" | grep -o 'promiscuity [0-9]* *allmulti [0-9]*'
            ip -6 neighbour show proxy
            ip -6 route show table all
            ip -6 address show dev "$DEV"
            ip -6 maddress show dev "$DEV"
            sysctl net.ipv6.conf.all.forwarding "net.ipv6.conf.$DEV.proxy_ndp"
        }
        usable_prefix
        state >"$T/before"
        start_verbose --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        ip -details link show "$DEV" | grep -o 'allmulti [0-9]*'
        fetch_from "${P}1" >/dev/null
        kill -9 "$NDP"
        wait "$NDP" || true
        state >"$T/after"
        diff "$T/before" "$T/after"
        "#,
    )
    .expect(0);
    assert_eq!(run.stdout, "allmulti 1\n", "{run}");
}

#[test]
fn link_flaps_another_link_address_and_another_device_of_the_name_are_survived() {
    let run = on_link(
        r#"
        usable_prefix
        start_verbose --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        fetch_from "${P}1" >/dev/null
        gateway=$(ip -6 route show default | sed 's/ proto.*//')

        # The local route is on lo and stays; the default route has to be put back.
        ip link set "$DEV" down
        await logged '"event":"link_down"'
        ip link set "$DEV" up
        await logged '"event":"link_up"'
        ip -6 address show dev "$DEV" | grep -q 2001:db8:1::2 || ip -6 address add 2001:db8:1::2/64 dev "$DEV" nodad
        ip -6 route replace $gateway
        router ip -6 neighbour flush dev lan
        fetch_from "${P}2" >/dev/null

        # Open connections are told the new address: the router's entry changes without being asked.
        ip link set "$DEV" address 02:00:00:00:07:07
        await logged '"event":"link_address_changed"'
        known() { router ip -6 neighbour show "${P}2" | grep -q 02:00:00:00:07:07; }
        await known
        fetch_from "${P}3" >/dev/null

        # Renamed away and back is the same as gone and back.
        ip link set "$DEV" down
        ip link set "$DEV" name away
        await logged '"event":"device_gone"'
        ip link set away name "$DEV"
        await logged '"event":"device_back"'
        ip link set "$DEV" up
        await sh -c "ip -6 address show dev $DEV | grep -q 2001:db8:1::2 || ip -6 address add 2001:db8:1::2/64 dev $DEV nodad"
        ip -6 route replace $gateway
        router ip -6 neighbour flush dev lan
        fetch_from "${P}4" >/dev/null
        stop
        "#,
    )
    .expect(0);
    for address in ["1", "2", "3", "4"] {
        let answered = verdicts(&run, &format!("2001:db8:6::{address}"));
        assert!(
            answered.iter().any(|verdict| verdict["answered"] == "resolution"),
            "{run}"
        );
    }
    assert!(summary(&run)["announced"].as_u64() >= Some(1), "{run}");
}

#[test]
fn two_thousand_source_addresses_do_not_overflow_a_router_of_default_size() {
    // A datagram to a closed port from each address, thirty addresses a second. The router has to find
    // each address to bring the refusal back. Its count of packets without a route is where an
    // overflowing neighbour table shows in its own namespace.
    let _room = room_for_neighbours();
    let run = on_link(
        r#"
        usable_prefix
        ulimit -n 4096
        start --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        target=${V6KIT_LAB_TARGET#http://[} target=${target%%]*}
        lost() { router awk '$1 == "Ip6OutNoRoutes" { print $2 }' /proc/net/snmp6; }
        before=$(lost)
        cat >"$T/senders.py" <<'PY'
import socket, sys, time
prefix, target = sys.argv[1:]
sockets = []
for n in range(2000):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_IP, 15, 1)  # IP_FREEBIND
    s.bind((f"{prefix}1:{n:x}", 0))
    s.connect((target, 9))
    s.send(b"x")
    s.setblocking(False)
    sockets.append(s)
    time.sleep(1 / 30)
time.sleep(1)
came_back = 0
for s in sockets:
    try:
        s.recv(1)
    except ConnectionRefusedError:
        came_back += 1
    except BlockingIOError:
        pass
print("came back:", came_back)
PY
        python3 "$T/senders.py" "$P" "$target"
        echo "without a neighbour: $(($(lost) - before))"
        echo "entries: $(router ip -6 neighbour show nud all | grep -c REACHABLE)"
        stop
        "#,
    )
    .expect(0);
    assert!(run.stdout.contains("came back: 400\n"), "{run}");
    assert!(run.stdout.contains("without a neighbour: 0\n"), "{run}");
    let summary = summary(&run);
    assert_eq!(summary["resolution"], 400, "{run}");
    assert_eq!(summary["live"], 400, "{run}");
    assert!(summary["causes"]["live_limit"].as_u64() >= Some(1600), "{run}");
    assert!(
        events(&run).iter().any(|event| event["event"] == "live_limit"),
        "{run}"
    );
}

#[test]
fn a_crawl_beside_a_responder_is_bounded_only_where_the_router_asks() {
    let said = |topology: &str| {
        let script = r#"
            "$V6KIT" setup --quiet --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV" >"$T/setup"
            start --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
            "$V6KIT" crawl "${V6KIT_LAB_TARGET%/}/items/{1..3}" -o "$T/job" --robots ignore --keep-free 0 >"$T/said" 2>&1
            stop >/dev/null
            cat "$T/said"
        "#;
        in_lab(topology, &format!("{PRELUDE}\n{script}")).expect(0).stdout
    };
    let (routed, on_link) = (said("routed"), said("on-link"));
    assert!(!routed.contains("is on-link"), "{routed}");
    assert!(on_link.contains("is on-link"), "{on_link}");
}

#[test]
fn a_source_that_is_dropped_on_the_way_is_given_up_for_the_other() {
    let run = on_link(
        r#"
        usable_prefix
        router nft -f - <<NFT
table netdev hypervisor {
    chain in {
        type filter hook ingress device lan priority 0;
        ip6 saddr $V6KIT_LAB_PREFIX icmpv6 type nd-neighbor-advert drop
    }
}
NFT
        start_verbose --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        for host in 1 2 3 4; do fetch_from "${P}$host" >/dev/null; done
        stop
        "#,
    )
    .expect(0);
    let switched: Vec<Value> = events(&run)
        .into_iter()
        .filter(|event| event["event"] == "source_switched")
        .collect();
    assert_eq!(switched.len(), 1, "{run}");
    assert_eq!(switched[0]["source"], "link-local");
    assert_eq!(summary(&run)["source"], "link-local");
    let last = verdicts(&run, "2001:db8:6::4");
    assert_eq!(last.len(), 1, "the last is heard at once: {run}");
    assert_eq!(last[0]["source"], "link-local");
}

#[test]
fn a_flood_is_answered_at_the_given_rate_and_no_faster() {
    let run = on_link(
        r#"
        usable_prefix
        start --all --max-rate 1 --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        for n in $(seq 200); do echo "${P}f:$n"; done | router xargs -P 50 -n 1 ping -c 1 -W 1 >/dev/null || true
        stop
        cat "$T/ndp.err" >&2
        "#,
    )
    .expect(0);
    let summary = summary(&run);
    let (answered, seconds) = (
        summary["answered"].as_u64().unwrap(),
        summary["seconds"].as_u64().unwrap(),
    );
    assert!(answered >= 1 && answered <= seconds + 2, "{run}");
    assert!(summary["causes"]["rate_limit"].as_u64() >= Some(100), "{run}");
    let complaints = events(&run)
        .iter()
        .filter(|event| event["event"] == "rate_limit")
        .count() as u64;
    assert!(complaints >= 1 && complaints <= seconds / 10 + 1, "{run}");
}

#[test]
fn broken_solicitations_are_counted_by_their_fault_and_never_answered() {
    let run = on_link(
        r#"
        usable_prefix
        start_verbose --all --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        cat >"$T/broken.py" <<'PY'
import socket, struct, sys
prefix = sys.argv[1]
pton = lambda text: socket.inet_pton(socket.AF_INET6, text)
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("lan", 0))

def checksum(source, destination, message):
    data = source + destination + struct.pack("!IxxxB", len(message), 58) + message
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)

def send(host, source="fe80::1234", hops=255, code=0, options=b"", spoil=False, before=b""):
    target = pton(prefix + host)
    destination = pton("ff02::1:ff00:0")[:13] + target[13:]
    source = pton(source)
    message = bytes([135, code, 0, 0]) + bytes(4) + target + options
    sum_ = checksum(source, destination, message)
    if spoil:
        sum_ = bytes([sum_[0] ^ 1, sum_[1]])
    message = message[:2] + sum_ + message[4:]
    first = before[0] if before else 58
    body = before[1:] + message if before else message
    packet = struct.pack("!IHBB", 0x60000000, len(body), first, hops) + source + destination + body
    mac = b"\x33\x33\xff" + target[13:]
    link.send(mac + bytes.fromhex("02000000abcd") + b"\x86\xdd" + packet)

send("a1", hops=64)
send("a2", spoil=True)
send("a3", code=1)
send("a4", options=bytes(8))
send("a5", source="::", options=bytes([1, 1, 2, 0, 0, 0, 0, 1]))
send("a6", options=bytes([1, 9]) + bytes(6))
# Hop-by-hop options before the message, and options that begin like a solicitation.
send("a7", before=bytes([0, 58, 0, 1, 4, 0, 0, 0, 0]))
send("a8", before=bytes([0, 135, 0, 1, 4, 0, 0, 0, 0]))
send("af", options=bytes([14, 1, 0, 0, 0, 0, 0, 0, 1, 1]) + bytes.fromhex("02000000abcd"))
PY
        router python3 "$T/broken.py" "$P"
        await logged "\"target\":\"${P}af\""
        stop
        "#,
    )
    .expect(0);
    let summary = summary(&run);
    assert_eq!(summary["answered"], 1, "{run}");
    assert_eq!(
        verdicts(&run, "2001:db8:6::af")[0]["answered"],
        "resolution",
        "{run}"
    );
    assert_eq!(
        summary["causes"],
        serde_json::json!({
            "hop_limit": 1, "checksum": 1, "malformed": 1, "options": 2, "duplicate_probe": 1
        }),
        "{run}"
    );
    assert_eq!(
        summary["solicitations"], 7,
        "those behind other headers stay in the kernel: {run}"
    );
}

#[test]
fn a_snooping_switch_lets_solicitations_through_because_it_is_told_to() {
    // host - switch with MLD snooping and a querier - router, in namespaces of their own.
    let run = in_namespace(
        r#"
        await() {
            local tries
            for ((tries = 0; tries < 600; tries++)); do
                if "$@" >/dev/null 2>&1; then return 0; fi
                sleep 0.1
            done
            echo "never happened: $*" >&2
            return 1
        }
        node() { unshare --net sleep infinity & eval "$1=$!"; }
        in_node() { nsenter --net="/proc/$1/ns/net" "${@:2}"; }
        node SWITCH; node ROUTER
        await sh -c "[ \$(readlink /proc/$ROUTER/ns/net) != \$(readlink /proc/self/ns/net) ]"
        await sh -c "[ \$(readlink /proc/$SWITCH/ns/net) != \$(readlink /proc/self/ns/net) ]"
        in_node "$SWITCH" ip link add br0 type bridge mcast_snooping 1
        ip link add eth0 type veth peer name host netns "$SWITCH"
        in_node "$ROUTER" ip link add lan type veth peer name router netns "$SWITCH"
        in_node "$SWITCH" ip link set host master br0
        in_node "$SWITCH" ip link set router master br0
        for link in br0 host router; do in_node "$SWITCH" ip link set "$link" up; done
        ip link set eth0 up
        in_node "$ROUTER" ip link set lo up
        in_node "$ROUTER" ip link set lan up
        in_node "$ROUTER" ip -6 address add 2001:db8:1::1/64 dev lan nodad
        in_node "$ROUTER" ip -6 route add 2001:db8:6::/64 dev lan
        ip -6 route add local 2001:db8:6::/64 dev lo
        ip -6 address add 2001:db8:1::2/64 dev eth0 nodad
        has_address() { nsenter --net="/proc/$1/ns/net" ip -6 address show dev "$2" -tentative scope link | grep -q inet6; }
        await has_address $$ eth0
        await has_address "$SWITCH" br0
        await has_address "$ROUTER" lan
        # Snooping takes effect once there is a querier and its first response time is over.
        in_node "$SWITCH" ip link set br0 type bridge mcast_query_interval 100 \
            mcast_startup_query_interval 100 mcast_query_response_interval 10
        in_node "$SWITCH" ip link set br0 type bridge mcast_querier 1
        asks() { in_node "$ROUTER" ping -c 1 -W 1 "$1"; }

        "$V6KIT" ndp --json --all --snooping silent --prefix 2001:db8:6::/64 --dev eth0 >"$T/silent" &
        SILENT=$!
        await grep -q ready "$T/silent"
        n=0
        unheard() { ! asks "2001:db8:6::$((n += 1))"; }
        await unheard
        echo "unheard when silent"
        kill "$SILENT"; wait "$SILENT"

        "$V6KIT" ndp --json --all --prefix 2001:db8:6::/64 --dev eth0 >"$T/told" &
        TOLD=$!
        await grep -q ready "$T/told"
        await asks 2001:db8:6::7:1
        in_node "$SWITCH" bridge -d mdb show | grep -c 'router ports.*host' 
        kill "$TOLD"; wait "$TOLD"
        tail -n 1 "$T/told"
        "#,
    )
    .expect(0);
    assert!(run.stdout.starts_with("unheard when silent\n1\n"), "{run}");
    assert!(summary(&run)["resolution"].as_u64() >= Some(1), "{run}");
}

#[test]
fn counters_are_served_to_this_host() {
    let run = on_link(
        r#"
        usable_prefix
        start_verbose --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV" --metrics "[::1]:0"
        at=$(sed -n 's/.*"metrics":"\([^"]*\)".*/\1/p' "$T/ndp.log")
        fetch_from "${P}1" >/dev/null
        curl -sS --noproxy '*' "http://$at/metrics"
        curl -sS --noproxy '*' -o /dev/null -w '%{http_code}\n' "http://$at/else"
        curl -sS --noproxy '*' -X POST -o /dev/null -w '%{http_code}\n' "http://$at/metrics"
        stop
        "#,
    )
    .expect(0);
    for line in [
        "v6kit_ndp_answers_total{kind=\"resolution\"} 1",
        "v6kit_ndp_live_addresses 1",
        "404",
        "405",
    ] {
        assert!(run.stdout.lines().any(|found| found == line), "{line}: {run}");
    }
    let refused = v6kit(&[
        "ndp",
        "--prefix",
        "2001:db8::/64",
        "--dev",
        "lo",
        "--metrics",
        "0.0.0.0:9000",
    ])
    .expect(2);
    assert!(refused.stderr.contains("loopback"), "{refused}");
}

#[test]
fn a_service_manager_is_told_when_solicitations_are_heard() {
    let run = on_link(
        r#"
        cat >"$T/manager.py" <<'PY'
import os, socket, subprocess, sys
path = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(path)
s.settimeout(60)
child = subprocess.Popen(sys.argv[2:], env=dict(os.environ, NOTIFY_SOCKET=path), stdout=subprocess.DEVNULL)
print(s.recv(100).decode().strip())
child.send_signal(2)
print("ended with", child.wait(60))
PY
        python3 "$T/manager.py" "$T/notify" "$V6KIT" ndp --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV"
        "#,
    )
    .expect(0);
    assert_eq!(run.stdout, "READY=1\nended with 0\n", "{run}");
}

#[test]
fn a_wrong_device_is_named_with_what_to_use_instead() {
    let prefix = ["--prefix", "2001:db8:6::/64"];
    let run = in_namespace(
        r#"
        ip link add eth0 type veth peer name far
        ip link add br0 type bridge
        ip link set far master br0
        for device in nothing lo far; do
            code=0
            "$V6KIT" ndp --prefix 2001:db8:6::/64 --dev "$device" || code=$?
            echo "$device: $code"
        done
        "#,
    )
    .expect(0);
    assert_eq!(run.stdout, "nothing: 2\nlo: 2\nfar: 2\n", "{run}");
    for line in [
        "why: there is no network device `nothing`",
        "why: `lo` is no Ethernet link: nobody solicits neighbours there",
        "why: `far` is a port of `br0`, which takes all its packets",
        "hint: give --dev br0",
    ] {
        assert!(
            run.stderr.lines().any(|found| found.starts_with(line)),
            "{line}: {run}"
        );
    }
    assert!(
        run.stderr.contains("br0, far, eth0") || run.stderr.contains("eth0"),
        "{run}"
    );

    let scratch = tempfile::tempdir().unwrap();
    let state = scratch.path().to_str().unwrap();
    let nothing = v6kit(&["ndp", "--state-dir", state]).expect(2);
    assert!(
        nothing.stderr.contains("nothing that fits is set up"),
        "{nothing}"
    );
    let no_device = v6kit(&[&["ndp", "--state-dir", state][..], &prefix].concat()).expect(2);
    assert!(no_device.stderr.contains("--dev is not given"), "{no_device}");
}

#[test]
fn prefix_and_device_come_from_the_last_setup() {
    let run = on_link(
        r#"
        mkdir -p "$T/state"
        printf '{"setups":[{"prefix":"%s","device":"%s","route_device":"lo","boot_id":"x"}]}' \
            "$V6KIT_LAB_PREFIX" "$DEV" >"$T/state/summary.json"
        start_verbose --state-dir "$T/state"
        stop
        "#,
    )
    .expect(0);
    assert_eq!(events(&run)[0]["prefix"], "2001:db8:6::/64");
    assert_eq!(events(&run)[0]["device"], "eth0");
}

#[test]
fn without_the_capability_it_is_named() {
    let run = in_namespace(
        r#"
        ip link add eth0 type veth peer name far
        setpriv --bounding-set=-all --inh-caps=-all -- "$V6KIT" ndp --prefix 2001:db8:6::/64 --dev eth0
        "#,
    )
    .expect(4);
    assert!(run.stderr.contains("CAP_NET_RAW"), "{run}");
    assert!(run.stderr.contains("hint: "), "{run}");
}
