//! One connection to an endpoint from a chosen source address.

mod error;

use std::error::Error as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONNECTION, HOST, LOCATION, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use v6kit_net::{ResolveError, dial, dial_in_segments, resolve};

use crate::endpoint::{Endpoint, Scheme};
use crate::reported;

pub(crate) use error::ProbeError;

/// The size of an answer in bytes above which it is not one.
const MAX_ANSWER: usize = 64 * 1024;

/// An endpoint whose name is resolved.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) to: SocketAddrV6,
    tls: Option<Tls>,
    /// The size of a segment in bytes at most, where it is not the kernel's affair.
    segment: Option<u32>,
    size: Size,
}

/// How large a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Small,
    /// Of several segments.
    Large,
}

/// What makes a request large, in bytes: two packets of an Ethernet, and less than servers take at least (nginx,
/// `client_header_buffer_size` and `large_client_header_buffers`).
const PADDING: usize = 3000;

#[derive(Debug, Clone)]
struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// What the endpoint said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The source address of the connection.
    pub(crate) bound: Ipv6Addr,
    /// The address that the endpoint saw.
    pub(crate) reported: IpAddr,
}

impl Reply {
    /// Whether the endpoint saw the address that the connection was made from.
    pub(crate) fn matches(self) -> bool {
        self.reported == IpAddr::V6(self.bound)
    }
}

impl Target {
    /// Resolves the endpoint's name, and reads the system's certificates where it speaks TLS.
    pub(crate) async fn resolve(endpoint: &Endpoint, deadline: Instant) -> Result<Self, ProbeError> {
        let addresses = resolve(&endpoint.host, endpoint.port, deadline).await?;
        let to = addresses
            .into_iter()
            .next()
            .ok_or_else(|| ResolveError::Ipv4Only {
                host: endpoint.host.clone(),
                addresses: Vec::new(),
            })?;
        let tls = match endpoint.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(Tls::for_host(&endpoint.host)?),
        };
        Ok(Self {
            endpoint: endpoint.clone(),
            to,
            tls,
            segment: None,
            size: Size::Small,
        })
    }

    /// The same, in segments of so many bytes at most.
    pub(crate) fn in_segments(&self, bytes: u32) -> Self {
        Self {
            segment: Some(bytes),
            ..self.clone()
        }
    }

    /// The same, with requests of another size.
    pub(crate) fn of_size(&self, size: Size) -> Self {
        Self { size, ..self.clone() }
    }

    /// The same, with a query that no cache has an answer to.
    pub(crate) fn with_another_query(&self) -> Self {
        let mut other = self.clone();
        other.endpoint = other.endpoint.with_another_query();
        other
    }

    /// Asks for the address of a connection that leaves from `from`, or from where the kernel chooses.
    pub(crate) async fn ask(&self, from: Option<Ipv6Addr>, deadline: Instant) -> Result<Reply, ProbeError> {
        self.open(from, deadline)
            .await?
            .ask(Afterwards::Close, deadline)
            .await
    }

    /// Makes a connection that leaves from `from`, or from where the kernel chooses.
    pub(crate) async fn open(
        &self,
        from: Option<Ipv6Addr>,
        deadline: Instant,
    ) -> Result<Session, ProbeError> {
        let stream = match self.segment {
            None => dial(self.to, from, deadline).await?,
            Some(bytes) => dial_in_segments(self.to, from, bytes, deadline).await?,
        };
        let bound = bound(&stream)?;
        let (sender, driver) = timeout_at(deadline, self.shake_hands(stream))
            .await
            .map_err(|_elapsed| self.timed_out())??;
        Ok(Session {
            target: self.clone(),
            bound,
            sender,
            driver,
        })
    }

    async fn shake_hands(&self, stream: TcpStream) -> Result<Spoken, ProbeError> {
        let Some(tls) = &self.tls else {
            return self.speak_http(stream).await;
        };
        let stream = TlsConnector::from(Arc::clone(&tls.config))
            .connect(tls.name.clone(), stream)
            .await
            .map_err(|source| ProbeError::Handshake { to: self.to, source })?;
        self.speak_http(stream).await
    }

    async fn speak_http<S>(&self, stream: S) -> Result<Spoken, ProbeError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|source| self.broke_off(source))?;
        // It ends when the sender and the answer are dropped.
        Ok((sender, tokio::spawn(connection)))
    }

    fn timed_out(&self) -> ProbeError {
        ProbeError::TimedOut {
            endpoint: self.endpoint.clone(),
        }
    }

    fn broke_off(&self, source: hyper::Error) -> ProbeError {
        let endpoint = self.endpoint.clone();
        // What comes before it was asked for has no name in hyper: it is what has no other, nor a cause.
        let is_early = source.source().is_none()
            && !(source.is_incomplete_message() || source.is_closed() || source.is_canceled());
        if source.is_parse() || is_early {
            ProbeError::NotHttp { endpoint, source }
        } else {
            ProbeError::Http { endpoint, source }
        }
    }

    fn get(&self, afterwards: Afterwards) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.endpoint.target.clone().into();
        let headers = request.headers_mut();
        // What was parsed as a URL's authority is valid as a header.
        if let Ok(host) = self.endpoint.authority().parse() {
            headers.insert(HOST, host);
        }
        let agent = concat!("v6kit/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        // What a cache told an earlier caller is not asked for (RFC 9111 section 5.2.1.4).
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if self.size == Size::Large
            && let Ok(padding) = "x".repeat(PADDING).parse()
        {
            headers.insert("x-padding", padding);
        }
        if let Afterwards::Close = afterwards {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        request
    }
}

