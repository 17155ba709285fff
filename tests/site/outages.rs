//! What is wrong on this host is neither an item's failure nor the site's.

use serde_json::Value;

use super::{on_loopback, records, scratch, summary};
use crate::harness::Run;

/// Shell functions for the scripts here.
const FRAME: &str = include_str!("outages/frame.bash");

/// A script that has ended well, and what its crawls left.
struct Scene {
    run: Run,
    scratch: tempfile::TempDir,
}

impl Scene {
    #[track_caller]
    fn play(script: &str) -> Self {
        let scratch = scratch();
        let run = on_loopback(scratch.path(), &format!("{FRAME}\n{script}")).expect(0);
        Self { run, scratch }
    }

    #[track_caller]
    fn summary(&self, job: &str) -> Value {
        summary(self.scratch.path(), job)
    }

    #[track_caller]
    fn records(&self, job: &str) -> Vec<Value> {
        records(self.scratch.path(), job)
    }
}

#[test]
fn a_link_that_is_down_for_a_while_costs_no_item_an_attempt_and_is_told_once() {
    let scene = Scene::play(
        r#"
        start_site
        crawl jobs 'http://[::1]:8080/{1..400}' -r 200/s --retries 0 --threads 2 &
        crawl=$!
        until_said "$T/asked" /40
        ip link set lo down
        until_said "$T/jobs.err" 'waiting, at most'
        ip link set lo up
        wait $crawl
        grep -c 'waiting, at most 600s (--max-outage)' "$T/jobs.err"
        grep -c 'answers come again' "$T/jobs.err"
        "#,
    );
    assert_eq!(scene.run.stdout, "1\n1\n", "{}", scene.run);
    let summary = scene.summary("jobs");
    assert_eq!(summary["ok"], 400, "{summary}");
    assert_eq!(summary["retries"], 0, "{summary}");
    assert_eq!(summary["outage"], Value::Null);
}

#[test]
fn a_prefix_whose_route_goes_ends_the_crawl_with_75_after_max_outage_and_the_next_run_goes_on() {
    let scene = Scene::play(include_str!(
        "outages/a_prefix_whose_route_goes_ends_the_crawl_with_75_after_max_outage_and_the_next_run_goes_on.sh"
    ));
    assert!(
        scene
            .run
            .stdout
            .starts_with("75 nobody was asked\nhint: run `sudo "),
        "{}",
        scene.run
    );
    assert!(
        scene
            .run
            .stdout
            .contains("v6kit setup --prefix 2001:db8:6::/64 --state-dir "),
        "{}",
        scene.run
    );
    assert!(scene.run.stdout.ends_with("\n75\n0\n"), "{}", scene.run);
    let ended = scene.summary("ended").to_string();
    assert!(ended.contains("is not delivered"), "{ended}");
    assert_eq!(scene.summary("jobs")["ok"], 300);
}

