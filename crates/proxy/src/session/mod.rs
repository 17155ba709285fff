//! One client connection: who it is, what it asks for at the moment, and its tunnel.

pub(crate) mod admission;
pub(crate) mod client;
pub(crate) mod exchange;
pub(crate) mod running;
pub(crate) mod worker;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpStream;
use tokio::time::timeout;
use v6kit_net::Secret;

use crate::auth::account::{Account, UserConnection};
use crate::auth::{Authenticator, Check};
use crate::data::protocol::Protocol;
use crate::data::refusal::Refusal;
use crate::data::stream::{ClientStream, Peer, Sniffed};
use crate::data::target::Target;
use crate::data::username::{SourceRequest, UserName};
use crate::egress::Upstream;
use crate::egress::turns::{By, SessionName};
use crate::relay::{Early, Lifetime, relay};
use crate::settings::PinRule;
use admission::CountedConnection;
use client::{Client, Rotation, Wish};
use exchange::Exchange;
use running::SessionGuard;
use worker::Worker;

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
    peer: Peer,
    admitted: Admitted,
    /// The exchange that is under way, or was the last.
    current: RefCell<Option<Rc<Exchange>>>,
    counted: RefCell<Option<UserConnection>>,
    _counted: CountedConnection,
    _running: SessionGuard,
}

/// Both ends of a tunnel, connected.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) client: ClientStream,
    pub(crate) upstream: TcpStream,
    pub(crate) early: Early,
    pub(crate) exchange: Rc<Exchange>,
}

impl Tunnel {
    /// What the client has sent already goes first.
    pub(crate) fn new(client: Sniffed, upstream: TcpStream, exchange: Rc<Exchange>) -> Self {
        Self {
            client: client.stream,
            upstream,
            early: Early {
                up: client.read,
                down: Vec::new(),
            },
            exchange,
        }
    }

    /// Relays to the end.
    pub(crate) async fn run(&mut self, session: &Session) {
        let lifetime = Lifetime {
            idle: session.worker.idle_timeout,
            age: session.worker.tunnel_age,
        };
        let early = std::mem::take(&mut self.early);
        let end = relay(
            &mut self.client,
            &mut self.upstream,
            early,
            lifetime,
            &*self.exchange,
        )
        .await;
        self.exchange.relayed(&end);
        self.exchange.finish();
    }
}

impl Session {
    pub(crate) fn new(
        worker: Rc<Worker>,
        peer: Peer,
        admitted: Admitted,
        counted: CountedConnection,
        running: SessionGuard,
    ) -> Rc<Self> {
        Rc::new(Self {
            worker,
            peer,
            admitted,
            current: RefCell::default(),
            counted: RefCell::default(),
            _counted: counted,
            _running: running,
        })
    }

    /// Begins an exchange, which ends the one before.
    pub(crate) fn begin(&self, protocol: Protocol) -> Rc<Exchange> {
        let exchange = self.worker.reporter.begin(self.peer, protocol);
        if let Some(before) = self.current.replace(Some(Rc::clone(&exchange))) {
            before.finish();
        }
        exchange
    }

    /// Ends what is still open, at the end of the connection.
    pub(crate) fn finish(&self) {
        if let Some(last) = self.current.take() {
            last.finish();
        }
    }

