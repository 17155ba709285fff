//! How often a site is asked, by the site's own log.

use super::{asked, on_loopback, records, scratch, summary};

/// How far the crawl makes up for what a busy machine kept it from.
const SLACK: f64 = 0.05;

/// Arrivals within `seconds` of the first one.
fn within(arrivals: &[f64], seconds: f64) -> usize {
    arrivals.iter().filter(|at| **at - arrivals[0] < seconds).count()
}

/// Time that was lost to gaps longer than what is made up for: a stalled machine, not a wrong pace.
fn lost(arrivals: &[f64], interval: f64, seconds: f64) -> f64 {
    let window = arrivals.iter().take_while(|at| **at - arrivals[0] < seconds);
    let window: Vec<f64> = window.copied().collect();
    let gaps = window.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.map(|gap| (gap - interval - SLACK * 0.8).max(0.0)).sum()
}

#[test]
fn the_pace_is_exact_to_one_per_cent_over_ten_seconds_and_threads() {
    let scratch = scratch();
    on_loopback(
        scratch.path(),
        r#"
        start_nginx '
            server { listen [::1]:8080; access_log '"$T"'/50.log plain; location / { return 200 "x"; } }
            server { listen [::1]:8081; access_log '"$T"'/150.log plain; location / { return 200 "x"; } }
            server { listen [::1]:8082; access_log '"$T"'/2000.log plain; location / { return 200 "x"; } }
            server { listen [::1]:8083; access_log '"$T"'/total.log plain; location / { return 200 "x"; } }
            server { listen [::1]:8084; access_log '"$T"'/total.log plain; location / { return 200 "x"; } }'
        for n in $(seq 1000); do echo "http://[::1]:8083/$n"; echo "http://[::1]:8084/$n"; done > "$T/list"
        crawl 50 'http://[::1]:8080/{1..525}' -r 3000/min --threads 3 &
        crawl 150 'http://[::1]:8081/{1..1575}' --threads 2 &
        crawl 2000 'http://[::1]:8082/{1..21000}' -r 2000/s --threads 2 &
        crawl total -i "$T/list" --limit 1050 -r max --rate-total 100/s --threads 2 &
        wait
        "#,
    )
    .expect(0);
    for (name, rate) in [("50", 50.0), ("150", 150.0), ("2000", 2000.0), ("total", 100.0)] {
        let log = std::fs::read_to_string(scratch.path().join(format!("{name}.log"))).expect("a log");
        let mut arrivals: Vec<f64> = log
            .lines()
            .filter_map(|line| line.split(' ').next()?.parse().ok())
            .collect();
        arrivals.sort_by(f64::total_cmp);
        let (count, lost) = (within(&arrivals, 10.0) as f64, lost(&arrivals, 1.0 / rate, 10.0));
        let most = rate * 10.0 * 1.01 + rate * SLACK + 1.0;
        let least = rate * (10.0 - lost) * 0.99 - 1.0;
        assert!(
            (least..=most).contains(&count),
            "{name}/s: {count} in ten seconds, {lost} s lost"
        );
        let first = within(&arrivals, 1.0) as f64;
        assert!(first <= rate * 1.25, "{name}/s: {first} in the first second");
        assert_eq!(summary(scratch.path(), name)["complete"], true);
    }
}

#[test]
fn quick_refusals_do_not_make_the_crawl_faster() {
    let scratch = scratch();
    on_loopback(
        scratch.path(),
        r#"
        site log exhausted 150
        "$V6KIT" crawl "$url/{1..100000}" -o "$T/job" --robots ignore -r max -c 4 --threads 2 -q & crawl=$!
        refused() { [ "$(grep -c '"status": 429' "$T/log.log")" -ge 5 ]; }
        eventually refused
        # What is asked in this time is counted below.
        pause 5
        eventually terminated "$crawl"; wait "$crawl" || true
        "#,
    )
    .expect(0);
    let asked = asked(scratch.path(), "log");
    let refused = asked
        .iter()
        .position(|(_, status)| *status == 429)
        .expect("a refusal");
    let (served, begun) = (&asked[..refused], asked[refused].0);
    let before = served.len() as f64 / (begun - served[0].0);
    // From the second second on: what was under way is in.
    let after = asked
        .iter()
        .filter(|(at, _)| (1.0..4.0).contains(&(at - begun)))
        .count() as f64
        / 3.0;
    assert!(
        after <= before * 0.75,
        "{before}/s before the refusals, {after}/s afterwards"
    );
}

