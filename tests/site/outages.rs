//! What is wrong on this host is neither an item's failure nor the site's.

use super::{on_loopback, records, scratch, summary};

/// Waits until a line is in a file, for a minute at most.
const UNTIL: &str = r#"
    until_said() { # file, pattern
        for _ in $(seq 1200); do ! grep -q -- "$2" "$1" 2>/dev/null || return 0; sleep 0.05; done
        echo "$1 never says $2:" >&2; cat "$1" >&2; return 1
    }
    # A site without persistent connections, which logs to $T/asked.
    start_site() {
        start_nginx 'server { listen [::1]:8080; access_log '"$T"'/asked plain; keepalive_timeout 0;
            location / { return 200 "x"; } }'
    }
"#;

#[test]
fn a_link_that_is_down_for_a_while_costs_no_item_an_attempt_and_is_told_once() {
    let scratch = scratch();
    let run = on_loopback(
        scratch.path(),
        &format!(
            r#"
        {UNTIL}
        start_site
        crawl jobs 'http://[::1]:8080/{{1..400}}' -r 200/s --retries 0 --threads 2 &
        crawl=$!
        until_said "$T/asked" /40
        ip link set lo down
        until_said "$T/jobs.err" 'waiting, at most'
        ip link set lo up
        wait $crawl
        grep -c 'waiting, at most 600s (--max-outage)' "$T/jobs.err"
        grep -c 'answers come again' "$T/jobs.err"
        "#
        ),
    )
    .expect(0);
    assert_eq!(run.stdout, "1\n1\n", "{run}");
    let summary = summary(scratch.path(), "jobs");
    assert_eq!(summary["ok"], 400, "{summary}");
    assert_eq!(summary["retries"], 0, "{summary}");
    assert_eq!(summary["outage"], serde_json::Value::Null);
}

#[test]
fn a_prefix_whose_route_goes_ends_the_crawl_with_75_after_max_outage_and_the_next_run_goes_on() {
    let scratch = scratch();
    let run = on_loopback(
        scratch.path(),
        &format!(
            r#"
        {UNTIL}
        start_site
        work=("http://[::1]:8080/{{1..300}}" --prefix 2001:db8:6::/64 -r 200/s --retries 0 --connect-timeout 300ms)
        # Before the first connection.
        crawl jobs "${{work[@]}}"
        echo "$exit $(test -s "$T/asked" || echo nobody was asked)"
        grep '^hint:' "$T/jobs.err"
        ip -6 route add local 2001:db8:6::/64 dev lo
        {{ crawl jobs "${{work[@]}}" --max-outage 1s; echo $exit; }} >"$T/code" &
        crawl=$!
        until_said "$T/asked" /40
        ip -6 route del local 2001:db8:6::/64 dev lo
        wait $crawl
        cat "$T/code"
        grep -q 'stopped: 2001:db8:6::/64 is not delivered to this host any more' "$T/jobs.err"
        if grep willing "$T/jobs.err"; then exit 9; fi
        cp "$T/jobs.json" "$T/ended.json"
        ip -6 route add local 2001:db8:6::/64 dev lo
        crawl jobs "${{work[@]}}"
        echo $exit
        "#
        ),
    )
    .expect(0);
    assert!(
        run.stdout.starts_with("75 nobody was asked\nhint: run `sudo "),
        "{run}"
    );
    assert!(
        run.stdout.contains("v6kit setup --prefix 2001:db8:6::/64`"),
        "{run}"
    );
    assert!(run.stdout.ends_with("\n75\n0\n"), "{run}");
    let ended = summary(scratch.path(), "ended").to_string();
    assert!(ended.contains("is not delivered"), "{ended}");
    assert_eq!(summary(scratch.path(), "jobs")["ok"], 300);
}

#[test]
fn a_destination_without_a_route_fails_by_itself_while_others_answer() {
    let scratch = scratch();
    let run = on_loopback(
        scratch.path(),
        &format!(
            r#"
        {UNTIL}
        start_site
        for n in $(seq 60); do echo "http://[::1]:8080/$n"; done >"$T/list"
        echo 'http://[2001:db8:dead::1]/' >>"$T/list"
        echo 'http://[2001:db8:beef::1]/' >>"$T/list"
        ip -6 route add unreachable 2001:db8:beef::/48
        crawl jobs -i "$T/list" -r max --max-error-rate 100%
        echo $exit
        crawl closed 'http://[::1]:9/{{1..5}}' -r max
        "#
        ),
    )
    .expect(0);
    assert_eq!(run.stdout, "1\n", "{run}");
    let whole = summary(scratch.path(), "jobs");
    assert_eq!(
        (&whole["ok"], &whole["transient"]),
        (&60.into(), &2.into()),
        "{whole}"
    );
    assert_eq!(
        (&whole["requests"], &whole["retries"]),
        (&68.into(), &6.into()),
        "{whole}"
    );
    let kinds: Vec<_> = records(scratch.path(), "jobs")
        .iter()
        .filter_map(|record| record["error"]["kind"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(kinds, ["no_route", "no_route"]);
    let closed = summary(scratch.path(), "closed");
    assert_eq!(
        (&closed["requests"], &closed["retries"]),
        (&20.into(), &15.into()),
        "{closed}"
    );
}

#[test]
fn without_ipv6_a_crawl_does_not_start_and_says_where_it_is_switched_off() {
    let scratch = scratch();
    let run = on_loopback(
        scratch.path(),
        r#"
        echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
        crawl jobs 'http://[2001:db8::80]/{1..3}'
        echo $exit
        cat "$T/jobs.err"
        test ! -e "$T/jobs"
        "#,
    )
    .expect(0);
    assert!(run.stdout.starts_with("75\n"), "{run}");
    assert!(
        run.stdout
            .contains("IPv6 is switched off on this host (net.ipv6.conf.all.disable_ipv6 is 1)"),
        "{run}"
    );
}