    /// A whole exchange that is nothing but a refusal.
    pub(crate) fn refuse(&self, protocol: Protocol, refusal: &Refusal) {
        let exchange = self.begin(protocol);
        exchange.refused(refusal);
        exchange.finish();
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
        wish: Wish,
    ) -> Result<Client, Refusal> {
        let pin = wish.pin;
        if self.admitted == Admitted::TurnedAway {
            return Err(Refusal::Full(self.worker.capacity.limit));
        }
        let (account, user, request) = self.identify(credentials).await?;
        self.count_for(&account)?;
        account.start()?;
        if pin.is_some() && self.worker.pin == PinRule::Refuse {
            return Err(Refusal::PinOff);
        }
        let session = match (request, pin) {
            (SourceRequest::Session { id, ttl, turn }, None) => Some(SessionName {
                user: user.into(),
                id: id.into(),
                ttl,
                turn,
            }),
            _ => None,
        };
        if let Some(refused) = wish.away_from {
            let Some(session) = &session else {
                return Err(Refusal::BadRequest {
                    why: "X-V6kit-Rotate is for sessions: USER-session-NAME",
                });
            };
            self.worker.egress.turn_away(session, refused, By::Client);
        }
        let source = self.worker.egress.source(user, request, pin)?;
        let (source, lease) = source.map_or((None, None), |source| (Some(source.address), source.lease));
        let rotation = match (request, pin, source) {
            (SourceRequest::Session { .. }, ..) | (_, Some(_), _) | (_, _, None) => Rotation::Sticky,
            _ => Rotation::Rotating,
        };
        Ok(Client {
            account,
            session,
            source,
            lease,
            rotation,
            is_free: request == SourceRequest::Another && pin.is_none(),
        })
    }

    async fn identify<'a>(
        &self,
        credentials: Option<(&'a str, &[u8])>,
    ) -> Result<(Arc<Account>, &'a str, SourceRequest<'a>), Refusal> {
        let authenticator = self.worker.authenticator();
        let Some((full, password)) = credentials else {
            return Ok((authenticator.anonymous()?, "", SourceRequest::Another));
        };
        let (user, request) = match UserName::parse(full) {
            _ if authenticator.user_name(full, "") == full => (full, SourceRequest::Another),
            Ok(name) => (name.user, name.source),
            Err(error) => return Err(error.into()),
        };
        let account = match authenticator.check(user, password) {
            Check::Done(checked) => checked?,
            Check::Slow => self.hash_elsewhere(authenticator, user, password).await?,
        };
        Ok((account, user, request))
    }

    /// Computes a slow hash on a thread that may block, a few at a time.
    async fn hash_elsewhere(
        &self,
        authenticator: Arc<Authenticator>,
        user: &str,
        password: &[u8],
    ) -> Result<Arc<Account>, Refusal> {
        let (user, password) = (user.to_owned(), Secret::from(password.to_vec()));
        let hashing = async {
            // The semaphore is never closed.
            let _permit = self.worker.hashing.acquire().await.map_err(io::Error::other)?;
            tokio::task::spawn_blocking(move || authenticator.finish(&user, password.reveal()))
                .await
                .map_err(io::Error::other)
        };
        self.in_time(hashing).await?
    }

    /// Counts the connection among its user's, once.
    fn count_for(&self, account: &Arc<Account>) -> Result<(), Refusal> {
        let mut counted = self.counted.borrow_mut();
        match &*counted {
            Some(counted) if Arc::ptr_eq(counted.account(), account) => {}
            _ => *counted = Some(account.count_connection()?),
        }
        Ok(())
    }

    /// `client` on its way to `target`, where each destination has an address of its own.
    pub(crate) fn towards(&self, client: Client, target: &Target) -> Result<Client, Refusal> {
        if !client.is_free {
            return Ok(client);
        }
        let user = client.account.name();
        Ok(match self.worker.egress.source_of_host(user, &target.host)? {
            Some(source) => Client {
                source: Some(source.address),
                lease: source.lease,
                ..client
            },
            None => client,
        })
    }

    /// Connects to `target` for `client`.
    pub(crate) async fn connect(
        &self,
        exchange: &Exchange,
        client: &Client,
        target: &Target,
    ) -> Result<Upstream, Refusal> {
        let began = Instant::now();
        let upstream = self.worker.egress.connect(target, client.source).await?;
        exchange.connected(
            client.source_towards(&upstream),
            Some(upstream.to),
            Some(began.elapsed()),
        );
        Ok(upstream)
    }
}
