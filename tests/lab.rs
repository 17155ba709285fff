//! The lab: what each topology shows, that the command in it is the user's own, and that nothing stays.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::harness::{V6KIT, in_lab, in_namespace, path_with_sbin, run, v6kit};

/// Makes every address of the prefix an own one, as for any program that binds to one.
const PREPARE: &str = r#"
    echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind
    ip -6 route add local "$V6KIT_LAB_PREFIX" dev lo
    source="${V6KIT_LAB_PREFIX%/*}abcd"
    in_router() { nsenter --net="$V6KIT_LAB_ROUTER_NS" "$@"; }
"#;

fn in_prepared_lab(topology: &str, script: &str) -> crate::harness::Run {
    in_lab(topology, &format!("{PREPARE}\n{script}"))
}

#[test]
fn a_routed_prefix_reaches_the_target_from_any_address() {
    let run = in_prepared_lab(
        "routed",
        r#"
        for host in 1:2:3:4 ffff:: abcd; do
            curl -sS -m 20 --interface "${V6KIT_LAB_PREFIX%::*}::${host%::}" "$V6KIT_LAB_TARGET"
        done
        curl -sS -m 20 "$V6KIT_LAB_TARGET"
        curl -sS -m 20 --cacert "$V6KIT_LAB_TARGET_CA" --interface "$source" "$V6KIT_LAB_TARGET_TLS"
        in_router cat /proc/sys/net/netfilter/nf_conntrack_count 2>/dev/null || echo 0
        "#,
    )
    .expect(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "2001:db8:6:0:1:2:3:4",
            "2001:db8:6::ffff",
            "2001:db8:6::abcd",
            "2001:db8:1::2",
            "2001:db8:6::abcd",
            "0",
        ]
    );
}

#[test]
fn an_on_link_prefix_is_solicited_in_vain() {
    let run = in_prepared_lab(
        "on-link",
        r#"
        curl -sS -m 20 "$V6KIT_LAB_TARGET"
        curl -sS -m 2 --interface "$source" "$V6KIT_LAB_TARGET" || echo "curl $?"
        in_router ip -6 neigh show "$source"
        "#,
    )
    .expect(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[..2], ["2001:db8:1::2", "curl 28"], "{run}");
    assert!(lines[2].starts_with("2001:db8:6::abcd dev lan"), "{run}");
    assert!(
        lines[2].contains("INCOMPLETE") || lines[2].contains("FAILED"),
        "{run}"
    );
}

#[test]
fn without_a_way_back_replies_die_silently_at_the_router() {
    let run = in_prepared_lab(
        "no-return",
        r#"
        curl -sS -m 20 "$V6KIT_LAB_TARGET"
        curl -sS -m 2 --interface "$source" "$V6KIT_LAB_TARGET" || echo "curl $?"
        in_router ip -6 route show type blackhole
        "#,
    )
    .expect(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[..2], ["2001:db8:1::2", "curl 28"], "{run}");
    assert!(lines[2].starts_with("blackhole 2001:db8:6::/64"), "{run}");
}

#[test]
fn a_filtered_prefix_is_answered_with_prohibited() {
    let run = in_prepared_lab(
        "filtered",
        r#"
        curl -sS -m 20 "$V6KIT_LAB_TARGET"
        curl -v -m 20 --interface "$source" "$V6KIT_LAB_TARGET" 2>&1 || echo "curl $?"
        "#,
    )
    .expect(0);
    assert!(run.stdout.starts_with("2001:db8:1::2\n"), "{run}");
    // EACCES is how the kernel reports "administratively prohibited" (RFC 4443 section 3.1, code 1).
    assert!(run.stdout.contains("Permission denied"), "{run}");
    assert!(run.stdout.ends_with("curl 7\n"), "{run}");
}

#[test]
fn a_rewriting_router_shows_its_own_address() {
    let run = in_prepared_lab(
        "rewritten",
        r#"curl -sS -m 20 --interface "$source" "$V6KIT_LAB_TARGET""#,
    )
    .expect(0);
    assert_eq!(run.stdout, "2001:db8:80::1\n");
}

#[test]
fn a_stateful_router_remembers_each_connection() {
    let run = in_prepared_lab(
        "stateful",
        r#"
        for host in 1 2 3 4 5; do
            curl -sS -m 20 --interface "${V6KIT_LAB_PREFIX%::*}::$host" "$V6KIT_LAB_TARGET"
        done
        in_router cat /proc/sys/net/netfilter/nf_conntrack_count
        # New connections from outside are dropped.
        ip -6 addr add 2001:db8:1::3/64 dev eth0 nodad
        nsenter --net="$V6KIT_LAB_TARGET_NS" curl -sS -m 2 http://[2001:db8:1::3]/ || echo "curl $?"
        "#,
    )
    .expect(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[4..], ["2001:db8:6::5", "5", "curl 28"], "{run}");
}

