//! What each topology shows.

use std::process::Command;

use super::in_prepared_lab;
use crate::harness::{V6KIT, path_with_sbin, run, v6kit};

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
