//! What a URL is made of, as far as fetching it needs to know.

use std::borrow::Cow;
use std::fmt;

use v6kit_base::{Code, Hint};

/// What kind of connection a URL asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http://`, port 80.
    Http,
    /// `https://`, port 443.
    Https,
}

impl Scheme {
    /// The port where the URL names none (RFC 9110 section 4.2).
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Scheme, host and port (RFC 6454): what a connection leads to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The scheme.
    pub scheme: Scheme,
    /// A name in lower case, or an IPv6 literal without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Why a URL cannot be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing of the form `scheme://`.
    #[error("`{url}` has no scheme")]
    NoScheme {
        /// What was given.
        url: String,
    },
    /// Neither http nor https.
    #[error("`{scheme}://` is not a scheme that can be crawled")]
    Scheme {
        /// What was given, without `://`.
        scheme: String,
    },
    /// Nothing between `://` and the path.
    #[error("`{url}` has no host")]
    NoHost {
        /// What was given.
        url: String,
    },
    /// Neither a name nor an IPv6 literal in brackets.
    #[error("`{host}` is not a host name")]
    Host {
        /// What was given.
        host: String,
    },
    /// An IPv6 literal that its port could not be told from (RFC 3986 section 3.2.2).
    #[error("`{address}` is an IPv6 address without brackets")]
    NoBrackets {
        /// What was given.
        address: String,
    },
    /// An IPv4 literal, also one that is written as IPv6 (RFC 4291 section 2.5.5.2).
    #[error("`{host}` is an IPv4 address")]
    Ipv4 {
        /// What was given.
        host: String,
    },
    /// Not 1 to 65535.
    #[error("`{port}` is not a port")]
    Port {
        /// What was given.
        port: String,
    },
    /// `USER:PASS@` in front of the host.
    #[error("the URL holds a user name or password")]
    Credentials,
}

impl Hint for UrlError {
    fn code(&self) -> Code {
        Code::BadUrl
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoScheme { url } => format!("write https://{url}"),
            Self::Scheme { .. } => "use http:// or https://".to_owned(),
            Self::NoHost { .. } => "write https://HOST/PATH".to_owned(),
            Self::Host { .. } => {
                "write a name such as api.example.org, or an address such as [2001:db8::1]".to_owned()
            }
            Self::NoBrackets { address } => format!("write the address in brackets: [{address}]"),
            Self::Ipv4 { .. } => {
                "v6kit sends from IPv6 addresses: use the site's name, or its IPv6 address in brackets"
                    .to_owned()
            }
            Self::Port { .. } => "a port is a number from 1 to 65535".to_owned(),
            Self::Credentials => "leave them out of the URL, and give them with -u USER:PASS".to_owned(),
        })
    }
}

/// Splits `scheme://authority` from the path behind it.
///
/// # Errors
/// [`UrlError`] when there is no scheme.
pub fn split(url: &str) -> Result<(&str, &str), UrlError> {
    let scheme = url
        .find("://")
        .filter(|&at| is_scheme(&url[..at]))
        .ok_or_else(|| UrlError::NoScheme { url: url.to_owned() })?;
    let authority = scheme + 3;
    let end = url[authority..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |at| authority + at);
    Ok(url.split_at(end))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

impl Origin {
    /// The origin of `scheme://authority`, as [`split`] yields it.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (scheme, authority) = text
            .split_once("://")
            .ok_or_else(|| UrlError::NoScheme { url: text.to_owned() })?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => {
                return Err(UrlError::Scheme {
                    scheme: other.to_owned(),
                });
            }
        };
        if authority.contains('@') {
            return Err(UrlError::Credentials);
        }
        let (host, port) = host_and_port(authority)?;
        if host.is_empty() {
            return Err(UrlError::NoHost { url: text.to_owned() });
        }
        Ok(Self {
            scheme,
            host,
            port: port.unwrap_or(scheme.default_port()),
        })
    }

    /// Host and port as the `Host` header holds them (RFC 9110 section 7.2).
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if self.port == self.scheme.default_port() {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), UrlError> {
    if authority.parse::<std::net::Ipv6Addr>().is_ok() {
        return Err(UrlError::NoBrackets {
            address: authority.to_owned(),
        });
    }
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let bad = || UrlError::Host {
            host: authority.to_owned(),
        };
        let (literal, rest) = rest.split_once(']').ok_or_else(bad)?;
        let address: std::net::Ipv6Addr = literal.parse().map_err(|_invalid| bad())?;
        if address.to_ipv4_mapped().is_some() {
            return Err(UrlError::Ipv4 {
                host: literal.to_owned(),
            });
        }
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(port),
            None if rest.is_empty() => None,
            None => return Err(bad()),
        };
        (address.to_string(), port)
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        (name(host)?, port)
    };
    let port = port.filter(|port| !port.is_empty());
    let number = port.map(|port| {
        let number = port.parse().ok().filter(|&number: &u16| number != 0);
        number.ok_or_else(|| UrlError::Port {
            port: port.to_owned(),
        })
    });
    Ok((host, number.transpose()?))
}

/// A name as it is resolved: in lower case, and in ASCII (UTS 46, as the WHATWG's URL standard has it). What that
/// standard reads as an IPv4 address in any of its forms is one.
fn name(host: &str) -> Result<String, UrlError> {
    let bad = || UrlError::Host {
        host: host.to_owned(),
    };
    if host.is_empty() {
        return Ok(String::new());
    }
    match url::Host::parse(host).map_err(|_invalid| bad())? {
        url::Host::Ipv4(_) => Err(UrlError::Ipv4 {
            host: host.to_owned(),
        }),
        url::Host::Domain(name) if name.trim_end_matches('.').len() <= 253 => Ok(name),
        url::Host::Domain(_) | url::Host::Ipv6(_) => Err(bad()),
    }
}