#[test]
fn the_prefix_can_be_chosen_and_must_not_contain_the_links() {
    let script = r#"echo "$V6KIT_LAB_PREFIX"; nsenter --net="$V6KIT_LAB_ROUTER_NS" ip -6 route show "$V6KIT_LAB_PREFIX""#;
    let lab = [
        "lab",
        "run",
        "--prefix",
        "2001:db8:4000::/36",
        "--",
        "bash",
        "-c",
        script,
    ];
    let chosen = run(Command::new(V6KIT).args(lab).env("PATH", path_with_sbin())).expect(0);
    assert!(
        chosen
            .stdout
            .starts_with("2001:db8:4000::/36\n2001:db8:4000::/36 via 2001:db8:1::2"),
        "{chosen}"
    );
    let refused = v6kit(&["lab", "run", "--prefix", "2001:db8::/32", "--", "true"]).expect(2);
    assert!(refused.stderr.contains("hint: "), "{refused}");
}

#[test]
fn the_target_refuses_whom_the_limit_hits() {
    let script = r#"
        for i in 1 2 3; do
            curl -sS -m 20 -o /dev/null -w '%{http_code}\n' "$V6KIT_LAB_TARGET"
        done"#;
    let lab = [
        "lab",
        "run",
        "--limit",
        "2/10m",
        "--limit-answer",
        "403",
        "--",
        "bash",
        "-c",
        script,
    ];
    assert_eq!(v6kit(&lab).expect(0).stdout, "200\n200\n403\n");
}

#[test]
fn the_exit_status_is_the_commands() {
    v6kit(&["lab", "run", "--", "sh", "-c", "exit 7"]).expect(7);
    v6kit(&["lab", "run", "--", "sh", "-c", "kill -KILL $$"]).expect(137);
    let missing = v6kit(&["lab", "run", "--", "no-such-command"]).expect(127);
    assert!(missing.stderr.contains("no-such-command"), "{missing}");
    v6kit(&["lab", "run", "--", "/"]).expect(126);
    v6kit(&["lab", "run", "--"]).expect(2);
}

#[test]
fn the_commands_options_are_its_own() {
    let run = v6kit(&["lab", "run", "--", "echo", "--json", "-q", "--topology"]).expect(0);
    assert_eq!(run.stdout, "--json -q --topology\n");
}

#[test]
fn files_in_the_users_directory_are_real() {
    let scratch = tempfile::tempdir().unwrap();
    run(Command::new(V6KIT)
        .args([
            "lab",
            "run",
            "--",
            "sh",
            "-c",
            "echo kept > file && ulimit -n > files",
        ])
        .current_dir(scratch.path()))
    .expect(0);
    let read = |name| std::fs::read_to_string(scratch.path().join(name)).unwrap();
    assert_eq!(read("file"), "kept\n");
    let (soft, _) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    assert_eq!(read("files").trim(), soft.to_string());
}

#[test]
fn what_the_lab_changes_stays_in_the_lab() {
    // Inside a namespace of the test, whose /etc may be written to.
    in_namespace(
        r#"
        mkdir -p /etc/security/limits.d
        look() { ls -AR /etc; cat /etc/hosts; cat /proc/sys/net/ipv6/ip_nonlocal_bind /proc/sys/fs/nr_open; }
        look > "$T/before"
        "$V6KIT" lab run -- bash -c '
            set -eu
            touch /etc/security/limits.d/99-lab
            echo 2001:db8:80::80 target.test >> /etc/hosts
            grep -q target.test /etc/hosts
            mkdir /etc/of-the-lab
            rm /etc/group
            echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind
            mkdir -p "$V6KIT_STATE_DIR" && touch "$V6KIT_STATE_DIR/journal"
            if echo 1048577 > /proc/sys/fs/nr_open; then exit 9; fi'
        look > "$T/after"
        diff "$T/before" "$T/after"
        "#,
    )
    .expect(0);
}

/// Prints everything that a lab could leave behind, in a PID namespace where nobody else is.
const LOOK: &str = r#"
    look() {
        ip -o link
        lsns -n -o NS,TYPE | sort
        sort /proc/self/mountinfo
        ls -A /run/netns 2>/dev/null || true
        ls -A "$T/tmp"
        for process in /proc/[0-9]*; do
            [ "$process" = "/proc/$BASHPID" ] || tr '\0' ' ' < "$process/cmdline" 2>/dev/null || true
        done | grep -c v6kit || true
    }
    mkdir "$T/tmp"
    export TMPDIR="$T/tmp"
    look > "$T/before"
    gone() {
        look > "$T/after"
        cmp -s "$T/before" "$T/after"
    }
    # A lab whose command has started and does not end by itself; its launcher is $!.
    start() {
        mkfifo "$T/started"
        "$V6KIT" lab run -- bash -c 'echo $$ > "$T/started"; sleep infinity' &
        read -r inside < "$T/started"
    }
    # The kernel ends the processes of a PID namespace one after the other.
    wait_until_gone() {
        for _ in $(seq 600); do
            gone && return
            sleep 0.1
        done
        diff "$T/before" "$T/after"
    }
