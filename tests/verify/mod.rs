//! What verify says of each topology of the lab, as root of the namespace and as somebody without any
//! capability.

mod endpoints;
mod hosts;
mod missing;
mod told;

use serde_json::{Value, json};

use crate::harness::{Run, V6KIT, in_lab, in_namespace, v6kit};

/// `as_root` and `as_user` run verify with JSON output and write its exit code behind it.
const PREPARE: &str = r#"
    drop_all="setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all"
    as_root() {
        code=0
        ${as:-} "$V6KIT" verify --json --prefix "$V6KIT_LAB_PREFIX" --endpoint "$V6KIT_LAB_TARGET" --timeout "${patience:-30s}" "$@" \
            || code=$?
        echo "{\"exit\": $code}"
    }
    as_user() { as=$drop_all as_root "$@"; }
    set_up() { "$V6KIT" setup --quiet --prefix "$V6KIT_LAB_PREFIX" --dev "$V6KIT_LAB_DEV" "$@" > "$T/setup"; }
    in_router() { nsenter --net="$V6KIT_LAB_ROUTER_NS" "$@"; }
    in_target() { nsenter --net="$V6KIT_LAB_TARGET_NS" "$@"; }
"#;

/// Where answers are missing they are waited for; nowhere else does a longer time cost anything.
const SILENCE: &str = "patience=5s";

fn in_prepared_lab(topology: &str, script: &str) -> Run {
    in_lab(topology, &format!("{PREPARE}\n{script}"))
}

/// A report of verify and the exit code behind it.
struct Verified {
    report: Value,
    exit: i64,
}

impl Verified {
    #[track_caller]
    fn assert(&self, diagnosis: &str) -> &Self {
        let ok = diagnosis == "ok";
        assert_eq!(self.report["diagnosis"], diagnosis, "{:#}", self.report);
        assert_eq!(self.report["ok"], ok, "{:#}", self.report);
        assert_eq!(self.exit, i64::from(!ok), "{:#}", self.report);
        self
    }

    #[track_caller]
    fn check(&self, id: &str) -> &Value {
        let checks = self.report["checks"].as_array().expect("checks");
        let found = checks.iter().find(|check| check["id"] == id);
        found.unwrap_or_else(|| panic!("no check `{id}`: {:#}", self.report))
    }

    #[track_caller]
    fn assert_check(&self, id: &str, outcome: &str, detail: &str) -> &Self {
        let check = self.check(id);
        assert_eq!(check["outcome"], outcome, "{:#}", self.report);
        let found = check["detail"].as_str().expect("a detail");
        assert!(found.contains(detail), "`{detail}` is not in {:#}", self.report);
        self
    }

    #[track_caller]
    fn assert_hint(&self, id: &str, hint: &str) -> &Self {
        let found = self.check(id)["hint"].as_str().unwrap_or_default();
        assert!(found.contains(hint), "`{hint}` is no hint in {:#}", self.report);
        self
    }
}

/// The reports in the order in which they were made.
#[track_caller]
fn reports(run: &Run) -> Vec<Verified> {
    let documents: Vec<Value> = serde_json::Deserializer::from_str(&run.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error}: {run}"));
    documents
        .chunks(2)
        .map(|pair| Verified {
            report: pair[0].clone(),
            exit: pair[1]["exit"].as_i64().expect("an exit code"),
        })
        .collect()
}

/// Before setup, afterwards as root, and as a user.
#[track_caller]
fn before_and_after(topology: &str) -> (Verified, [Verified; 2]) {
    let patience = match topology {
        "on-link" | "no-return" | "filtered" => SILENCE,
        _ => "",
    };
    let script = format!("as_user\nset_up\n{patience}\nas_root\nas_user");
    let run = in_prepared_lab(topology, &script).expect(0);
    let Ok([before, root, user]) = <[Verified; 3]>::try_from(reports(&run)) else {
        panic!("three reports: {run}")
    };
    before
        .assert("not-set-up")
        .assert_check("route", "failed", "no local route covers 2001:db8:6::/64")
        .assert_hint(
            "route",
            &format!("sudo {V6KIT} setup --prefix 2001:db8:6::/64 --dev eth0"),
        )
        .assert_check("egress", "skipped", "");
    (before, [root, user])
}

