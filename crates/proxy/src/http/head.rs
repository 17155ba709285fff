//! The head of a CONNECT request, and credentials.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::header::HeaderName;
use v6kit_net::Secret;

/// The largest request head that is read.
pub(crate) const MAX_HEAD: usize = 16 * 1024;
/// The most header fields in a request.
pub(crate) const MAX_FIELDS: usize = 100;

/// Tells the source address in responses, and asks for one in requests.
pub(super) const SOURCE_FIELD: HeaderName = HeaderName::from_static("x-v6kit-source");
/// Names an address in requests that the session is to leave from no more.
pub(super) const ROTATE_FIELD: HeaderName = HeaderName::from_static("x-v6kit-rotate");

/// With or without padding: clients differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A CONNECT request (RFC 9110 section 9.3.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// The authority to connect to, as it was sent.
    pub authority: String,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<Secret<Vec<u8>>>,
    /// The value of `X-V6kit-Source`.
    pub pin: Option<Vec<u8>>,
    /// The value of `X-V6kit-Rotate`.
    pub away_from: Option<Vec<u8>>,
}

/// Why a head is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Not HTTP/1.
    #[error("the request is not HTTP/1.1")]
    Syntax(#[source] httparse::Error),
    /// Another method.
    #[error("the method is not CONNECT")]
    Method,
    /// A field that must occur once at most.
    #[error("`{0}` occurs twice")]
    Twice(&'static str),
    /// CONNECT has no content.
    #[error("a CONNECT request has no content")]
    Content,
}

/// Whether `bytes` begin, as far as they go, like a CONNECT request.
#[must_use]
pub fn may_be_connect(bytes: &[u8]) -> bool {
    const CONNECT: &[u8] = b"CONNECT ";
    let common = bytes.len().min(CONNECT.len());
    bytes[..common] == CONNECT[..common]
}

/// Parses the head of a CONNECT request, `None` while it is incomplete. What follows it begins at the
/// second value.
///
/// # Errors
/// [`HeadError`].
pub fn parse_connect(bytes: &[u8]) -> Result<Option<(Connect, usize)>, HeadError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let used = match request.parse(bytes).map_err(HeadError::Syntax)? {
        httparse::Status::Complete(used) => used,
        httparse::Status::Partial => return Ok(None),
    };
    if request.method != Some("CONNECT") {
        return Err(HeadError::Method);
    }
    let mut connect = Connect {
        authority: request.path.unwrap_or_default().to_owned(),
        authorization: None,
        pin: None,
        away_from: None,
    };
    for field in request.headers.iter() {
        let value = field.value.to_vec();
        let (before, name) = if field.name.eq_ignore_ascii_case("proxy-authorization") {
            let before = connect.authorization.replace(value.into());
            (before.is_some(), "Proxy-Authorization")
        } else if field.name.eq_ignore_ascii_case(SOURCE_FIELD.as_str()) {
            (connect.pin.replace(value).is_some(), "X-V6kit-Source")
        } else if field.name.eq_ignore_ascii_case(ROTATE_FIELD.as_str()) {
            (connect.away_from.replace(value).is_some(), "X-V6kit-Rotate")
        } else if field.name.eq_ignore_ascii_case("transfer-encoding")
            || (field.name.eq_ignore_ascii_case("content-length") && field.value != b"0")
        {
            return Err(HeadError::Content);
        } else {
            continue;
        };
        if before {
            return Err(HeadError::Twice(name));
        }
    }
    Ok(Some((connect, used)))
}

/// User name and password out of the value of `Proxy-Authorization` (RFC 7617), `None` for anything else.
#[must_use]
pub fn basic_credentials(value: &[u8]) -> Option<(String, Secret<Vec<u8>>)> {
    let space = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = value.split_at(space);
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let mut decoded = BASE64.decode(rest.trim_ascii()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let password = decoded.split_off(colon + 1);
    decoded.truncate(colon);
    let user = String::from_utf8(decoded).ok()?;
    (!user.contains(char::is_control)).then(|| (user, password.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_is_read_byte_by_byte() {
        let head = b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\
                     Proxy-Authorization: Basic YTpi\r\n\r\nearly";
        let length = head.len() - 5;
        for end in 0..length {
            assert!(may_be_connect(&head[..end]));
            assert_eq!(parse_connect(&head[..end]).unwrap(), None, "{end}");
        }
        let (connect, used) = parse_connect(head).unwrap().unwrap();
        assert_eq!((connect.authority.as_str(), used), ("example.org:443", length));
        assert_eq!(
            basic_credentials(connect.authorization.unwrap().reveal()),
            Some(("a".to_owned(), b"b".to_vec().into()))
        );
    }

    #[test]
    fn ambiguous_heads_are_refused() {
        for fields in [
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Proxy-Authorization: Basic YTpi\r\nProxy-Authorization: Basic YTpj\r\n",
            "Host : a\r\n",
            "Host: a\r\n folded\r\n",
            "X: a\rb\r\n",
            "X: a\0b\r\n",
        ] {
            let head = format!("CONNECT a:1 HTTP/1.1\r\n{fields}\r\n");
            assert!(parse_connect(head.as_bytes()).is_err(), "{fields:?}");
        }
        assert!(parse_connect(b"CONNECT a:1 HTTP/2.0\r\n\r\n").is_err());
    }

    #[test]
    fn credentials_may_hold_colons_and_lack_padding() {
        assert_eq!(
            basic_credentials(b"basic  YTpiOmM"),
            Some(("a".to_owned(), b"b:c".to_vec().into()))
        );
        for value in ["Basic", "Bearer abc", "Basic !", "Basic YQ==", ""] {
            assert_eq!(basic_credentials(value.as_bytes()), None, "{value}");
        }
    }
}
