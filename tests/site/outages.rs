//! What is wrong on this host is neither an item's failure nor the site's.

use super::{on_loopback, records, scratch, summary};

/// Waits until a line is in a file, for a minute at most.
const UNTIL: &str = r#"
    until_said() { # file, pattern
        eventually grep -qs -- "$2" "$1" || { cat "$1" >&2; return 1; }
    }
    # A site without persistent connections, which logs to $T/asked.
    start_site() { # address
        start_nginx 'server { listen '"${1:-[::1]}"':8080; access_log '"$T"'/asked plain; keepalive_timeout 0;
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
        &[UNTIL, include_str!("outages/a_prefix_whose_route_goes_ends_the_crawl_with_75_after_max_outage_and_the_next_run_goes_on.sh")].join("\n"),
    )
    .expect(0);
    assert!(
        run.stdout.starts_with("75 nobody was asked\nhint: run `sudo "),
        "{run}"
    );
    assert!(
        run.stdout
            .contains("v6kit setup --prefix 2001:db8:6::/64 --state-dir "),
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

/// Drops what comes to the site from some, without a word, and stops doing so.
const SILENCE: &str = r#"
    silence() { # rule
        nft -f - <<RULES
table ip6 silence {
    chain in {
        type filter hook input priority 0;
        tcp dport 8080 ${1-} drop
    }
}
RULES
    }
    unsilence() { nft delete table ip6 silence; }
"#;

#[test]
fn a_prefix_whose_packets_are_dropped_without_a_word_is_waited_for_and_no_site_has_refused() {
    let scratch = scratch();
    let run = on_loopback(
        scratch.path(),
        &format!(
            r#"
        {UNTIL}
        {SILENCE}
        start_site
        ip -6 route add local 2001:db8:6::/64 dev lo
        work=("http://[::1]:8080/{{1..300}}" --prefix 2001:db8:6::/64 -r 200/s --retries 0 --connect-timeout 500ms)
        {{ crawl jobs "${{work[@]}}"; echo $exit; }} >"$T/code" &
        crawl=$!
        until_said "$T/asked" /40
        silence 'ip6 saddr 2001:db8:6::/64'
        until_said "$T/jobs.err" 'waiting, at most'
        unsilence
        wait $crawl
        cat "$T/code"
        grep -c 'no answer to 2001:db8:6::/64 from the only destination.* while \[::1\]:8080 answers this host.s own address' "$T/jobs.err"
        "#
        ),
    )
    .expect(0);
    assert_eq!(run.stdout, "0\n1\n", "{run}");
    let summary = summary(scratch.path(), "jobs");
    assert_eq!(
        (&summary["ok"], &summary["retries"]),
        (&300.into(), &0.into()),
        "{summary}"
    );
}

#[test]
fn silence_of_all_ends_the_crawl_with_75_and_what_was_seen_and_the_next_run_waits_for_the_same() {
    let scratch = scratch();
    let run = on_loopback(
        scratch.path(),
        &[
            UNTIL,
            SILENCE,
            include_str!("outages/silence_of_all_ends_the_crawl_with_75_and_what_was_seen_and_the_next_run_waits_for_the_same.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
    assert_eq!(run.stdout, "75\n1\n75, 0 failed\n0\n", "{run}");
    let whole = summary(scratch.path(), "jobs");
    assert_eq!(
        (&whole["ok"], &whole["transient"]),
        (&400.into(), &0.into()),
        "{whole}"
    );
}

#[test]
fn a_site_that_is_silent_while_another_one_answers_fails_by_itself() {
    let scratch = scratch();
    let run = on_loopback(
        scratch.path(),
        &format!(
            r#"
        {UNTIL}
        {SILENCE}
        start_site '[::]'
        ip addr add 2001:db8:80::9/128 dev lo nodad
        silence 'ip6 daddr 2001:db8:80::9'
        for n in $(seq 40); do echo "http://[::1]:8080/$n"; done >"$T/list"
        for n in $(seq 8); do echo "http://[2001:db8:80::9]:8080/$n"; done >>"$T/list"
        crawl jobs -i "$T/list" -c 2 -r max --retries 1 --connect-timeout 300ms
        echo $exit
        if grep 'waiting, at most' "$T/jobs.err"; then exit 9; fi
        "#
        ),
    )
    .expect(0);
    assert_eq!(run.stdout, "1\n", "{run}");
    let whole = summary(scratch.path(), "jobs");
    assert_eq!(
        (&whole["ok"], &whole["transient"], &whole["retries"]),
        (&40.into(), &8.into(), &8.into()),
        "{whole}"
    );
}

#[test]
fn a_site_that_was_never_heard_of_has_not_refused() {
    let scratch = scratch();
    let run = on_loopback(
        scratch.path(),
        &format!(
            r#"
        {SILENCE}
        ip addr add 2001:db8:80::9/128 dev lo nodad
        silence
        crawl jobs 'http://[2001:db8:80::9]:8080/{{1..400}}' -r max --retries 0 --connect-timeout 200ms --probe-pause 100ms \
            --max-outage 1s
        echo $exit
        grep -c 'stopped: no answer from \[2001:db8:80::9\]:8080, the only destination that was tried, since' "$T/jobs.err"
        if grep willing "$T/jobs.err"; then exit 9; fi
        "#
        ),
    )
    .expect(0);
    assert_eq!(run.stdout, "75\n1\n", "{run}");
}
