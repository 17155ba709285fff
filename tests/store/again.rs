//! What is missing, what is fetched again, and which record counts.

use super::{FORMATS, cat, check, found_by_others, scratch, status, with_server};
use crate::harness::Run;

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

/// Answers 401 to whoever does not show the token in `$T/token`, and what was sent to whoever does.
const GUARD: &str = include_str!("again/guard.sh");

#[test]
fn a_retry_takes_a_new_token_and_knows_files_from_anywhere_and_opens_nothing_that_it_cannot_fetch() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        &[GUARD, include_str!("again/a_retry_takes_a_new_token_and_knows_files_from_anywhere_and_opens_nothing_that_it_cannot_fetch.sh")].join("\n"),
    )
    .expect(0);
    let expected: String = (1..6).map(|n| format!("[\"n={n}\",\"p\"]\n")).collect();
    assert_eq!(run.stdout, format!("0\n0\n{expected}"), "{run}");
    let refused = std::fs::read_to_string(scratch.path().join("refused")).unwrap();
    assert!(refused.contains("x-auth-token"), "{refused}");
}

#[test]
fn the_first_items_of_a_list_from_standard_input_are_fetched_again_from_the_copy() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        r#"
        seq 3 | "$V6KIT" crawl "$url/items/{}" - -o "$job" -r max --keep-free 0 -q
        "$V6KIT" crawl retry "$job" --outcome ok --json </dev/null | jq -c '[.run.ok, .ok]'
        "#,
    )
    .expect(0);
    assert_eq!(run.stdout, "[3,3]\n", "{run}");
}

/// Whether the process `$1` listens for SIGTERM by now.
const LISTENING: &str = r#"
    listens() {
        local mask
        mask=$(sed -n 's/^SigCgt:\t//p' "/proc/$1/status")
        (( 0x$mask & 0x4000 ))
    }
"#;

/// Fails the test unless the script of `run` printed the exit code and the words of a crawl that began nothing.
#[track_caller]
fn assert_stopped_before_the_first_request(run: Run) {
    let run = run.expect(0);
    assert!(
        run.stdout.starts_with("130\n") && run.stdout.contains("stopped before the first request"),
        "{run}"
    );
}

#[test]
fn a_signal_is_heard_while_the_list_is_read() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        &format!(
            r#"{LISTENING}
            mkfifo "$T/list"
            "$V6KIT" crawl -i "$T/list" -o "$job" 2>"$T/said" & pid=$!
            until listens $pid; do :; done
            kill -TERM $pid
            wait $pid || echo $?
            cat "$T/said"
            "#
        ),
    );
    assert_stopped_before_the_first_request(run);
}

#[test]
fn a_signal_is_heard_while_the_ledger_is_opened() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        &[
            LISTENING,
            include_str!("again/a_signal_is_heard_while_the_ledger_is_opened.sh"),
        ]
        .join("\n"),
    );
    assert_stopped_before_the_first_request(run);
}

#[test]
fn a_list_that_has_grown_is_gone_on_with_and_what_is_in_it_twice_is_fetched_once() {
    let scratch = scratch();
    let run = with_server(
        scratch.path(),
        include_str!(
            "again/a_list_that_has_grown_is_gone_on_with_and_what_is_in_it_twice_is_fetched_once.sh"
        ),
    )
    .expect(0);
    assert!(run.stdout.starts_with("[3,1,true,4]\n0\n"), "{run}");
    assert_eq!(
        run.stdout
            .split_whitespace()
            .filter(|word| word.contains(['1', '2', '3', '4']))
            .count(),
        5,
        "{run}"
    );
    let said = |name| std::fs::read_to_string(scratch.path().join(name)).unwrap();
    assert!(said("refused").contains("add --append"), "{}", said("refused"));
    assert!(
        said("another").contains("does not begin with the list of the job"),
        "{}",
        said("another")
    );
    assert_eq!(cat(&scratch.path().join("job"), &[]).len(), 4);
}
