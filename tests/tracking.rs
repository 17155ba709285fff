//! A router whose table of tracked connections is full: what verify says of it, and that the rules for the
//! router get past it.
//!
//! `nf_conntrack_max` is one number for all network namespaces, compared with the count of each, and only
//! the first namespace may change it. As root of the machine it is lowered, to more than any other test
//! tracks; anybody else has the table shortened by a bounded set in the router's ruleset.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;

use crate::harness::{NF_CONNTRACK_MAX, Run, in_lab};

/// Entries: several times what the demo or any other test has tracked in a namespace, also below the 95 %
/// from where on the kernel drops closed connections early (`gc_worker`, nf_conntrack).
const MAX: u32 = 60_000;

/// The lowered `nf_conntrack_max`. A process of its own puts the old value back when this one lets go of
/// its standard input, in whichever way: dropped, panicked, or killed.
struct LoweredMax {
    guard: Child,
    hold: Option<ChildStdin>,
}

impl LoweredMax {
    /// `None` where this process may not change it.
    fn to(max: u32) -> Option<Self> {
        File::options().write(true).open(NF_CONNTRACK_MAX).ok()?;
        // In a session of its own, so that Ctrl-C leaves it alone. The lock keeps two of these apart, and
        // from tests that need the value to stay.
        let script = r#"
            trap "" INT TERM HUP
            old=$(cat "$0")
            trap 'echo "$old" > "$0"' EXIT
            echo "$1" > "$0"
            echo lowered
            read -r _
        "#;
        let mut guard = Command::new("setsid")
            .args(["flock", NF_CONNTRACK_MAX, "bash", "-c", script, NF_CONNTRACK_MAX])
            .arg(max.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setsid and flock of util-linux start");
        let hold = guard.stdin.take();
        let mut line = String::new();
        BufReader::new(guard.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line of the guard");
        assert_eq!(line, "lowered\n", "{NF_CONNTRACK_MAX} was not lowered");
        Some(Self { guard, hold })
    }
}

impl Drop for LoweredMax {
    fn drop(&mut self) {
        drop(self.hold.take());
        // Nothing is left to be done about a guard that cannot be waited for.
        let _ = self.guard.wait();
    }
}

/// `fill N` leaves room for N new flows in the router's table.
const PREPARE: &str = r#"
    "$V6KIT" setup --quiet --prefix "$V6KIT_LAB_PREFIX" --dev "$V6KIT_LAB_DEV" > "$T/setup"
    in_router() { nsenter --net="$V6KIT_LAB_ROUTER_NS" "$@"; }
    is_empty() { [ "$(entries)" = 0 ]; }
    entries() { in_router cat /proc/sys/net/netfilter/nf_conntrack_count; }
    verify() { "$V6KIT" verify --json --prefix "$V6KIT_LAB_PREFIX" --endpoint "$V6KIT_LAB_TARGET" --timeout "${patience:-5s}" "$@"; }
    in_router nft -f - <<'END'
table inet filter {
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname "lan" oifname "wan" accept
    }
}
END
"#;

/// The real table: flows of others, which were answered and are not evicted before their time.
const FILL_TABLE: &str = r#"
    fill() {
        # What was tracked before would make room when its time is over.
        in_router conntrack -F 2> "$T/conntrack"
        eventually is_empty
        local missing=$((MAX - $1 - $(entries)))
        for ((i = 0; i < missing; i++)); do
            printf -v source '2001:db8:9::%x:%x' $((i >> 8)) $((i & 255))
            echo "-A -t 36000 -u SEEN_REPLY,ASSURED -p udp -s $source -d 2001:db8:80::80 -r 2001:db8:80::80 -q $source" \
                "--sport 1000 --dport 2000 --reply-port-src 2000 --reply-port-dst 1000"
        done > "$T/flows"
        in_router conntrack -R "$T/flows" 2> "$T/conntrack" || { cat "$T/conntrack" >&2; exit 9; }
    }
    # Not by a connection of ours: once it has ended, the kernel may drop it early (gc_worker, nf_conntrack).
    full() { fill 0; }
"#;

/// A table of its own, in which a flow has its place for an hour.
const BOUND_BY_RULES: &str = r#"
    fill() {
        in_router nft -f - <<END
table inet bound {
    set flows { type ipv6_addr . inet_service; size $1; flags dynamic; timeout 1h; }
    chain new {
        type filter hook ${hook:-prerouting} priority mangle;
        ct state new update @flows { ip6 saddr . th sport } accept
        ct state new drop
    }
}
END
    }
    # A set has room for one at least.
    full() { fill 1; curl -sS -m 20 "$V6KIT_LAB_TARGET" > "$T/last"; }
"#;

#[track_caller]
fn with_a_full_table(script: &str) -> Run {
    let lowered = LoweredMax::to(MAX);
    let fill = match lowered {
        Some(_) => FILL_TABLE,
        None => BOUND_BY_RULES,
    };
    in_lab("routed", &format!("MAX={MAX}\n{PREPARE}\n{fill}\n{script}"))
}

#[track_caller]
fn check<'a>(report: &'a Value, id: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("checks");
    let found = checks.iter().find(|check| check["id"] == id);
    found.unwrap_or_else(|| panic!("no check `{id}`: {report:#}"))
}

