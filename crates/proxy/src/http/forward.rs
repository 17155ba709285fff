//! Requests in absolute form: hyper towards the client, hyper towards the origin (RFC 9112 section 3.2.2).

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderName, HeaderValue, MAX_FORWARDS, PROXY_AUTHORIZATION};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::answer;
use super::body::{Answer, Content, Passing, Way, Work};
use super::connect::{self, push_source};
use super::fields::{Reuse, is_websocket, say_via, settle_response, strip_hop_by_hop, switch_to_websocket};
use super::framing::Violation;
use super::head::{Connect, MAX_HEAD, ROTATE_FIELD, SOURCE_FIELD};
use super::origin::{Agreed, Dispatch};
use super::requests::{Control, Patience, Requests};
use super::upstreams::Upstreams;
use crate::data::protocol::Protocol;
use crate::data::refusal::Refusal;
use crate::data::stream::Sniffed;
use crate::data::target::Target;
use crate::egress::turns::By;
use crate::relay::Early;
use crate::session::client::{Client, Rotation};
use crate::session::exchange::Exchange;
use crate::session::worker::writers_turn;
use crate::session::{Session, Tunnel};
use crate::settings::{OnRefusal, Via};

/// How long a client connection may wait between two requests, where the idle time-out is no shorter.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Serves requests until the client leaves, one asks for a tunnel, or the proxy drains.
pub(super) async fn serve(
    session: &Rc<Session>,
    upstreams: &Rc<Upstreams>,
    sniffed: Sniffed,
) -> Option<Tunnel> {
    let forwarder = Rc::new(Forwarder {
        session: Rc::clone(session),
        upstreams: Rc::clone(upstreams),
        control: Rc::default(),
        opened: RefCell::default(),
    });
    let service = service_fn(|request| {
        let forwarder = Rc::clone(&forwarder);
        async move { Ok::<_, Infallible>(forwarder.answer(request).await) }
    });
    let worker = &session.worker;
    let patience = Patience {
        idle: KEEP_ALIVE.min(worker.idle_timeout),
        head: worker.handshake_timeout,
    };
    let requests = Requests::new(sniffed, Rc::clone(&forwarder.control), patience);
    let mut connection = server::Builder::new()
        .header_read_timeout(None)
        // As many fields as MAX_FIELDS, which would cost room on the heap if it was said.
        .max_header_size(MAX_HEAD)
        .preserve_header_case(true)
        .half_close(true)
        .serve_connection(TokioIo::new(requests), service);
    let served = tokio::select! {
        // A request that was read before the proxy began to drain is answered.
        biased;
        served = &mut connection => served,
        () = session.worker.draining() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    let parts = connection.into_parts();
    let requests = parts.io.into_inner();
    if let Some(opened) = forwarder.opened.take() {
        return opened.into_tunnel(served, requests.into_inner(), &parts.read_buf);
    }
    if requests.is_refused() {
        requests.into_inner().linger().await;
    }
    if let Err(error) = served
        && (error.is_parse() || error.is_parse_too_large())
    {
        let why = "the request is not well-formed HTTP/1.1";
        let exchange = session.begin(Protocol::Forward);
        exchange.answered(400);
        exchange.refused(&Refusal::BadRequest { why });
    }
    None
}

/// What the requests of one connection share.
struct Forwarder {
    session: Rc<Session>,
    upstreams: Rc<Upstreams>,
    control: Rc<Control>,
    /// The tunnel that begins when hyper has sent its answer.
    opened: RefCell<Option<Opened>>,
}

/// A connection for a tunnel that the client is being told of.
struct Opened {
    upstream: TcpStream,
    /// What was read of it already.
    read: Bytes,
    exchange: Rc<Exchange>,
}

impl Opened {
    /// `read` is what hyper has read and not used.
    fn into_tunnel(self, served: hyper::Result<()>, mut sniffed: Sniffed, read: &[u8]) -> Option<Tunnel> {
        if served.is_err() {
            self.exchange.ended("client_gone");
            return None;
        }
        sniffed.read.splice(..0, read.iter().copied());
        Some(Tunnel {
            client: sniffed.stream,
            upstream: self.upstream,
            early: Early {
                up: sniffed.read,
                down: self.read.into(),
            },
            exchange: self.exchange,
        })
    }
}

impl Forwarder {
    async fn answer(&self, request: Request<Incoming>) -> Response<Answer> {
        let answering = self.control.begin_answer();
        let response = match self.control.violation() {
            None if request.method() == Method::CONNECT => self.connect(request).await,
            violation => self.answer_forward(request, violation).await,
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            self.control.decline_switch();
        }
        response.map(|content| Answer::new(content, answering))
    }

    async fn answer_forward(
        &self,
        request: Request<Incoming>,
        violation: Option<Violation>,
    ) -> Response<Content> {
        let exchange = self.session.begin(Protocol::Forward);
        let forwarded = match violation {
            Some(violation) => Err(violation.into()),
            None => self.forward(&exchange, request).await,
        };
        match forwarded {
            Ok(response) => {
                exchange.answered(response.status().as_u16());
                response
            }
            Err(refusal) => {
                // Content that broke off because it was refused is the cause of whatever came after.
                let refusal = self.control.violation().map_or(refusal, Into::into);
                refuse(&exchange, &refusal)
            }
        }
    }

    /// A tunnel asked for on a connection that carried other requests before.
    async fn connect(&self, request: Request<Incoming>) -> Response<Content> {
        let exchange = self.session.begin(Protocol::Connect);
        let field = |name: &HeaderName| request.headers().get(name).map(|value| value.as_bytes().to_vec());
        let authority = request.uri().authority();
        let connect = Connect {
            authority: authority.map_or_else(String::new, ToString::to_string),
            authorization: field(&PROXY_AUTHORIZATION).map(Into::into),
            pin: field(&SOURCE_FIELD),
            away_from: field(&ROTATE_FIELD),
        };
        match connect::open(&self.session, &exchange, &connect).await {
            Ok(upstream) => {
                exchange.answered(200);
                let mut response = Response::new(empty());
                tell_source(response.headers_mut(), &exchange);
                self.opened.replace(Some(Opened {
                    upstream,
                    read: Bytes::new(),
                    exchange,
                }));
                response
            }
            Err(refusal) => {
                let mut response = refuse(&exchange, &refusal);
                // What follows a CONNECT is not read as requests, whatever became of it.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
                response
            }
        }
    }

    async fn forward(
        &self,
        exchange: &Rc<Exchange>,
        request: Request<Incoming>,
    ) -> Result<Response<Content>, Refusal> {
        let (mut head, body) = request.into_parts();
        let target = target(&head.uri)?;
        exchange.aims_at(&target);
        let client = authorize(&self.session, exchange, &mut head.headers).await?;
        let client = self.session.towards(client, &target)?;
        if head.method == Method::TRACE {
            return Err(Refusal::Unsupported { what: "TRACE" });
        }
        if head.method == Method::OPTIONS && last_hop(&mut head.headers) {
            exchange.succeeded();
            exchange.answered(200);
            exchange.finish();
            return Ok(Response::new(empty()));
        }
        let version = head.version;
        rewrite(&mut head)?;
        self.say_via(&mut head.headers, version);
        let dispatch = Dispatch {
            session: &self.session,
            upstreams: &self.upstreams,
            exchange,
            client: &client,
            target: &target,
        };
        if self.control.is_switching() {
            switch_to_websocket(&mut head.headers);
            return self.switch(dispatch, Request::from_parts(head, empty())).await;
        }
        let idle = self.session.worker.idle_timeout;
        let content = if body.is_end_stream() {
            empty()
        } else {
            Content::Passing(Passing::new(body, Way::Up, Rc::clone(exchange), idle))
        };
        let (mut origin, mut response) = dispatch.send(Request::from_parts(head, content)).await?;
        writers_turn().await;
        let work = origin.work.take();
        let reuse = settle(&mut response)?;
        let is_refused = self.turn_if_refused(&client, response.status());
        if client.rotation == Rotation::Sticky && reuse == Reuse::Permitted && !is_refused {
            self.upstreams.keep(dispatch.key(), origin);
        }
        Ok(self.pass_on(exchange, response, work))
    }

    /// Has a session whose address was refused leave from another from now on, where that is wanted. Says whether
    /// connections from the address are of no more use.
    fn turn_if_refused(&self, client: &Client, status: StatusCode) -> bool {
        let worker = &self.session.worker;
        let is_refused = [StatusCode::TOO_MANY_REQUESTS, StatusCode::FORBIDDEN].contains(&status);
        if !is_refused || worker.on_refusal == OnRefusal::Keep {
            return false;
        }
        let (Some(session), Some(address)) = (&client.session, client.source) else {
            return false;
        };
        worker.egress.turn_away(session, address, By::Status);
        true
    }

    /// Passes a request for WebSocket on, and both sides of it where the origin server agrees.
    async fn switch(
        &self,
        dispatch: Dispatch<'_>,
        request: Request<Content>,
    ) -> Result<Response<Content>, Refusal> {
        let (mut response, agreed) = dispatch.switch(request).await?;
        let (upstream, read) = match agreed {
            Agreed::No(work) => {
                settle(&mut response)?;
                return Ok(self.pass_on(dispatch.exchange, response, work));
            }
            Agreed::Yes(stream, read) => (stream, read),
        };
        if !is_websocket(response.headers()) {
            return Err(Refusal::BadResponse {
                why: "the destination switches to another protocol than was asked for",
            });
        }
        let exchange = Rc::clone(dispatch.exchange);
        self.opened.replace(Some(Opened {
            upstream,
            read,
            exchange,
        }));
        let (mut head, _) = response.into_parts();
        self.pass_on_head(dispatch.exchange, &mut head);
        switch_to_websocket(&mut head.headers);
        Ok(Response::from_parts(head, empty()))
    }

    fn pass_on(
        &self,
        exchange: &Rc<Exchange>,
        response: Response<Incoming>,
        work: Work,
    ) -> Response<Content> {
        let (mut head, body) = response.into_parts();
        self.pass_on_head(exchange, &mut head);
        let idle = self.session.worker.idle_timeout;
        let body = Passing::new(body, Way::Down, Rc::clone(exchange), idle);
        let body = body.working(work, self.upstreams.deferred().clone());
        Response::from_parts(head, Content::Passing(body))
    }

    fn pass_on_head(&self, exchange: &Exchange, head: &mut http::response::Parts) {
        strip_hop_by_hop(&mut head.headers);
        self.say_via(&mut head.headers, head.version);
        tell_source(&mut head.headers, exchange);
        head.version = Version::HTTP_11;
    }

    fn say_via(&self, fields: &mut HeaderMap, received: Version) {
        if self.session.worker.via == Via::Say {
            say_via(fields, received);
        }
    }
}

/// Leaves one statement of where the response ends.
fn settle(response: &mut Response<Incoming>) -> Result<Reuse, Refusal> {
    let (status, length) = (response.status(), response.body().size_hint().exact());
    settle_response(status, response.headers_mut(), length)
}

/// The whole answer of a request that is refused.
fn refuse(exchange: &Exchange, refusal: &Refusal) -> Response<Content> {
    let mut response = answer::response(refusal).map(|text| Content::Own(Full::new(text)));
    exchange.answered(response.status().as_u16());
    exchange.refused(refusal);
    exchange.finish();
    // A client that makes no sense may not mean as a request what comes next.
    let close = matches!(
        refusal,
        Refusal::Full(_)
            | Refusal::HeadTooLarge { .. }
            | Refusal::TooManyFields { .. }
            | Refusal::HandshakeTimeout
    );
    if close || response.status() == StatusCode::BAD_REQUEST {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

fn empty() -> Content {
    Content::Own(Full::new(Bytes::new()))
}

async fn authorize(
    session: &Session,
    exchange: &Exchange,
    fields: &mut HeaderMap,
) -> Result<Client, Refusal> {
    for name in [&PROXY_AUTHORIZATION, &SOURCE_FIELD, &ROTATE_FIELD] {
        if fields.get_all(name).iter().count() > 1 {
            return Err(Refusal::BadRequest {
                why: "a field that must occur once occurs twice",
            });
        }
    }
    let (pin, away_from) = (fields.remove(SOURCE_FIELD), fields.remove(ROTATE_FIELD));
    let authorization = fields.get(PROXY_AUTHORIZATION).map(HeaderValue::as_bytes);
    connect::authorize(
        session,
        exchange,
        authorization,
        (
            pin.as_ref().map(HeaderValue::as_bytes),
            away_from.as_ref().map(HeaderValue::as_bytes),
        ),
    )
    .await
}

fn target(uri: &Uri) -> Result<Target, Refusal> {
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err(Refusal::BadRequest {
            why: "this is a proxy: the request target must be an absolute URL",
        });
    };
    // What is sent on is the same request: WebSocket begins as HTTP (RFC 6455 section 4.1).
    if *scheme != Scheme::HTTP && scheme.as_str() != "ws" {
        return Err(Refusal::BadRequest {
            why: "only http:// and ws:// URLs can be forwarded: use CONNECT for everything else",
        });
    }
    Ok(Target::parse(authority.as_str(), Some(80))?)
}

/// Whether an OPTIONS request ends here; counts it down otherwise (RFC 9110 section 7.6.2).
fn last_hop(fields: &mut HeaderMap) -> bool {
    let left: Option<u32> = fields
        .get(MAX_FORWARDS)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok());
    match left {
        Some(0) => true,
        Some(left) => {
            fields.insert(MAX_FORWARDS, HeaderValue::from(left - 1));
            false
        }
        None => false,
    }
}

/// Absolute form to origin form, with the Host that the target says (RFC 9112 section 3.2.2).
fn rewrite(head: &mut http::request::Parts) -> Result<(), Refusal> {
    strip_hop_by_hop(&mut head.headers);
    let authority = head.uri.authority().map_or("", |authority| authority.as_str());
    let host = HeaderValue::from_str(authority).map_err(|_not_printable| Refusal::BadRequest {
        why: "the host is not printable",
    })?;
    head.headers.insert(HOST, host);
    let path = head.uri.path_and_query().cloned();
    let path = match path {
        Some(path) if head.method == Method::OPTIONS && path == "/" => PathAndQuery::from_static("*"),
        Some(path) => path,
        None => PathAndQuery::from_static("/"),
    };
    head.uri = Uri::from(path);
    head.version = Version::HTTP_11;
    Ok(())
}

fn tell_source(fields: &mut HeaderMap, exchange: &Exchange) {
    fields.remove(SOURCE_FIELD);
    let Some(source) = exchange.source() else { return };
    let mut text = Vec::with_capacity(40);
    push_source(&mut text, source);
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(text)) {
        fields.insert(SOURCE_FIELD, value);
    }
}