"#;

#[test]
fn nothing_is_left_after_the_end() {
    in_namespace(&format!(
        r#"{LOOK}
        "$V6KIT" lab run --topology stateful -- bash -c 'sleep infinity & (sleep infinity &) ; true'
        wait_until_gone"#
    ))
    .expect(0);
}

#[test]
fn nothing_is_left_after_the_launcher_is_killed() {
    in_namespace(&format!(
        r#"{LOOK}
        start
        if gone; then exit 9; fi
        kill -KILL $!
        wait_until_gone"#
    ))
    .expect(0);
}

#[test]
fn nothing_is_left_after_the_command_is_killed() {
    in_namespace(&format!(
        r#"{LOOK}
        start
        if gone; then exit 9; fi
        # The launcher's child is PID 1 of the lab, whose child is the command.
        first=$(cat /proc/$!/task/$!/children)
        command=$(cat /proc/${{first% }}/task/${{first% }}/children)
        kill -KILL $command
        status=0
        wait $! || status=$?
        [ $status = 137 ]
        wait_until_gone"#
    ))
    .expect(0);
}

#[test]
fn orphans_of_the_command_are_reaped() {
    v6kit(&[
        "lab",
        "run",
        "--",
        "bash",
        "-c",
        r#"
        pids=$(mktemp)
        for _ in 1 2 3 4 5; do (sh -c 'echo $$ >> '"$pids" &); done
        running() { for pid in $(cat "$pids"); do [ ! -e "/proc/$pid" ] || return 0; done; return 1; }
        for _ in $(seq 600); do
            [ "$(wc -l < "$pids")" = 5 ] && ! running && rm "$pids" && exit 0
            sleep 0.1
        done
        exit 1"#,
    ])
    .expect(0);
}

/// Starts a lab with a script that prints a line when it is ready.
fn started(script: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(V6KIT)
        .args(["lab", "run", "--", "bash", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the lab starts");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    (child, output)
}

#[test]
fn signals_are_passed_on_to_the_command() {
    for (signal, name) in [
        (Signal::SIGINT, "INT"),
        (Signal::SIGTERM, "TERM"),
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGUSR1, "USR1"),
    ] {
        let script = format!(
            "trap 'echo got {name}; exit 42' {name}; echo ready; while :; do read -rt 60 < <(:) || :; done"
        );
        let (mut child, mut output) = started(&script);
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, format!("got {name}\n"));
        assert_eq!(child.wait().unwrap().code(), Some(42));
    }
}

#[test]
fn a_signal_that_the_command_does_not_catch_ends_it() {
    let (mut child, _) = started("echo ready; exec sleep infinity");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn control_c_reaches_the_command_once() {
    // `script` gives it a terminal. USR1 comes after whatever Control-C has caused, by signal number.
    let inside = r#"interrupts=0
        trap 'interrupts=$((interrupts + 1)); echo interrupted' INT
        trap 'echo $interrupts in all; exit 0' USR1
        echo ready
        while :; do sleep 0.1; done"#;
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("inside"), inside).unwrap();
    let launcher = scratch.path().join("launcher");
    let line = format!(
        "echo $$ > {}; exec {V6KIT} lab run -- bash {}",
        launcher.display(),
        scratch.path().join("inside").display()
    );
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let mut screen = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(screen.any(|line| line.contains("ready")));
    keyboard.write_all(b"\x03").unwrap();
    assert!(screen.any(|line| line.contains("interrupted")));
    let launcher: i32 = std::fs::read_to_string(launcher).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(launcher), Signal::SIGUSR1).unwrap();
    assert!(screen.any(|line| line.contains("1 in all")));
    child.wait().unwrap();
}

#[test]
fn it_works_for_a_plain_user() {
    let script = format!("id -u; {PREPARE} curl -sS -m 20 --interface \"$source\" \"$V6KIT_LAB_TARGET\"");
    let as_user = as_plain_user(&[
        "lab",
        "run",
        "--topology",
        "stateful",
        "--",
        "bash",
        "-c",
        &script,
    ])
    .expect(0);
    assert_eq!(as_user.stdout, "0\n2001:db8:6::abcd\n");
}

