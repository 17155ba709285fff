//! SOCKS5 (RFC 1928, RFC 1929): CONNECT and UDP ASSOCIATE; SOCKS4 and SOCKS4a: CONNECT.

pub mod codec;
pub mod codec4;
mod reply;
mod udp;
mod v4;

use std::io;
use std::net::{Ipv6Addr, SocketAddr};

use tokio::io::AsyncWriteExt;

use crate::data::protocol::Protocol;
use crate::data::refusal::Refusal;
use crate::data::stream::Sniffed;
use crate::session::client::{Client, Wish};
use crate::session::exchange::Exchange;
use crate::session::worker::writers_turn;
use crate::session::{Session, Tunnel};
pub(crate) use v4::negotiate_4;

use codec::{CodecError, Command, Credentials, Method, Parsed, Reply, Request};
use reply::reply_of;

/// What a reply carries when there is no address to tell.
const NO_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

/// Speaks SOCKS5 up to a tunnel, or to the end of an association.
pub(crate) async fn negotiate(session: &Session, mut sniffed: Sniffed) -> Option<Tunnel> {
    let exchange = session.begin(Protocol::Socks5);
    let opening = open(session, &exchange, &mut sniffed).await;
    match opening {
        Ok(Opened::Tunnel(upstream)) => Some(Tunnel::new(sniffed, upstream, exchange)),
        Ok(Opened::Association(association)) => {
            association.run(session, sniffed, &exchange).await;
            None
        }
        Err(Stop { refusal, answer }) => {
            exchange.refused(&refusal);
            if let Some(reply) = answer.reply {
                exchange.answered((reply as u8).into());
            }
            exchange.finish();
            sniffed.say_goodbye(&answer.bytes).await;
            None
        }
    }
}

enum Opened {
    Tunnel(tokio::net::TcpStream),
    Association(Box<udp::Association>),
}

/// Why there is no tunnel, and what the client is told.
struct Stop {
    refusal: Refusal,
    answer: Answer,
}

struct Answer {
    bytes: Vec<u8>,
    reply: Option<Reply>,
}

impl Stop {
    fn silent(refusal: Refusal) -> Self {
        Self::saying(refusal, &[])
    }

    fn saying(refusal: Refusal, bytes: &[u8]) -> Self {
        Self {
            refusal,
            answer: Answer {
                bytes: bytes.to_vec(),
                reply: None,
            },
        }
    }

    fn replying(refusal: Refusal, reply: Reply) -> Self {
        Self {
            refusal,
            answer: Answer {
                bytes: codec::encode_reply(reply, NO_ADDRESS),
                reply: Some(reply),
            },
        }
    }
}

async fn open(session: &Session, exchange: &Exchange, sniffed: &mut Sniffed) -> Result<Opened, Stop> {
    let client = authenticate(session, sniffed).await?;
    let request = match read_message(session, sniffed, codec::parse_request)
        .await
        .map_err(Stop::silent)?
    {
        Ok(request) => request,
        Err(error) => return Err(Stop::replying(malformed(&error), error.reply())),
    };
    let client = client.map_err(|refusal| {
        let reply = reply_of(&refusal);
        Stop::replying(refusal, reply)
    })?;
    exchange.by(&client);
    let opened = match request.command {
        Command::Connect => connect(session, exchange, sniffed, client, &request).await,
        Command::UdpAssociate => associate(session, exchange, sniffed, client, &request).await,
        Command::Bind => Err(Refusal::Unsupported { what: "BIND" }),
    };
    opened.map_err(|refusal| {
        let reply = reply_of(&refusal);
        Stop::replying(refusal, reply)
    })
}

