//! From a connection to a proxy to one to the destination.

use std::net::SocketAddrV6;

use bytes::Bytes;
use http::header::{HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, Method, StatusCode};
use tokio::net::TcpStream;
use tokio_socks::tcp::Socks5Stream;
use v6kit_http1::{Buffers, Request};
use v6kit_model::input::Spelling;
use v6kit_model::{ErrorKind, Fault};

use super::fields;
use super::stream::{Meter, Stream};
use crate::connect::proxy::{Proxy, ProxyKind};

/// The way through a proxy to a destination.
#[derive(Debug)]
pub(crate) struct Tunnel<'a> {
    pub(crate) proxy: &'a Proxy,
    pub(crate) to: Far<'a>,
}

/// A destination, as the proxy is told.
#[derive(Debug)]
pub(crate) enum Far<'a> {
    /// A name or an IPv6 literal without brackets, and a port.
    Name(&'a str, u16),
    Address(SocketAddrV6),
}

/// Makes the connection to the proxy one to the destination.
///
/// # Errors
/// What the proxy refused.
pub(super) async fn pass(tcp: TcpStream, tunnel: &Tunnel<'_>) -> Result<TcpStream, Fault> {
    match tunnel.proxy.kind {
        ProxyKind::Http => connect(tcp, tunnel).await,
        ProxyKind::Socks5 | ProxyKind::Socks5h => socks(tcp, tunnel).await,
    }
}

/// CONNECT (RFC 9110 section 9.3.6).
async fn connect(tcp: TcpStream, tunnel: &Tunnel<'_>) -> Result<TcpStream, Fault> {
    let broken = |error: &dyn std::error::Error| {
        let fault = Fault::from_error(ErrorKind::Proxy, error);
        Fault::new(
            ErrorKind::Proxy,
            format!("the proxy did not answer CONNECT: {}", fault.message),
        )
    };
    let authority = match &tunnel.to {
        Far::Name(host, port) if host.contains(':') => format!("[{host}]:{port}"),
        Far::Name(host, port) => format!("{host}:{port}"),
        Far::Address(address) => address.to_string(),
    };
    let mut headers = HeaderMap::new();
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(v6kit_model::input::USER_AGENT),
    );
    if let Some(authorization) = tunnel.proxy.authorization() {
        headers.insert(PROXY_AUTHORIZATION, authorization);
    }
    let request = Request {
        method: Method::CONNECT.as_str(),
        target: &authority,
        host: authority.as_bytes(),
        fields: &fields::block(&headers, &Spelling::default())?,
        more: None,
        body: &Bytes::new(),
    };
    let mut connection = v6kit_http1::Connection::new(Stream::plain(tcp, Meter::new()), Buffers::new());
    connection.begin(&request, 0).map_err(|error| broken(&error))?;
    let answer = connection.answer().await.map_err(|error| broken(&error))?;
    match answer.head.status() {
        200..=299 => {}
        // 401 is wrong here, and what tinyproxy says.
        status @ (407 | 401) => {
            return Err(Fault::new(
                ErrorKind::ProxyAuth,
                format!("the proxy wants another user name or password: {}", told(status)),
            ));
        }
        status => {
            return Err(Fault::new(
                ErrorKind::Proxy,
                format!("the proxy does not connect: {}", told(status)),
            ));
        }
    }
    let (stream, behind) = connection.into_parts();
    if !behind.is_empty() {
        return Err(Fault::new(
            ErrorKind::Proxy,
            "the proxy sent data before the destination was asked",
        ));
    }
    stream
        .into_tcp()
        .ok_or_else(|| Fault::new(ErrorKind::Proxy, "the proxy's connection is gone"))
}

/// `status 502 Bad Gateway`.
fn told(status: u16) -> String {
    match StatusCode::from_u16(status) {
        Ok(status) => format!("status {status}"),
        Err(_) => format!("status {status}"),
    }
}

/// SOCKS5 (RFC 1928), with user name and password where there are any (RFC 1929).
async fn socks(tcp: TcpStream, tunnel: &Tunnel<'_>) -> Result<TcpStream, Fault> {
    let target = match tunnel.to {
        Far::Name(host, port) => match host.parse() {
            Ok(address) => tokio_socks::TargetAddr::Ip(std::net::SocketAddr::new(address, port)),
            Err(_) => tokio_socks::TargetAddr::Domain(host.into(), port),
        },
        Far::Address(address) => tokio_socks::TargetAddr::Ip(address.into()),
    };
    let stream = match &tunnel.proxy.user {
        None => Socks5Stream::connect_with_socket(tcp, target).await,
        Some(user) => {
            Socks5Stream::connect_with_password_and_socket(tcp, target, &user.name, user.password.reveal())
                .await
        }
    };
    stream.map(Socks5Stream::into_inner).map_err(|error| {
        use tokio_socks::Error;
        let kind = match error {
            Error::HostUnreachable | Error::NetworkUnreachable => ErrorKind::NoRoute,
            Error::ConnectionRefused => ErrorKind::ConnectRefused,
            Error::TtlExpired => ErrorKind::ConnectTimeout,
            Error::PasswordAuthFailure(_) | Error::NoAcceptableAuthMethods => ErrorKind::ProxyAuth,
            _ => ErrorKind::Proxy,
        };
        let fault = Fault::from_error(kind, &error);
        Fault::new(kind, format!("the proxy does not connect: {}", fault.message))
    })
}
