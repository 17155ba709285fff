//! SOCKS4 and SOCKS4a: CONNECT.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::codec::Command;
use super::codec4::{self, Reply};
use super::{malformed, read_message};
use crate::data::protocol::Protocol;
use crate::data::refusal::Refusal;
use crate::data::stream::Sniffed;
use crate::session::client::Wish;
use crate::session::exchange::Exchange;
use crate::session::worker::writers_turn;
use crate::session::{Session, Tunnel};

/// Speaks SOCKS4 up to a tunnel.
pub(crate) async fn negotiate_4(session: &Session, mut sniffed: Sniffed) -> Option<Tunnel> {
    let exchange = session.begin(Protocol::Socks4);
    match open(session, &exchange, &mut sniffed).await {
        Ok(upstream) => Some(Tunnel::new(sniffed, upstream, exchange)),
        Err(refusal) => {
            exchange.refused(&refusal);
            exchange.answered((Reply::Rejected as u8).into());
            exchange.finish();
            sniffed.say_goodbye(&codec4::encode_reply(Reply::Rejected)).await;
            None
        }
    }
}

async fn open(session: &Session, exchange: &Exchange, sniffed: &mut Sniffed) -> Result<TcpStream, Refusal> {
    let request = read_message(session, sniffed, codec4::parse_request)
        .await?
        .map_err(|error| malformed(&error))?;
    if session.worker.authenticator().wants_credentials() {
        return Err(Refusal::Unsupported {
            what: "SOCKS4, which has no passwords,",
        });
    }
    let credentials = Some((request.user.as_str(), &b""[..])).filter(|(user, _)| !user.is_empty());
    let client = session.authorize(credentials, Wish::default()).await?;
    exchange.by(&client);
    let target = match (request.command, request.target) {
        (Command::Connect, Some(target)) => target,
        _ => return Err(Refusal::Unsupported { what: "BIND" }),
    };
    exchange.aims_at(&target);
    let client = session.towards(client, &target)?;
    let upstream = session.connect(exchange, &client, &target).await?;
    writers_turn().await;
    let reply = codec4::encode_reply(Reply::Granted);
    sniffed.stream.write_all(&reply).await.map_err(Refusal::System)?;
    exchange.answered((Reply::Granted as u8).into());
    Ok(upstream.stream)
}
