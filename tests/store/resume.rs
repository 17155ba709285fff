//! Going on: what may change between runs, what may not, and how a crawl is stopped.

use super::{assert_each_once, cat, scratch, status, with_server};

#[test]
fn settings_may_change_between_runs_and_the_job_may_not() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        r#"
        "$V6KIT" crawl "$url/items/{1..300}" -o "$job" --limit 100 -r max --keep-free 0 -q
        refused() { if "$V6KIT" crawl "$@" -o "$job" -q; then exit 9; else [ $? = 2 ]; fi; }
        refused "$url/items/{1..300}" --limit 200
        refused "$url/items/{1..301}" --limit 100
        refused "$url/items/{1..300}" --limit 100 --order shuffle --seed 5
        refused "$url/items/{1..300}" --limit 100 --format warc
        refused "$url/items/{1..300}" --limit 100 --store meta -H 'X-A: 1'
        "$V6KIT" crawl "$url/items/{1..300}" --limit 100 -r 9/s -c 3 --threads 3 --requests-per-address 5 \
            --level 9 --long --commit-every 1s --keep-free 1M --retries 9 -o "$job" --json
        "#,
    )
    .expect(0);
    assert_eq!(run.json()["resumed"], 100, "{run}");
    for difference in [
        "limit was `100` and is `200` now",
        "{1..300}` and is `http://[::1]:",
        "order was `sequential` and is `shuffle 5` now",
        "format was `ndjson` and is `warc` now",
        "store was `body` and is `meta` now",
        "x-a: 1",
    ] {
        assert!(run.stderr.contains(difference), "{difference}: {run}");
    }
}

#[test]
fn a_crawl_goes_on_by_its_directory_alone_with_the_options_that_it_had() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        r#"
        "$V6KIT" crawl "$url/items/{1..300}" --limit 200 -o "$job" -r 50/s --commit-every 50ms --keep-free 0 -q & pid=$!
        until [ "$(stored)" -gt 0 ]; do :; done
        kill -TERM $pid
        wait $pid || true
        cd /
        "$V6KIT" crawl resume "$job" --json -- -r max 2>/dev/null | jq -c '[.ok, .resumed > 0, .run.ok < 200]'
        # It is done: nothing is left to fetch, and that is no failure.
        "$V6KIT" crawl continue "$job" --json | jq -c '[.ok, .run.ok]'
        "$V6KIT" crawl resume "$T/none" || echo $?
        "#,
    )
    .expect(0);
    assert_eq!(run.stdout, "[200,true,true]\n[200,0]\n2\n", "{run}");
}

#[test]
fn one_directory_has_one_crawl() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        r#"
        "$V6KIT" crawl "$url/items/{1..100000}" -o "$job" -r 100/s --commit-every 50ms --keep-free 0 -q & pid=$!
        until [ "$(stored)" -gt 0 ]; do :; done
        for other in "crawl $url/items/{1..100000} -o" "crawl retry --no-run" "crawl check --repair"; do
            if "$V6KIT" $other "$job"; then exit 9; else [ $? = 2 ]; fi
        done
        # Reading is for everybody.
        "$V6KIT" crawl status "$job" >/dev/null
        "$V6KIT" crawl check "$job" >/dev/null
        kill -KILL $pid
        wait $pid || true
        "$V6KIT" crawl retry --no-run "$job"
        "#,
    )
    .expect(0);
    assert_eq!(
        run.stderr.matches("another crawl is running in").count(),
        3,
        "{run}"
    );
}

