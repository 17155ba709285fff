//! HTTP/1.1: CONNECT by hand, everything else through hyper.

mod body;
mod checked;
mod fields;
mod forward;
pub mod framing;
pub mod head;
mod upstreams;

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, PROXY_AUTHENTICATE};
use http::{Response, StatusCode};
use tokio::io::AsyncWriteExt;
use v6kit_net::{Hint, push_address};

pub(crate) use upstreams::Upstreams;

use crate::refusal::Refusal;
use crate::session::{Session, Tunnel};
use crate::stream::Begun;
use crate::target::Target;
use crate::visit::{Protocol, Visit};
use crate::worker::writers_turn;
use head::{Connect, HeadError, MAX_HEAD, basic_credentials, may_be_connect, parse_connect};

/// Tells the source address in responses, and asks for one in requests.
pub(crate) const SOURCE_FIELD: HeaderName = HeaderName::from_static("x-v6kit-source");
/// Tells the kind of an error.
const ERROR_FIELD: HeaderName = HeaderName::from_static("x-v6kit-error");

/// Serves CONNECT requests until one becomes a tunnel, and other requests for good.
pub(crate) async fn negotiate(session: Rc<Session>, mut begun: Begun) -> Option<Tunnel> {
    loop {
        match session.in_time(read_connect(&mut begun)).await {
            Ok(Heading::Connect(connect)) => {
                let mut visit = session.visit(Protocol::Connect);
                match open(&session, &mut visit, &connect).await {
                    Ok(opened) => return establish(session, begun, visit, opened).await,
                    Err(refusal) => refuse(&mut begun, &mut visit, &refusal).await?,
                }
            }
            Ok(Heading::Other) => {
                Box::pin(forward::serve(session, begun)).await;
                return None;
            }
            Ok(Heading::Ended) => {
                // Whoever broke off in the middle of a request is told of; who just left is not.
                if !begun.read.is_empty() {
                    session.visit(Protocol::Connect).ended("client_gone");
                }
                return None;
            }
            Ok(Heading::Bad(refusal)) | Err(refusal) => {
                refuse(&mut begun, &mut session.visit(Protocol::Connect), &refusal).await;
                return None;
            }
        }
    }
}

/// What a connection begins with.
enum Heading {
    Connect(Connect),
    Other,
    Ended,
    Bad(Refusal),
}

async fn read_connect(begun: &mut Begun) -> io::Result<Heading> {
    loop {
        if !may_be_connect(&begun.read) {
            return Ok(Heading::Other);
        }
        match parse_connect(&begun.read) {
            Ok(Some((connect, used))) => {
                begun.read.drain(..used);
                return Ok(Heading::Connect(connect));
            }
            Ok(None) if begun.read.len() >= MAX_HEAD => {
                return Ok(Heading::Bad(Refusal::HeadTooLarge { limit: MAX_HEAD }));
            }
            Ok(None) => {}
            Err(HeadError::Syntax(httparse::Error::TooManyHeaders)) => {
                return Ok(Heading::Bad(Refusal::HeadTooLarge { limit: MAX_HEAD }));
            }
            Err(error) => return Ok(Heading::Bad(Refusal::BadRequest { why: why(error) })),
        }
        if begun.read_more().await? == 0 {
            return Ok(Heading::Ended);
        }
    }
}

fn why(error: HeadError) -> &'static str {
    match error {
        HeadError::Syntax(_) => "the request is not HTTP/1.1",
        HeadError::Method => "the method is not CONNECT",
        HeadError::Twice(_) => "a field that must occur once occurs twice",
        HeadError::Content => "a CONNECT request has no content",
    }
}

/// A connection that was made, and the address it left from.
struct Opened {
    upstream: tokio::net::TcpStream,
    source: Option<IpAddr>,
}

async fn open(session: &Session, visit: &mut Visit, connect: &Connect) -> Result<Opened, Refusal> {
    let target = Target::parse(&connect.authority, None)?;
    visit.aims_at(&target);
    let credentials = connect.authorization.as_deref().and_then(basic_credentials);
    let credentials = credentials
        .as_ref()
        .map(|(user, password)| (user.as_str(), password.as_slice()));
    let pin = connect.pin.as_deref().map(parse_pin).transpose()?;
    let client = session.authorize(credentials, pin).await?;
    visit.by(&client);
    let upstream = session.connect(visit, &client, &target).await?;
    Ok(Opened {
        source: visit.source(),
        upstream: upstream.stream,
    })
}

async fn establish(
    session: Rc<Session>,
    mut begun: Begun,
    mut visit: Visit,
    opened: Opened,
) -> Option<Tunnel> {
    let mut answer = Vec::with_capacity(128);
    answer.extend_from_slice(b"HTTP/1.1 200 Connection established\r\n");
    if let Some(source) = opened.source {
        answer.extend_from_slice(b"X-V6kit-Source: ");
        push_source(&mut answer, source);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"\r\n");
    visit.answered(200);
    writers_turn().await;
    if begun.stream.write_all(&answer).await.is_err() {
        visit.ended("client_gone");
        return None;
    }
    Some(Tunnel {
        client: begun.stream,
        upstream: opened.upstream,
        early: begun.read,
        visit,
        session,
    })
}

/// Appends the text of a source address.
fn push_source(out: &mut Vec<u8>, source: IpAddr) {
    match source {
        IpAddr::V6(source) => push_address(out, source),
        IpAddr::V4(source) => out.extend_from_slice(source.to_string().as_bytes()),
    }
}

/// Says no. `Some` when the client may try again on the same connection.
async fn refuse(begun: &mut Begun, visit: &mut Visit, refusal: &Refusal) -> Option<()> {
    visit.refused(refusal);
    let mut response = response(refusal);
    visit.answered(response.status().as_u16());
    let again = response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
    if !again {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let bytes = encode(&response);
    if again {
        begun.stream.write_all(&bytes).await.ok()
    } else {
        begun.say_goodbye(&bytes).await;
        None
    }
}

/// The response for a refusal: one line of what failed, one of why, one of what to do.
fn response(refusal: &Refusal) -> Response<Bytes> {
    let mut text = format!("error: {refusal}\n");
    if let Some(why) = refusal.message().strip_prefix(&format!("{refusal}: ")) {
        text.push_str(&format!("why: {why}\n"));
    }
    if let Some(hint) = refusal.hint() {
        text.push_str(&format!("hint: {hint}\n"));
    }
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = refusal.status();
    let fields = response.headers_mut();
    fields.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    fields.insert(ERROR_FIELD, HeaderValue::from_static(refusal.kind()));
    if refusal.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        fields.insert(
            PROXY_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"v6kit\", charset=\"UTF-8\""),
        );
    }
    response
}

fn encode(response: &Response<Bytes>) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", response.body().len()).as_bytes());
    bytes.extend_from_slice(response.body());
    bytes
}

fn parse_pin(value: &[u8]) -> Result<Ipv6Addr, Refusal> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or(Refusal::BadRequest {
            why: "X-V6kit-Source is not an IPv6 address",
        })
}