#[test]
fn the_demo_shows_what_it_claims() {
    let document = v6kit(&["lab", "demo", "--json"]).expect(0).json();
    assert_eq!(document["ok"], true);
    let steps = document["steps"].as_array().unwrap();
    let ids: Vec<_> = steps.iter().map(|step| step["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        ["one_address", "setup", "verify", "crawl", "router", "teardown"]
    );
    for step in steps {
        assert_eq!(step["outcome"], "shown", "{document:#}");
    }
    let number = |step: usize, name: &str| steps[step]["numbers"][name].as_i64().unwrap();
    assert_eq!(number(0, "ok"), 200);
    assert!(number(0, "blocked") > 0, "{document:#}");
    assert_eq!((number(2, "answered"), number(2, "distinct")), (64, 64));
    assert_eq!((number(3, "ok"), number(3, "blocked")), (100_000, 0));
    assert!(number(3, "addresses") >= 1000, "{document:#}");
    assert!(
        number(4, "connection_per_request") > 10 * number(4, "reuse"),
        "{document:#}"
    );
    assert!(number(4, "reuse") > number(4, "notrack"), "{document:#}");
    assert_eq!(steps[5]["numbers"]["different"], serde_json::json!([]));
}

#[test]
fn the_demo_works_for_a_plain_user() {
    let run = as_plain_user(&["lab", "demo"]).expect(0);
    for title in [
        "1 one address",
        "2 setup",
        "3 verify",
        "4 crawl",
        "5 router",
        "6 teardown",
    ] {
        assert!(
            run.stdout.lines().any(|line| line.starts_with(title)),
            "no {title}: {run}"
        );
    }
    assert!(run.stderr.is_empty(), "{run}");
}

#[test]
fn the_demo_says_what_it_skips_without_nft() {
    let run = in_namespace(
        r#"
        mount -t tmpfs none /usr/sbin
        "$V6KIT" lab demo --json
        "#,
    )
    .expect(0);
    let router = &run.json()["steps"][4];
    assert_eq!(router["outcome"], "skipped", "{run}");
    assert_eq!(router["hint"], "`sudo apt install nftables`");
}

#[test]
fn a_demo_that_does_not_show_its_claims_fails() {
    // No command of it may write a file of more than 2 KiB.
    let run = run(Command::new("prlimit").args(["--fsize=2048", V6KIT, "lab", "demo"])).expect(1);
    assert!(run.stdout.contains("failed: `v6kit crawl"), "{run}");
    assert!(run.stdout.contains("Not shown"), "{run}");
}

#[test]
fn an_interrupted_demo_exits_130() {
    let mut child = Command::new(V6KIT)
        .args(["lab", "demo", "--items", "100000000"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut screen = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(screen.any(|line| line.starts_with("3 verify")));
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    assert!(screen.any(|line| line.starts_with("Interrupted")));
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// Runs the binary without root's ids, from a place where everybody may read it.
fn as_plain_user(args: &[&str]) -> crate::harness::Run {
    if !geteuid().is_root() {
        return run(Command::new(V6KIT).args(args).env("PATH", path_with_sbin()));
    }
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let binary = scratch.path().join("v6kit");
    std::fs::copy(V6KIT, &binary).expect("a copy");
    readable_to_all(scratch.path());
    readable_to_all(&binary);
    run(Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(&binary)
        .args(args)
        .current_dir("/")
        .env("PATH", path_with_sbin()))
}

fn readable_to_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
}

#[test]
fn a_lab_can_be_built_in_a_lab() {
    // Root's labs protect /proc/sys, in which the kernel allows no further /proc: the third has an old one.
    let nested = [V6KIT, "lab", "run", "--"].repeat(3);
    let run = run(Command::new(nested[0]).args(&nested[1..]).args([
        "curl",
        "-sS",
        "-m",
        "20",
        "http://[2001:db8:80::80]/",
    ]))
    .expect(0);
    assert_eq!(run.stdout, "2001:db8:1::2\n");
}

#[test]
fn without_nft_a_filtering_router_is_refused_with_advice() {
    let refused = in_namespace(
        r#"
        mount -t tmpfs none /usr/sbin
        "$V6KIT" lab run --topology stateful -- true
        "#,
    )
    .expect(1);
    assert!(
        refused.stderr.contains("hint: `sudo apt install nftables`"),
        "{refused}"
    );
}

#[test]
fn where_user_namespaces_are_refused_root_does_without() {
    in_namespace(
        r#"
        echo 0 > /proc/sys/user/max_user_namespaces
        "$V6KIT" lab run -- curl -sS -m 20 http://[2001:db8:80::80]/
        "#,
    )
    .expect(0);
}

#[test]
fn a_refusal_names_the_setting_that_causes_it() {
    let refused = in_namespace(
        r#"
        echo 0 > /proc/sys/user/max_user_namespaces
        setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all "$V6KIT" lab run -- true
        "#,
    )
    .expect(4);
    assert!(refused.stderr.contains("hint: "), "{refused}");
    assert!(refused.stderr.contains("user.max_user_namespaces"), "{refused}");
}
