//! What is refused, with the reason.

use std::path::Path;

use super::{assert_each_once, records, scratch, with_echo};
use crate::harness::{Run, v6kit};

/// One line of what failed, one of why, one hint.
#[track_caller]
fn assert_explained(run: &Run, parts: &[&str]) {
    let starts: Vec<&str> = run
        .stderr
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(starts.ends_with(&["error:", "why:", "hint:"]), "{run}");
    for part in parts {
        assert!(run.stderr.contains(part), "`{part}` is missing: {run}");
    }
}

#[test]
fn bad_usage_is_explained_and_exits_2() {
    let scratch = scratch();
    let job = scratch.path().join("job");
    let job = job.to_str().unwrap();
    for (arguments, parts) in [
        (vec!["http://h/{5..1}"], vec!["ends before it begins", "{1..5}"]),
        (vec!["http://h/{1..}"], vec!["lacks an end"]),
        (vec!["http://h/{1..5"], vec!["never closed"]),
        (vec!["h/{1..5}"], vec!["no scheme", "https://h/{1..5}"]),
        (vec!["ftp://h/{1..5}"], vec!["ftp://"]),
        (vec!["http://192.0.2.1/{1..5}"], vec!["IPv4"]),
        (vec!["http://h/{1..1e19}{1..1e19}"], vec!["split"]),
        (vec!["http://h/", "-r", "fast"], vec!["150/s"]),
        (vec!["http://h/", "-o", "-"], vec!["crawl cat DIR"]),
        (vec!["http://h/", "--timeout", "0s"], vec!["30s"]),
        (vec!["http://h/", "--max-body", "big"], vec!["10M"]),
        (vec!["http://h/", "-H", "nonsense"], vec!["Name: value"]),
        (vec!["http://h/", "-X", "GE T"], vec!["method"]),
        (
            vec!["http://h/", "--prefix", "2409:1:2:3:abcd::5/80"],
            vec!["2409:1:2:3:abcd::/80"],
        ),
        (vec!["http://h/", "-d", "@/nonexistent"], vec!["/nonexistent"]),
        (
            vec!["http://h/", "-i", "/nonexistent"],
            vec!["a list and other URLs"],
        ),
        (vec!["-i", "/nonexistent"], vec!["/nonexistent"]),
        (vec!["http://h/{}"], vec!["-i FILE"]),
        (vec!["http://h/", "--expect", "jsn"], vec!["key=data.id"]),
        (vec!["http://h/", "--block-pattern", "("], vec!["unclosed group"]),
        (vec!["http://h/", "--max-error-rate", "120%"], vec!["20%"]),
        (vec!["http://[::1]/", "--cacert", "/nonexistent"], vec![]),
        (vec!["http://name.invalid/"], vec!["name.invalid"]),
    ] {
        let mut all = vec!["crawl", "-o", job, "--state-dir", "/nonexistent"];
        all.extend(&arguments);
        if arguments == ["http://[::1]/", "--cacert", "/nonexistent"] {
            all[5] = "https://[::1]/";
        }
        let run = v6kit(&all).expect(2);
        assert_explained(&run, &parts);
    }
    assert!(!Path::new(job).exists(), "nothing was begun");
}

#[test]
fn urls_of_other_habits_are_fetched_and_spoken_of() {
    let scratch = scratch();
    let run = with_echo(
        scratch.path(),
        "",
        r#"
        "$V6KIT" crawl "$url/items/[1-5]" -o "$T/globbed" -r max --robots ignore
        "$V6KIT" crawl "$url"/items/{7..31} -o "$T/braces" -r max --robots ignore
        "$V6KIT" crawl status "$T/braces"
        "#,
    )
    .expect(0);
    assert!(
        run.stderr
            .contains("[1-5] is fetched as it stands; a range is written {1..5}"),
        "{run}"
    );
    assert!(run.stderr.contains("25 URLs were given"), "{run}");
    assert!(run.stderr.contains("/items/{7..31}'"), "{run}");
    assert!(run.stdout.contains("/items/7 and 24 more"), "{run}");
}

#[test]
fn a_directory_that_cannot_be_used_is_explained() {
    let scratch = scratch();
    let file = scratch.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    let other = scratch.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("thesis.txt"), "mine").unwrap();
    for directory in [Path::new("/proc/job"), &file, &other] {
        let run = v6kit(&[
            "crawl",
            "http://[::1]:1/",
            "--state-dir",
            "/nonexistent",
            "-o",
            directory.to_str().unwrap(),
        ]);
        assert_explained(&run.expect(2), &["-o DIR"][..usize::from(directory != other)]);
    }
    assert_eq!(std::fs::read_dir(&other).unwrap().count(), 1);
}

#[test]
fn another_job_in_the_same_directory_is_refused_with_the_difference() {
    let scratch = scratch();
    let job = scratch.path().join("job");
    let crawl = |url: &str, more: &[&str]| {
        let mut all = vec![
            "crawl",
            url,
            "-o",
            job.to_str().unwrap(),
            "--state-dir",
            "/nonexistent",
            "--retries",
            "0",
        ];
        all.extend(more);
        v6kit(&all)
    };
    crawl("http://[::1]:1/{1..3}", &[]).expect(1);
    let run = crawl("http://[::1]:1/{1..4}", &["-X", "HEAD"]).expect(2);
    assert_explained(
        &run,
        &[
            "url was `http://[::1]:1/{1..3}`",
            "method was `GET` and is `HEAD` now",
        ],
    );
    // What does not change the meaning may change. The items of the job have failed as before.
    crawl("http://[::1]:1/{1..3}", &["-r", "max", "-c", "7"]).expect(1);
}

#[test]
fn a_concurrency_beyond_the_limit_on_files_names_the_limit() {
    let scratch = scratch();
    let run = with_echo(
        scratch.path(),
        "",
        r#"
        ulimit -n 150
        "$V6KIT" crawl "$url/items/{1..50}" -o "$T/a" -r max -c 1000 2>"$T/refused" || echo "exit $?"
        "$V6KIT" crawl "$url/items/{1..50}" -o "$T/b" -r max -q
        "#,
    )
    .expect(0);
    assert_eq!(run.stdout, "exit 2\n", "{run}");
    let refused = std::fs::read_to_string(scratch.path().join("refused")).unwrap();
    assert!(
        refused.contains("RLIMIT_NOFILE") && refused.contains("hint: use -c "),
        "{refused}"
    );
    assert!(run.stderr.contains("instead of 100"), "{run}");
    assert_each_once(&records(&scratch.path().join("b")), 50);
}

#[test]
fn a_lack_of_descriptors_is_waited_out_and_no_item_fails_by_it() {
    let scratch = scratch();
    let run = with_echo(
        scratch.path(),
        "",
        r#"
        ulimit -n 256
        # What the caller left open is not in the account of the crawl.
        for fd in {20..190}; do eval "exec $fd</dev/null"; done
        "$V6KIT" crawl "$url/items/{1..300}" -o "$T/a" -r max -c 100 --threads 1 --retries 0
        "#,
    )
    .expect(0);
    assert_eq!(
        run.stderr.matches("no file descriptor left").count(),
        1,
        "told once: {run}"
    );
    let records = records(&scratch.path().join("a"));
    assert_each_once(&records, 300);
    assert!(records.iter().all(|record| record["outcome"] == "ok"), "{run}");
}
