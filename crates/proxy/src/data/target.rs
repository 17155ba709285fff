//! Where a client wants to go.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A host and a port, as a client named them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port, 1 to 65535.
    pub port: u16,
}

/// A host as a client named it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IP literal. IPv4-mapped IPv6 literals are IPv4 ones.
    Literal(IpAddr),
    /// A name that we resolve, in lower case and without the dot of the root.
    Name(String),
}

/// Why a text names no destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No port, and none follows from the scheme.
    #[error("`{text}` has no port")]
    NoPort {
        /// What was given.
        text: String,
    },
    /// A port that is no number from 1 to 65535.
    #[error("`{text}` has no valid port")]
    Port {
        /// What was given.
        text: String,
    },
    /// A host that is neither an IP address nor a name.
    #[error("`{text}` is not a host name or an IP address")]
    Host {
        /// What was given.
        text: String,
    },
}

/// The longest name in DNS (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;

impl Target {
    /// A destination with an IP literal.
    #[must_use]
    pub fn literal(address: IpAddr, port: u16) -> Self {
        Self {
            host: Host::Literal(address.to_canonical()),
            port,
        }
    }

    /// A destination by name, which may also be an IP literal, with or without brackets.
    ///
    /// # Errors
    /// [`TargetError::Host`], and [`TargetError::Port`] for port 0.
    pub fn new(host: &str, port: u16) -> Result<Self, TargetError> {
        if port == 0 {
            return Err(TargetError::Port {
                text: format!("{}:0", printable(host)),
            });
        }
        Ok(Self {
            host: parse_host(host)?,
            port,
        })
    }

    /// Whether the client of what is mostly found at this port, HTTP or TLS, speaks before the server does.
    pub(crate) fn is_asked_first(&self) -> bool {
        matches!(self.port, 80 | 443 | 8080 | 8443)
    }

    /// Parses `host:port` (RFC 9110 section 4.2, authority without userinfo).
    ///
    /// Where a port must be given, an IPv6 literal without brackets is taken as well, as proxychains-ng
    /// writes it: what is behind the last colon is the port.
    ///
    /// # Errors
    /// [`TargetError`].
    pub fn parse(authority: &str, default_port: Option<u16>) -> Result<Self, TargetError> {
        let (host, port) = split_port(authority);
        let port = match (port, default_port) {
            (Some(port), _) => parse_port(port).ok_or_else(|| TargetError::Port {
                text: printable(authority),
            })?,
            (None, Some(port)) => port,
            (None, None) => {
                return Err(TargetError::NoPort {
                    text: printable(authority),
                });
            }
        };
        let bracketed = host.starts_with('[');
        let target = Self::new(host, port)?;
        match target.host {
            Host::Literal(IpAddr::V6(_)) if !bracketed && default_port.is_some() => Err(TargetError::Host {
                text: printable(authority),
            }),
            _ => Ok(target),
        }
    }
}

/// Splits at the last colon that is not inside brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn parse_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .filter(|port| *port != 0)
}

fn parse_host(text: &str) -> Result<Host, TargetError> {
    let invalid = || TargetError::Host {
        text: printable(text),
    };
    if let Some(inside) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = inside.parse().map_err(|_not_an_address| invalid())?;
        return Ok(Host::Literal(IpAddr::V6(address).to_canonical()));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Host::Literal(address.to_canonical()));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    // The resolver would read `127.1` or `0x7f000001` as IPv4 addresses: no top-level domain is a number.
    let numeric = name
        .rsplit('.')
        .next()
        .is_some_and(|label| label.starts_with(|first: char| first.is_ascii_digit()));
    if name.len() > MAX_NAME || numeric || !name.split('.').all(fits) {
        return Err(invalid());
    }
    Ok(Host::Name(name.to_ascii_lowercase()))
}

/// Untrusted text, short and on one line.
fn printable(text: &str) -> String {
    text.chars()
        .take(MAX_NAME)
        .flat_map(char::escape_default)
        .collect()
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Literal(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_written_as_they_are_read() {
        for text in [
            "example.org:443",
            "[2001:db8::1]:80",
            "192.0.2.1:8080",
            "a_b-c.d:1",
        ] {
            assert_eq!(Target::parse(text, None).unwrap().to_string(), text);
        }
        assert_eq!(
            Target::parse("Example.ORG.", Some(80)).unwrap().to_string(),
            "example.org:80"
        );
    }

    #[test]
    fn an_ipv4_mapped_literal_is_an_ipv4_address() {
        assert_eq!(
            Target::parse("[::ffff:127.0.0.1]:80", None).unwrap().to_string(),
            "127.0.0.1:80"
        );
    }

    #[test]
    fn an_ipv6_literal_without_brackets_needs_its_port() {
        assert_eq!(
            Target::parse("2001:db8::1:80", None).unwrap().to_string(),
            "[2001:db8::1]:80"
        );
        assert!(Target::parse("2001:db8::1:80", Some(80)).is_err());
        assert!(Target::parse("2001:db8::1", Some(80)).is_err());
    }

    #[test]
    fn what_is_no_destination_is_refused() {
        for text in [
            "",
            ":80",
            "example.org",
            "example.org:",
            "example.org:0",
            "example.org:+80",
            "example.org:65536",
            "[2001:db8::1",
            "[2001:db8::1]x:80",
            "[fe80::1%eth0]:80",
            "user@example.org:80",
            "exa mple.org:80",
            "a..b:80",
            "127.1:80",
            "2130706433:80",
            "0x7f000001:80",
        ] {
            assert!(Target::parse(text, None).is_err(), "{text}");
        }
        assert!(Target::parse(&format!("{}:80", "a.".repeat(127) + "b"), None).is_err());
    }
}
