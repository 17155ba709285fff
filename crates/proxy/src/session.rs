//! One client connection: which protocol it speaks, who it is, and its tunnel.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use v6kit_net::Lease;

use crate::account::{Account, Seat};
use crate::auth::Check;
use crate::egress::Upstream;
use crate::refusal::Refusal;
use crate::relay::relay;
use crate::settings::PinRule;
use crate::socks;
use crate::socks::codec;
use crate::stream::{Begun, ClientStream, Peer};
use crate::target::Target;
use crate::threads::SessionGuard;
use crate::username::{UserName, Wish};
use crate::visit::{Protocol, Visit};
use crate::worker::{Place, Worker};

/// The first byte of a TLS handshake record (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;
/// A fatal TLS alert, handshake_failure (RFC 8446 section 6).
const TLS_REFUSED: [u8; 7] = [0x15, 3, 1, 0, 2, 2, 40];
/// How long and how much is read from a client after it was refused, so that the answer is not lost to a
/// reset.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// Whether a session is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// Yes.
    Served,
    /// It is told that the proxy is full.
    TurnedAway,
}

/// One client connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) worker: Rc<Worker>,
    pub(crate) peer: Peer,
    admitted: Admitted,
    seat: RefCell<Option<Seat>>,
    _place: Place,
    /// Also a tunnel that goes on by itself belongs to its session, which the proxy waits for when it drains.
    _running: SessionGuard,
}

/// Who a client is and which address it sends from.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) account: Arc<Account>,
    pub(crate) session: Option<Box<str>>,
    /// `None` without a prefix.
    pub(crate) source: Option<Ipv6Addr>,
    /// The place of the address, where their number is bounded.
    pub(crate) lease: Option<Rc<Lease>>,
    pub(crate) steadiness: Steadiness,
}

/// Whether the next connection of the same client leaves from the same address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Steadiness {
    /// It does.
    Steady,
    /// It does not.
    Rotating,
}

/// Both ends of a tunnel, connected.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) client: ClientStream,
    pub(crate) upstream: TcpStream,
    /// What the client sent before it was told to.
    pub(crate) early: Vec<u8>,
    pub(crate) visit: Visit,
    pub(crate) session: Rc<Session>,
}

impl Tunnel {
    /// Relays to the end.
    pub(crate) async fn run(&mut self) {
        let idle = self.session.worker.idle_timeout;
        let early = std::mem::take(&mut self.early);
        let end = relay(&mut self.client, &mut self.upstream, early, idle, &mut self.visit).await;
        self.visit.relayed(&end);
    }
}

impl Session {
    pub(crate) fn new(
        worker: Rc<Worker>,
        peer: Peer,
        admitted: Admitted,
        place: Place,
        running: SessionGuard,
    ) -> Rc<Self> {
        Rc::new(Self {
            worker,
            peer,
            admitted,
            seat: RefCell::default(),
            _place: place,
            _running: running,
        })
    }

    /// Serves one client connection to its end.
    pub(crate) async fn serve(self: Rc<Self>, stream: ClientStream, tls: Option<TlsAcceptor>) {
        // The states of a handshake are large; a tunnel does not carry them with it.
        if let Some(mut tunnel) = Box::pin(self.negotiate(stream, tls)).await {
            tunnel.run().await;
        }
    }

    async fn negotiate(self: Rc<Self>, stream: ClientStream, tls: Option<TlsAcceptor>) -> Option<Tunnel> {
        let stream = match (tls, stream) {
            (Some(acceptor), ClientStream::Tcp(stream)) => {
                Box::pin(self.accept_tls(acceptor, stream)).await?
            }
            (_, stream) => stream,
        };
        let mut begun = Begun {
            read: Vec::new(),
            stream,
        };
        match self.in_time(begun.read_more()).await {
            // A client that connects and leaves is nobody's business.
            Ok(0) => return None,
            Ok(_) => {}
            Err(refusal) => {
                self.visit(Protocol::Unknown).refused(&refusal);
                return None;
            }
        }
        match begun.read[0] {
            codec::VERSION => Box::pin(socks::negotiate(self, begun)).await,
            codec::VERSION_4 => {
                let what = "SOCKS4, which cannot name an IPv6 destination,";
                self.turn_away(Protocol::Socks4, begun, &codec::REJECTED_4, what)
                    .await
            }
            TLS_HANDSHAKE => {
                self.turn_away(Protocol::Tls, begun, &TLS_REFUSED, "TLS on this listener")
                    .await
            }
            first if first.is_ascii_alphabetic() => crate::http::negotiate(self, begun).await,
            _ => {
                self.turn_away(Protocol::Unknown, begun, &[], "the client's protocol")
                    .await
            }
        }
    }

    async fn accept_tls(&self, acceptor: TlsAcceptor, stream: TcpStream) -> Option<ClientStream> {
        let mut first = [0];
        let accepted = self
            .in_time(async {
                if stream.peek(&mut first).await? == 1 && first[0] != TLS_HANDSHAKE {
                    return Ok(Err(stream));
                }
                acceptor.accept(stream).await.map(Ok)
            })
            .await;
        match accepted {
            Ok(Ok(stream)) => Some(ClientStream::Tls(Box::new(stream))),
            Ok(Err(stream)) => {
                let begun = Begun {
                    read: Vec::new(),
                    stream: ClientStream::Tcp(stream),
                };
                let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 30\r\nConnection: close\r\n\r\nerror: this listener wants TLS";
                self.turn_away(
                    Protocol::Unknown,
                    begun,
                    answer,
                    "a protocol without TLS on this listener",
                )
                .await;
                None
            }
            Err(refusal) => {
                self.visit(Protocol::Tls).refused(&refusal);
                None
            }
        }
    }

