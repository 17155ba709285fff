//! HTTP/2: slots share connections, and what a server does to one stream is no concern of the others.

#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, and not what they share"
)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
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
    // One after another, every second request is answered.
    let one = Settings {
        concurrency: 1,
        ..two(scratch.path())
    };
    let (summary, records) = crawl(job(&format!("{}/refuse/{{1..50}}", server.url)), one).await;
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

/// A frame for a stream.
type Frame = fn(u32) -> Vec<u8>;

/// A server that answers each request by one frame (RFC 9113 section 4.1), and the requests
/// that it got.
fn refusing(frame: Frame) -> (String, Arc<AtomicU64>) {
    let listener = std::net::TcpListener::bind("[::1]:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || drop(refuse(&stream, frame, &counted)));
        }
    });
    (url, requests)
}

fn refuse(mut stream: &TcpStream, frame: Frame, requests: &AtomicU64) -> std::io::Result<()> {
    const SETTINGS: u8 = 4;
    const HEADERS: u8 = 1;
    stream.read_exact(&mut [0; 24])?;
    stream.write_all(&frame_of(SETTINGS, 0, &[]))?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let [a, b, c, kind, _, stream_id @ ..] = head;
        let mut rest = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut rest)?;
        if kind == HEADERS {
            requests.fetch_add(1, Ordering::SeqCst);
            stream.write_all(&frame(u32::from_be_bytes(stream_id)))?;
        }
    }
}

fn frame_of(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, 0], &stream.to_be_bytes(), payload].concat()
}

fn reset(stream: u32, reason: Reason) -> Vec<u8> {
    frame_of(3, stream, &u32::from(reason).to_be_bytes())
}

/// Of GOAWAY the last stream that was looked at is none.
fn goaway(reason: Reason) -> Vec<u8> {
    frame_of(7, 0, &[[0; 4], u32::from(reason).to_be_bytes()].concat())
}

#[tokio::test]
async fn a_server_that_refuses_every_stream_is_asked_twice_for_each_attempt() {
    let refusals: [(Frame, &str, u64); 5] = [
        (
            |stream| reset(stream, Reason::REFUSED_STREAM),
            "refused_stream",
            6,
        ),
        (|_| goaway(Reason::NO_ERROR), "refused_stream", 6),
        (|_| goaway(Reason::ENHANCE_YOUR_CALM), "refused_stream", 6),
        // Over HTTP/2 alone it will never answer.
        (|stream| reset(stream, Reason::HTTP_1_1_REQUIRED), "protocol", 1),
        (|_| goaway(Reason::HTTP_1_1_REQUIRED), "protocol", 1),
    ];
    for (nth, (frame, kind, per_item)) in refusals.into_iter().enumerate() {
        let (url, requests) = refusing(frame);
        let scratch = tempfile::tempdir().unwrap();
        let settings = Settings {
            retries: 2,
            concurrency: 1,
            ..two(scratch.path())
        };
        let (summary, records) = crawl(job(&format!("{url}/{{1..3}}")), settings).await;
        assert_eq!(
            requests.load(Ordering::SeqCst),
            3 * per_item,
            "refusal {nth}: {records:?}"
        );
        assert_eq!(summary.requests, 3 * per_item, "refusal {nth}");
        assert!(summary.retries <= summary.requests, "{summary:?}");
        for record in &records {
            assert_eq!(record["error"]["kind"], kind, "refusal {nth}: {record}");
        }
    }
}

#[tokio::test]
async fn attempts_at_a_closed_port_are_counted_and_retries_are_a_part_of_them() {
    let listener = std::net::TcpListener::bind("[::1]:0").unwrap();
    let url = format!("http://{}/{{1..3}}", listener.local_addr().unwrap());
    drop(listener);
    let scratch = tempfile::tempdir().unwrap();
    let settings = Settings {
        retries: 2,
        http: HttpVersion::One,
        ..two(scratch.path())
    };
    let (summary, records) = crawl(job(&url), settings).await;
    assert_eq!((summary.transient, summary.requests, summary.retries), (3, 9, 6));
    assert!(records.iter().all(|record| record["attempts"] == 3));
}