/// What verify says in words, of each run in a script.
#[track_caller]
fn in_words(topology: &str, script: &str) -> Vec<String> {
    let said = r#"
        say() {
            code=0
            ${as:-} "$V6KIT" verify --prefix "$V6KIT_LAB_PREFIX" --endpoint "$V6KIT_LAB_TARGET" \
                --count "${count:-4}" --timeout "${patience:-30s}" "$@" || code=$?
            echo "exit $code"
        }
    "#;
    let run = in_prepared_lab(topology, &format!("{said}\n{script}")).expect(0);
    let mut runs: Vec<String> = run
        .stdout
        .split_inclusive("exit ")
        .map(ToOwned::to_owned)
        .collect();
    runs.pop();
    runs
}

#[track_caller]
fn assert_said(said: &str, diagnosis: &str, words: &[&str]) {
    assert!(
        said.contains(&format!("\n{diagnosis}: ")),
        "no `{diagnosis}`: {said}"
    );
    for word in words {
        assert!(said.contains(word), "`{word}` is not in {said}");
    }
}

#[test]
fn a_routed_prefix_is_ok() {
    let (_, verified) = before_and_after("routed");
    for one in verified {
        one.assert("ok")
            .assert_check("route", "ok", "lo")
            .assert_check("bind", "ok", "")
            .assert_check("uplink", "ok", "answers 2001:db8:1::2")
            .assert_check("egress", "ok", "32 of 32");
        let all = json!({"tried": 32, "answered": 32, "distinct": 32, "mismatched": 0});
        assert_eq!(one.report["egress"], all);
        let mut fields: Vec<&String> = one.report.as_object().unwrap().keys().collect();
        fields.sort();
        assert_eq!(fields, ["checks", "diagnosis", "egress", "ok"]);
        for check in one.report["checks"].as_array().unwrap() {
            let mut fields: Vec<&String> = check.as_object().unwrap().keys().collect();
            fields.sort();
            assert_eq!(fields, ["detail", "hint", "id", "outcome"]);
        }
    }
}

#[test]
fn a_prefix_behind_a_stateful_router_is_ok() {
    let (_, verified) = before_and_after("stateful");
    for one in verified {
        one.assert("ok");
    }
}

#[test]
fn a_prefix_that_the_router_takes_for_on_link_is_named_by_its_solicitations() {
    let (_, [root, user]) = before_and_after("on-link");
    root.assert("on-link").assert_check(
        "wire",
        "failed",
        "neighbour solicitations for 32 of the unanswered addresses arrive on eth0",
    );
    user.assert("on-link")
        .assert_check("wire", "failed", "counted by the kernel: without CAP_NET_RAW");
    for one in [root, user] {
        one.assert_hint("wire", "v6kit ndp --prefix 2001:db8:6::/64 --dev eth0");
        assert_eq!(one.report["egress"]["answered"], 0);
    }
}

#[test]
fn a_prefix_that_the_router_does_not_know_gets_nothing_back() {
    let (_, verified) = before_and_after("no-return");
    for one in verified {
        one.assert("no-return")
            .assert_check("wire", "ok", "no neighbour solicitations")
            .assert_check("path", "failed", "hears from 2001:db8:1::1")
            .assert_hint("egress", "ip -6 route add 2001:db8:6::/64 via 2001:db8:1::2")
            .assert_hint("egress", "via fe80::");
    }
}

#[test]
fn a_router_that_prohibits_the_prefix_is_named() {
    let (_, verified) = before_and_after("filtered");
    for one in verified {
        one.assert("filtered")
            .assert_check(
                "path",
                "failed",
                "2001:db8:1::1 says that it forbids packets from 2001:db8:6::/64",
            )
            .assert_hint("egress", "firewall of 2001:db8:1::1");
    }
}

