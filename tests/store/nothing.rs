//! The same again and again, and nothing kept of it: `--repeat` and `--store none`.

use super::*;

/// Crawls with `$options` into `$job`, is killed once some of it is committed, and goes on to the end. The requests that
/// the server saw are in `$T/seen`.
const KILLED_AND_RESUMED: &str = r#"
    crawl=("$V6KIT" crawl "${what[@]}" -o "$job" -r max -c 32 --keep-free 0 --commit-every 20ms)
    "${crawl[@]}" 2>/dev/null & pid=$!
    until [ "$(committed)" -gt 0 ]; do :; done
    kill -KILL $pid
    wait $pid || true
    before=$(committed)
    [ "$before" -lt 60000 ]
    "${crawl[@]}" --json 2>"$T/said"
    [ "$(committed)" = 60000 ]
"#;

#[test]
fn each_repetition_is_an_item_of_its_own_and_a_killed_crawl_goes_on_among_them() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        &format!("what=(\"$url/items/{{7,8}}\" --repeat 30000)\n{KILLED_AND_RESUMED}"),
    )
    .expect(0);
    let job = scratch.path().join("job");
    let summary = run.json();
    assert_eq!(
        (&summary["ok"], &summary["complete"]),
        (&60_000.into(), &true.into()),
        "{run}"
    );
    let records = cat(&job, &[]);
    assert_each_once(&records, 60_000);
    for record in &records {
        let last = 7 + record["pos"].as_u64().unwrap() % 2;
        assert!(
            record["url"]
                .as_str()
                .unwrap()
                .ends_with(&format!("/items/{last}"))
        );
    }
}

#[test]
fn where_nothing_is_kept_a_killed_crawl_goes_on_and_the_counts_are_whole() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        &format!("what=(\"$url/items/7\" \"$url/none\" --repeat 30000 --store none)\n{KILLED_AND_RESUMED}"),
    )
    .expect(0);
    let job = scratch.path().join("job");
    let summary = run.json();
    assert_eq!(
        (&summary["ok"], &summary["absent"]),
        (&30_000.into(), &30_000.into()),
        "{run}"
    );
    assert_eq!(
        (&summary["segments"], &summary["bytes_stored"]),
        (&0.into(), &0.into()),
        "{run}"
    );
    let names = std::fs::read_dir(&job)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let segments: Vec<_> = names
        .filter(|name| name.to_string_lossy().contains("ndjson"))
        .collect();
    assert!(segments.is_empty(), "{segments:?}");
    let status = status(&job);
    assert_eq!(status["outcomes"]["absent"], 30_000, "{status}");
    assert_eq!(check(&job, &[], 0)["items"], 60_000);
    let directory = job.to_str().unwrap();
    for command in [&["crawl", "cat", directory][..], &["crawl", "retry", directory]] {
        let said = v6kit(command).expect(1);
        assert!(said.stderr.contains("the job keeps no records"), "{said}");
    }
}

#[test]
fn how_often_and_what_is_kept_are_part_of_the_job() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        r#"
        "$V6KIT" crawl "$url/items/7" --repeat 10 --store none -o "$job" --keep-free 0 -r max >&2
        for other in "--repeat 11 --store none" "--repeat 10" "--store none"; do
            if "$V6KIT" crawl "$url/items/7" $other -o "$job" --keep-free 0 -r max; then exit 9; else [ $? = 2 ]; fi
        done
        "#,
    )
    .expect(0);
    for difference in [
        "repeat was `10` and is `11` now",
        "store was `none` and is `body` now",
        "repeat was `10`",
    ] {
        assert!(run.stderr.contains(difference), "{difference}: {run}");
    }
}