#[test]
fn a_destination_without_a_route_fails_by_itself_while_others_answer() {
    let scene = Scene::play(
        r#"
        start_site
        for n in $(seq 60); do echo "http://[::1]:8080/$n"; done >"$T/list"
        echo 'http://[2001:db8:dead::1]/' >>"$T/list"
        echo 'http://[2001:db8:beef::1]/' >>"$T/list"
        ip -6 route add unreachable 2001:db8:beef::/48
        crawl jobs -i "$T/list" -r max --max-error-rate 100%
        echo $exit
        crawl closed 'http://[::1]:9/{1..5}' -r max
        "#,
    );
    assert_eq!(scene.run.stdout, "1\n", "{}", scene.run);
    let whole = scene.summary("jobs");
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
    let kinds: Vec<_> = scene
        .records("jobs")
        .iter()
        .filter_map(|record| record["error"]["kind"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(kinds, ["no_route", "no_route"]);
    let closed = scene.summary("closed");
    assert_eq!(
        (&closed["requests"], &closed["retries"]),
        (&20.into(), &15.into()),
        "{closed}"
    );
}

#[test]
fn without_ipv6_a_crawl_does_not_start_and_says_where_it_is_switched_off() {
    let scene = Scene::play(
        r#"
        echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
        crawl jobs 'http://[2001:db8::80]/{1..3}'
        echo $exit
        cat "$T/jobs.err"
        test ! -e "$T/jobs"
        "#,
    );
    assert!(scene.run.stdout.starts_with("75\n"), "{}", scene.run);
    assert!(
        scene
            .run
            .stdout
            .contains("IPv6 is switched off on this host (net.ipv6.conf.all.disable_ipv6 is 1)"),
        "{}",
        scene.run
    );
}

#[test]
fn a_prefix_whose_packets_are_dropped_without_a_word_is_waited_for_and_no_site_has_refused() {
    let scene = Scene::play(
        r#"
        start_site
        ip -6 route add local 2001:db8:6::/64 dev lo
        work=("http://[::1]:8080/{1..300}" --prefix 2001:db8:6::/64 -r 200/s --retries 0 --connect-timeout 500ms)
        { crawl jobs "${work[@]}"; echo $exit; } >"$T/code" &
        crawl=$!
        until_said "$T/asked" /40
        silence 'ip6 saddr 2001:db8:6::/64'
        until_said "$T/jobs.err" 'waiting, at most'
        unsilence
        wait $crawl
        cat "$T/code"
        grep -c 'no answer to 2001:db8:6::/64 from the only destination.* while \[::1\]:8080 answers this host.s own address' "$T/jobs.err"
        "#,
    );
    assert_eq!(scene.run.stdout, "0\n1\n", "{}", scene.run);
    let summary = scene.summary("jobs");
    assert_eq!(
        (&summary["ok"], &summary["retries"]),
        (&300.into(), &0.into()),
        "{summary}"
    );
}

#[test]
fn silence_of_all_ends_the_crawl_with_75_and_what_was_seen_and_the_next_run_waits_for_the_same() {
    let scene = Scene::play(include_str!(
        "outages/silence_of_all_ends_the_crawl_with_75_and_what_was_seen_and_the_next_run_waits_for_the_same.sh"
    ));
    assert_eq!(scene.run.stdout, "75\n1\n75, 0 failed\n0\n", "{}", scene.run);
    let whole = scene.summary("jobs");
    assert_eq!(
        (&whole["ok"], &whole["transient"]),
        (&400.into(), &0.into()),
        "{whole}"
    );
}

#[test]
fn a_site_that_is_silent_while_another_one_answers_fails_by_itself() {
    let scene = Scene::play(
        r#"
        start_site '[::]'
        ip addr add 2001:db8:80::9/128 dev lo nodad
        silence 'ip6 daddr 2001:db8:80::9'
        for n in $(seq 40); do echo "http://[::1]:8080/$n"; done >"$T/list"
        for n in $(seq 8); do echo "http://[2001:db8:80::9]:8080/$n"; done >>"$T/list"
        crawl jobs -i "$T/list" -c 2 -r max --retries 1 --connect-timeout 300ms
        echo $exit
        if grep 'waiting, at most' "$T/jobs.err"; then exit 9; fi
        "#,
    );
    assert_eq!(scene.run.stdout, "1\n", "{}", scene.run);
    let whole = scene.summary("jobs");
    assert_eq!(
        (&whole["ok"], &whole["transient"], &whole["retries"]),
        (&40.into(), &8.into(), &8.into()),
        "{whole}"
    );
}

#[test]
fn a_site_that_was_never_heard_of_has_not_refused() {
    let scene = Scene::play(
        r#"
        ip addr add 2001:db8:80::9/128 dev lo nodad
        silence
        crawl jobs 'http://[2001:db8:80::9]:8080/{1..400}' -r max --retries 0 --connect-timeout 200ms --probe-pause 100ms \
            --max-outage 1s
        echo $exit
        grep -c 'stopped: no answer from \[2001:db8:80::9\]:8080, the only destination that was tried, since' "$T/jobs.err"
        if grep willing "$T/jobs.err"; then exit 9; fi
        "#,
    );
    assert_eq!(scene.run.stdout, "75\n1\n", "{}", scene.run);
}