#[test]
fn a_router_that_replaces_addresses_is_recognised() {
    let (_, verified) = before_and_after("rewritten");
    for one in verified {
        one.assert("rewritten")
            .assert_check("egress", "failed", "as 2001:db8:80::1")
            .assert_hint("egress", "NAT66");
        let egress = json!({"tried": 32, "answered": 32, "distinct": 1, "mismatched": 32});
        assert_eq!(one.report["egress"], egress);
    }
}

#[test]
fn a_firewall_that_drops_in_silence_is_told_from_a_missing_way_back() {
    let run = in_prepared_lab(
        "routed",
        r#"
        set_up
        patience=5s
        in_router nft add table ip6 f
        in_router nft "add chain ip6 f forward { type filter hook forward priority 0; }"
        in_router nft add rule ip6 f forward ip6 saddr "$V6KIT_LAB_PREFIX" drop
        as_user
        "#,
    )
    .expect(0);
    reports(&run)[0]
        .assert("filtered")
        .assert_check("path", "failed", "get as far as 2001:db8:1::1 (hop 1)");
}

#[test]
fn a_firewall_that_lets_the_own_address_through_alone_is_filtering() {
    let run = in_prepared_lab(
        "routed",
        r#"
        set_up
        patience=5s
        own="${V6KIT_LAB_PREFIX%/*}5"
        ip -6 address add "$own/128" dev eth0 nodad
        # Before routing: not even the router's own answers can be asked for.
        in_router nft add table ip6 f
        in_router nft "add chain ip6 f prerouting { type filter hook prerouting priority 0; }"
        in_router nft add rule ip6 f prerouting ip6 saddr "$V6KIT_LAB_PREFIX" ip6 saddr != "$own" drop
        as_user
        "#,
    )
    .expect(0);
    reports(&run)[0].assert("filtered");
}

#[test]
fn a_prefix_of_which_only_a_part_is_routed_is_named_with_that_part() {
    let run = in_prepared_lab(
        "routed",
        r#"
        set_up
        patience=5s
        in_router ip -6 route replace blackhole "$V6KIT_LAB_PREFIX"
        in_router ip -6 route add 2001:db8:6:0:a000::/68 via 2001:db8:1::2
        as_root --count 400
        "#,
    )
    .expect(0);
    let verified = &reports(&run)[0];
    verified
        .assert("no-return")
        .assert_hint("egress", "use the part that works, 2001:db8:6:0:a000::/68");
    let answered = verified.report["egress"]["answered"].as_u64().unwrap();
    assert!((4..400).contains(&answered), "{run}");
}

#[test]
fn addresses_that_are_answered_only_at_the_second_try_are_a_warning() {
    let run = in_prepared_lab(
        "routed",
        r#"
        set_up
        patience=5s
        # The first connection of each address is lost, however often it is begun anew.
        in_router nft add table ip6 f
        in_router nft "add set ip6 f heard { type ipv6_addr; flags dynamic; timeout 1h; }"
        in_router nft "add set ip6 f ports { type ipv6_addr . inet_service; flags dynamic; timeout 1h; }"
        in_router nft "add chain ip6 f forward { type filter hook forward priority 0; }"
        in_router nft "add rule ip6 f forward ip6 saddr $V6KIT_LAB_PREFIX ip6 saddr . tcp sport @ports drop"
        in_router nft "add rule ip6 f forward ip6 saddr $V6KIT_LAB_PREFIX tcp flags syn ip6 saddr != @heard add @heard { ip6 saddr } add @ports { ip6 saddr . tcp sport } drop"
        as_root
        "#,
    )
    .expect(0);
    reports(&run)[0]
        .assert("ok")
        .assert_check("egress", "warning", "some only at the second try");
}

#[test]
fn a_single_address_is_verified_like_any_prefix() {
    let run = in_prepared_lab(
        "routed",
        r#"
        V6KIT_LAB_PREFIX="${V6KIT_LAB_PREFIX%/*}77/128"
        set_up
        as_user
        "#,
    )
    .expect(0);
    let verified = &reports(&run)[0];
    verified.assert("ok");
    assert_eq!(verified.report["egress"]["tried"], 1);
}

