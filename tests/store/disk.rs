//! Disks that fill up, fail, vanish, or are slow.

use super::{FORMATS, assert_each_once, cat, check, scratch, status, with_server};

#[test]
fn a_crawl_drains_before_the_disk_is_full_and_goes_on_when_there_is_room() {
    const ITEMS: u64 = 60_000;
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        &format!(
            r#"
            mkdir "$T/small"
            mount -t tmpfs -o size=64M none "$T/small"
            job="$T/small/job"
            crawl() {{ "$V6KIT" crawl "$url/items/{{1..{ITEMS}}}" -o "$job" -r max --format warc --json "$@"; }}
            if crawl --keep-free 40%; then exit 9; else [ $? = 3 ]; fi
            df --output=size,avail -B1 "$T/small" | tail -1
            "$V6KIT" crawl check "$job" >/dev/null
            mount -o remount,size=256M "$T/small"
            crawl --keep-free 10%
            cp -r "$job" "$T/job"
            umount "$T/small"
            "#
        ),
    )
    .expect(0);
    let numbers: Vec<u64> = run
        .stdout
        .lines()
        .find(|line| !line.contains(['{', '}', '"']) && line.split_whitespace().count() == 2)
        .unwrap()
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect();
    let [size, free] = numbers[..] else {
        panic!("{run}")
    };
    assert!(free * 10 >= size * 4, "40 % stay free: {run}");
    assert!(run.stderr.contains("stopped before the disk was full"), "{run}");
    assert!(run.stderr.contains("items are left"), "{run}");
    let job = scratch.path().join("job");
    assert_each_once(&cat(&job, &[]), ITEMS);
    assert_eq!(check(&job, &[], 0)["items"], ITEMS);
}

#[test]
fn progress_says_what_it_will_come_to_and_that_it_will_not_fit() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        r#"
        mkdir "$T/small"
        mount -t tmpfs -o size=64M none "$T/small"
        "$V6KIT" crawl "$url/items/{1..1000000000}" -o "$T/small/job" -r 500/s --commit-every 20ms --keep-free 0 \
            --stats-interval 50ms 2>"$T/said" & pid=$!
        until grep -q 'B per item' "$T/said" && grep -q 'warning: ' "$T/said"; do :; done
        kill -TERM $pid
        wait $pid || [ $? = 130 ]
        grep -o -m1 'in the end ([0-9]* B per item)' "$T/said"
        grep -c 'the crawl will stop before the disk is full' "$T/said"
        "$V6KIT" crawl status "$T/small/job"
        "#,
    )
    .expect(0);
    assert!(run.stdout.contains("B per item)\n1\n"), "told once: {run}");
    assert!(run.stdout.contains("the rest does not fit"), "{run}");
    assert!(
        run.stdout.contains("days left at") || run.stdout.contains("weeks left at"),
        "{run}"
    );
}

#[test]
fn by_default_a_gibibyte_stays_free() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        r#"
        mkdir "$T/small"
        mount -t tmpfs -o size=64M none "$T/small"
        if "$V6KIT" crawl "$url/items/{1..10}" -o "$T/small/job" -r max; then exit 9; else [ $? = 3 ]; fi
        "#,
    )
    .expect(0);
    assert!(
        run.stderr.contains("hint: make room, or lower --keep-free"),
        "{run}"
    );
}

#[test]
fn a_disk_that_is_full_loses_nothing_that_was_committed() {
    for (format, size, items) in [
        ("ndjson", "1M", 60_000),
        ("warc", "12M", 20_000),
        ("parquet", "2M", 60_000),
    ] {
        let scratch = scratch();
        let run = with_server(
            scratch.path(),
            &format!(
                r#"
                mkdir "$T/small"
                mount -t tmpfs -o size={size} none "$T/small"
                job="$T/small/job"
                crawl() {{
                    "$V6KIT" crawl "$url/items/{{1..{items}}}" -o "$job" -r max --format {format} --keep-free 0 \
                        --commit-every 20ms --json "$@"
                }}
                if crawl >/dev/null; then exit 9; else [ $? = 3 ]; fi
                "$V6KIT" crawl check "$job" >/dev/null
                # Again, on the full disk.
                if crawl >/dev/null; then exit 9; else [ $? = 3 ]; fi
                mount -o remount,size=256M "$T/small"
                crawl
                cp -r "$job" "$T/job"
                umount "$T/small"
                "#
            ),
        )
        .expect(0);
        assert!(run.stderr.contains("hint: make room on the disk"), "{run}");
        assert!(run.json()["resumed"].as_u64().unwrap() > 0, "{run}");
        assert_each_once(&cat(&scratch.path().join("job"), &[]), items);
    }
}

/// System calls that fail, on which file, how, and from which on: after the job is made.
const FAILURES: [(&str, &str, &str, u32); 6] = [
    ("write", "000001.ndjson.zst", "ENOSPC", 3),
    ("write", "000001.ndjson.zst", "ENODEV", 3),
    ("fdatasync", "000001.ndjson.zst", "EIO", 3),
    ("pwrite64", "ledger.sqlite-wal", "EIO", 20),
    ("fsync", "ledger.sqlite-wal", "EIO", 6),
    ("pwrite64", "ledger.sqlite-wal", "ENOSPC", 20),
];

