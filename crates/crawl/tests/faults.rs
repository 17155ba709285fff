//! Servers that misbehave: each fault ends in its error kind within its deadline, and in one record.

#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, and not what they share"
)]

mod common;
mod servers;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{crawl, job, settings};
use servers::FaultServer;
use v6kit_crawl::{ErrorBudget, Expectations, Job, OnLimit, Settings};
use v6kit_model::Coding;

#[tokio::test]
async fn every_fault_ends_in_its_error_kind() {
    let server = FaultServer::start();
    let expected = [
        ("mute", "first_byte_timeout"),
        ("slow-head", "timeout"),
        ("half", "incomplete"),
        ("half-chunk", "incomplete"),
        ("stall", "stalled"),
        ("drip", "timeout"),
        ("endless", "body_too_large"),
        ("endless-close", "body_too_large"),
        ("large", "body_too_large"),
        ("reset", "reset"),
        ("reset-half", "reset"),
        ("close", "closed"),
        ("garbage", "protocol"),
        ("bad-chunk", "protocol"),
        ("bad-length", "protocol"),
        ("two-lengths", "protocol"),
        ("negative-length", "protocol"),
        ("huge-chunk", "protocol"),
        ("half-head", "incomplete"),
        ("early-hints", "timeout"),
        ("many-headers", "protocol"),
    ];
    let words: Vec<&str> = expected.iter().map(|(path, _)| *path).collect();
    let scratch = tempfile::tempdir().unwrap();
    let url = format!("{}/{{{}}}", server.url, words.join(","));
    let (summary, records) = crawl(
        job(&url),
        Settings {
            concurrency: expected.len(),
            ..settings(scratch.path())
        },
    )
    .await;
    assert_eq!(records.len(), expected.len());
    for record in &records {
        let (path, kind) = expected[record["pos"].as_u64().unwrap() as usize];
        assert_eq!(record["error"]["kind"], kind, "{path}: {record}");
        assert_eq!(record["attempts"], 1, "{path}: {record}");
    }
    assert!(summary.complete);
    assert_eq!(summary.failed(), expected.len() as u64);
}

/// A server that does the same with every connection, whatever comes.
fn bare_server(answer: &'static [u8]) -> String {
    let listener = std::net::TcpListener::bind("[::1]:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let hangs_up = std::io::Write::write_all(&mut stream, answer).is_err() || answer == b"\n";
            if !hangs_up {
                kept.push(stream);
            }
        }
    });
    authority
}

