//! Why an endpoint did not tell the caller's address.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use http::StatusCode;
use rustls_pki_types::InvalidDnsNameError;
use v6kit_net::{Code, DialError, Hint, ResolveError};

use crate::endpoint::Endpoint;

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
    #[error("{endpoint} answered with something that is no HTTP")]
    NotHttp {
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
    #[error("{endpoint} answered without an address that stands out: `{start}`")]
    NoAddress { endpoint: Endpoint, start: String },
    #[error("{endpoint} answered with nothing")]
    Empty { endpoint: Endpoint },
    #[error("{endpoint} answered with more than an address: over 64 KiB")]
    TooLong { endpoint: Endpoint },
    #[error("{endpoint} accepted the connection and did not answer in time")]
    TimedOut { endpoint: Endpoint },
    #[error("{endpoint} answered after {}, later than it may", seconds(*.after))]
    Late { endpoint: Endpoint, after: Duration },
    #[error("the source address cannot be read")]
    Bound(#[source] io::Error),
}

impl Hint for ProbeError {
    fn code(&self) -> Code {
        match self {
            Self::Resolve(error) => error.code(),
            Self::Dial(error) => error.code(),
            Self::Name { .. }
            | Self::Status { .. }
            | Self::NoAddress { .. }
            | Self::Empty { .. }
            | Self::TooLong { .. }
            | Self::NotHttp { .. } => Code::BadEndpoint,
            Self::Roots { .. } => Code::NoRoots,
            Self::Tls(_) => Code::Tls,
            Self::Handshake { .. } => Code::Handshake,
            Self::Http { .. } | Self::Body { .. } | Self::TimedOut { .. } | Self::Late { .. } => {
                Code::EndpointSilent
            }
            Self::Bound(_) => Code::Socket,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Resolve(error) => return error.hint(),
            // What it would advise is to run this.
            Self::Dial(
                DialError::TimedOut { to } | DialError::Reset { to } | DialError::Prohibited { to, .. },
            ) => way_there(*to.ip()),
            Self::Dial(error) => return error.hint(),
            Self::Roots { .. } => "install the package ca-certificates, or set SSL_CERT_FILE".to_owned(),
            Self::Handshake { source, .. } if is_about_certificate(source) => {
                "check the clock, and for a certificate of your own set SSL_CERT_FILE".to_owned()
            }
            Self::Handshake { to, .. } => format!(
                "see whether the server speaks TLS on port {}, or choose another: --endpoint URL",
                to.port()
            ),
            Self::Status { .. }
            | Self::NoAddress { .. }
            | Self::Empty { .. }
            | Self::TooLong { .. }
            | Self::NotHttp { .. }
            | Self::Name { .. } => {
                "choose another server that answers with the caller's address: --endpoint URL".to_owned()
            }
            Self::Http { .. } | Self::Body { .. } => "choose another --endpoint".to_owned(),
            Self::TimedOut { .. } => {
                "try again with a longer --timeout, or choose another server: --endpoint URL".to_owned()
            }
            Self::Late { after, .. } => format!("give it more time: --timeout {}", seconds(*after * 2)),
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
            | Self::Empty { .. }
            | Self::TooLong { .. }
            | Self::NotHttp { .. }
            | Self::TimedOut { .. } => true,
            Self::Late { .. }
            | Self::Resolve(_)
            | Self::Dial(_)
            | Self::Name { .. }
            | Self::Roots { .. }
            | Self::Tls(_)
            | Self::Bound(_) => false,
        }
    }

    /// Whether a connection came about, and nothing more in time.
    pub(crate) fn has_stalled(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }

    /// Whether a whole request was answered, with whatever.
    pub(crate) fn was_answered(&self) -> bool {
        matches!(
            self,
            Self::Status { .. }
                | Self::NoAddress { .. }
                | Self::Empty { .. }
                | Self::TooLong { .. }
                | Self::NotHttp { .. }
        )
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

    /// Whether it was not begun, for want of a descriptor, a port or memory.
    pub(crate) fn was_not_begun(&self) -> bool {
        matches!(
            self,
            Self::Dial(
                DialError::ProcessFiles
                    | DialError::SystemFiles
                    | DialError::SourcePorts { .. }
                    | DialError::TuplePorts { .. }
                    | DialError::Memory
            )
        )
    }

    /// Whether there is no route: this host's own routing or a router says so.
    pub(crate) fn had_no_route(&self) -> bool {
        matches!(self, Self::Dial(DialError::NoRoute { .. }))
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

    /// Whether the answer came, and too late.
    pub(crate) fn was_late(&self) -> bool {
        matches!(self, Self::Late { .. })
    }

    /// Whether no connection came about in time, and nobody said why.
    pub(crate) fn no_connection_in_time(&self) -> bool {
        matches!(self, Self::Dial(DialError::TimedOut { .. }))
    }
}

fn redirected(location: &Option<String>) -> String {
    location
        .as_ref()
        .map_or_else(String::new, |location| format!(" (to {location})"))
}

/// Whether the certificate that came was not taken.
fn is_about_certificate(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

fn way_there(to: Ipv6Addr) -> String {
    format!(
        "see which way packets take: `ip -6 route get {to}`, and whether its next hop answers: `ip -6 neigh`"
    )
}

/// `1.5s`, rounded up, as `--timeout` takes it.
fn seconds(time: Duration) -> String {
    let tenths = time.as_millis().div_ceil(100);
    format!("{}.{}s", tenths / 10, tenths % 10)
}