#[test]
fn a_disk_that_fails_or_vanishes_ends_the_crawl_and_not_the_job() {
    const ITEMS: u64 = 5000;
    for (call, file, error, nth) in FAILURES {
        let scratch = scratch();
        let run = with_server(
            scratch.path(),
            &format!(
                r#"
                crawl=("$V6KIT" crawl "$url/items/{{1..{ITEMS}}}" -o "$job" --threads 1 --keep-free 0)
                code=0
                strace -f -qq -o /dev/null -P "$job/{file}" -e trace={call} -e inject={call}:error={error}:when={nth}+ \
                    "${{crawl[@]}}" -r 3000/s --commit-every 20ms || code=$?
                echo "$code"
                "$V6KIT" crawl check "$job" >/dev/null
                "${{crawl[@]}}" -r max -q
                "#
            ),
        )
        .expect(0);
        assert_eq!(run.stdout, "3\n", "{call} {file} {error}: {run}");
        assert!(
            run.stderr.contains("error: the crawl stopped"),
            "{call} {error}: {run}"
        );
        let job = scratch.path().join("job");
        assert_each_once(&cat(&job, &[]), ITEMS);
        assert_eq!(status(&job)["complete"], true);
    }
}

#[test]
fn a_slow_disk_holds_the_fetching_back() {
    const ITEMS: u64 = 3000;
    const BODY: u64 = 20_000;
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        &format!(
            r#"
            mkdir "$T/www"
            head -c {BODY} /dev/zero | tr '\0' x >"$T/www/text"
            coproc WWW {{ exec python3 -u -m http.server --bind ::1 --protocol HTTP/1.1 -d "$T/www" 0 2>/dev/null; }}
            read -r _ _ _ _ _ port _ <&"${{WWW[0]}}"
            # The first frame takes ten seconds to be safe; what comes in meanwhile is bounded by memory.
            strace -f -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:delay_enter=10000000:when=1 \
                "$V6KIT" crawl "http://[::1]:$port/text?{{1..{ITEMS}}}" -o "$job" -r max -c 16 --threads 1 \
                --keep-free 0 --stats-interval 100ms
            kill $WWW_PID
            "#
        ),
    )
    .expect(0);
    let waiting = run
        .stderr
        .lines()
        .filter(|line| line.contains("stored 0 B"))
        .filter_map(|line| line.split_once('/')?.0.replace(',', "").parse::<u64>().ok())
        .max()
        .unwrap_or_else(|| panic!("no progress was shown: {run}"));
    // A frame that is written, two that wait, the one that has come over the limit, and one in the making, of
    // 3 MiB each.
    let bound = 5 * (3 << 20) / BODY + 16;
    assert!(waiting <= bound, "{waiting} items in memory, not {bound}: {run}");
    assert!(waiting >= bound / 4, "the disk was not slow: {run}");
    assert_each_once(&cat(&scratch.path().join("job"), &[]), ITEMS);
}

#[test]
fn what_was_stored_is_the_same_on_every_format() {
    let scratch = scratch();
    with_server(
        scratch.path(),
        r#"
        for number in {1..200}; do
            echo "{\"id\":{\"n\":$number,\"outcome\":\"fatal\"},\"url\":\"$url/items/$number\"}"
        done >"$T/list"
        echo "$url/no/1" >>"$T/list"
        for format in ndjson warc parquet; do
            "$V6KIT" crawl -i "$T/list" -o "$T/$format" -r max --format $format --keep-free 0 -q
        done
        "#,
    )
    .expect(0);
    let records = FORMATS.map(|format| {
        let mut records = cat(&scratch.path().join(format), &[]);
        records.sort_by_key(|record| record["pos"].as_u64());
        for record in &mut records {
            let fields = record.as_object_mut().unwrap();
            fields.remove("at").unwrap();
            fields.remove("ms").unwrap();
        }
        records
    });
    assert_eq!(records[0], records[1]);
    assert_eq!(records[0], records[2]);
    assert_eq!(records[0][6]["id"]["n"], 7);
    assert_eq!(records[0][200]["outcome"], "absent");
    for format in FORMATS {
        let job = scratch.path().join(format);
        assert_eq!(cat(&job, &["--outcome", "ok", "--pos", "190.."]).len(), 10);
        assert_eq!(check(&job, &[], 0)["items"], 201);
    }
}

#[test]
fn a_file_that_may_grow_no_further_is_a_full_disk_and_no_death_by_a_signal() {
    for format in FORMATS {
        let scratch = scratch();
        let run = with_server(
            scratch.path(),
            &format!(
                r#"
                crawl() {{
                    "$V6KIT" crawl "$url/items/{{1..20000}}" -o "$job" -r max --format {format} --keep-free 0 \
                        --threads 1 --commit-every 20ms --json "$@"
                }}
                # In units of 1,024 bytes.
                if (ulimit -f 52; crawl >/dev/null); then exit 9; else [ $? = 3 ]; fi
                "$V6KIT" crawl check "$job" >/dev/null
                crawl
                "#
            ),
        )
        .expect(0);
        assert!(
            run.stderr.contains("hint: make room on the disk"),
            "{format}: {run}"
        );
        assert_each_once(&cat(&scratch.path().join("job"), &[]), 20_000);
    }
}

#[test]
fn a_page_of_the_ledgers_memory_that_is_gone_ends_the_crawl_with_words() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        r#"
        crawl() { "$V6KIT" crawl "$url/items/{1..3000}" -o "$job" --commit-every 20ms --keep-free 0 --json "$@"; }
        crawl -r 100/s >/dev/null 2>"$T/said" & pid=$!
        until [ "$(committed)" -gt 0 ]; do :; done
        # What is mapped has no page behind it any more, as where a quota is full.
        truncate -s 0 "$job/ledger.sqlite-shm"
        wait $pid || echo $?
        cat "$T/said"
        crawl -r max >"$T/after"
        "#,
    )
    .expect(0);
    assert!(run.stdout.starts_with("3\n"), "{run}");
    assert!(run.stdout.contains("SIGBUS at ledger.sqlite-shm"), "{run}");
    assert_each_once(&cat(&scratch.path().join("job"), &[]), 3000);
}
