//! Idle connections are few, and end when their servers end them.

#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, and not what they share"
)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use common::{crawl, job, settings};
use v6kit_crawl::Settings;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

/// The path of the next request, or `None` where the client has hung up.
fn next_path(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    head.split(' ').nth(1).map(str::to_owned)
}

fn listen(converse: impl Fn(TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let converse = converse.clone();
            std::thread::spawn(move || converse(stream));
        }
    });
    port
}

fn pinned(port: u16, hosts: usize, output: &std::path::Path) -> Settings {
    Settings {
        resolve: (1..=hosts)
            .map(|host| format!("h{host}.test:{port}:::1").parse().unwrap())
            .collect(),
        concurrency: 2,
        ..settings(output)
    }
}

#[tokio::test]
async fn of_many_sites_only_the_last_ones_keep_their_connections() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, peak) = (Arc::clone(&open), Arc::clone(&most));
    let port = listen(move |stream| {
        peak.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let mut reader = BufReader::new(&stream);
        while next_path(&mut reader).is_some() {
            (&stream).write_all(ANSWER).unwrap();
        }
        counted.fetch_sub(1, Ordering::SeqCst);
    });
    let scratch = tempfile::tempdir().unwrap();
    let url = format!("http://h{{1..600}}.test:{port}/");
    let (summary, records) = crawl(job(&url), pinned(port, 600, scratch.path())).await;
    assert_eq!(summary.ok, 600, "{:?}", records.first());
    let most = most.load(Ordering::SeqCst);
    // The server sees an end a little later than the client.
    assert!((256..400).contains(&most), "{most} connections at a time");
}

#[tokio::test]
async fn a_connection_that_its_server_ended_is_closed_while_the_crawl_goes_on() {
    let (ended, has_ended) = mpsc::channel();
    let has_ended = Arc::new(Mutex::new(has_ended));
    let port = listen(move |stream| {
        let mut reader = BufReader::new(&stream);
        while let Some(path) = next_path(&mut reader) {
            if path == "/waits" {
                // Answered only after the other connection is closed at both ends.
                has_ended.lock().unwrap().recv().unwrap();
                (&stream).write_all(ANSWER).unwrap();
                continue;
            }
            (&stream).write_all(ANSWER).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let rest = reader.read(&mut [0; 1]);
            assert_eq!(rest.unwrap_or(0), 0);
            ended.send(()).unwrap();
            return;
        }
    });
    let scratch = tempfile::tempdir().unwrap();
    let mut job = job(&format!("http://h1.test:{port}/ends"));
    let waits = format!("http://h2.test:{port}/waits");
    let urls = vec![
        format!("http://h1.test:{port}/ends").parse().unwrap(),
        waits.parse().unwrap(),
    ];
    job.items = v6kit_model::input::Items::templates(urls).unwrap();
    let (summary, records) = crawl(job, pinned(port, 2, scratch.path())).await;
    assert_eq!(summary.ok, 2, "{records:?}");
}
