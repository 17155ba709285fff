//! Source addresses: how many, for how long, and at which width a site counts them.

use std::collections::{HashMap, HashSet};

use super::{on_loopback, records, scratch, summary};
use crate::harness::{in_lab_with, room_for_neighbours};

/// A namespace with 2001:db8:80::80 for sites and 2001:db8:6::/48 to send from.
const NETWORKS: &str = r#"
    ip address add 2001:db8:80::80/128 dev lo
    ip -6 route add local 2001:db8:6::/48 dev lo
    # The echo server, which counts as its arguments say.
    echo_server() {
        exec {out}< <(exec "$V6KIT" echo --json --listen '[2001:db8:80::80]:0' "$@")
        read -r started <&"$out"
        url=http://[2001:db8:80::80]:$(sed -E 's/.*"listening":\["[^"]*:([0-9]+)".*/\1/' <<<"$started")
    }
"#;

#[test]
fn at_most_so_many_addresses_are_used_at_a_time_over_all_threads() {
    let scratch = scratch();
    on_loopback(
        scratch.path(),
        &format!(
            r#"{NETWORKS}
            echo_server
            crawl few "$url/items/{{1..2000}}" --prefix 2001:db8:6::/64 --addresses 5 --requests-per-address 10 \
                --threads 2 -c 20 -r max
            crawl one "$url/items/{{1..200}}" --prefix 2001:db8:6::/64 --addresses 1 --threads 2 -c 8 -r max
            "#
        ),
    )
    .expect(0);
    for (name, most, items) in [("few", 5, 2000), ("one", 1, 200)] {
        let records = records(scratch.path(), name);
        let used: HashSet<&str> = records
            .iter()
            .filter_map(|record| record["from"].as_str())
            .collect();
        assert_eq!((records.len(), used.len()), (items, most), "{name}: {used:?}");
        let summary = summary(scratch.path(), name);
        assert_eq!(summary["addresses"], most, "{name}: {summary}");
        assert_eq!(
            (summary["ok"].as_u64(), summary["left"].as_u64()),
            (Some(items as u64), Some(0))
        );
    }
}

#[test]
fn per_says_in_one_word_when_another_address_is_drawn() {
    let scratch = scratch();
    on_loopback(
        scratch.path(),
        &format!(
            r#"{NETWORKS}
            echo_server
            crawl host "$url/items/{{1..200}}" --prefix 2001:db8:6::/64 --per host --threads 2 -c 8 -r max
            crawl five "$url/items/{{1..100}}" --prefix 2001:db8:6::/64 --per 5 --threads 1 -c 4 -r max
            crawl all "$url/items/{{1..300}}" --prefix 2001:db8:6::/64 --per connection --threads 1 -c 4 -r max
            refused() {{ "$V6KIT" crawl "$url/" -o "$T/refused" --prefix 2001:db8:6::/64 "$@" >"$T/said" 2>&1 && exit 1; grep -q "$want" "$T/said" || {{ cat "$T/said"; exit 1; }}; }}
            want='hint: .*host' refused --per process
            want='a host sees one' refused --per host --on-limit rotate
            want='cannot be used with' refused --per 5 --requests-per-address 6
            "#
        ),
    )
    .expect(0);
    let used = |name| -> HashSet<String> {
        let records = records(scratch.path(), name);
        let from = records.iter().filter_map(|record| record["from"].as_str());
        from.map(ToOwned::to_owned).collect()
    };
    assert_eq!(used("host").len(), 1);
    // The last address of each connection may have served fewer.
    assert!((20..=24).contains(&used("five").len()), "{}", used("five").len());
    assert!(used("all").len() <= 4, "a connection keeps its address");
}

#[test]
fn an_address_is_left_when_it_is_old() {
    let scratch = scratch();
    on_loopback(
        scratch.path(),
        &format!(
            r#"{NETWORKS}
            echo_server
            crawl aged "$url/items/{{1..120}}" --prefix 2001:db8:6::/64 --address-age 300ms -c 1 -r 40/s
            "#
        ),
    )
    .expect(0);
    // By the crawl's own clock, whatever the machine does meanwhile.
    let mut lives: HashMap<String, (i64, i64)> = HashMap::new();
    for record in records(scratch.path(), "aged") {
        let at: jiff::Timestamp = record["at"]
            .as_str()
            .and_then(|at| at.parse().ok())
            .expect("a time");
        let from = record["from"].as_str().expect("an address").to_owned();
        let life = lives.entry(from).or_insert((i64::MAX, 0));
        *life = (life.0.min(at.as_millisecond()), life.1.max(at.as_millisecond()));
    }
    assert!(lives.len() >= 5, "{lives:?}");
    // An idle connection is looked at when it is taken, a moment before the request leaves.
    let too_old: Vec<_> = lives
        .values()
        .filter(|(first, last)| last - first > 400)
        .collect();
    assert!(too_old.len() <= 1, "{too_old:?}");
}

