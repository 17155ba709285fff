//! The least that a new connection from a new address per request costs: sockets of tokio, and httparse for
//! the answer. See connections.sh beside this.
//!
//! ```text
//! bare-connect [ADDR]:PORT PREFIX COUNT CONCURRENCY    PREFIX is the network of a /64
//! ```
//! Ends with an error unless every request was answered with status 200 and a whole body.

#![allow(clippy::print_stdout, reason = "a program")]

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::rc::Rc;

use nix::sys::socket::{setsockopt, sockopt};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::runtime::LocalOptions;
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Load {
    to: SocketAddrV6,
    prefix: u128,
    count: u64,
    next: Cell<u64>,
    random: RefCell<Xoshiro256PlusPlus>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [to, prefix, count, concurrency] = words.as_slice() else {
        return Err("see the top of tests/bench/bare_connect.rs".into());
    };
    let load = Rc::new(Load {
        to: to.parse()?,
        prefix: prefix.parse::<Ipv6Addr>()?.to_bits(),
        count: count.parse()?,
        next: Cell::new(1),
        random: RefCell::new(Xoshiro256PlusPlus::seed_from_u64(7)),
    });
    let concurrency: usize = concurrency.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..concurrency {
            tasks.spawn_local(Rc::clone(&load).run());
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        println!("{}", load.count);
        Ok(())
    })
}

impl Load {
    async fn run(self: Rc<Self>) -> io::Result<()> {
        let mut request = Vec::with_capacity(256);
        let mut answer = Vec::with_capacity(8192);
        while self.next.get() <= self.count {
            let item = self.next.replace(self.next.get() + 1);
            request.clear();
            write_request(&mut request, item, self.to)?;
            self.fetch(&request, &mut answer).await?;
        }
        Ok(())
    }

    async fn fetch(&self, request: &[u8], answer: &mut Vec<u8>) -> io::Result<()> {
        let host = self.random.borrow_mut().next_u64();
        let from = Ipv6Addr::from_bits(self.prefix | u128::from(host));
        let socket = TcpSocket::new_v6()?;
        setsockopt(&socket, sockopt::IpFreebind, &true)?;
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        socket.bind(SocketAddrV6::new(from, 0, 0, 0).into())?;
        socket.set_nodelay(true)?;
        let mut stream = socket.connect(self.to.into()).await?;
        stream.write_all(request).await?;
        answer.clear();
        loop {
            if stream.read_buf(answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if whole(answer)? {
                return Ok(());
            }
        }
    }
}

/// What v6kit sends, header by header.
fn write_request(out: &mut Vec<u8>, item: u64, to: SocketAddrV6) -> io::Result<()> {
    use io::Write as _;
    write!(
        out,
        "GET /items/{item} HTTP/1.1\r\nuser-agent: bare-connect/1 (+https://github.com/v6kit/v6kit)\r\naccept: */*\r\n\
         accept-encoding: gzip, br, zstd, deflate\r\nhost: {to}\r\n\r\n"
    )
}

/// Whether `answer` has its head and as many bytes of body as that says.
fn whole(answer: &[u8]) -> io::Result<bool> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(answer).map_err(io::Error::other)? else {
        return Ok(false);
    };
    if head.code != Some(200) {
        return Err(io::Error::other(format!("status {:?}", head.code)));
    }
    let body: usize = head
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok())
        .ok_or_else(|| io::Error::other("no content-length"))?;
    Ok(answer.len() >= length + body)
}
