//! Requests in absolute form: hyper towards the client, hyper towards the origin (RFC 9112 section 3.2.2).

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::Ipv6Addr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderName, HeaderValue, MAX_FORWARDS, PROXY_AUTHORIZATION};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::timeout;

use super::body::{Content, Passing, SharedVisit, Way};
use super::checked::{Checked, Verdict};
use super::fields::{Reuse, settle_response, strip_hop_by_hop};
use super::head::{Connect, MAX_HEAD, basic_credentials};
use super::upstreams::{Key, Origin, work_on};
use super::{SOURCE_FIELD, parse_pin, push_source};
use crate::refusal::Refusal;
use crate::session::{Client, Session, Steadiness, Tunnel, source_of};
use crate::stream::Begun;
use crate::target::Target;
use crate::visit::Protocol;
use crate::worker::writers_turn;

/// How long a client connection may wait between two requests, and a request for the rest of its head, where the
/// idle time-out is no shorter.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Serves requests until the client leaves, one asks for a tunnel, or the proxy drains.
pub(super) async fn serve(session: Rc<Session>, begun: Begun) {
    let verdict = Verdict::default();
    let service = service_fn(|request| {
        let (session, verdict) = (Rc::clone(&session), Arc::clone(&verdict));
        async move { Ok::<_, Infallible>(answer(session, &verdict, request).await) }
    });
    let checked = Checked::new(begun, Arc::clone(&verdict));
    let worker = &session.worker;
    let next_request = KEEP_ALIVE.min(worker.idle_timeout).max(worker.handshake_timeout);
    let mut connection = server::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(next_request)
        // As many fields as MAX_FIELDS, which would cost room on the heap if it was said.
        .max_header_size(MAX_HEAD)
        .preserve_header_case(true)
        .auto_date_header(false)
        .half_close(true)
        .serve_connection(TokioIo::new(checked), service)
        .with_upgrades();
    let served = tokio::select! {
        // A request that was read before the proxy began to drain is answered.
        biased;
        served = &mut connection => served,
        () = session.worker.draining() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    if let Some(parts) = connection.into_parts()
        && let checked = parts.io.into_inner()
        && checked.is_refused()
    {
        checked.into_inner().linger().await;
    }
    if let Err(error) = served
        && (error.is_parse() || error.is_parse_too_large())
    {
        let why = "the request is not well-formed HTTP/1.1";
        let mut visit = session.visit(Protocol::Forward);
        visit.answered(400);
        visit.refused(&Refusal::BadRequest { why });
    }
}

async fn answer(session: Rc<Session>, verdict: &Verdict, request: Request<Incoming>) -> Response<Content> {
    let refused_head = verdict.get();
    if refused_head.is_none() && request.method() == Method::CONNECT {
        return connect(session, request).await;
    }
    let visit: SharedVisit = Rc::new(RefCell::new(session.visit(Protocol::Forward)));
    let forwarded = match refused_head {
        Some(violation) => Err((*violation).into()),
        None => forward(&session, &visit, request).await,
    };
    match forwarded {
        Ok(response) => {
            let mut visit = visit.borrow_mut();
            visit.answered(response.status().as_u16());
            visit.ended("ok");
            drop(visit);
            response
        }
        Err(refusal) => {
            // Content that broke off because it was refused is the cause of whatever came after.
            let refusal = verdict.get().map_or(refusal, |violation| (*violation).into());
            let response = refused(&refusal);
            let mut visit = visit.borrow_mut();
            visit.answered(response.status().as_u16());
            visit.refused(&refusal);
            response
        }
    }
}

fn refused(refusal: &Refusal) -> Response<Content> {
    let mut response = super::response(refusal).map(|text| Content::Own(Full::new(text)));
    // A client that makes no sense may not mean as a request what comes next.
    let close = matches!(refusal, Refusal::Full(_) | Refusal::HeadTooLarge { .. });
    if close || response.status() == StatusCode::BAD_REQUEST {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A tunnel asked for on a connection that carried other requests before.
async fn connect(session: Rc<Session>, mut request: Request<Incoming>) -> Response<Content> {
    let mut visit = session.visit(Protocol::Connect);
    let field = |name: &HeaderName| request.headers().get(name).map(|value| value.as_bytes().to_vec());
    let connect = Connect {
        authority: request
            .uri()
            .authority()
            .map_or("", |authority| authority.as_str())
            .to_owned(),
        authorization: field(&PROXY_AUTHORIZATION),
        pin: field(&SOURCE_FIELD),
    };
    let opened = match super::open(&session, &mut visit, &connect).await {
        Ok(opened) => opened,
        Err(refusal) => {
            let mut response = refused(&refusal);
            // What follows a CONNECT is not read as requests, whatever became of it.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
            visit.answered(response.status().as_u16());
            visit.refused(&refusal);
            return response;
        }
    };
    visit.answered(200);
    let mut response = Response::new(own(""));
    tell_source(response.headers_mut(), opened.source);
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::task::spawn_local(async move {
        let Some(parts) = upgrade
            .await
            .ok()
            .and_then(|upgraded| upgraded.downcast::<TokioIo<Checked>>().ok())
        else {
            visit.ended("client_gone");
            return;
        };
        let mut begun = parts.io.into_inner().into_inner();
        begun.read.splice(..0, parts.read_buf);
        let mut tunnel = Tunnel {
            client: begun.stream,
            upstream: opened.upstream,
            early: begun.read,
            visit,
            session,
        };
        tunnel.run().await;
    });
    response
}

fn own(text: &'static str) -> Content {
    Content::Own(Full::new(Bytes::from_static(text.as_bytes())))
}

async fn forward(
    session: &Rc<Session>,
    visit: &SharedVisit,
    request: Request<Incoming>,
) -> Result<Response<Content>, Refusal> {
    let (mut head, body) = request.into_parts();
    let target = target(&head.uri)?;
    visit.borrow_mut().aims_at(&target);
    let client = authorize(session, &mut head.headers).await?;
    visit.borrow_mut().by(&client);
    if head.method == Method::TRACE {
        return Err(Refusal::Unsupported { what: "TRACE" });
    }
    if head.method == Method::OPTIONS && last_hop(&mut head.headers) {
        return Ok(Response::new(own("")));
    }
    rewrite(&mut head)?;
    let idle = session.worker.idle_timeout;
    let content = if body.is_end_stream() {
        own("")
    } else {
        Content::Passing(Passing::new(body, Way::Up, Rc::clone(visit), idle))
    };
    let request = Request::from_parts(head, content);
    let (mut origin, response) = exchange(session, visit, &client, &target, request).await?;
    writers_turn().await;
    let (source, work) = (origin.from, origin.work.take());
    let (mut head, body) = response.into_parts();
    let reuse = settle_response(head.status, &mut head.headers, body.size_hint().exact())?;
    if client.steadiness == Steadiness::Steady && reuse == Reuse::Permitted {
        session.worker.upstreams.keep(key(&client, &target), origin);
    }
    strip_hop_by_hop(&mut head.headers);
    tell_source(&mut head.headers, source);
    head.version = Version::HTTP_11;
    let body = Passing::new(body, Way::Down, Rc::clone(visit), idle).working(work);
    Ok(Response::from_parts(head, Content::Passing(body)))
}

async fn authorize(session: &Session, fields: &mut HeaderMap) -> Result<Client, Refusal> {
    for name in [&PROXY_AUTHORIZATION, &SOURCE_FIELD] {
        if fields.get_all(name).iter().count() > 1 {
            return Err(Refusal::BadRequest {
                why: "a field that must occur once occurs twice",
            });
        }
    }
    let pin: Option<Ipv6Addr> = fields
        .remove(SOURCE_FIELD)
        .map(|value| parse_pin(value.as_bytes()))
        .transpose()?;
    let credentials = fields
        .get(PROXY_AUTHORIZATION)
        .and_then(|value| basic_credentials(value.as_bytes()));
    let credentials = credentials
        .as_ref()
        .map(|(user, password)| (user.as_str(), password.as_slice()));
    session.authorize(credentials, pin).await
}

fn target(uri: &Uri) -> Result<Target, Refusal> {
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err(Refusal::BadRequest {
            why: "this is a proxy: the request target must be an absolute URL",
        });
    };
    if *scheme != Scheme::HTTP {
        return Err(Refusal::BadRequest {
            why: "only http:// URLs can be forwarded: use CONNECT for everything else",
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

fn tell_source(fields: &mut HeaderMap, source: Option<std::net::IpAddr>) {
    fields.remove(SOURCE_FIELD);
    let Some(source) = source else { return };
    let mut text = Vec::with_capacity(40);
    push_source(&mut text, source);
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(text)) {
        fields.insert(SOURCE_FIELD, value);
    }
}

fn key(client: &Client, target: &Target) -> Key {
    Key {
        user: client.account.name().clone(),
        source: client.source,
        target: target.clone(),
    }
}

/// Sends the request over a kept connection, or else over a new one.
async fn exchange(
    session: &Session,
    visit: &SharedVisit,
    client: &Client,
    target: &Target,
    mut request: Request<Content>,
) -> Result<(Origin, Response<Incoming>), Refusal> {
    if client.steadiness == Steadiness::Steady
        && let Some(mut origin) = session.worker.upstreams.take(&key(client, target))
    {
        visit.borrow_mut().connected(origin.from, origin.to, None);
        let spare = spare(&request);
        match send(session, &mut origin, request).await {
            Ok(response) => return Ok((origin, response)),
            Err((refusal, returned)) => request = returned.or(spare).ok_or(refusal)?,
        }
    }
    let mut origin = dial(session, visit, client, target, Labour::of(client, &request)).await?;
    writers_turn().await;
    match send(session, &mut origin, request).await {
        Ok(response) => Ok((origin, response)),
        Err((refusal, _)) => Err(refusal),
    }
}

/// A second copy of a request that may be sent twice, for when the origin closes a kept connection just
/// then (RFC 9112 section 9.3.1).
fn spare(request: &Request<Content>) -> Option<Request<Content>> {
    if !request.method().is_idempotent() || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(own(""));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

/// Who does the work of a connection.
enum Labour {
    /// A task, for as long as the connection is kept.
    Task,
    /// The task that waits for the one response.
    Asker,
}

impl Labour {
    /// Content goes up also while nobody takes the response, which wants a task.
    fn of(client: &Client, request: &Request<Content>) -> Self {
        if client.steadiness == Steadiness::Rotating && request.body().is_end_stream() {
            Self::Asker
        } else {
            Self::Task
        }
    }
}

async fn dial(
    session: &Session,
    visit: &SharedVisit,
    client: &Client,
    target: &Target,
    labour: Labour,
) -> Result<Origin, Refusal> {
    let began = std::time::Instant::now();
    let upstream = session.worker.egress.connect(target, client.source).await?;
    let from = source_of(client, &upstream);
    visit
        .borrow_mut()
        .connected(from, upstream.to, Some(began.elapsed()));
    let (sender, connection) = client::Builder::new()
        .preserve_header_case(true)
        .max_header_size(4 * MAX_HEAD)
        // A head alone is copied for less than what a list of pieces costs.
        .writev(matches!(labour, Labour::Task))
        .handshake(TokioIo::new(upstream.stream))
        .await
        .map_err(Refusal::Upstream)?;
    let connection = Box::pin(connection);
    let work = match labour {
        Labour::Asker => Some(connection),
        Labour::Task => {
            tokio::task::spawn_local(async move {
                // Whoever waits for the response is told of the error.
                let _ = connection.await;
            });
            None
        }
    };
    Ok(Origin {
        sender,
        work,
        to: upstream.to,
        from,
        _lease: client.lease.clone(),
    })
}

type NotSent = (Refusal, Option<Request<Content>>);

async fn send(
    session: &Session,
    origin: &mut Origin,
    request: Request<Content>,
) -> Result<Response<Incoming>, NotSent> {
    let mut sending = pin!(origin.sender.try_send_request(request));
    let response = poll_fn(|cx| {
        work_on(&mut origin.work, cx);
        sending.as_mut().poll(cx)
    });
    match timeout(session.worker.idle_timeout, response).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(mut error)) => {
            let request = error.take_message();
            Err((Refusal::Upstream(error.into_error()), request))
        }
        Err(_elapsed) => Err((Refusal::Silent, None)),
    }
}
