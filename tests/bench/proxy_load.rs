//! Load for proxies, the same for every one of them. See proxy.bash beside this.
//!
//! ```text
//! proxy-load tunnels PROXY TARGET COUNT CONCURRENCY   CONNECT, one small request, close
//! proxy-load bulk PROXY TARGET GIGABYTES STREAMS      bytes from `proxy-load source` through CONNECT
//! proxy-load idle PROXY TARGET COUNT                  tunnels that wait until standard input ends
//! proxy-load source ADDR                              sends what is asked for
//! proxy-load silent ADDR                              accepts and says nothing
//! ```
//! Each prints one JSON line.

#![allow(clippy::print_stdout, reason = "a program")]
#![allow(clippy::unwrap_used, reason = "a benchmark ends at what it does not expect")]

use std::cell::RefCell;
use std::collections::HashSet;
use std::error::Error;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::LocalOptions;
use tokio::task::{JoinSet, spawn_local};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        match words.as_slice() {
            ["tunnels", proxy, target, count, concurrency] => {
                tunnels(proxy, target, count.parse()?, concurrency.parse()?).await
            }
            ["bulk", proxy, target, gigabytes, streams] => {
                bulk(proxy, target, gigabytes.parse()?, streams.parse()?).await
            }
            ["idle", proxy, target, count] => idle(proxy, target, count.parse()?).await,
            ["source", address] => source(address).await,
            ["silent", address] => silent(address).await,
            _ => Err("see the top of tests/bench/proxy_load.rs".into()),
        }
    })
}

/// Opens a tunnel; the error says what the proxy answered.
async fn open(proxy: &str, target: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(proxy).await?;
    stream.set_nodelay(true)?;
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    if answer.starts_with(b"HTTP/1.") && answer[8..].starts_with(b" 200") {
        Ok(stream)
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned()))
    }
}

/// One request through a tunnel of its own: the address that the target saw.
async fn ask(proxy: &str, target: &str) -> io::Result<String> {
    let mut stream = open(proxy, target).await?;
    let request = format!("GET / HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(512);
    stream.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.trim().to_owned()),
        _ => Err(io::Error::other(format!("no answer: {text}"))),
    }
}

async fn tunnels(proxy: &str, target: &str, count: usize, concurrency: usize) -> Result<(), Box<dyn Error>> {
    let left = Rc::new(RefCell::new(count));
    let seen = Rc::new(RefCell::new(HashSet::new()));
    let failures = Rc::new(RefCell::new(Vec::new()));
    let began = Instant::now();
    let mut askers = JoinSet::new();
    for _ in 0..concurrency {
        let (left, seen, failures) = (left.clone(), seen.clone(), failures.clone());
        let (proxy, target) = (proxy.to_owned(), target.to_owned());
        askers.spawn_local(async move {
            while take_one(&left) {
                match timeout(PATIENCE, ask(&proxy, &target)).await {
                    Ok(Ok(address)) => drop(seen.borrow_mut().insert(address)),
                    Ok(Err(error)) => failures.borrow_mut().push(error.to_string()),
                    Err(elapsed) => failures.borrow_mut().push(elapsed.to_string()),
                }
            }
        });
    }
    askers.join_all().await;
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{{\"count\":{count},\"failed\":{},\"addresses\":{},\"seconds\":{seconds:.3},\"first_failure\":{:?}}}",
        failures.borrow().len(),
        seen.borrow().len(),
        failures.borrow().first().map_or("", String::as_str),
    );
    Ok(())
}

fn take_one(left: &RefCell<usize>) -> bool {
    let mut left = left.borrow_mut();
    let some = *left > 0;
    *left = left.saturating_sub(1);
    some
}

async fn bulk(proxy: &str, target: &str, gigabytes: f64, streams: usize) -> Result<(), Box<dyn Error>> {
    let share = (gigabytes * 1e9 / streams as f64) as u64;
    let began = Instant::now();
    let mut readers = JoinSet::new();
    for _ in 0..streams {
        let (proxy, target) = (proxy.to_owned(), target.to_owned());
        readers.spawn_local(async move {
            let mut stream = open(&proxy, &target).await?;
            stream.write_all(&share.to_be_bytes()).await?;
            let mut buffer = vec![0; 256 * 1024];
            let mut total = 0;
            loop {
                match stream.read(&mut buffer).await? {
                    0 => return Ok::<u64, io::Error>(total),
                    count => total += count as u64,
                }
            }
        });
    }
    let mut total = 0;
    for read in readers.join_all().await {
        total += read?;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{{\"bytes\":{total},\"expected\":{},\"seconds\":{seconds:.3},\"gigabytes_per_second\":{:.3}}}",
        share * streams as u64,
        total as f64 / 1e9 / seconds
    );
    Ok(())
}

async fn idle(proxy: &str, target: &str, count: usize) -> Result<(), Box<dyn Error>> {
    let mut held = Vec::with_capacity(count);
    while held.len() < count {
        let mut openers = JoinSet::new();
        for _ in 0..200.min(count - held.len()) {
            let (proxy, target) = (proxy.to_owned(), target.to_owned());
            openers.spawn_local(async move { open(&proxy, &target).await });
        }
        for opened in openers.join_all().await {
            held.push(opened?);
        }
    }
    println!("{{\"open\":{}}}", held.len());
    let mut end = Vec::new();
    tokio::io::stdin().read_to_end(&mut end).await?;
    Ok(())
}

async fn source(address: &str) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    println!("{{\"listening\":\"{}\"}}", listener.local_addr()?);
    loop {
        let (mut stream, _) = listener.accept().await?;
        spawn_local(async move {
            let Ok(mut left) = stream.read_u64().await else {
                return;
            };
            let zeros = vec![0; 256 * 1024];
            while left > 0 {
                let piece = left.min(zeros.len() as u64);
                if stream.write_all(&zeros[..piece as usize]).await.is_err() {
                    return;
                }
                left -= piece;
            }
        });
    }
}

async fn silent(address: &str) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    println!("{{\"listening\":\"{}\"}}", listener.local_addr()?);
    let mut held = Vec::new();
    loop {
        held.push(listener.accept().await?);
    }
}
