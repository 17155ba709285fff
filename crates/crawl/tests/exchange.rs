//! Servers that say too much, leave at the wrong moment, or compare letters: each item gets its own answer.

#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, and not what they share"
)]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use common::{crawl, job, settings};
use serde_json::Value;
use v6kit_crawl::Settings;
use v6kit_model::input::RequestSpec;

/// What a server does with a request.
enum Does {
    /// Says this, and waits for the next request.
    Says(String),
    /// Says this, and ends the connection.
    Leaves(String),
}

/// A server, and the requests that it was sent: the number of the connection, and the head.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Server {
    /// `answer` is told which request of its connection it is, from 1, and its path.
    fn start(answer: impl Fn(usize, &str) -> Does + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
        let (heads, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().flatten().enumerate() {
                let (heads, answer) = (Arc::clone(&heads), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, connection, &heads, &*answer));
            }
        });
        Self { url, asked }
    }

    fn heads(&self) -> Vec<(usize, String)> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    connection: usize,
    heads: &Mutex<Vec<(usize, String)>>,
    answer: &(impl Fn(usize, &str) -> Does + ?Sized),
) {
    let mut bytes = Vec::new();
    for served in 1.. {
        while !bytes.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(1) => bytes.push(byte[0]),
                _ => return,
            }
        }
        let head = String::from_utf8(std::mem::take(&mut bytes)).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        heads.lock().unwrap().push((connection, head));
        let said = match answer(served, &path) {
            Does::Says(text) => stream.write_all(text.as_bytes()),
            Does::Leaves(text) => {
                let _ = stream.write_all(text.as_bytes());
                return;
            }
        };
        if said.is_err() {
            return;
        }
    }
}

fn page(path: &str) -> String {
    let body = format!("{{\"path\":\"{path}\"}}");
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn one_slot(output: &std::path::Path) -> Settings {
    Settings {
        concurrency: 1,
        ..settings(output)
    }
}

#[track_caller]
fn assert_own(records: &[Value], count: usize) {
    assert_eq!(records.len(), count);
    for record in records {
        let path = record["body"]["path"].as_str().unwrap_or_default();
        assert!(
            record["url"].as_str().unwrap().ends_with(path) && !path.is_empty(),
            "{record}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_nobodys() {
    // Behind the third answer of a connection comes one more: in the same segment, or in that of the next answer, or
    // where that should be, so that all that follow are late by one.
    for way in ["at once", "with the next", "instead of the next"] {
        let server = Server::start(move |served, path| {
            let own = page(path);
            Does::Says(match (way, served) {
                ("at once", 3) => format!("{own}{}", page("/another")),
                ("with the next", 4) => format!("{}{own}", page("/another")),
                ("instead of the next", 4) => page("/another"),
                ("instead of the next", 5) => format!("{}{own}", page("/4")),
                _ => own,
            })
        });
        let scratch = tempfile::tempdir().unwrap();
        let url = format!("{}/{{1..30}}", server.url);
        let (summary, records) = crawl(job(&url), one_slot(scratch.path())).await;
        assert_own(&records, 30);
        assert_eq!((summary.ok, summary.doubtful), (30, 0), "{way}");
        let heads = server.heads();
        assert!(heads.len() <= 32, "{way}: {} requests", heads.len());
        // From then on each request has a connection of its own.
        let last: std::collections::HashSet<usize> =
            heads.iter().rev().take(20).map(|(number, _)| *number).collect();
        assert_eq!(last.len(), 20, "{way}");
    }
}

#[tokio::test]
async fn what_cannot_be_sent_again_is_counted_as_doubtful() {
    let server = Server::start(|served, path| match served {
        2 => Does::Says(format!("{}{}", page(path), page("/another"))),
        _ => Does::Says(page(path)),
    });
    let scratch = tempfile::tempdir().unwrap();
    let mut job = job(&format!("{}/{{1..4}}", server.url));
    job.request.method = http::Method::POST;
    let (summary, records) = crawl(job, one_slot(scratch.path())).await;
    assert_eq!((records.len(), server.heads().len(), summary.doubtful), (4, 4, 1));
}

#[tokio::test]
async fn a_farewell_to_an_idle_connection_is_no_answer() {
    for status in ["408 Request Timeout", "400 Bad Request"] {
        let farewell = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        let server = Server::start(move |served, path| match served {
            2 => Does::Leaves(farewell.clone()),
            _ => Does::Says(page(path)),
        });
        let scratch = tempfile::tempdir().unwrap();
        let url = format!("{}/{{1..6}}", server.url);
        let (summary, records) = crawl(job(&url), one_slot(&scratch.path().join("get"))).await;
        assert_own(&records, 6);
        assert_eq!(summary.retries, 0);
        let before = server.heads().len();
        let mut post = job(&url);
        post.request.method = http::Method::POST;
        crawl(post, one_slot(&scratch.path().join("post"))).await;
        assert_eq!(server.heads().len() - before, 6, "a POST is sent once");
    }
}

#[tokio::test]
async fn a_connection_whose_server_takes_no_more_is_not_used_again() {
    for hint in [
        "Keep-Alive: max=0",
        "Keep-Alive: timeout=0",
        "Connection: x, close",
    ] {
        let server = Server::start(move |_, path| {
            Does::Says(page(path).replacen("\r\n", &format!("\r\n{hint}\r\n"), 1))
        });
        let scratch = tempfile::tempdir().unwrap();
        let url = format!("{}/{{1..5}}", server.url);
        let (_, records) = crawl(job(&url), one_slot(scratch.path())).await;
        assert_own(&records, 5);
        let connections: Vec<usize> = server.heads().into_iter().map(|(number, _)| number).collect();
        assert_eq!(connections, [0, 1, 2, 3, 4], "{hint}");
    }
}

#[tokio::test]
async fn names_go_out_as_they_were_typed_and_host_is_first() {
    let server = Server::start(|_, path| Does::Says(page(path)));
    let scratch = tempfile::tempdir().unwrap();
    let mut job = job(&format!("{}/{{1..2}}", server.url));
    let typed = ["X-My-ID: 1", "x-lower: 2", "aCCEPT: x/y", "SOAPAction: \"{}\""];
    job.request
        .add_headers(typed.iter().map(|text| RequestSpec::parse_header(text).unwrap()));
    crawl(job, one_slot(scratch.path())).await;
    for (number, (_, head)) in server.heads().iter().enumerate() {
        let lines: Vec<&str> = head.lines().collect();
        assert!(lines[1].starts_with("Host: [::1]:"), "{head}");
        for line in typed {
            let line = line.replace("{}", &(number + 1).to_string());
            assert!(lines.contains(&&*line), "{line} in {head}");
        }
        assert_eq!(head.to_lowercase().matches("\r\naccept:").count(), 1, "{head}");
    }
}