#[test]
fn a_billion_items_start_small() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        r#"
        "$V6KIT" crawl "$url/items/{1..1000000000}" -o "$job" -r 200/s --commit-every 50ms --keep-free 0 -q & pid=$!
        until [ "$(stored)" -gt 0 ]; do :; done
        awk '/VmHWM/ { print $2 }' /proc/$pid/status
        kill -TERM $pid
        wait $pid || [ $? = 130 ]
        "#,
    )
    .expect(0);
    let kilobytes: u64 = run.stdout.trim().parse().unwrap();
    assert!(kilobytes < 50_000, "{kilobytes} kB");
    let ledger = std::fs::metadata(scratch.path().join("job/ledger.sqlite")).unwrap();
    assert!(ledger.len() < 100_000);
    let status = status(&scratch.path().join("job"));
    assert_eq!(status["total"], 1_000_000_000);
    assert!(
        status["forecast"]["seconds_left"].as_f64().unwrap() > 1e6,
        "{status}"
    );
    assert!(
        status["forecast"]["bytes_total"].as_u64().unwrap() > 1_000_000_000,
        "{status}"
    );
}

/// A server that answers every other request at once, and holds the others for ever.
const HALF_A_SERVER: &str = include_str!("resume/half_a_server.sh");

#[test]
fn an_interrupted_crawl_waits_for_its_grace_and_commits_the_rest() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        &format!(
            r#"{HALF_A_SERVER}
            "$V6KIT" crawl "$half/{{1..1000}}" --robots ignore -o "$job" -r max -c 4 --keep-free 0 --grace 200ms --json 2>"$T/said" & pid=$!
            held 4
            kill -TERM $pid
            if wait $pid; then exit 9; else [ $? = 130 ]; fi
            cat "$T/said" >&2
            "#
        ),
    )
    .expect(0);
    let summary = run.json();
    // 2, 4, 6 and 8 are held; 1, 3, 5 and 7 are done.
    let done = summary["ok"].as_u64().unwrap();
    assert_eq!(done, 4, "{run}");
    assert_eq!(summary["left"], 1000 - done, "{run}");
    assert!(run.stderr.contains("to go on: "), "{run}");
    let job = scratch.path().join("job");
    assert_eq!(cat(&job, &[]).len() as u64, done);
    assert_eq!(status(&job)["done"], done);
}

#[test]
fn a_second_signal_stops_at_once_and_loses_no_commit() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        &format!(
            r#"{HALF_A_SERVER}
            "$V6KIT" crawl "$half/{{1..1000}}" --robots ignore -o "$job" -r max -c 4 --keep-free 0 --grace 1h \
                --commit-every 10ms 2>"$T/said" & pid=$!
            held 4
            until [ "$(committed)" -gt 0 ]; do :; done
            kill -TERM $pid
            until grep -q 'stopping: ' "$T/said"; do :; done
            # Within a second it is still the same wish.
            eventually terminated $pid
            if wait $pid; then exit 9; else [ $? = 130 ]; fi
            grep -q 'stopped at once' "$T/said"
            "$V6KIT" crawl check "$job" >/dev/null
            "#
        ),
    )
    .expect(0);
    let job = scratch.path().join("job");
    let committed = status(&job)["done"].as_u64().unwrap();
    assert!(committed > 0, "{run}");
    assert_eq!(cat(&job, &[]).len() as u64, committed);
}

#[test]
fn a_shuffled_job_resumes_to_each_item_once() {
    let scratch = scratch();
    with_server(
        scratch.path(),
        r#"
        crawl() {
            exec "$V6KIT" crawl "$url/items/{1..5000}" -o "$job" --order shuffle --seed 9 --keep-free 0 -q "$@"
        }
        crawl -r 3000/s --commit-every 20ms & pid=$!
        until [ "$(stored)" -gt 20000 ]; do :; done
        kill -KILL $pid
        wait $pid || true
        (crawl -r max)
        "#,
    )
    .expect(0);
    let job = scratch.path().join("job");
    assert_each_once(&cat(&job, &[]), 5000);
    let some = cat(&job, &["--pos", "1000..1099"]);
    assert_eq!(some.len(), 100);
    assert!(
        some.iter()
            .all(|record| (1000..1100).contains(&record["pos"].as_u64().unwrap()))
    );
}