#[test]
fn the_summary_tells_at_which_width_a_site_counts() {
    let scratch = scratch();
    let run = on_loopback(
        scratch.path(),
        &format!(
            r#"{NETWORKS}
            all() {{ crawl "$@" "$url/items/{{1..3500}}" -r max -c 8 --on-limit rotate --max-error-rate 100%; }}
            echo_server --limit 20/1h --limit-scope 64
            all net --prefix 2001:db8:6::/56 --requests-per-address 5 --metrics 0
            echo_server --limit 5/1h --limit-scope 128
            all single --prefix 2001:db8:6::/56 --requests-per-address 10
            "$V6KIT" crawl "$url/items/{{1..3000}}" -o "$T/table" --robots ignore -r max -c 8 --on-limit rotate \
                --max-error-rate 100% --prefix 2001:db8:6::/56 --requests-per-address 10 2>&1
            "#
        ),
    )
    .expect(0);
    let net = summary(scratch.path(), "net");
    assert_eq!(net["networks"]["counted_by"], 64, "{net}");
    let width = |length: u64| {
        let widths = net["networks"]["widths"].as_array().expect("widths").iter();
        widths
            .clone()
            .find(|width| width["length"] == length)
            .cloned()
            .expect("the width")
    };
    assert!(width(64)["networks"].as_u64() > Some(200), "{net}");
    assert!(width(128)["new_refused"].as_u64() > Some(50), "{net}");
    assert_eq!(width(56)["networks"], 1, "{net}");
    let single = summary(scratch.path(), "single");
    assert_eq!(single["networks"]["counted_by"], 128, "{single}");
    assert!(
        run.stdout
            .lines()
            .any(|line| line.starts_with("counted by") && line.contains("address")),
        "{run}"
    );
}

#[test]
fn on_an_on_link_prefix_few_addresses_are_used_and_that_is_said() {
    let _room = room_for_neighbours();
    let scratch = scratch();
    let run = in_lab_with(
        "on-link",
        scratch.path(),
        r#"
        ip -6 route add local "$V6KIT_LAB_PREFIX" dev lo
        "$V6KIT" ndp --json --prefix "$V6KIT_LAB_PREFIX" --dev "$V6KIT_LAB_DEV" >"$T/ndp.log" 2>"$T/ndp.err" &
        ndp=$!
        eventually grep -q '"event":"ready"' "$T/ndp.log"
        "$V6KIT" crawl "$V6KIT_LAB_TARGET/items/{1..3000}" -o "$T/job" --prefix "$V6KIT_LAB_PREFIX" -r max -c 20 \
            --requests-per-address 1 --robots ignore --json >"$T/job.json" 2>"$T/job.err" || echo "exit $?"
        cat "$T/job.err" >&2
        nsenter --net="$V6KIT_LAB_ROUTER_NS" ip -6 neigh show | grep -c '^2001:db8:6' || true
        coproc PROXY { exec "$V6KIT" proxy --json --prefix "$V6KIT_LAB_PREFIX" --listen 127.0.0.1:0 2>"$T/proxy.err"; }
        proxy=$PROXY_PID
        read -r ready <&"${PROXY[0]}"
        cat "$T/proxy.err"
        kill "$proxy" "$ndp"
        wait
        "#,
    )
    .expect(0);
    let summary = summary(scratch.path(), "job");
    assert_eq!(summary["ok"], 3000, "{run}");
    let addresses = summary["addresses"].as_u64().expect("a number");
    assert!((100..=300).contains(&addresses), "{addresses}: {run}");
    assert!(
        run.stderr.contains("is on-link (v6kit ndp answers for it)"),
        "{run}"
    );
    assert!(
        run.stdout.contains("sending from 300 addresses at a time"),
        "{run}"
    );
    let neighbours: u64 = run
        .stdout
        .lines()
        .next()
        .and_then(|line| line.parse().ok())
        .expect("a count");
    assert!(
        neighbours <= 310,
        "{neighbours} entries in the router's table: {run}"
    );
}

#[test]
fn the_proxy_keeps_to_its_number_of_addresses_and_sessions_keep_theirs() {
    let scratch = scratch();
    let run = on_loopback(
        scratch.path(),
        &format!(
            r#"{NETWORKS}
            echo_server
            exec {{out}}< <(exec "$V6KIT" proxy --json --prefix 2001:db8:6::/64 --addresses 6 --threads 2 \
                --allow-destination 2001:db8:80::/64 --listen 127.0.0.1:0)
            read -r ready <&"$out"
            at=$(jq -r '.listening[0]' <<<"$ready")
            get() {{ curl -sS -g -m 60 --noproxy '' "$@" "$url/"; }}
            for n in $(seq 20); do get -p -x "http://$at"; done > "$T/random"
            for n in $(seq 3); do for name in a b c; do get -p -x "socks5h://u-session-$name:x@$at"; done; done > "$T/sessions"
            get -x "http://u-session-d:x@$at" || true
            sort -u "$T/random" | grep -c ^2001:db8:6
            sort "$T/sessions" | uniq -c | awk '{{ print $1 }}'
            "#
        ),
    )
    .expect(0);
    assert!(
        run.stdout.contains("as many as this proxy keeps at a time"),
        "{run}"
    );
    assert!(run.stdout.ends_with("3\n3\n3\n3\n"), "{run}");
}

/// RFC 9293 section 3.9.2.3, RFC 4007 section 6: what no waiting makes an address of a host.
#[test]
fn an_address_that_nobody_can_be_reached_at_is_tried_once() {
    let scratch = scratch();
    on_loopback(
        scratch.path(),
        r#"
        printf 'ff02::1 everybody.test\nfe80::1 zoneless.test\n' >>/etc/hosts
        printf '%s\n' 'http://[fe80::1]/' 'https://[ff02::1]/' 'http://[ff0e::1]:8080/' \
            http://everybody.test/ http://zoneless.test/ >"$T/list"
        crawl never -i "$T/list"
        "#,
    )
    .expect(0);
    let records = records(scratch.path(), "never");
    assert_eq!(records.len(), 5);
    for record in records {
        assert_eq!(record["error"]["kind"], "bad_address", "{record}");
        assert_eq!(
            (&record["outcome"], &record["attempts"]),
            (&"fatal".into(), &1.into()),
            "{record}"
        );
    }
    assert_eq!(summary(scratch.path(), "never")["fatal"], 5);
}