#[test]
fn after_setup_verify_needs_no_prefix_and_no_privileges() {
    let run = in_prepared_lab(
        "routed",
        r#"
        set_up
        $drop_all "$V6KIT" verify --endpoint "$V6KIT_LAB_TARGET"
        "$V6KIT" teardown --quiet > "$T/teardown"
        $drop_all "$V6KIT" verify --endpoint "$V6KIT_LAB_TARGET" || echo "exit $?"
        "#,
    )
    .expect(0);
    assert!(
        run.stdout
            .contains("ok: connections leave from random addresses of 2001:db8:6::/64"),
        "{run}"
    );
    assert!(run.stdout.ends_with("exit 2\n"), "{run}");
    assert!(run.stderr.contains("there is no prefix to verify"), "{run}");
}

#[test]
fn services_that_callers_reach_on_every_address_are_a_warning() {
    let run = in_prepared_lab(
        "routed",
        r#"
        coproc SERVICE { exec "$V6KIT" echo --json --listen [::]:7777; }
        read -r line <&"${SERVICE[0]}"
        set_up --inbound allow
        as_root
        set_up --inbound drop
        as_root
        as_user
        kill $SERVICE_PID
        "#,
    )
    .expect(0);
    let verified = reports(&run);
    verified[0]
        .assert("ok")
        .assert_check("inbound", "warning", "tcp 7777 (v6kit)")
        .assert_hint("inbound", "--inbound drop");
    verified[1]
        .assert("ok")
        .assert_check("inbound", "ok", "new connections to 2001:db8:6::/64 are dropped");
    verified[2]
        .assert("ok")
        .assert_check("inbound", "skipped", "CAP_NET_ADMIN");
}

#[test]
fn people_read_one_line_per_check_then_the_diagnosis_and_a_hint() {
    let run = in_prepared_lab(
        "rewritten",
        r#"
        set_up
        "$V6KIT" verify --prefix "$V6KIT_LAB_PREFIX" --endpoint "$V6KIT_LAB_TARGET" --count 4
        "#,
    )
    .expect(1);
    let lines: Vec<&str> = run.stdout.lines().collect();
    let ids: Vec<&str> = lines
        .iter()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    assert_eq!(
        ids,
        [
            "route",
            "bind",
            "uplink",
            "egress",
            "way",
            "wire",
            "path",
            "tracking",
            "files",
            "ports",
            "conntrack",
            "inbound"
        ],
        "{run}"
    );
    let [.., diagnosis, hint] = lines.as_slice() else {
        panic!("{run}")
    };
    assert!(diagnosis.starts_with("rewritten: "), "{run}");
    assert!(hint.starts_with("hint: "), "{run}");
    assert!(hint.ends_with(" (more: `v6kit explain rewritten`)"), "{run}");
}

#[test]
fn without_a_prefix_and_a_setup_verify_exits_2() {
    let run = in_namespace(r#""$V6KIT" verify"#).expect(2);
    assert!(run.stderr.contains("there is no prefix to verify"), "{run}");
    assert!(run.stderr.contains("hint: give --prefix P"), "{run}");
}

#[test]
fn wrong_usage_of_verify_is_explained_and_exits_2() {
    for (arguments, complaint) in [
        (["--dev", "nosuchdev"], "there is no device `nosuchdev`"),
        (
            ["--endpoint", "ip.example.org"],
            "write it as https://ip.example.org",
        ),
        (["--endpoint", "ftp://example.org"], "neither http nor https"),
        (["--timeout", "5"], "5s, 500ms"),
        (["--timeout", "0s"], "more than zero"),
        (["--count", "0"], "--count"),
    ] {
        let run = v6kit(
            &[
                &[
                    "verify",
                    "--prefix",
                    "2001:db8::/64",
                    "--endpoint",
                    "http://[::1]:1",
                ][..],
                &arguments,
            ]
            .concat(),
        )
        .expect(2);
        assert!(run.stderr.contains(complaint), "{run}");
        assert!(run.stderr.contains("hint: "), "{run}");
    }
}
