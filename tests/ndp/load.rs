//! Many addresses, floods and broken packets.

use serde_json::Value;

use super::{PRELUDE, events, on_link, summary, verdicts};
use crate::harness::{in_lab, in_namespace, room_for_neighbours};

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
