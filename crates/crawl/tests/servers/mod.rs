//! A server on loopback that misbehaves as its path says.

mod stall;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use self::stall::stall;

/// A running server. Its threads end with the test's process.
pub(crate) struct FaultServer {
    /// `http://[::1]:PORT`
    pub(crate) url: String,
    /// Requests that were read.
    pub(crate) requests: Arc<AtomicU64>,
    /// Connections that were accepted.
    pub(crate) connections: Arc<AtomicU64>,
}

impl FaultServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("[::1]:0").expect("a port on loopback");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (requests, connections) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let server = Self {
            url,
            requests: Arc::clone(&requests),
            connections: Arc::clone(&connections),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::SeqCst);
                let requests = Arc::clone(&requests);
                // A client that hangs up ends the conversation.
                std::thread::spawn(move || drop(converse(&stream, &requests)));
            }
        });
        server
    }
}

fn converse(stream: &TcpStream, requests: &AtomicU64) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut served = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
        }
        let before = requests.fetch_add(1, Ordering::SeqCst);
        served += 1;
        let what = path
            .trim_start_matches('/')
            .split(['/', '?'])
            .next()
            .unwrap_or_default();
        match what {
            // Refuses the first three requests, whoever sends them.
            "limited" if before < 3 => {
                let mut out = stream;
                out.write_all(b"HTTP/1.1 429 Too Many\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")?;
            }
            "limited" => answer(stream, &mut reader, "ok", served)?,
            // Fails for as many requests as it takes to conclude something, and for one probe at most.
            "ill" if before < 101 => answer(stream, &mut reader, "broken", served)?,
            "ill" => answer(stream, &mut reader, "ok", served)?,
            what => answer(stream, &mut reader, what, served)?,
        }
    }
}

const DRIP: Duration = Duration::from_millis(20);

fn answer(mut out: &TcpStream, input: &mut impl Read, what: &str, served: u64) -> std::io::Result<()> {
    match what {
        "broken" => out.write_all(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"),
        "gzip" => {
            let body = gzip(b"{\"packed\":true}");
            write!(
                out,
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )?;
            out.write_all(&body)
        }
        "captcha" => {
            let body = "<html><title>Just a moment...</title></html>";
            write!(
                out,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
        "ok" => out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        // Reads on and says nothing.
        "mute" => std::io::copy(input, &mut std::io::sink()).map(drop),
        "slow-head" => {
            out.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ")?;
            drip(out, b"x")
        }
        "half" => {
            out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789")?;
            hang_up(out)
        }
        "half-chunk" => {
            out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n")?;
            hang_up(out)
        }
        "stall" => {
            out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789")?;
            std::io::copy(input, &mut std::io::sink()).map(drop)
        }
        "drip" => {
            out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n")?;
            drip(out, b"x")
        }
        "endless" => {
            out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            loop {
                out.write_all(b"400\r\n")?;
                out.write_all(&[b'x'; 1024])?;
                out.write_all(b"\r\n")?;
            }
        }
        "endless-close" => {
            out.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                out.write_all(&[b'x'; 1024])?;
            }
        }
        "large" => out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n0123456789"),
        "overlong" => out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{}{}{}"),
        "reset" => reset(out),
        "reset-half" => {
            out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789")?;
            reset(out)
        }
        "close" => hang_up(out),
        "garbage" => {
            out.write_all(b"SSH-2.0-OpenSSH_9.2\r\n")?;
            hang_up(out)
        }
        "bad-chunk" => out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\nx\r\n"),
        "two-lengths" => {
            out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}{")
        }
        "negative-length" => out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}"),
        "huge-chunk" => {
            out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nx\r\n")
        }
        "half-head" => {
            out.write_all(b"HTTP/1.1 200 OK\r\nContent-Le")?;
            hang_up(out)
        }
        // Answers that are none, for ever.
        "early-hints" => loop {
            out.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n")?;
            stall(DRIP);
        },
        "bad-length" => out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}"),
        "many-headers" => {
            out.write_all(b"HTTP/1.1 200 OK\r\n")?;
            for number in 0..100_000 {
                write!(out, "X-{number}: x\r\n")?;
            }
            Ok(())
        }
        "old" => {
            out.write_all(b"HTTP/1.0 200 OK\r\n\r\n{\"until\":\"close\"}")?;
            hang_up(out)
        }
        // Serves one request per connection and pretends that more were welcome.
        "stale" if served == 1 => out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        "stale" => hang_up(out),
        other => panic!("no such fault: {other}"),
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

fn drip(mut out: &TcpStream, what: &[u8]) -> std::io::Result<()> {
    loop {
        out.write_all(what)?;
        stall(DRIP);
    }
}

fn hang_up(out: &TcpStream) -> std::io::Result<()> {
    out.shutdown(std::net::Shutdown::Both)?;
    Err(std::io::ErrorKind::ConnectionAborted.into())
}

/// Closes with RST instead of FIN.
fn reset(out: &TcpStream) -> std::io::Result<()> {
    socket2::SockRef::from(out).set_linger(Some(Duration::ZERO))?;
    // Both handles of the conversation are dropped on the way out.
    Err(std::io::ErrorKind::ConnectionAborted.into())
}
