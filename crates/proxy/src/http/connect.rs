//! What is common to all requests: who asks, and what becomes of a CONNECT.

use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use v6kit_net::{Secret, push_address};

use super::answer::push_date;
use super::head::{Connect, basic_credentials};
use crate::data::refusal::Refusal;
use crate::data::stream::Sniffed;
use crate::data::target::Target;
use crate::session::client::{Client, Wish};
use crate::session::exchange::Exchange;
use crate::session::worker::writers_turn;
use crate::session::{Session, Tunnel};

/// Who asks, by the values of `Proxy-Authorization`, `X-V6kit-Source` and `X-V6kit-Rotate`.
pub(super) async fn authorize(
    session: &Session,
    exchange: &Exchange,
    authorization: Option<&[u8]>,
    (pin, away_from): (Option<&[u8]>, Option<&[u8]>),
) -> Result<Client, Refusal> {
    let credentials = authorization.and_then(basic_credentials);
    let credentials = credentials
        .as_ref()
        .map(|(user, password)| (user.as_str(), password.reveal()));
    let address = |value: Option<&[u8]>, why| value.map(|value| parse_address(value, why)).transpose();
    let wish = Wish {
        pin: address(pin, "X-V6kit-Source is not an IPv6 address")?,
        away_from: address(
            away_from,
            "X-V6kit-Rotate is not an IPv6 address: it names the one to leave",
        )?,
    };
    let client = session.authorize(credentials, wish).await?;
    exchange.by(&client);
    Ok(client)
}

/// Connects to where a CONNECT request wants to go.
pub(super) async fn open(
    session: &Session,
    exchange: &Exchange,
    connect: &Connect,
) -> Result<TcpStream, Refusal> {
    let target = Target::parse(&connect.authority, None)?;
    exchange.aims_at(&target);
    let authorization = connect.authorization.as_ref().map(Secret::reveal);
    let wish = (connect.pin.as_deref(), connect.away_from.as_deref());
    let client = authorize(session, exchange, authorization, wish).await?;
    let client = session.towards(client, &target)?;
    let upstream = session.connect(exchange, &client, &target).await?;
    Ok(upstream.stream)
}

/// Tells the client that its tunnel is there.
pub(super) async fn establish(
    mut sniffed: Sniffed,
    exchange: Rc<Exchange>,
    upstream: TcpStream,
) -> Option<Tunnel> {
    let mut answer = Vec::with_capacity(128);
    answer.extend_from_slice(b"HTTP/1.1 200 Connection established\r\n");
    push_date(&mut answer);
    if let Some(source) = exchange.source() {
        answer.extend_from_slice(b"X-V6kit-Source: ");
        push_source(&mut answer, source);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"\r\n");
    exchange.answered(200);
    writers_turn().await;
    if sniffed.stream.write_all(&answer).await.is_err() {
        exchange.ended("client_gone");
        return None;
    }
    Some(Tunnel::new(sniffed, upstream, exchange))
}

/// Appends the text of a source address.
pub(super) fn push_source(out: &mut Vec<u8>, source: IpAddr) {
    match source {
        IpAddr::V6(source) => push_address(out, source),
        IpAddr::V4(source) => out.extend_from_slice(source.to_string().as_bytes()),
    }
}

fn parse_address(value: &[u8], why: &'static str) -> Result<Ipv6Addr, Refusal> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or(Refusal::BadRequest { why })
}