/// `bytes` as text: octets that are no UTF-8 are percent-encoded as they are (RFC 3986 section 2.1).
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            push_escape(&mut text, *byte);
        }
    }
    Cow::Owned(text)
}

/// `text` without what stands before an `@` in the authority of any URL in it (RFC 3986 section 3.2.1): user names
/// and passwords are neither stored nor shown.
#[must_use]
pub fn without_credentials(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("//") {
        let (before, authority) = rest.split_at(at + 2);
        let end = authority
            .find(['/', '?', '#', '"', ' '])
            .unwrap_or(authority.len());
        let host = authority[..end].rfind('@').map_or(0, |at| at + 1);
        out.push_str(before);
        out.push_str(&authority[host..end]);
        rest = &authority[end..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Appends what stands in for a URL that is none: its controls, which no line of a record or a header may hold, are
/// percent-encoded.
pub fn push_shown(out: &mut String, text: &str) {
    let mut bytes = [0; 4];
    for c in text.chars() {
        if c.is_control() {
            c.encode_utf8(&mut bytes)
                .bytes()
                .for_each(|byte| push_escape(out, byte));
        } else {
            out.push(c);
        }
    }
}

fn push_escape(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// Percent-encodes what neither path nor query may hold, and leaves what is encoded already as it is
/// (RFC 3986 section 2). The fragment is cut off: it is never sent.
pub fn encode(text: &str) -> String {
    let text = text.split('#').next().unwrap_or_default();
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, 0x21 | 0x24..=0x3b | 0x3d | 0x3f..=0x5b | 0x5d | 0x5f | 0x61..=0x7a | 0x7e) {
            encoded.push(char::from(byte));
        } else {
            push_escape(&mut encoded, byte);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Result<String, UrlError> {
        split(url)
            .and_then(|(origin, _)| Origin::parse(origin))
            .map(|origin| origin.to_string())
    }

    #[test]
    fn origins_are_read_in_their_usual_forms() {
        for (url, expected) in [
            ("http://h", "http://h"),
            ("HTTPS://H:443/x", "https://h"),
            ("https://h:80?x", "https://h:80"),
            ("http://[2001:DB8::1]:8080/", "http://[2001:db8::1]:8080"),
            ("http://h:/x", "http://h"),
        ] {
            assert_eq!(origin(url).unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_named() {
        let error = |url: &str| origin(url).unwrap_err();
        assert!(matches!(error("example.org/x"), UrlError::NoScheme { .. }));
        assert!(matches!(error("ftp://h/"), UrlError::Scheme { .. }));
        assert!(matches!(error("http:///x"), UrlError::NoHost { .. }));
        assert!(matches!(error("http://192.0.2.1/"), UrlError::Ipv4 { .. }));
        for url in [
            "http://2001:db8::1/",
            "http://::1/x",
            "https://2001:db8:1:2:3:4:5:6",
        ] {
            assert!(matches!(error(url), UrlError::NoBrackets { .. }), "{url}");
        }
        assert!(matches!(error("http://[::1/"), UrlError::Host { .. }));
        assert!(matches!(error("http://h:99999/"), UrlError::Port { .. }));
        assert!(matches!(error("http://u:p@h/"), UrlError::Credentials));
        assert!(matches!(error("http://a b/"), UrlError::Host { .. }));
        assert!(matches!(error("http://a%00b/"), UrlError::Host { .. }));
        for ipv4 in [
            "[::ffff:192.0.2.1]",
            "[::FFFF:c000:201]",
            "0x7f.1",
            "2130706433",
            "192.0.2.1.",
        ] {
            let url = format!("http://{ipv4}:80/");
            assert!(matches!(error(&url), UrlError::Ipv4 { .. }), "{url}");
        }
    }

    #[test]
    fn names_are_read_as_they_are_resolved() {
        for (url, expected) in [
            ("http://bücher.test:8080/", "http://xn--bcher-kva.test:8080"),
            ("http://BÜCHER.test", "http://xn--bcher-kva.test"),
            ("http://日本語。jp", "http://xn--wgv71a119e.jp"),
            ("http://under_score.test", "http://under_score.test"),
            ("http://-a-.test.", "http://-a-.test."),
            ("http://3com.example", "http://3com.example"),
        ] {
            assert_eq!(origin(url).unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn credentials_are_cut_out_of_urls_and_nothing_else_is() {
        for (text, shown) in [
            ("http://u:p@h/x@y", "http://h/x@y"),
            ("//u@h", "//h"),
            ("https://u:p/w@h/", "https://u:p/w@h/"),
            (
                "{\"url\":\"http://a:b@c@h/\",\"id\":\"x@y\"}",
                "{\"url\":\"http://h/\",\"id\":\"x@y\"}",
            ),
            ("mail@example.org", "mail@example.org"),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
    }

    #[test]
    fn octets_that_are_no_text_are_percent_encoded_as_they_are() {
        assert_eq!(text_of(b"/caf\xe9?\xff\xc3\xbc"), "/caf%E9?%FFü");
        assert!(matches!(text_of("/ü".as_bytes()), Cow::Borrowed(_)));
    }

    #[test]
    fn only_what_must_be_encoded_is() {
        assert_eq!(encode("/a%20b c?q=ü|x&y=(1)#f"), "/a%20b%20c?q=%C3%BC%7Cx&y=(1)");
    }
}
