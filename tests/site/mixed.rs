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
        r#"
        ip -6 route add local 2001:db8:6::/56 dev lo
        exec {out}< <(exec "$V6KIT" echo --json --listen '[::1]:0')
        read -r started <&"$out"
        url=http://[::1]:$(sed -E 's/.*"listening":\["[^"]*:([0-9]+)".*/\1/' <<<"$started")
        # The last item never comes: the counters are read when everything else has.
        site mute mute; mute=$url
        url=http://[::1]:$(sed -E 's/.*"listening":\["[^"]*:([0-9]+)".*/\1/' <<<"$started")
        for n in $(seq 400); do echo "$url/items/$n"; done > "$T/list"
        for n in 1 2 3; do echo "$url/nothing/$n"; done >> "$T/list"
        echo "nonsense" >> "$T/list"
        echo "$mute/" >> "$T/list"
        "$V6KIT" crawl -i "$T/list" -o "$T/job" --prefix 2001:db8:6::/56 --robots ignore --threads 2 -r 2000/s \
            --metrics 0 --timeout 100s 2>"$T/err" & crawl=$!
        for try in $(seq 600); do at=$(sed -n 's|^.*counters at \(http://[^ ]*\).*|\1|p' "$T/err"); [ -z "$at" ] || break; sleep 0.1; done
        "$PYTHON" - "$at" <<'PY'
import sys, time, urllib.request
from prometheus_client.parser import text_string_to_metric_families

def page():
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(sys.argv[1]) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), answer.headers
        return {f.name: f for f in text_string_to_metric_families(answer.read().decode())}

def value(families, name, **labels):
    return sum(s.value for f in families.values() for s in f.samples if s.name == name and labels.items() <= s.labels.items())

for _ in range(600):
    families = page()
    if value(families, "v6kit_crawl_items_total") == 404:
        break
    time.sleep(0.1)
assert value(families, "v6kit_crawl_items_total", outcome="ok") == 400, families
assert value(families, "v6kit_crawl_items_total", outcome="absent") == 3
assert value(families, "v6kit_crawl_items_total", outcome="fatal") == 1
assert value(families, "v6kit_crawl_request_seconds_count") == 403
assert value(families, "v6kit_crawl_request_seconds_bucket", le="+Inf") == 403
assert value(families, "v6kit_crawl_in_flight") == 1
assert value(families, "v6kit_crawl_job_items") == 405
assert value(families, "v6kit_crawl_pace_requests_per_second") >= 2000
nets = [s for s in families["v6kit_crawl_source_requests"].samples]
assert sum(s.value for s in nets) == 403 and all(s.labels["net64"].startswith("2001:db8:6") for s in nets), nets
assert value(families, "v6kit_crawl_errors_total", kind="not_found") + value(families, "v6kit_crawl_errors_total", kind="absent") == 3, families["v6kit_crawl_errors"]
assert families["v6kit_crawl_request_seconds"].type == "histogram"
print(len(families), "families")
PY
        while kill -TERM "$crawl" 2>/dev/null; do sleep 0.1; done; wait "$crawl" || true
        "$V6KIT" crawl "$url/items/{1..3}" -o "$T/open" --robots ignore --metrics '[::]:0' 2>&1
        "#,
    )
    .expect(0);
    assert!(run.stdout.contains(" families"), "{run}");
    assert!(run.stdout.contains("can be read by other hosts"), "{run}");
}
