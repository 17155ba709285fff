//! HTTP/2: slots share connections, and what a server does to one stream is no concern of the others.

#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, and not what they share"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::{crawl, job, settings};
use h2::Reason;
use h2::server::SendResponse;
use http::{Request, Response};
use v6kit_crawl::{Deadlines, Settings};
use v6kit_model::HttpVersion;

/// A server that does with a request what its path says, and ends each connection by GOAWAY after as many
/// requests as asked.
struct Server {
    url: String,
    connections: Arc<AtomicU64>,
}

async fn serve(requests_per_connection: u64) -> Server {
    let listener = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&connections);
    let seen = Arc::new(AtomicU64::new(0));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(tcp).await.unwrap();
                let mut served = 0;
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(answer(request, respond, Arc::clone(&seen)));
                    served += 1;
                    if served == requests_per_connection {
                        connection.graceful_shutdown();
                    }
                }
            });
        }
    });
    Server { url, connections }
}

async fn answer(request: Request<h2::RecvStream>, mut respond: SendResponse<Bytes>, seen: Arc<AtomicU64>) {
    let what = request
        .uri()
        .path()
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    match what.as_str() {
        "mute" => std::future::pending().await,
        "reset" => respond.send_reset(Reason::INTERNAL_ERROR),
        "refuse" if seen.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) => {
            respond.send_reset(Reason::REFUSED_STREAM);
        }
        "half" => {
            let mut body = respond.send_response(Response::new(()), false).unwrap();
            body.send_data(Bytes::from_static(b"{"), false).unwrap();
            body.send_reset(Reason::INTERNAL_ERROR);
        }
        "stall" => {
            let mut body = respond.send_response(Response::new(()), false).unwrap();
            body.send_data(Bytes::from_static(b"{"), false).unwrap();
            std::future::pending::<()>().await;
        }
        _ => {
            let host = request.headers().contains_key("host");
            let text = format!(
                "{{\"authority\":\"{}\",\"host\":{host}}}",
                request.uri().authority().unwrap()
            );
            let mut body = respond.send_response(Response::new(()), false).unwrap();
            body.send_data(text.into(), true).unwrap();
        }
    }
}

fn two(output: &std::path::Path) -> Settings {
    Settings {
        http: HttpVersion::Two,
        concurrency: 40,
        ..settings(output)
    }
}

#[tokio::test]
async fn slots_share_connections() {
    let server = serve(u64::MAX).await;
    let scratch = tempfile::tempdir().unwrap();
    let (summary, records) = crawl(job(&format!("{}/ok/{{1..500}}", server.url)), two(scratch.path())).await;
    assert_eq!(summary.ok, 500);
    assert!(
        (1..=4).contains(&summary.connections),
        "40 slots, 10 streams each: {summary:?}"
    );
    assert_eq!(server.connections.load(Ordering::SeqCst), summary.connections);
    let authority = server.url.strip_prefix("http://").unwrap();
    assert_eq!(
        (&records[0]["body"]["authority"], &records[0]["body"]["host"]),
        (&authority.into(), &false.into())
    );
}

#[tokio::test]
async fn what_happens_to_one_stream_stays_there() {
    let server = serve(u64::MAX).await;
    let scratch = tempfile::tempdir().unwrap();
    let url = format!("{}/{{ok,reset,half,ok,ok}}/{{1..20}}", server.url);
    let (summary, records) = crawl(job(&url), two(scratch.path())).await;
    assert_eq!((summary.ok, summary.transient), (60, 40));
    assert!(summary.connections <= 4, "{summary:?}");
    for record in records.iter().filter(|record| record["outcome"] != "ok") {
        assert_eq!(record["error"]["kind"], "reset", "{record}");
    }
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_without_counting() {
    let server = serve(u64::MAX).await;
    let scratch = tempfile::tempdir().unwrap();
    let (summary, records) = crawl(
        job(&format!("{}/refuse/{{1..50}}", server.url)),
        two(scratch.path()),
    )
    .await;
    assert_eq!((summary.ok, summary.retries), (50, 0));
    assert!(records.iter().all(|record| record["attempts"] == 1));
}

#[tokio::test]
async fn connections_that_say_goaway_are_replaced_and_nothing_is_lost() {
    let server = serve(25).await;
    let scratch = tempfile::tempdir().unwrap();
    let (summary, records) = crawl(job(&format!("{}/ok/{{1..500}}", server.url)), two(scratch.path())).await;
    assert_eq!((summary.ok, summary.left), (500, 0), "{records:?}");
    let connections = server.connections.load(Ordering::SeqCst);
    assert!(connections > 4, "four would do without GOAWAY: {connections}");
}

#[tokio::test]
async fn silent_streams_end_in_their_deadlines_while_others_go_on() {
    let server = serve(u64::MAX).await;
    let scratch = tempfile::tempdir().unwrap();
    let quick = Settings {
        deadlines: Deadlines {
            total: Duration::from_secs(20),
            connect: Duration::from_secs(20),
            first_byte: Duration::from_secs(1),
            idle: Duration::from_secs(1),
        },
        ..two(scratch.path())
    };
    let (summary, records) = crawl(job(&format!("{}/{{mute,stall,ok}}/{{1..5}}", server.url)), quick).await;
    assert_eq!(summary.ok, 5);
    for record in &records {
        let kind = match record["pos"].as_u64().unwrap() {
            0..5 => "first_byte_timeout".into(),
            5..10 => "stalled".into(),
            _ => serde_json::Value::Null,
        };
        assert_eq!(record["error"]["kind"], kind, "{record}");
    }
}
