//! Answering neighbour solicitations, against the kernel's own neighbour discovery on the other side.

mod load;
mod whom;

use serde_json::Value;

use crate::harness::{Run, in_lab, in_namespace, v6kit};

/// What every script starts with. The host of the lab is where it runs.
const PRELUDE: &str = include_str!("prelude.sh");

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
    let run = on_link(include_str!("kill_leaves_no_allmulti_and_no_entries.sh")).expect(0);
    assert_eq!(run.stdout, "allmulti 1\n", "{run}");
}

#[test]
fn link_flaps_another_link_address_and_another_device_of_the_name_are_survived() {
    let run = on_link(include_str!(
        "link_flaps_another_link_address_and_another_device_of_the_name_are_survived.sh"
    ))
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
