//! Answering neighbour solicitations, against the kernel's own neighbour discovery on the other side.

mod load;
mod whom;

use serde_json::Value;

use crate::harness::{Run, in_lab, in_namespace, v6kit};

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
        "$V6KIT" setup --prefix "$V6KIT_LAB_PREFIX" --dev "$DEV" --state-dir "$T/state" --yes >&2
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
