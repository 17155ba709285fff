//! How much is under way at a time: requests over all threads, connections that are begun, memory.

use super::{asked, on_loopback, records, scratch, summary};

#[test]
fn slots_go_to_whichever_thread_has_items() {
    let scratch = scratch();
    // The site answers nothing before so many requests wait at a time. Of the last one, those items wait that one
    // thread gets together, which alone has too few slots for them.
    on_loopback(
        scratch.path(),
        r#"
        site many together 100 200
        crawl many "$url/{1..200}" -c 100 --threads 2 -r max --retries 0
        site few together 4 12
        crawl few "$url/{1..12}" -c 4 --threads 2 -r max --retries 0
        site uneven together 4 5
        crawl uneven "$url/{1..20}" -c 4 --threads 2 -r max --retries 0
        site odd together 7 7
        crawl odd "$url/{1..7}" -c 8 --threads 4 -r max --retries 0
        "#,
    )
    .expect(0);
    for (name, items) in [("many", 200), ("few", 12), ("uneven", 20), ("odd", 7)] {
        let summary = summary(scratch.path(), name);
        assert_eq!(summary["ok"], items, "{name}: {summary}");
    }
}

#[test]
fn connections_are_begun_no_faster_than_told_retries_and_further_sites_included() {
    let scratch = scratch();
    on_loopback(
        scratch.path(),
        r#"
        site first once 10
        for item in $(seq 1 20); do echo "$url/$item"; done >"$T/list"
        site second once 0
        for item in $(seq 1 20); do echo "$url/$item"; done >>"$T/list"
        crawl paced -i "$T/list" -c 20 --threads 2 -r max --connect-rate 20/s
        site kept plain
        crawl kept "$url/{1..200}" -c 20 --threads 2 -r max --connect-rate 2/s
        "#,
    )
    .expect(0);
    let paced = summary(scratch.path(), "paced");
    assert_eq!(paced["ok"], 40, "{paced}");
    let begun: usize = ["first", "second"]
        .iter()
        .map(|site| {
            asked(scratch.path(), site)
                .iter()
                .filter(|(_, status)| *status == 0)
                .count()
        })
        .sum();
    assert_eq!(begun, 50, "40 items and 10 retries: {paced}");
    // The first one is free, and 20 ms of the others.
    let least = (begun as f64 - 1.0) / 20.0 - 0.02;
    let took = paced["seconds"].as_f64().expect("seconds");
    assert!(took >= least, "{begun} connections in {took} s");
    // Whoever waits for a connection takes one that is free.
    let kept = summary(scratch.path(), "kept");
    assert_eq!(
        (&kept["ok"], &kept["kinds"]),
        (&200.into(), &serde_json::json!({})),
        "{kept}"
    );
    let connections = kept["connections"].as_f64().expect("a number");
    let most = 2.0 * kept["seconds"].as_f64().expect("seconds") + 2.0;
    assert!(connections <= most, "{kept}");
}

#[test]
fn bodies_of_all_slots_stay_within_the_memory_and_all_of_them_come() {
    let scratch = scratch();
    let run = on_loopback(
        scratch.path(),
        r#"
        measured() { # name, argument...
            local name=$1
            shift
            python3 - "$V6KIT" crawl "$@" -o "$T/$name" --robots ignore --json >"$T/$name.json" 2>"$T/$name.err" <<'PY'
import resource, subprocess, sys
ended = subprocess.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, file=open("/dev/fd/3", "w"))
sys.exit(ended.returncode)
PY
        }
        exec 3>&1
        site large large 4000000
        measured tight "$url/{1..60}" -c 60 --threads 2 -r max --memory 16M --retries 0
        # Each of them is larger than all there is.
        measured single "$url/{1..6}" -c 6 --threads 2 -r max --memory 1M --retries 0
        "#,
    )
    .expect(0);
    for (name, items) in [("tight", 60), ("single", 6)] {
        let summary = summary(scratch.path(), name);
        assert_eq!(summary["ok"], items, "{name}: {summary}");
        let whole = records(scratch.path(), name)
            .iter()
            .filter(|record| {
                record["body"]
                    .as_str()
                    .is_some_and(|body| body.len() == 4_000_000)
            })
            .count();
        assert_eq!(whole, items, "{name}");
    }
    let sizes: Vec<u64> = run.stdout.lines().filter_map(|line| line.parse().ok()).collect();
    // Together the bodies of the first are 240 MB.
    assert!(
        sizes.len() == 2 && sizes.iter().all(|size| *size < 130),
        "MiB: {sizes:?}"
    );
}