    async fn turn_away(
        &self,
        protocol: Protocol,
        mut begun: Begun,
        answer: &[u8],
        what: &'static str,
    ) -> Option<Tunnel> {
        self.visit(protocol).refused(&Refusal::Unsupported { what });
        begun.say_goodbye(answer).await;
        None
    }

    pub(crate) fn visit(&self, protocol: Protocol) -> Visit {
        Visit::new(&self.worker, self.peer, protocol)
    }

    /// A step of the handshake.
    pub(crate) async fn in_time<T>(&self, step: impl Future<Output = io::Result<T>>) -> Result<T, Refusal> {
        match timeout(self.worker.handshake_timeout, step).await {
            Ok(result) => result.map_err(Refusal::System),
            Err(_elapsed) => Err(Refusal::HandshakeTimeout),
        }
    }

    /// Who the client is, and from which address it sends. Counts as the start of a connection.
    pub(crate) async fn authorize(
        &self,
        credentials: Option<(&str, &[u8])>,
        pin: Option<Ipv6Addr>,
    ) -> Result<Client, Refusal> {
        if self.admitted == Admitted::TurnedAway {
            return Err(Refusal::Full(self.worker.room.limit));
        }
        let (account, user, wish) = self.identify(credentials).await?;
        self.take_seat(&account)?;
        account.start()?;
        if pin.is_some() && self.worker.pin == PinRule::Refuse {
            return Err(Refusal::PinOff);
        }
        let source = self.worker.egress.source(user, wish, pin)?;
        let (source, lease) = source.map_or((None, None), |source| (Some(source.address), source.lease));
        let (session, steadiness) = match (wish, pin, source) {
            (Wish::Session { id, .. }, ..) => (Some(id.into()), Steadiness::Steady),
            (_, Some(_), _) | (_, _, None) => (None, Steadiness::Steady),
            _ => (None, Steadiness::Rotating),
        };
        Ok(Client {
            account,
            session,
            source,
            lease,
            steadiness,
        })
    }

    async fn identify<'a>(
        &self,
        credentials: Option<(&'a str, &[u8])>,
    ) -> Result<(Arc<Account>, &'a str, Wish<'a>), Refusal> {
        let gate = self.worker.gate();
        let Some((full, password)) = credentials else {
            return Ok((gate.anonymous()?, "", Wish::Another));
        };
        let (user, wish) = match UserName::parse(full) {
            _ if gate.user_name(full, "") == full => (full, Wish::Another),
            Ok(name) => (name.user, name.wish),
            Err(error) => return Err(error.into()),
        };
        let account = match gate.check(user, password) {
            Check::Done(checked) => checked?,
            Check::Slow => self.hash_elsewhere(gate, user, password).await?,
        };
        Ok((account, user, wish))
    }

    /// Computes a slow hash on a thread that may block, a few at a time.
    async fn hash_elsewhere(
        &self,
        gate: Arc<crate::auth::Gate>,
        user: &str,
        password: &[u8],
    ) -> Result<Arc<Account>, Refusal> {
        let (user, password) = (user.to_owned(), password.to_vec());
        let hashing = async {
            // The semaphore is never closed.
            let _turn = self.worker.hashing.acquire().await.map_err(io::Error::other)?;
            tokio::task::spawn_blocking(move || gate.finish(&user, &password))
                .await
                .map_err(io::Error::other)
        };
        self.in_time(hashing).await?
    }

    fn take_seat(&self, account: &Arc<Account>) -> Result<(), Refusal> {
        let mut seat = self.seat.borrow_mut();
        match &*seat {
            Some(taken) if Arc::ptr_eq(taken.account(), account) => {}
            _ => *seat = Some(account.sit_down()?),
        }
        Ok(())
    }

    /// Connects to `target` for `client`.
    pub(crate) async fn connect(
        &self,
        visit: &mut Visit,
        client: &Client,
        target: &Target,
    ) -> Result<Upstream, Refusal> {
        let began = Instant::now();
        let upstream = self.worker.egress.connect(target, client.source).await?;
        visit.connected(source_of(client, &upstream), upstream.to, Some(began.elapsed()));
        Ok(upstream)
    }
}

/// The address that the destination sees. Asks the kernel only where the kernel chose.
pub(crate) fn source_of(client: &Client, upstream: &Upstream) -> Option<IpAddr> {
    match client.source {
        Some(source) if upstream.to.ip().to_ipv4_mapped().is_none() => Some(source.into()),
        _ => upstream.local().map(|address| address.ip()),
    }
}

impl Begun {
    /// Reads what has arrived, or waits for something. 0 at the end.
    pub(crate) async fn read_more(&mut self) -> io::Result<usize> {
        self.read.reserve(512);
        self.stream.read_buf(&mut self.read).await
    }

    /// Sends a last answer and closes so that the client gets to read it.
    pub(crate) async fn say_goodbye(&mut self, answer: &[u8]) {
        let goodbye = async {
            self.stream.write_all(answer).await?;
            self.stream.shutdown().await
        };
        // Whoever does not listen misses it.
        if matches!(timeout(LINGER, goodbye).await, Ok(Ok(()))) {
            self.linger().await;
        }
    }

    /// Reads on after the last answer, for a while: a close with bytes unread would be a reset, which can
    /// overtake the answer.
    pub(crate) async fn linger(&mut self) {
        let reading = async {
            // Not in the future, which every connection carries with it.
            let mut rest = vec![0; 4096];
            let mut read = 0;
            while read < LINGER_BYTES {
                match self.stream.read(&mut rest).await? {
                    0 => break,
                    count => read += count,
                }
            }
            Ok::<(), io::Error>(())
        };
        // The answer is out: nothing is lost by an error.
        let _ = timeout(LINGER, reading).await;
    }
}
