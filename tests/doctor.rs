//! `v6kit doctor`: what a report of a fault needs, also in odd places.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Run, V6KIT, in_lab, in_namespace, run, v6kit};

/// What the examination says of `id`.
#[track_caller]
fn finding(run: &Run, id: &str) -> Value {
    let findings = run.json()["findings"].clone();
    findings
        .as_array()
        .and_then(|all| all.iter().find(|finding| finding["id"] == id))
        .unwrap_or_else(|| panic!("nothing about {id}: {run}"))
        .clone()
}

#[test]
fn doctor_fits_one_screen_and_tells_nothing_secret() {
    let run = run(Command::new(V6KIT)
        .arg("doctor")
        .env("V6KIT_PROXY_PASSWORD", "hunter2"));
    assert!(run.stdout.lines().count() <= 24, "{run}");
    for id in [
        "v6kit",
        "kernel",
        "privileges",
        "cpu",
        "memory",
        "files",
        "route",
        "setup",
        "conntrack",
        "nft",
    ] {
        assert!(
            run.stdout
                .lines()
                .any(|line| line.split_whitespace().nth(1) == Some(id)),
            "nothing about {id}: {run}"
        );
    }
    assert!(run.stdout.contains(env!("CARGO_PKG_VERSION")), "{run}");
    assert!(!run.stdout.contains("hunter2"), "{run}");
    let document = v6kit(&["doctor", "--json"]).json();
    assert_eq!(document["v6kit"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["v6kit"]["profile"], "debug");
    assert_eq!(
        document["machine"]["files_hard"],
        nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
            .expect("a limit")
            .1
    );
}

#[test]
fn doctor_finds_a_setup_in_order_and_names_what_drifted() {
    let run = in_lab(
        "routed",
        r#"
        "$V6KIT" setup --prefix "$V6KIT_LAB_PREFIX" --dev "$V6KIT_LAB_DEV" >/dev/null
        "$V6KIT" doctor --json >"$T/root.json"
        setpriv --bounding-set -all --inh-caps -all --no-new-privs "$V6KIT" doctor --json >"$T/plain.json"
        nft flush ruleset
        "$V6KIT" doctor --json >"$T/flushed.json" && exit 1
        ip -6 route del local "$V6KIT_LAB_PREFIX" dev lo table main
        "$V6KIT" doctor --json >"$T/gone.json" && exit 1
        sed -i 's/"boot":"[^"]*"/"boot":"another"/' "$V6KIT_STATE_DIR/journal.jsonl"
        "$V6KIT" doctor --json >"$T/boot.json" && exit 1
        "$V6KIT" doctor >"$T/text" && exit 1
        grep -q '^hint: setup: .*(more: `v6kit explain drifted`)$' "$T/text"
        jq -c --slurp '[.[] | .findings[] | select(.id == "setup")]' \
            "$T"/{root,plain,flushed,gone,boot}.json
        "#,
    )
    .expect(0);
    let found = run.json();
    let details: Vec<&str> = (0..5).filter_map(|i| found[i]["detail"].as_str()).collect();
    let states: Vec<&str> = (0..5).filter_map(|i| found[i]["state"].as_str()).collect();
    assert_eq!(states, ["ok", "ok", "failed", "failed", "failed"], "{run}");
    assert!(details[0].contains("steps in order"), "{run}");
    assert!(details[1].contains("visible to root only"), "{run}");
    assert!(details[2].contains("inbound is missing"), "{run}");
    assert!(details[3].contains("route is gone"), "{run}");
    assert!(details[4].contains("before this host was booted"), "{run}");
    assert!(
        found[2]["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains(&format!("`sudo {V6KIT} setup --prefix"))),
        "{run}"
    );
}

/// Runs doctor, after what `before` puts in front of it, where the `hidden` directories are empty.
#[track_caller]
fn doctor_without(hidden: &[&str], before: &str, option: &str) -> Run {
    let hidden = hidden.join(" ");
    in_namespace(&format!(
        r#"
        mkdir "$T/empty"
        for directory in {hidden}; do mount --bind "$T/empty" $directory; done
        {before} "$V6KIT" doctor {option}
        "#
    ))
}

#[test]
fn doctor_works_without_cgroups_nft_and_a_default_route() {
    let run = doctor_without(&["/sys/fs/cgroup", "/usr/sbin"], "", "--json").expect(0);
    assert_eq!(finding(&run, "cgroups")["state"], "unknown", "{run}");
    assert_eq!(finding(&run, "nft")["state"], "warning", "{run}");
    assert_eq!(
        finding(&run, "nft")["hint"],
        "install it: `sudo apt install nftables`"
    );
    assert_eq!(finding(&run, "nft")["code"], "no-nft", "{run}");
    assert_eq!(finding(&run, "route")["state"], "warning", "{run}");
    assert_eq!(run.json()["machine"]["cgroups"], Value::Null);
}

#[test]
fn doctor_exits_1_where_the_kernel_has_no_ipv6() {
    let run = doctor_without(&["/proc/sys/net"], "", "--json").expect(1);
    assert_eq!(finding(&run, "ipv6")["state"], "failed", "{run}");
    assert_eq!(run.json()["ok"], false);
}

#[test]
fn doctor_goes_on_without_proc_and_as_somebody_unknown() {
    let run = doctor_without(&["/proc"], "setpriv --bounding-set -all --inh-caps -all", "").expect(0);
    assert!(run.stdout.contains("/proc is not mounted"), "{run}");
}

/// Two devices, and doctor's report after `change`.
#[track_caller]
fn doctor_after(change: &str, code: i32) -> Run {
    in_namespace(&format!(
        r#"
        ip link add up0 type veth peer name down0
        ip link set up0 up
        ip link set down0 up
        {change}
        "$V6KIT" doctor --json
        "#
    ))
    .expect(code)
}

#[test]
fn doctor_says_where_ipv6_is_switched_off_and_not_to_look_for_advertisements_there() {
    let all = doctor_after("sysctl -qw net.ipv6.conf.all.disable_ipv6=1", 1);
    assert_eq!(finding(&all, "ipv6")["state"], "failed", "{all}");
    assert_eq!(
        finding(&all, "ipv6")["hint"],
        "switch it on: `sudo sysctl -w net/ipv6/conf/all/disable_ipv6=0`"
    );
    assert_eq!(finding(&all, "route")["hint"], Value::Null, "{all}");
    // As a container manager does it that leaves loopback alone.
    let devices = "for device in up0 down0; do sysctl -qw net.ipv6.conf.$device.disable_ipv6=1; done";
    let each = doctor_after(devices, 1);
    assert!(
        finding(&each, "ipv6")["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("down0") && detail.contains("up0")),
        "{each}"
    );
    let one = doctor_after("sysctl -qw net.ipv6.conf.down0.disable_ipv6=1", 0);
    assert_eq!(finding(&one, "ipv6")["state"], "ok", "{one}");
    let needed = doctor_after(
        "\"$V6KIT\" setup --prefix 2001:db8:9::/64 --dev up0 >/dev/null; sysctl -qw net.ipv6.conf.up0.disable_ipv6=1",
        1,
    );
    assert_eq!(finding(&needed, "ipv6")["state"], "failed", "{needed}");
}

#[test]
fn doctor_names_forwarding_where_it_keeps_advertisements_from_being_taken() {
    let forwarding = "sysctl -qw net.ipv6.conf.all.forwarding=1; sysctl -qw net.ipv6.conf.down0.accept_ra=2";
    let run = doctor_after(forwarding, 0);
    let hint = finding(&run, "route")["hint"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(hint.contains("not taken on up0 (accept_ra=1)"), "{run}");
    // The command of the hint, and then it is no longer the cause.
    let command = hint.split('`').nth(1).expect("a command").replace("sudo ", "");
    let run = doctor_after(&format!("{forwarding}; {command} >/dev/null"), 0);
    let hint = finding(&run, "route")["hint"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(!hint.contains("accept_ra"), "{run}");
    // Where nothing forwards, it is not the cause either.
    let run = doctor_after("true", 0);
    assert!(!run.stdout.contains("accept_ra"), "{run}");
}

/// Runs doctor below half a core and 300 MiB.
#[track_caller]
fn in_a_narrow_group() -> Run {
    if !nix::unistd::geteuid().is_root() {
        return run(Command::new("systemd-run")
            .args([
                "--user",
                "--scope",
                "--quiet",
                "-p",
                "MemoryMax=300M",
                "-p",
                "CPUQuota=50%",
            ])
            .args([V6KIT, "doctor", "--json"]));
    }
    // One hierarchy, or one per controller.
    let script = include_str!("doctor/in_a_narrow_group.sh");
    run(Command::new("sh").args(["-c", script]).env("V6KIT", V6KIT))
}

#[test]
fn doctor_sees_the_ceilings_of_the_groups_above() {
    let run = in_a_narrow_group().expect(0);
    let cgroups = &run.json()["machine"]["cgroups"];
    assert_eq!(cgroups["cpu"]["cores"], 0.5, "{run}");
    assert_eq!(cgroups["memory"]["bytes"], 300 << 20, "{run}");
    let name = cgroups["memory"]["set_by"].as_str().expect("a group");
    assert!(!name.ends_with("/inner"), "{run}");
    assert!(
        finding(&run, "memory")["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("at most 300 MiB")),
        "{run}"
    );
}

#[test]
fn doctor_says_where_its_state_is_damaged() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("summary.json"), "{").expect("a summary");
    let run = doctor_of(directory.path()).expect(1);
    assert_eq!(finding(&run, "setup")["state"], "failed", "{run}");
}

#[track_caller]
fn doctor_of(state: &Path) -> Run {
    run(Command::new(V6KIT)
        .args(["doctor", "--json", "--state-dir"])
        .arg(state))
}
