//! Many destinations, concurrency that finds itself, and counters.

use super::{on_loopback, records, scratch, summary};

#[test]
fn a_slow_destination_does_not_hold_the_slots_of_others() {
    let scratch = scratch();
    on_loopback(
        scratch.path(),
        r#"
        site slow mute; slow=$url
        site quick plain
        for n in 1 2 3 4 5 6 7; do echo "$slow/$n"; done > "$T/list"
        for n in $(seq 300); do echo "$url/$n"; done >> "$T/list"
        for n in 8 9 10; do echo "$slow/$n"; done >> "$T/list"
        crawl mixed -i "$T/list" -c 4 --threads 1 -r max --timeout 6s --retries 0 --max-error-rate 100%
        "#,
    )
    .expect(0);
    let records = records(scratch.path(), "mixed");
    assert_eq!(records.len(), 310);
    let at = |record: &serde_json::Value| -> jiff::Timestamp {
        record["at"]
            .as_str()
            .and_then(|at| at.parse().ok())
            .expect("a time")
    };
    let (quick, slow): (Vec<_>, Vec<_>) = records.iter().partition(|record| record["outcome"] == "ok");
    assert_eq!((quick.len(), slow.len()), (300, 10));
    let last_quick = quick.iter().map(|record| at(record)).max().expect("some");
    let mut starts: Vec<_> = slow.iter().map(|record| at(record)).collect();
    starts.sort_unstable();
    // The first slow ones came in after six seconds; by then no quick one was left.
    assert!(
        last_quick < starts[0] + jiff::SignedDuration::from_secs(6),
        "{last_quick} {starts:?}"
    );
    assert!(
        slow.iter()
            .all(|record| record["error"]["kind"] == "first_byte_timeout"),
        "{slow:?}"
    );
}

#[test]
fn the_concurrency_is_found_near_the_number_of_workers() {
    let scratch = scratch();
    on_loopback(
        scratch.path(),
        r#"
        site few workers 8 25
        crawl few "$url/{1..1800}" -r max -c auto --threads 1
        site many workers 150 25
        crawl many "$url/{1..6000}" -r max -c auto --threads 2
        site paced plain
        crawl paced "$url/{1..150}" -r 50/s -c auto --threads 1
        "#,
    )
    .expect(0);
    let found = |name: &str| {
        let summary = summary(scratch.path(), name);
        assert_eq!(summary["concurrency_found"], true, "{summary}");
        assert_eq!(summary["complete"], true, "{summary}");
        summary["concurrency"].as_u64().expect("a number")
    };
    let (few, many, paced) = (found("few"), found("many"), found("paced"));
    assert!((4..=20).contains(&few), "{few} for 8 workers");
    assert!(many >= 2 * few, "{many} for 150 workers, {few} for 8");
    assert!(paced <= 8, "{paced} where the pace is the limit");
}

#[test]
fn metrics_are_what_a_scraper_understands_and_agree_with_the_summary() {
    let scratch = scratch();
    let run = on_loopback(
        scratch.path(),
        include_str!("mixed/metrics_are_what_a_scraper_understands_and_agree_with_the_summary.sh"),
    )
    .expect(0);
    assert!(run.stdout.contains(" families"), "{run}");
    assert!(run.stdout.contains("can be read by other hosts"), "{run}");
}
