//! A proxy between us and the destinations.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::HeaderValue;
use percent_encoding::percent_decode_str;
use v6kit_model::input::basic;
use v6kit_net::{Code, Hint, Secret};

/// A proxy, as `-x` names it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(crate) kind: ProxyKind,
    /// A name, or an IPv6 literal without brackets; IPv4 as an IPv4-mapped one (RFC 4291 section 2.5.5.2).
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: Option<User>,
}

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyKind {
    /// HTTP (RFC 9110): CONNECT, and whole requests for `http://`.
    Http,
    /// SOCKS5 (RFC 1928), with names looked up here.
    Socks5,
    /// SOCKS5, with names looked up by the proxy.
    Socks5h,
}

/// Who we are to the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password: Secret,
}

/// Why a text names no proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Something else.
    #[error("it is not the URL of a proxy")]
    Url,
    /// Another scheme.
    #[error("`{scheme}://` is not a proxy that can be used")]
    Scheme {
        /// What was given.
        scheme: String,
    },
    /// RFC 1929 and RFC 7617 have limits.
    #[error("the user name or password cannot be sent to a proxy")]
    User,
}

impl Hint for ProxyError {
    fn code(&self) -> Code {
        match self {
            Self::Url | Self::Scheme { .. } | Self::User => Code::BadValue,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Url | Self::Scheme { .. } => {
                "write http://HOST:PORT, socks5://HOST:PORT or socks5h://HOST:PORT, with USER:PASS@ before HOST where it asks for that"
                    .to_owned()
            }
            Self::User => {
                "a user name holds no colon, and neither it nor the password more than 255 bytes; write special characters as %XX"
                    .to_owned()
            }
        })
    }
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        // As curl has it.
        let whole = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let url = url::Url::parse(&whole).map_err(|_invalid| ProxyError::Url)?;
        let (kind, port) = match url.scheme() {
            "http" => (ProxyKind::Http, 80),
            "socks5" => (ProxyKind::Socks5, 1080),
            "socks5h" => (ProxyKind::Socks5h, 1080),
            other => {
                return Err(ProxyError::Scheme {
                    scheme: other.to_owned(),
                });
            }
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(ProxyError::Url);
        }
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(ProxyError::Url)?;
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        let host = match bare.parse() {
            Ok(IpAddr::V4(address)) => address.to_ipv6_mapped().to_string(),
            Ok(IpAddr::V6(address)) => address.to_string(),
            Err(_) => bare.to_ascii_lowercase(),
        };
        Ok(Self {
            kind,
            host,
            port: url.port().unwrap_or(port),
            user: User::of(&url)?,
        })
    }
}

impl User {
    fn of(url: &url::Url) -> Result<Option<Self>, ProxyError> {
        if url.username().is_empty() && url.password().is_none() {
            return Ok(None);
        }
        let decoded = |text: &str| {
            let text = percent_decode_str(text)
                .decode_utf8()
                .map_err(|_invalid| ProxyError::User)?;
            if text.len() > 255 || text.contains(char::is_control) {
                return Err(ProxyError::User);
            }
            Ok(text.into_owned())
        };
        let name = decoded(url.username())?;
        if name.is_empty() || name.contains(':') {
            return Err(ProxyError::User);
        }
        Ok(Some(Self {
            name,
            password: decoded(url.password().unwrap_or_default())?.into(),
        }))
    }
}

impl Proxy {
    /// The value of `Proxy-Authorization` (RFC 7617).
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let user = self.user.as_ref()?;
        Some(basic(&user.name, &user.password))
    }

    /// The password, so that it can be kept out of what is printed and stored.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        self.user.as_ref().map(|user| &user.password)
    }

    /// Whether the proxy looks names up.
    pub(crate) fn resolves(&self) -> bool {
        match self.kind {
            ProxyKind::Http | ProxyKind::Socks5h => true,
            ProxyKind::Socks5 => false,
        }
    }
}

/// Without the password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5",
            ProxyKind::Socks5h => "socks5h",
        };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_in_their_usual_forms() {
        for (text, shown) in [
            ("http://proxy.example:3128", "http://proxy.example:3128"),
            ("[::1]:8080", "http://[::1]:8080"),
            ("127.0.0.1:8080", "http://[::ffff:127.0.0.1]:8080"),
            ("socks5://u:p%40ss@h", "socks5://h:1080"),
            ("socks5h://[2001:db8::1]:9/", "socks5h://[2001:db8::1]:9"),
        ] {
            assert_eq!(text.parse::<Proxy>().unwrap().to_string(), shown, "{text}");
        }
        let proxy: Proxy = "socks5://u:p%40ss@h".parse().unwrap();
        assert_eq!(proxy.password().map(Secret::reveal), Some("p@ss"));
        assert!(!format!("{proxy:?}").contains("p@ss"));
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        let error = |text: &str| text.parse::<Proxy>().unwrap_err();
        assert_eq!(
            error("https://h"),
            ProxyError::Scheme {
                scheme: "https".to_owned()
            }
        );
        assert_eq!(error("http://h/path"), ProxyError::Url);
        assert_eq!(error("http://"), ProxyError::Url);
        assert_eq!(error("http://:p@h"), ProxyError::User);
        assert_eq!(error("http://a%3Ab:p@h"), ProxyError::User);
    }
}
