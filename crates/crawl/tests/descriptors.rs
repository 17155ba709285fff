//! A lack of descriptors is this host's, and no item pays for it. Alone in its process, whose limit it uses up.

#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, and not what they share"
)]

#[allow(dead_code, reason = "other tests use the rest")]
mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};

use common::{job, settings};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use v6kit_crawl::{Crawl, Settings};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";

/// Answers the next request.
fn answer(listener: &TcpListener, before: impl FnOnce()) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(&stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    before();
    (&stream).write_all(ANSWER).unwrap();
    stream
}

/// Answers two requests. Before the first answer all descriptors that there are go; `told` brings them back.
fn serve(listener: &TcpListener, told: &Receiver<()>) {
    let mut taken = Vec::new();
    let first = answer(listener, || {
        taken.extend(std::iter::from_fn(|| File::open("/dev/null").ok()));
    });
    assert!(taken.len() > 10);
    told.recv().unwrap();
    drop((first, taken));
    answer(listener, || {});
}

#[tokio::test]
async fn a_name_that_cannot_be_asked_for_without_a_descriptor_is_asked_for_later() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 250, hard).unwrap();
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::channel();
    let server = std::thread::spawn(move || serve(&listener, &told));
    let scratch = tempfile::tempdir().unwrap();
    // The first one is at hand, the second one is asked for when no descriptor is left.
    let url = format!("http://{{first.test,localhost}}:{port}/");
    let settings = Settings {
        resolve: vec![format!("first.test:{port}:::1").parse().unwrap()],
        concurrency: 1,
        ..settings(scratch.path())
    };
    let crawl = Crawl::start(job(&url), settings, drop).await.unwrap();
    let notice = crawl.notice().await;
    assert!(
        notice.contains("this host lacks what it takes to look"),
        "{notice}"
    );
    tell.send(()).unwrap();
    crawl.ended().await;
    let summary = crawl.finish().unwrap();
    assert_eq!((summary.ok, summary.retries), (2, 0), "{summary:?}");
    server.join().unwrap();
}