#[tokio::test]
async fn handshakes_that_come_to_nothing_end_in_their_error_kind() {
    let cases: [(&str, &'static [u8], &str); 6] = [
        // Connected, and then silence.
        ("https", b"", "connect_timeout"),
        ("https", b"SSH-2.0-OpenSSH_9.2\r\n", "tls_mismatch"),
        // An alert of TLS: handshake_failure.
        ("https", b"\x15\x03\x03\x00\x02\x02\x28", "tls_mismatch"),
        ("https", b"\n", "tls_mismatch"),
        ("http", b"", "first_byte_timeout"),
        ("http", b"HTTP/1.1 400 This is not HTTP/2\r\n\r\n", "protocol"),
    ];
    for (scheme, answer, kind) in cases {
        let scratch = tempfile::tempdir().unwrap();
        let settings = Settings {
            deadlines: v6kit_crawl::Deadlines {
                total: Duration::from_secs(6),
                connect: Duration::from_secs(1),
                first_byte: Duration::from_secs(1),
                idle: Duration::from_secs(1),
            },
            trust: v6kit_crawl::Trust::Anyone,
            http: v6kit_model::HttpVersion::Two,
            ..settings(scratch.path())
        };
        let url = format!("{scheme}://{}/", bare_server(answer));
        let (_, records) = crawl(job(&url), settings).await;
        assert_eq!(
            records[0]["error"]["kind"], kind,
            "{scheme} {answer:?}: {}",
            records[0]
        );
    }
}

#[tokio::test]
async fn odd_but_whole_answers_are_data() {
    let server = FaultServer::start();
    let scratch = tempfile::tempdir().unwrap();
    let (summary, records) = crawl(
        job(&format!("{}/{{ok,overlong,old}}", server.url)),
        settings(scratch.path()),
    )
    .await;
    assert_eq!(summary.ok, 3, "{records:?}");
    let old = records.iter().find(|record| record["pos"] == 2).unwrap();
    assert_eq!(old["body"]["until"], "close");
}

#[tokio::test]
async fn a_connection_that_went_stale_is_replaced_without_counting() {
    let server = FaultServer::start();
    let scratch = tempfile::tempdir().unwrap();
    let one = Settings {
        concurrency: 1,
        ..settings(scratch.path())
    };
    let (summary, records) = crawl(job(&format!("{}/stale/{{1..20}}", server.url)), one).await;
    assert_eq!(summary.ok, 20, "{records:?}");
    assert_eq!(summary.retries, 0);
    assert!(records.iter().all(|record| record["attempts"] == 1));
    assert_eq!(server.connections.load(Ordering::SeqCst), 20);
}

#[tokio::test]
async fn a_post_is_not_repeated_when_it_may_have_arrived() {
    let server = FaultServer::start();
    let scratch = tempfile::tempdir().unwrap();
    let mut job = job(&format!("{}/stale/{{1..2}}", server.url));
    job.request.method = http::Method::POST;
    let (_, records) = crawl(
        job,
        Settings {
            concurrency: 1,
            ..settings(scratch.path())
        },
    )
    .await;
    assert_eq!(records[0]["outcome"], "ok");
    assert_eq!(records[1]["error"]["kind"], "closed");
    assert_eq!(server.requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn transient_failures_are_tried_again_and_no_more_often_than_asked() {
    let server = FaultServer::start();
    let scratch = tempfile::tempdir().unwrap();
    let twice = Settings {
        retries: 2,
        ..settings(scratch.path())
    };
    let (summary, records) = crawl(job(&format!("{}/close/{{1..5}}", server.url)), twice).await;
    assert_eq!((summary.transient, summary.retries), (5, 10));
    assert!(records.iter().all(|record| record["attempts"] == 3));
    assert_eq!(server.requests.load(Ordering::SeqCst), 15);
}

#[tokio::test]
async fn fatal_failures_are_not_tried_again() {
    let server = FaultServer::start();
    let scratch = tempfile::tempdir().unwrap();
    let more = Settings {
        retries: 5,
        ..settings(scratch.path())
    };
    let (summary, _) = crawl(job(&format!("{}/large/{{1..3}}", server.url)), more).await;
    assert_eq!((summary.fatal, summary.retries), (3, 0));
    assert_eq!(server.requests.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn codings_are_undone_unless_raw_bytes_are_wanted() {
    let server = FaultServer::start();
    let scratch = tempfile::tempdir().unwrap();
    let url = format!("{}/gzip", server.url);
    let (_, records) = crawl(job(&url), settings(&scratch.path().join("a"))).await;
    assert_eq!(records[0]["body"]["packed"], true, "{records:?}");
    let raw = Job {
        coding: Coding::Keep,
        ..job(&url)
    };
    let (_, records) = crawl(raw, settings(&scratch.path().join("b"))).await;
    assert!(
        records[0]["body_base64"].as_str().unwrap().starts_with("H4sI"),
        "{records:?}"
    );
}

#[tokio::test]
async fn a_challenge_page_with_status_200_is_blocked() {
    let server = FaultServer::start();
    let scratch = tempfile::tempdir().unwrap();
    let (summary, records) = crawl(job(&format!("{}/captcha", server.url)), settings(scratch.path())).await;
    assert_eq!(summary.blocked, 1);
    assert_eq!(
        (&records[0]["status"], &records[0]["error"]["kind"]),
        (&200.into(), &"challenge".into())
    );
}

#[tokio::test]
async fn what_is_not_expected_is_blocked_with_the_reason() {
    let server = FaultServer::start();
    let scratch = tempfile::tempdir().unwrap();
    let expect = Expectations::new(vec!["key=id".parse().unwrap()], &[]).unwrap();
    let demanding = Job {
        expect,
        ..job(&format!("{}/ok", server.url))
    };
    let (_, records) = crawl(demanding, settings(scratch.path())).await;
    assert_eq!(records[0]["error"]["kind"], "unexpected");
    assert_eq!(records[0]["error"]["message"], "`id` is missing");
}

#[tokio::test]
async fn a_refusal_slows_the_destination_down_and_loses_nothing() {
    let server = FaultServer::start();
    let scratch = tempfile::tempdir().unwrap();
    let (summary, records) = crawl(
        job(&format!("{}/limited/{{1..6}}", server.url)),
        Settings {
            retries: 1,
            ..settings(scratch.path())
        },
    )
    .await;
    assert_eq!((summary.ok, summary.retries), (6, 3), "{records:?}");
    // Retry-After: 1
    assert!(summary.seconds >= 1.0, "{summary:?}");
    assert_eq!(summary.refused, None);
}

#[tokio::test]
async fn a_refusal_ends_the_crawl_when_that_is_wanted() {
    let server = FaultServer::start();
    let scratch = tempfile::tempdir().unwrap();
    let touchy = Settings {
        on_limit: OnLimit::Stop,
        concurrency: 1,
        ..settings(scratch.path())
    };
    let (summary, records) = crawl(job(&format!("{}/limited/{{1..100}}", server.url)), touchy).await;
    assert!(
        summary.refused.as_ref().is_some_and(|why| why.contains("429")),
        "{summary:?}"
    );
    assert_eq!((summary.blocked, summary.left), (1, 99));
    assert_eq!(records[0]["error"]["kind"], "rate_limited");
}

#[tokio::test]
async fn too_many_failures_pause_probe_and_end_the_crawl() {
    let server = FaultServer::start();
    let scratch = tempfile::tempdir().unwrap();
    let budget = ErrorBudget {
        share: 0.2,
        pause: Duration::from_millis(20),
    };
    let careful = Settings {
        error_budget: Some(budget),
        ..settings(scratch.path())
    };
    let (summary, _) = crawl(job(&format!("{}/broken/{{1..10000}}", server.url)), careful).await;
    assert!(
        summary.refused.as_ref().is_some_and(|why| why.contains("20%")),
        "{summary:?}"
    );
    // A hundred to conclude from, those under way, and three probes.
    assert!((103..120).contains(&summary.requests), "{summary:?}");
    assert!(summary.left > 9000);
}

#[tokio::test]
async fn a_destination_that_recovers_is_crawled_to_the_end() {
    let server = FaultServer::start();
    let scratch = tempfile::tempdir().unwrap();
    let budget = ErrorBudget {
        share: 0.5,
        pause: Duration::from_millis(20),
    };
    let careful = Settings {
        error_budget: Some(budget),
        ..settings(scratch.path())
    };
    let few = job(&format!("{}/ill/{{1..400}}", server.url));
    let (summary, _) = crawl(few, careful).await;
    assert_eq!((summary.transient, summary.ok, summary.refused), (101, 299, None));
}
