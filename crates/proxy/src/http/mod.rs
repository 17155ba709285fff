//! HTTP/1.1: the first CONNECT by hand, everything else through hyper.

mod answer;
mod body;
mod chunked;
mod connect;
mod fields;
mod forward;
pub mod framing;
pub mod head;
mod origin;
mod part;
mod requests;
mod upstreams;

use std::io;
use std::rc::Rc;

use http::StatusCode;
use tokio::io::AsyncWriteExt;

pub(crate) use answer::last_answer;
pub(crate) use upstreams::Upstreams;

use crate::data::protocol::Protocol;
use crate::data::refusal::Refusal;
use crate::data::stream::Sniffed;
use crate::session::exchange::Exchange;
use crate::session::{Session, Tunnel};
use head::{Connect, HeadError, MAX_FIELDS, MAX_HEAD, may_be_connect, parse_connect};

/// Serves CONNECT requests until one becomes a tunnel, and other requests for good.
pub(crate) async fn negotiate(
    session: &Rc<Session>,
    upstreams: &Rc<Upstreams>,
    mut sniffed: Sniffed,
) -> Option<Tunnel> {
    loop {
        match session.in_time(read_connect(&mut sniffed)).await {
            Ok(Heading::Connect(connect)) => {
                let exchange = session.begin(Protocol::Connect);
                match connect::open(session, &exchange, &connect).await {
                    Ok(upstream) => return connect::establish(sniffed, exchange, upstream).await,
                    Err(refusal) => refuse(&mut sniffed, &exchange, &refusal).await?,
                }
            }
            Ok(Heading::Other) => return Box::pin(forward::serve(session, upstreams, sniffed)).await,
            Ok(Heading::Ended) => {
                // Whoever broke off in the middle of a request is told of; who just left is not.
                if !sniffed.read.is_empty() {
                    session.begin(Protocol::Connect).ended("client_gone");
                }
                return None;
            }
            Ok(Heading::Bad(refusal)) | Err(refusal) => {
                refuse(&mut sniffed, &session.begin(Protocol::Connect), &refusal).await;
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

async fn read_connect(sniffed: &mut Sniffed) -> io::Result<Heading> {
    loop {
        sniffed.skip_empty_lines();
        if !may_be_connect(&sniffed.read) {
            return Ok(Heading::Other);
        }
        match parse_connect(&sniffed.read) {
            Ok(Some((connect, used))) => {
                sniffed.read.drain(..used);
                return Ok(Heading::Connect(connect));
            }
            Ok(None) if sniffed.read.len() >= MAX_HEAD => {
                return Ok(Heading::Bad(Refusal::HeadTooLarge { limit: MAX_HEAD }));
            }
            Ok(None) => {}
            Err(HeadError::Syntax(httparse::Error::TooManyHeaders)) => {
                return Ok(Heading::Bad(Refusal::TooManyFields { limit: MAX_FIELDS }));
            }
            Err(error) => return Ok(Heading::Bad(Refusal::BadRequest { why: why(error) })),
        }
        if sniffed.read_more().await? == 0 {
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

/// Says no. `Some` when the client may try again on the same connection.
async fn refuse(sniffed: &mut Sniffed, exchange: &Exchange, refusal: &Refusal) -> Option<()> {
    let response = answer::response(refusal);
    exchange.refused(refusal);
    exchange.answered(response.status().as_u16());
    exchange.finish();
    if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        let bytes = answer::encode(&response);
        sniffed.stream.write_all(&bytes).await.ok()
    } else {
        sniffed.say_goodbye(&last_answer(refusal)).await;
        None
    }
}
