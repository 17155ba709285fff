//! Servers that tell callers their address.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use http::Uri;
use http::uri::{InvalidUri, PathAndQuery};
use v6kit_net::{Code, Hint};

/// Public servers that answer over IPv6 only, tried in turn.
pub const PUBLIC_ENDPOINTS: [&str; 3] = [
    "https://api6.ipify.org",
    "https://ipv6.icanhazip.com",
    "https://v6.ident.me",
];

/// The URL of a server that answers with the caller's address, as text or in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub(crate) scheme: Scheme,
    /// With brackets around an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) target: PathAndQuery,
}

/// How the server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Why a text is no [`Endpoint`].
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL at all.
    #[error("`{text}` is not a URL")]
    Syntax {
        /// What was given.
        text: String,
        /// What is wrong with it.
        #[source]
        source: InvalidUri,
    },
    /// No `http://` or `https://` in front.
    #[error("`{text}` has no scheme")]
    NoScheme {
        /// What was given.
        text: String,
    },
    /// Another scheme.
    #[error("`{text}` is neither http nor https")]
    UnknownScheme {
        /// What was given.
        text: String,
    },
}

impl Hint for EndpointError {
    fn code(&self) -> Code {
        match self {
            Self::Syntax { .. } | Self::NoScheme { .. } | Self::UnknownScheme { .. } => Code::BadUrl,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoScheme { text } => format!("write it as https://{text}"),
            Self::Syntax { .. } | Self::UnknownScheme { .. } => {
                format!("give the URL of an address echo, such as {}", PUBLIC_ENDPOINTS[0])
            }
        })
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let owned = || text.to_owned();
        let Some((scheme, _)) = text.split_once("://") else {
            return Err(EndpointError::NoScheme { text: owned() });
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(EndpointError::UnknownScheme { text: owned() }),
        };
        let uri: Uri = text.parse().map_err(|source| EndpointError::Syntax {
            text: owned(),
            source,
        })?;
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(scheme.default_port());
        Ok(Self {
            scheme,
            host: host.to_owned(),
            port,
            target: uri
                .path_and_query()
                .cloned()
                .unwrap_or_else(|| PathAndQuery::from_static("/")),
        })
    }
}

impl Endpoint {
    /// The public servers, in the order in which they are tried.
    #[must_use]
    pub fn public() -> Vec<Self> {
        PUBLIC_ENDPOINTS
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect()
    }

    /// The same, with something more in the query that was never asked before.
    pub(crate) fn with_another_query(&self) -> Self {
        let joint = if self.target.query().is_some() { '&' } else { '?' };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let text = format!("{}{joint}v6kit={}", self.target, now.as_nanos());
        Self {
            target: text.parse().unwrap_or_else(|_| self.target.clone()),
            ..self.clone()
        }
    }

    /// The `Host` header.
    pub(crate) fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A host without the brackets around an IPv6 address.
pub(crate) fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.authority())?;
        if self.target == "/" {
            Ok(())
        } else {
            write!(f, "{}", self.target)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_written_as_it_was_read() {
        for text in [
            "https://api6.ipify.org",
            "http://[2001:db8::1]:8080/ip?format=json",
            "https://[2001:db8::1]",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        assert_eq!(Endpoint::public().len(), PUBLIC_ENDPOINTS.len());
    }

    #[test]
    fn a_url_without_a_scheme_is_answered_with_the_right_one() {
        let error = "ip.example.org/".parse::<Endpoint>().unwrap_err();
        assert_eq!(error.hint().unwrap(), "write it as https://ip.example.org/");
        assert!(matches!(
            "ftp://example.org".parse::<Endpoint>(),
            Err(EndpointError::UnknownScheme { .. })
        ));
        assert!(matches!(
            "http://[::1".parse::<Endpoint>(),
            Err(EndpointError::Syntax { .. })
        ));
    }
}