#[test]
fn a_full_table_on_the_router_is_told_by_new_connections_that_hang() {
    let run = with_a_full_table(
        r#"
        verify --count 4
        # The table fills while verify is at work: its first connections still find a place.
        fill 10
        code=0
        verify --count 128 || code=$?
        echo "{\"exit\": $code}"
        "#,
    )
    .expect(0);
    let documents: Vec<Value> = serde_json::Deserializer::from_str(&run.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error}: {run}"));
    let [before, full, exit] = documents.as_slice() else {
        panic!("three documents: {run}")
    };
    assert_eq!(before["diagnosis"], "ok", "{run}");
    assert_eq!(full["diagnosis"], "table-full", "{full:#}");
    assert_eq!(exit["exit"], 1, "{run}");
    let tracking = check(full, "tracking");
    assert_eq!(tracking["outcome"], "failed", "{full:#}");
    let detail = tracking["detail"].as_str().expect("a detail");
    assert!(
        detail.contains("new connections from 2001:db8:1::2 hang, while an established one"),
        "{full:#}"
    );
    let hint = tracking["hint"].as_str().expect("a hint");
    for command in [
        "v6kit router check",
        "sysctl net.netfilter.nf_conntrack_count",
        "dmesg | grep conntrack",
    ] {
        assert!(hint.contains(command), "{full:#}");
    }
}

#[test]
fn a_table_that_was_full_before_is_named_as_what_it_may_be() {
    let run = with_a_full_table(
        r#"
        full
        patience=2s verify --count 4
        "#,
    )
    .expect(1);
    let report = run.json();
    assert_eq!(report["diagnosis"], "no-uplink", "{report:#}");
    let hint = check(&report, "egress")["hint"].as_str().expect("a hint");
    assert!(
        hint.contains("a full connection table on the router 2001:db8:1::1 looks the same"),
        "{report:#}"
    );
}

#[test]
fn a_full_table_of_this_host_is_named_with_its_numbers() {
    let run = with_a_full_table(
        r#"
        nft add table inet here
        nft "add chain inet here output { type filter hook output priority filter; }"
        nft add rule inet here output ct state established accept
        in_router() { "$@"; }
        hook=output full
        if nft list table inet bound > "$T/bound" 2>&1; then
            # The rules bound the table, and the kernel's number is to say so.
            entries > "$T/max"
            mount --bind "$T/max" /proc/sys/net/netfilter/nf_conntrack_max
        fi
        patience=2s verify --count 4
        "#,
    )
    .expect(1);
    let report = run.json();
    assert_eq!(report["diagnosis"], "table-full", "{report:#}");
    let tracking = check(&report, "tracking");
    let detail = tracking["detail"].as_str().expect("a detail");
    assert!(
        detail.starts_with("this host's own table is full: "),
        "{report:#}"
    );
    let hint = tracking["hint"].as_str().expect("a hint");
    assert!(hint.contains("--conntrack notrack"), "{report:#}");
}

#[test]
fn past_a_full_table_50_000_connections_go_untracked() {
    let run = with_a_full_table(
        r#"
        full
        full=$(entries)
        echo "stalls: $(curl -sS -o /dev/null -m 3 -w '%{http_code}' "$V6KIT_LAB_TARGET" 2> "$T/curl" || true)"
        "$V6KIT" router render --as nftables --host fe80::2 --prefix "$V6KIT_LAB_PREFIX" --lan lan --wan wan \
            > "$T/rules"
        in_router nft -f "$T/rules"
        "$V6KIT" crawl "${V6KIT_LAB_TARGET%/}/items/{1..50000}" -o "$T/job" -r max -c 64 --json \
            --prefix "$V6KIT_LAB_PREFIX" --requests-per-address 1 --robots ignore > "$T/crawl"
        echo "crawl: $(jq -c '[.ok, .connections]' "$T/crawl")"
        echo "more entries: $(($(entries) > full))"
        "#,
    )
    .expect(0);
    assert_eq!(
        run.stdout, "stalls: 000\ncrawl: [50000,50000]\nmore entries: 0\n",
        "{run}"
    );
}

#[test]
fn a_crawl_says_that_a_table_looks_full() {
    let run = with_a_full_table(
        r#"
        fill 20
        # 20 connections come about and are kept; everything else hangs.
        "$V6KIT" crawl "${V6KIT_LAB_TARGET%/}/items/{1..100000}" -o "$T/job" --json -r max -c 64 --threads 1 \
            --connect-timeout 1s --retries 0 --max-error-rate 100% --prefix "$V6KIT_LAB_PREFIX" \
            --requests-per-address 1000000 > "$T/crawl" 2> "$T/remarks" || echo "exit $?"
        jq -c '[.suspicion, .ok > 100, .transient > 16, .complete]' "$T/crawl"
        grep -o 'looks like a full connection table' "$T/remarks"
        "#,
    )
    .expect(0);
    assert_eq!(
        run.stdout, "exit 1\n[\"conntrack\",true,true,true]\nlooks like a full connection table\n",
        "{run}"
    );
}