type Sender = http1::SendRequest<Empty<Bytes>>;
type Driver = JoinHandle<hyper::Result<()>>;
type Spoken = (Sender, Driver);

/// What becomes of a connection after its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Afterwards {
    Close,
    Keep,
}

/// A connection to an endpoint.
#[derive(Debug)]
pub(crate) struct Session {
    target: Target,
    bound: Ipv6Addr,
    sender: Sender,
    driver: Driver,
}

impl Session {
    /// Asks for the address that the endpoint sees.
    pub(crate) async fn ask(
        &mut self,
        afterwards: Afterwards,
        deadline: Instant,
    ) -> Result<Reply, ProbeError> {
        let reported = timeout_at(deadline, self.request(afterwards))
            .await
            .map_err(|_elapsed| self.target.timed_out())??;
        Ok(Reply {
            bound: self.bound,
            reported,
        })
    }

    /// Why the connection ended, where `source` says no more than that it did: whoever speaks first is heard before the
    /// request is sent.
    async fn ended_by(&mut self, source: hyper::Error) -> ProbeError {
        let driver = &mut self.driver;
        let knows_more = source.is_closed() || source.is_canceled();
        match if knows_more { driver.await } else { Ok(Ok(())) } {
            Ok(Err(cause)) => self.target.broke_off(cause),
            _ => self.target.broke_off(source),
        }
    }

    async fn request(&mut self, afterwards: Afterwards) -> Result<IpAddr, ProbeError> {
        if let Err(source) = self.sender.ready().await {
            return Err(self.ended_by(source).await);
        }
        let answer = match self.sender.send_request(self.target.get(afterwards)).await {
            Ok(answer) => answer,
            Err(source) => return Err(self.ended_by(source).await),
        };
        let target = &self.target;
        let endpoint = || target.endpoint.clone();
        let status = answer.status();
        if status != StatusCode::OK {
            let location = answer.headers().get(LOCATION);
            return Err(ProbeError::Status {
                endpoint: endpoint(),
                status,
                location: location.map(|location| start(&String::from_utf8_lossy(location.as_bytes()))),
            });
        }
        let body = Limited::new(answer.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(|source| match source.is::<LengthLimitError>() {
                true => ProbeError::TooLong { endpoint: endpoint() },
                false => ProbeError::Body {
                    endpoint: endpoint(),
                    source,
                },
            })?
            .to_bytes();
        let text = String::from_utf8_lossy(&body);
        if text.trim().is_empty() {
            return Err(ProbeError::Empty { endpoint: endpoint() });
        }
        reported::address(&text).ok_or_else(|| ProbeError::NoAddress {
            endpoint: endpoint(),
            start: start(&text),
        })
    }
}

impl Tls {
    fn for_host(host: &str) -> Result<Self, ProbeError> {
        let bare = crate::endpoint::bare(host);
        let name = ServerName::try_from(bare.to_owned()).map_err(|source| ProbeError::Name {
            host: host.to_owned(),
            source,
        })?;
        let found = rustls_native_certs::load_native_certs();
        let mut roots = rustls::RootCertStore::empty();
        let (usable, _unusable) = roots.add_parsable_certificates(found.certs);
        if usable == 0 {
            return Err(ProbeError::Roots {
                source: found.errors.into_iter().next(),
            });
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(ProbeError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            config: Arc::new(config),
            name,
        })
    }
}

fn bound(stream: &TcpStream) -> Result<Ipv6Addr, ProbeError> {
    match stream.local_addr().map_err(ProbeError::Bound)? {
        SocketAddr::V6(address) => Ok(*address.ip()),
        SocketAddr::V4(address) => Ok(address.ip().to_ipv6_mapped()),
    }
}

/// The first characters of an answer, on one line.
fn start(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(60)
        .collect()
}
