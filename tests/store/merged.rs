//! Tables that are merged, whatever happens meanwhile.

use super::{assert_each_once, cat, check, found_by_others, python, scratch, with_server};

#[test]
fn a_finished_table_is_one_file_whose_columns_sql_can_name() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        r#"
        "$V6KIT" crawl "$url/items/{1..3000}" "http://[::1]:1/" -o "$job" -r max --retries 0 --format parquet \
            --threads 1 --commit-every 10ms --keep-free 0 -q && exit 9
        ls "$job" | grep -c parquet
        "#,
    )
    .expect(0);
    assert_eq!(run.stdout, "1\n", "{run}");
    let job = scratch.path().join("job");
    // pos, source and fetched_at without quotation marks; no source where there was no connection.
    assert_eq!(python(&["columns", "parquet"], &job).stdout, "3001 3000 3001\n");
    let records = cat(&job, &[]);
    assert_each_once(&records, 3001);
    assert!(records[0]["from"] == "::1" && records[0]["at"].is_string());
    check(&job, &[], 0);
}

#[test]
fn a_kill_while_tables_are_merged_loses_nothing_and_repeats_nothing() {
    const ITEMS: u64 = 3000;
    let scratch = scratch();
    with_server(
        scratch.path(),
        &format!(
            r#"
            unset LD_LIBRARY_PATH
            crawl=("$V6KIT" crawl "$url/items/{{1..{ITEMS}}}" -o "$job" -r max --threads 1 --format parquet
                --commit-every 10ms --keep-free 0 --json -q)
            # The first file of all is opened by its name only to be merged, and removed only when it was.
            for call in openat unlink; do
                code=0
                strace -f -qq -P "$job/000001.parquet" -o "$T/trace" -e trace=$call -e inject=$call:signal=KILL:when=1 \
                    "${{crawl[@]}}" >/dev/null 2>&1 || code=$?
                [ $code = 137 ] || {{ echo "$call: the crawl did not die there but ended with $code" >&2; exit 9; }}
                "$V6KIT" crawl check "$job" >/dev/null
                "$V6KIT" crawl cat "$job" | jq .pos | sort -un | wc -l >"$T/$call"
                "$V6KIT" crawl cat "$job" | wc -l >>"$T/$call"
            done
            "${{crawl[@]}}" >"$T/last"
            "#
        ),
    )
    .expect(0);
    for call in ["openat", "unlink"] {
        let counts = std::fs::read_to_string(scratch.path().join(call)).unwrap();
        assert_eq!(counts, format!("{ITEMS}\n{ITEMS}\n"), "killed in {call}");
    }
    let last: serde_json::Value =
        serde_json::from_slice(&std::fs::read(scratch.path().join("last")).unwrap()).unwrap();
    assert_eq!((&last["requests"], &last["complete"]), (&0.into(), &true.into()));
    let job = scratch.path().join("job");
    assert_each_once(&found_by_others("parquet", &job), ITEMS);
    check(&job, &[], 0);
}

#[test]
fn a_table_can_be_read_while_it_is_merged() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        r#"
        "$V6KIT" crawl "$url/items/{1..2000}" -o "$job" -r max --format parquet --threads 1 --commit-every 10ms \
            --keep-free 0 -q --limit 2000 & pid=$!
        # A reader that stops at the first record until all is merged.
        until [ "$(committed)" -gt 0 ]; do :; done
        mkfifo "$T/reader"
        "$V6KIT" crawl cat "$job" >"$T/reader" & reader=$!
        exec 5<"$T/reader"
        wait $pid
        cat <&5 >"$T/read"
        wait $reader
        jq .pos "$T/read" | sort -u | wc -l
        wc -l <"$T/read"
        "#,
    )
    .expect(0);
    let counts: Vec<u64> = run
        .stdout
        .lines()
        .map(|line| line.trim().parse().unwrap())
        .collect();
    assert_eq!(counts[0], counts[1], "no record twice: {run}");
    assert!(counts[0] > 0, "{run}");
}
