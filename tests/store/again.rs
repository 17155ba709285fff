//! What is missing, what is fetched again, and which record counts.

use super::{FORMATS, cat, check, found_by_others, scratch, status, with_server};

/// 20 items that refuse the connection until a second server is there, and 100 that answer.
#[test]
fn only_items_that_failed_are_fetched_again_and_the_newest_record_counts() {
    for format in FORMATS {
        let scratch = scratch();
        let run = with_server(
            scratch.path(),
            &format!(
                r#"
                # A port that is free now, and listened on later.
                late=$(python3 -c 'import socket; s = socket.create_server(("::1", 0), family=socket.AF_INET6); print(s.getsockname()[1])')
                "$V6KIT" crawl "$url/items/{{1..100}}" "http://[::1]:$late/items/{{1..20}}" "$url/no/{{1..5}}" \
                    -o "$job" -r max --retries 0 --keep-free 0 --format {format} -q && exit 9
                "$V6KIT" crawl status --json "$job" >"$T/before"
                "$V6KIT" crawl retry "$job" --no-run -q
                "$V6KIT" crawl status --json "$job" >"$T/opened"
                "$V6KIT" crawl cat "$job" --outcome transient | wc -l
                "$V6KIT" echo --json --listen "[::1]:$late" >"$T/late" & second=$!
                until [ -s "$T/late" ]; do :; done
                mv "$job" "$T/moved"
                "$V6KIT" crawl retry "$T/moved" --outcome transient --json -- -r 1000/s --robots ignore
                "#
            ),
        )
        .expect(0);
        let moved = scratch.path().join("moved");
        let (old, summary) = run.stdout.split_once('\n').unwrap();
        assert_eq!(old, "20", "records stand until there are newer ones: {run}");
        let summary: serde_json::Value = serde_json::from_str(summary).unwrap();
        assert_eq!(
            (&summary["requests"], &summary["run"]["ok"]),
            (&20.into(), &20.into()),
            "{run}"
        );
        let read = |name| -> serde_json::Value {
            serde_json::from_slice(&std::fs::read(scratch.path().join(name)).unwrap()).unwrap()
        };
        assert_eq!(read("before")["outcomes"]["transient"], 20);
        let opened = read("opened");
        assert_eq!((&opened["left"], &opened["retrying"]), (&20.into(), &20.into()));
        let after = status(&moved);
        assert_eq!(after["outcomes"]["ok"], 120, "{after}");
        assert_eq!(after["outcomes"]["absent"], 5);
        assert_eq!(after["complete"], true);
        assert_eq!(cat(&moved, &[]).len(), 125);
        assert!(cat(&moved, &["--outcome", "transient"]).is_empty());
        assert_eq!(cat(&moved, &["--outcome", "absent", "--pos", "121.."]).len(), 4);
        assert_eq!(
            found_by_others(format, &moved).len(),
            145,
            "both records are kept"
        );
        check(&moved, &[], 0);
    }
}

#[test]
fn the_missing_are_those_without_a_record() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        r#"
        "$V6KIT" crawl "$url/items/{1..50000}" "$url/{a,b}" -o "$job" -r 2000/s --commit-every 20ms --keep-free 0 -q & pid=$!
        until [ "$(committed)" -gt 0 ]; do :; done
        kill -KILL $pid
        wait $pid || true
        "$V6KIT" crawl cat "$job" | jq -r .url >"$T/have"
        "$V6KIT" crawl missing "$job" >"$T/missing"
        "$V6KIT" crawl missing --json "$job" | jq .missing
        comm -12 <(sort "$T/have") <(sort "$T/missing") | wc -l
        cat "$T/have" "$T/missing" | sort -u | wc -l
        tail -1 "$T/missing" | sed 's,.*/,,'
        "#,
    )
    .expect(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines[0].parse::<u64>().unwrap() < 50_002, "{run}");
    assert_eq!(lines[1..], ["0", "50002", "b"], "{run}");
}

#[test]
fn what_was_not_asked_for_is_not_read() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        r#"
        "$V6KIT" crawl "$url/items/{1..20000}" -o "$job" -r max --threads 1 --commit-every 20ms --level 1 --keep-free 0 -q
        # Everything but the beginning is made unreadable.
        segment=$(echo "$job"/*.zst)
        truncate -s 2000 "$segment"
        if "$V6KIT" crawl cat "$job" >/dev/null; then exit 9; else [ $? = 1 ]; fi
        strace -qq -o "$T/trace" -e trace=openat "$V6KIT" crawl cat "$job" --outcome fatal
        grep -c ndjson.zst "$T/trace" || true
        "#,
    )
    .expect(0);
    assert_eq!(run.stdout, "0\n", "{run}");
}
