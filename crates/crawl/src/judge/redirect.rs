//! Where an answer leads to (RFC 9110 section 15.4).

use ::url::Url;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName,
    LOCATION, RANGE, USER_AGENT,
};
use http::{HeaderMap, Method, StatusCode};
use v6kit_model::url::{text_of, without_credentials};
use v6kit_model::{ErrorKind, Fault};

/// Where `answer` to a request for `url` leads to, when it leads anywhere.
///
/// # Errors
/// [`ErrorKind::Redirect`] when nobody can go there.
pub(crate) fn target(url: &Url, status: StatusCode, headers: &HeaderMap) -> Result<Option<Url>, Fault> {
    let Some(location) = headers.get(LOCATION).filter(|_| is_redirect(status)) else {
        return Ok(None);
    };
    let text = text_of(location.as_bytes());
    // Some servers send the field empty, with a page as the answer.
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    let cannot = |why: &str| {
        let shown = without_credentials(&text);
        Fault::new(ErrorKind::Redirect, format!("it leads to `{shown}`, {why}"))
    };
    let mut next = url.join(&text).map_err(|error| cannot(&error.to_string()))?;
    if !matches!(next.scheme(), "http" | "https") {
        return Err(cannot("which is neither http nor https"));
    }
    next.set_fragment(None);
    // They are never sent, and must not be stored. Only a URL without a host has no place for them.
    let _ = next.set_username("").and_then(|()| next.set_password(None));
    Ok(Some(next))
}

/// Whether a status, with a `Location`, leads elsewhere by itself.
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// What is sent along: adapted to a redirect by `status` from `before` to `after`.
pub(crate) fn adapt(
    status: StatusCode,
    before: &Url,
    after: &Url,
    method: &mut Method,
    headers: &mut HeaderMap,
    body: &mut Bytes,
) {
    // As browsers and curl do: 303 says so, and 301 and 302 have come to mean it for POST.
    let as_get = match status.as_u16() {
        303 => *method != Method::HEAD,
        301 | 302 => *method == Method::POST,
        _ => false,
    };
    if as_get {
        *method = Method::GET;
        *body = Bytes::new();
        headers.remove(CONTENT_TYPE);
    }
    if before.origin() != after.origin() {
        keep_only_public(headers);
    }
}

/// Removes whatever may tell who asks, such as Authorization, Cookie or an X-Api-Key: it is for the origins that the
/// user named. What is left describes the client and the request.
pub(crate) fn keep_only_public(headers: &mut HeaderMap) {
    const PUBLIC: [HeaderName; 8] = [
        USER_AGENT,
        ACCEPT,
        ACCEPT_ENCODING,
        ACCEPT_LANGUAGE,
        CONTENT_TYPE,
        CONTENT_LENGTH,
        CACHE_CONTROL,
        RANGE,
    ];
    let private: Vec<HeaderName> = headers
        .keys()
        .filter(|name| !PUBLIC.contains(name))
        .cloned()
        .collect();
    for name in private {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn leads(location: &'static str) -> Result<Option<Url>, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, http::HeaderValue::from_static(location));
        target(&url("https://a.example/b/c?d"), StatusCode::FOUND, &headers)
    }

    #[test]
    fn locations_are_relative_to_what_was_asked() {
        for (location, expected) in [
            ("/x", "https://a.example/x"),
            ("x", "https://a.example/b/x"),
            ("?x", "https://a.example/b/c?x"),
            ("//b.example/x#y", "https://b.example/x"),
            ("http://[2001:db8::1]:8080/x", "http://[2001:db8::1]:8080/x"),
            ("/\u{20}x", "https://a.example/%20x"),
        ] {
            assert_eq!(leads(location).unwrap(), Some(url(expected)), "{location}");
        }
        assert!(leads("ftp://a.example/").is_err());
        assert_eq!(
            leads("http://u:p@b.example/x").unwrap(),
            Some(url("http://b.example/x"))
        );
        assert!(
            !leads("ftp://u:hunter2@a.example/")
                .unwrap_err()
                .message
                .contains("hunter2")
        );
        assert_eq!(leads("").unwrap(), None);
        assert_eq!(leads(" \t").unwrap(), None);

        let none = target(&url("http://a/"), StatusCode::FOUND, &HeaderMap::new());
        assert_eq!(none, Ok(None));
        assert!(!is_redirect(StatusCode::NOT_MODIFIED) && !is_redirect(StatusCode::MULTIPLE_CHOICES));
    }

    /// What curl --location sends.
    #[test]
    fn a_post_becomes_a_get_where_it_does_with_curl() {
        for (status, method, expected) in [
            (301, Method::POST, Method::GET),
            (302, Method::POST, Method::GET),
            (303, Method::POST, Method::GET),
            (307, Method::POST, Method::POST),
            (308, Method::POST, Method::POST),
            (302, Method::PUT, Method::PUT),
            (303, Method::PUT, Method::GET),
            (303, Method::HEAD, Method::HEAD),
        ] {
            let (mut now, mut body) = (method.clone(), Bytes::from_static(b"x"));
            let (status, here) = (StatusCode::from_u16(status).unwrap(), url("http://a/"));
            adapt(status, &here, &here, &mut now, &mut HeaderMap::new(), &mut body);
            assert_eq!(
                (&now, body.is_empty()),
                (&expected, method != expected),
                "{status} {method}"
            );
        }
    }

    #[test]
    fn another_origin_is_not_told_who_asks() {
        let secret = || {
            let mut headers = HeaderMap::new();
            headers.insert("x-api-key", http::HeaderValue::from_static("x"));
            headers.insert(USER_AGENT, http::HeaderValue::from_static("v6kit"));
            headers
        };
        let kept = |after: &str| {
            let (mut headers, mut body) = (secret(), Bytes::new());
            adapt(
                StatusCode::FOUND,
                &url("https://a.example/"),
                &url(after),
                &mut Method::GET.clone(),
                &mut headers,
                &mut body,
            );
            assert!(headers.contains_key(USER_AGENT));
            headers.contains_key("x-api-key")
        };
        assert!(kept("https://a.example:443/x"));
        assert!(
            !kept("https://b.example/") && !kept("http://a.example/") && !kept("https://a.example:8443/")
        );
    }
}
