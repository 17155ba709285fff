//! One connection to an endpoint from a chosen source address.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, HOST, LOCATION, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_pki_types::{InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use v6kit_net::{Code, DialError, Hint, ResolveError, dial, resolve};

use crate::endpoint::{Endpoint, Scheme};
use crate::reported;

/// The size of an answer in bytes above which it is not one.
const MAX_ANSWER: usize = 64 * 1024;

/// An endpoint whose name is resolved.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) to: SocketAddrV6,
    tls: Option<Tls>,
}

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

/// Why an endpoint did not tell the caller's address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("`{host}` is not a name that a certificate can have")]
    Name {
        host: String,
        #[source]
        source: InvalidDnsNameError,
    },
    #[error("this host has no certificates to check others against")]
    Roots {
        #[source]
        source: Option<rustls_native_certs::Error>,
    },
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    #[error("no TLS connection to {to}")]
    Handshake {
        to: SocketAddrV6,
        #[source]
        source: io::Error,
    },
    #[error("{endpoint} broke off the request")]
    Http {
        endpoint: Endpoint,
        #[source]
        source: hyper::Error,
    },
    #[error("{endpoint} broke off its answer")]
    Body {
        endpoint: Endpoint,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{endpoint} answered with status {status}{}", redirected(.location))]
    Status {
        endpoint: Endpoint,
        status: StatusCode,
        /// Where it redirects to.
        location: Option<String>,
    },
    #[error("{endpoint} answered without an address: `{start}`")]
    NoAddress { endpoint: Endpoint, start: String },
    #[error("{endpoint} accepted the connection and did not answer in time")]
    TimedOut { endpoint: Endpoint },
    #[error("the source address cannot be read")]
    Bound(#[source] io::Error),
}

impl Hint for ProbeError {
    fn code(&self) -> Code {
        match self {
            Self::Resolve(error) => error.code(),
            Self::Dial(error) => error.code(),
            Self::Name { .. } | Self::Status { .. } | Self::NoAddress { .. } => Code::BadEndpoint,
            Self::Roots { .. } => Code::NoRoots,
            Self::Tls(_) => Code::Tls,
            Self::Handshake { .. } => Code::Handshake,
            Self::Http { .. } | Self::Body { .. } | Self::TimedOut { .. } => Code::EndpointSilent,
            Self::Bound(_) => Code::Socket,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Resolve(error) => return error.hint(),
            Self::Dial(error) => return error.hint(),
            Self::Roots { .. } => "install the package ca-certificates, or set SSL_CERT_FILE".to_owned(),
            Self::Handshake { .. } => {
                "check the clock, and for a certificate of your own set SSL_CERT_FILE".to_owned()
            }
            Self::Status { .. } | Self::NoAddress { .. } | Self::Name { .. } => {
                "choose another server that answers with the caller's address: --endpoint URL".to_owned()
            }
            Self::Http { .. } | Self::Body { .. } => "choose another --endpoint".to_owned(),
            Self::TimedOut { endpoint } => format!(
                "try again with a longer --timeout; where small packets come through and large ones do not, the path MTU is at fault: compare `ping -6 -M do -s 1232 {0}` with `ping -6 -M do -s 1452 {0}`",
                endpoint.bare_host()
            ),
            Self::Tls(_) | Self::Bound(_) => return None,
        })
    }
}

impl ProbeError {
    /// Whether a connection came about: whoever answers there was reached, and it answered something else than an
    /// address, or nothing more.
    pub(crate) fn was_connected(&self) -> bool {
        match self {
            Self::Handshake { .. }
            | Self::Http { .. }
            | Self::Body { .. }
            | Self::Status { .. }
            | Self::NoAddress { .. }
            | Self::TimedOut { .. } => true,
            Self::Resolve(_)
            | Self::Dial(_)
            | Self::Name { .. }
            | Self::Roots { .. }
            | Self::Tls(_)
            | Self::Bound(_) => false,
        }
    }

    /// Whether the connection was refused: by the endpoint, or by a firewall in its place.
    pub(crate) fn was_refused(&self) -> bool {
        matches!(
            self,
            Self::Dial(DialError::Refused { .. } | DialError::Reset { .. })
        )
    }

    /// Whether somebody forbids it, without saying who.
    pub(crate) fn was_prohibited(&self) -> bool {
        matches!(self, Self::Dial(DialError::Prohibited { .. }))
    }

    /// Whether this host's own firewall refused it.
    pub(crate) fn was_refused_here(&self) -> bool {
        matches!(self, Self::Dial(DialError::Firewall { .. }))
    }

    /// Whether it failed before anything was sent to the endpoint.
    pub(crate) fn is_before_dialling(&self) -> bool {
        matches!(
            self,
            Self::Resolve(_) | Self::Name { .. } | Self::Roots { .. } | Self::Tls(_)
        )
    }

    /// Whether no name server gave an answer.
    pub(crate) fn is_about_name_servers(&self) -> bool {
        matches!(
            self,
            Self::Resolve(ResolveError::NameServers { .. } | ResolveError::TimedOut { .. })
        )
    }

    /// Whether no connection came about in time, and nobody said why.
    pub(crate) fn no_connection_in_time(&self) -> bool {
        matches!(self, Self::Dial(DialError::TimedOut { .. }))
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
        })
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
        let stream = dial(self.to, from, deadline).await?;
        let bound = bound(&stream)?;
        let sender = timeout_at(deadline, self.shake_hands(stream))
            .await
            .map_err(|_elapsed| self.timed_out())??;
        Ok(Session {
            target: self.clone(),
            bound,
            sender,
        })
    }

    async fn shake_hands(&self, stream: TcpStream) -> Result<Sender, ProbeError> {
        let Some(tls) = &self.tls else {
            return self.speak_http(stream).await;
        };
        let stream = TlsConnector::from(Arc::clone(&tls.config))
            .connect(tls.name.clone(), stream)
            .await
            .map_err(|source| ProbeError::Handshake { to: self.to, source })?;
        self.speak_http(stream).await
    }

    async fn speak_http<S>(&self, stream: S) -> Result<Sender, ProbeError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|source| self.broke_off(source))?;
        // It ends when the sender and the answer are dropped; its errors come out of the sender as well.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn timed_out(&self) -> ProbeError {
        ProbeError::TimedOut {
            endpoint: self.endpoint.clone(),
        }
    }

    fn broke_off(&self, source: hyper::Error) -> ProbeError {
        ProbeError::Http {
            endpoint: self.endpoint.clone(),
            source,
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
        headers.insert(USER_AGENT, http::HeaderValue::from_static(agent));
        headers.insert(ACCEPT, http::HeaderValue::from_static("*/*"));
        if let Afterwards::Close = afterwards {
            headers.insert(CONNECTION, http::HeaderValue::from_static("close"));
        }
        request
    }
}

type Sender = http1::SendRequest<Empty<Bytes>>;

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

    async fn request(&mut self, afterwards: Afterwards) -> Result<IpAddr, ProbeError> {
        let target = &self.target;
        let broken = |source| target.broke_off(source);
        self.sender.ready().await.map_err(broken)?;
        let answer = self
            .sender
            .send_request(target.get(afterwards))
            .await
            .map_err(broken)?;
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
            .map_err(|source| ProbeError::Body {
                endpoint: endpoint(),
                source,
            })?
            .to_bytes();
        let text = String::from_utf8_lossy(&body);
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

fn redirected(location: &Option<String>) -> String {
    location
        .as_ref()
        .map_or_else(String::new, |location| format!(" (to {location})"))
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