#[test]
fn retry_after_is_kept_in_seconds_and_as_a_date() {
    let scratch = scratch();
    on_loopback(
        scratch.path(),
        r#"
        site seconds wait 20 seconds 3
        crawl in_seconds "$url/{1..60}" -r 200/s -c 1 & first=$!
        site date wait 20 date 4
        crawl as_date "$url/{1..60}" -r 200/s -c 1
        wait "$first"
        "#,
    )
    .expect(0);
    for (site, job, pause) in [("seconds", "in_seconds", 2.9), ("date", "as_date", 2.9)] {
        let asked = asked(scratch.path(), site);
        let refused = asked
            .iter()
            .position(|(_, status)| *status == 429)
            .expect("a refusal");
        // A date has whole seconds: four of them are more than three.
        let waited = asked[refused + 1].0 - asked[refused].0;
        assert!(waited >= pause, "{site}: {waited} s");
        assert_eq!(summary(scratch.path(), job)["ok"], 60, "{site}");
    }
}

#[test]
fn a_limit_of_nginx_slows_the_crawl_down_until_all_is_fetched() {
    let scratch = scratch();
    let run = on_loopback(
        scratch.path(),
        r#"
        start_nginx '
            limit_req_zone $binary_remote_addr zone=one:1m rate=60r/s;
            limit_req_status 429;
            server { listen [::1]:8080; access_log '"$T"'/limited.log plain; default_type text/plain;
                location / { limit_req zone=one burst=5 nodelay; try_files /none @here; }
                location @here { return 200 "x"; } }'
        crawl slow 'http://[::1]:8080/{1..250}' -r max -c 20
        crawl stop 'http://[::1]:8080/{1..250}' -r max -c 20 --on-limit stop
        echo "stop $exit"
        "#,
    )
    .expect(0);
    let slow = summary(scratch.path(), "slow");
    assert_eq!(
        (slow["ok"].as_u64(), slow["left"].as_u64()),
        (Some(250), Some(0)),
        "{slow}"
    );
    let requests = slow["requests"].as_u64().expect("a number");
    // It is known at once what the site accepts.
    assert!(
        (251..=500).contains(&requests),
        "{requests} requests for 250 items"
    );
    // It is told when it begins, and counted.
    let said = std::fs::read_to_string(scratch.path().join("slow.err")).expect("what was said");
    let told = said
        .lines()
        .find(|line| line.contains("http://[::1]:8080: slowing down, to "));
    assert!(told.is_some_and(|line| line.contains("429")), "{said}");
    assert_eq!(slow["run"]["refusals"], requests - 250, "{slow}");
    assert_eq!(run.stdout, "stop 18\n", "{run}");
    assert!(!records(scratch.path(), "stop").is_empty());
}

#[test]
fn too_many_failures_pause_and_end_the_crawl() {
    let scratch = scratch();
    let run = on_loopback(
        scratch.path(),
        r#"
        start_nginx 'server { listen [::1]:8080; access_log '"$T"'/failing.log plain;
            location / { return 200 "x"; }
            location ~ "[0-9]{4}$" { return 500; }
            location ~ "/odd/.*[3579]$" { return 500; } }'
        crawl failing 'http://[::1]:8080/{1..100000}' -r max -c 10 --retries 0 --max-error-rate 20% --probe-pause 200ms
        echo "failing $exit"
        crawl bearable 'http://[::1]:8080/odd/{1..900}' -r max -c 10 --retries 0 --max-error-rate 60%
        echo "bearable $exit"
        "#,
    )
    .expect(0);
    assert!(run.stdout.ends_with("bearable 1\n"), "{run}");
    let failing = summary(scratch.path(), "failing");
    let bearable = summary(scratch.path(), "bearable");
    assert_eq!(bearable["complete"], true, "{bearable}");
    assert!(
        failing["seconds"].as_f64() > Some(0.59),
        "three probes, 0.2 s and 0.4 s apart: {failing}"
    );
    assert!(failing["requests"].as_u64() < Some(2000), "{failing}");
    assert!(run.stdout.starts_with("failing 18\n"), "{run}");
}