/// Chooses a method and checks the credentials. What is wrong for other reasons than the credentials is
/// told in the reply to the request, where there is a code for it.
async fn authenticate(session: &Session, sniffed: &mut Sniffed) -> Result<Result<Client, Refusal>, Stop> {
    let greeting = read_message(session, sniffed, codec::parse_greeting)
        .await
        .map_err(Stop::silent)?
        .map_err(|error| Stop::silent(malformed(&error)))?;
    let wants_credentials = session.worker.authenticator().wants_credentials();
    let method = match (greeting.user_password, greeting.no_auth) {
        // Also where none are needed: the user name may ask for a session.
        (true, _) => Method::UserPassword,
        (false, true) if !wants_credentials => Method::NoAuth,
        _ => Method::Unacceptable,
    };
    if method == Method::Unacceptable {
        let refusal = if greeting.no_auth {
            Refusal::NoCredentials
        } else {
            Refusal::Unsupported {
                what: "the authentication method",
            }
        };
        return Err(Stop::saying(refusal, &codec::encode_method(method)));
    }
    send(session, sniffed, &codec::encode_method(method)).await?;
    if method == Method::NoAuth {
        return Ok(session.authorize(None, Wish::default()).await);
    }
    let Credentials { user, password } = read_message(session, sniffed, codec::parse_credentials)
        .await
        .map_err(Stop::silent)?
        .map_err(|error| Stop::saying(malformed(&error), &codec::encode_auth_status(Err(()))))?;
    let client = match session
        .authorize(Some((&user, password.reveal())), Wish::default())
        .await
    {
        Err(refusal @ (Refusal::WrongCredentials | Refusal::NoCredentials | Refusal::UserName(_))) => {
            return Err(Stop::saying(refusal, &codec::encode_auth_status(Err(()))));
        }
        client => client,
    };
    send(session, sniffed, &codec::encode_auth_status(Ok(()))).await?;
    Ok(client)
}

async fn connect(
    session: &Session,
    exchange: &Exchange,
    sniffed: &mut Sniffed,
    client: Client,
    request: &Request,
) -> Result<Opened, Refusal> {
    let Some(target) = &request.target else {
        return Err(Refusal::BadRequest {
            why: "the request names no destination",
        });
    };
    exchange.aims_at(target);
    let client = session.towards(client, target)?;
    let upstream = session.connect(exchange, &client, target).await?;
    let bound = upstream.local().unwrap_or(NO_ADDRESS);
    let reply = codec::encode_reply(Reply::Succeeded, bound);
    writers_turn().await;
    sniffed.stream.write_all(&reply).await.map_err(Refusal::System)?;
    exchange.answered(0);
    Ok(Opened::Tunnel(upstream.stream))
}

async fn associate(
    session: &Session,
    exchange: &Exchange,
    sniffed: &mut Sniffed,
    client: Client,
    request: &Request,
) -> Result<Opened, Refusal> {
    exchange.speaks(Protocol::Udp);
    session.worker.egress.ensure_delivered(client.source).await?;
    let association = udp::Association::open(sniffed, client, request)?;
    let reply = codec::encode_reply(Reply::Succeeded, association.client_side()?);
    sniffed.stream.write_all(&reply).await.map_err(Refusal::System)?;
    exchange.answered(0);
    Ok(Opened::Association(Box::new(association)))
}

fn malformed(error: &CodecError) -> Refusal {
    match error {
        CodecError::Command(_) => Refusal::Unsupported { what: "the command" },
        CodecError::AddressType(_) => Refusal::Unsupported {
            what: "the address type",
        },
        CodecError::Target(error) => Refusal::Target(error.clone()),
        _ => Refusal::BadRequest {
            why: "the client does not speak SOCKS",
        },
    }
}

async fn send(session: &Session, sniffed: &mut Sniffed, bytes: &[u8]) -> Result<(), Stop> {
    session
        .in_time(sniffed.stream.write_all(bytes))
        .await
        .map_err(Stop::silent)
}

/// Reads until `parse` has its message, and takes it off what was read.
async fn read_message<T>(
    session: &Session,
    sniffed: &mut Sniffed,
    parse: fn(&[u8]) -> Parsed<T>,
) -> Result<Result<T, CodecError>, Refusal> {
    let reading = async {
        loop {
            match parse(&sniffed.read) {
                Ok(Some((message, used))) => {
                    sniffed.read.drain(..used);
                    return Ok(Ok(message));
                }
                Ok(None) => {}
                Err(error) => return Ok(Err(error)),
            }
            if sniffed.read_more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    };
    session.in_time(reading).await
}
