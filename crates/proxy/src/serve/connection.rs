//! A client's connection: TLS where the listener has it, and which protocol is spoken by its first byte.

use std::io;
use std::rc::Rc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::data::protocol::Protocol;
use crate::data::refusal::Refusal;
use crate::data::stream::{ClientStream, Sniffed};
use crate::http::{self, Upstreams};
use crate::session::{Session, Tunnel};
use crate::socks::{self, codec, codec4};

/// The first byte of a TLS handshake record (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;
/// A fatal TLS alert, handshake_failure (RFC 8446 section 6).
const TLS_REFUSED: [u8; 7] = [0x15, 3, 1, 0, 2, 2, 40];

/// Serves one client connection to its end.
pub(super) async fn serve(
    session: Rc<Session>,
    upstreams: Rc<Upstreams>,
    stream: ClientStream,
    tls: Option<TlsAcceptor>,
) {
    // The states of a handshake are large; a tunnel does not carry them with it.
    if let Some(mut tunnel) = Box::pin(negotiate(&session, upstreams, stream, tls)).await {
        tunnel.run(&session).await;
    }
    session.finish();
}

async fn negotiate(
    session: &Rc<Session>,
    upstreams: Rc<Upstreams>,
    stream: ClientStream,
    tls: Option<TlsAcceptor>,
) -> Option<Tunnel> {
    let stream = match (tls, stream) {
        (Some(acceptor), ClientStream::Tcp(stream)) => {
            Box::pin(accept_tls(session, acceptor, stream)).await?
        }
        (_, stream) => stream,
    };
    let mut sniffed = Sniffed::new(stream);
    match session.in_time(first_bytes(&mut sniffed)).await {
        // Who connects and leaves is in no log.
        Ok(0) => return None,
        Ok(_) => {}
        Err(refusal) => {
            session.refuse(Protocol::Unknown, &refusal);
            return None;
        }
    }
    match sniffed.read[0] {
        codec::VERSION => Box::pin(socks::negotiate(session, sniffed)).await,
        codec4::VERSION => Box::pin(socks::negotiate_4(session, sniffed)).await,
        TLS_HANDSHAKE => {
            turn_away(
                session,
                Protocol::Tls,
                sniffed,
                &TLS_REFUSED,
                "TLS on this listener",
            )
            .await
        }
        first if first.is_ascii_alphabetic() => http::negotiate(session, &upstreams, sniffed).await,
        _ => turn_away(session, Protocol::Unknown, sniffed, &[], "the client's protocol").await,
    }
}

/// Reads what a protocol is known by, behind empty lines that some HTTP clients send first (RFC 9112 section 2.2).
async fn first_bytes(sniffed: &mut Sniffed) -> io::Result<usize> {
    loop {
        if sniffed.read_more().await? == 0 {
            return Ok(0);
        }
        sniffed.skip_empty_lines();
        if !sniffed.read.is_empty() {
            return Ok(sniffed.read.len());
        }
    }
}

async fn accept_tls(session: &Session, acceptor: TlsAcceptor, stream: TcpStream) -> Option<ClientStream> {
    let mut first = [0];
    let accepted = session
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
            let refusal = Refusal::BadRequest {
                why: "this listener wants TLS",
            };
            session.refuse(Protocol::Unknown, &refusal);
            let answer = http::last_answer(&refusal);
            Sniffed::new(ClientStream::Tcp(stream)).say_goodbye(&answer).await;
            None
        }
        Err(refusal) => {
            session.refuse(Protocol::Tls, &refusal);
            None
        }
    }
}

async fn turn_away(
    session: &Session,
    protocol: Protocol,
    mut sniffed: Sniffed,
    answer: &[u8],
    what: &'static str,
) -> Option<Tunnel> {
    session.refuse(protocol, &Refusal::Unsupported { what });
    sniffed.say_goodbye(answer).await;
    None
}
