//! A request on its way.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::Full;
use v6kit_http1::{Block, Limit};
use v6kit_model::input::{Field, Overrides, RequestSpec, Spelling};
use v6kit_model::{ErrorKind, Fault};
use v6kit_store::Sent;

use crate::connect::connection::{RequestBody, fields};
use crate::site::Site;

/// A request as it will be sent.
pub(super) struct Outgoing<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) headers: Cow<'a, HeaderMap>,
    pub(super) spelling: Cow<'a, Spelling>,
    pub(super) body: Bytes,
    /// How much of the body of an answer is read.
    pub(super) max_body: Limit,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(
        spec: &'a RequestSpec,
        site: &'a Site,
        path: &'a str,
        overrides: Overrides,
        max_body: impl Into<Limit>,
    ) -> Self {
        let Overrides {
            method,
            headers,
            body,
            ..
        } = overrides;
        let mut all = Cow::Borrowed(&site.headers);
        let mut spelling = Cow::Borrowed(&spec.spelling);
        for Field { name, typed, value } in headers {
            spelling.to_mut().learn(&name, &typed);
            all.to_mut().insert(name, value);
        }
        // A body alone is for POST, as with -d.
        let method = method.unwrap_or_else(|| match &body {
            Some(_) if spec.method == Method::GET => Method::POST,
            _ => spec.method.clone(),
        });
        Self {
            method,
            path,
            headers: all,
            spelling,
            body: body.unwrap_or_else(|| spec.body.clone()),
            max_body: max_body.into(),
        }
    }

    /// The fields of HTTP/1.1 behind Host: with those of `headers`, where cookies were added to them.
    ///
    /// # Errors
    /// [`ErrorKind::BadItem`].
    pub(super) fn block(&self, site: &'a Site, headers: Option<&HeaderMap>) -> Result<Cow<'a, Block>, Fault> {
        Ok(match headers {
            None if self.has_headers_of(site) => Cow::Borrowed(&site.block),
            headers => Cow::Owned(fields::block(headers.unwrap_or(&self.headers), &self.spelling)?),
        })
    }

    /// Whether its headers are those of every request to `site`, unchanged.
    fn has_headers_of(&self, site: &Site) -> bool {
        matches!(&self.headers, Cow::Borrowed(headers) if std::ptr::eq(*headers, &raw const site.headers))
    }

    /// The target of HTTP/1.1: `/path?query`, or the whole URL for a proxy.
    ///
    /// # Errors
    /// [`ErrorKind::BadItem`].
    pub(super) fn target(&self, site: &Site) -> Result<Cow<'a, str>, Fault> {
        if !site.is_forwarded && is_origin_form(self.path) {
            return Ok(Cow::Borrowed(self.path));
        }
        let target = origin_form(self.path)?;
        Ok(if site.is_forwarded {
            absolute_form(site, site.authority.clone(), target)
                .to_string()
                .into()
        } else {
            target.as_str().to_owned().into()
        })
    }

    /// What Host says.
    pub(super) fn host<'s>(&'s self, site: &'s Site) -> &'s [u8] {
        if self.has_headers_of(site) {
            return site.host.as_bytes();
        }
        let own = self.headers.get(HOST).map(HeaderValue::as_bytes);
        own.unwrap_or(site.authority.as_str().as_bytes())
    }

    /// The request of HTTP/2, with `headers` for those of the site.
    pub(super) fn request(
        &self,
        site: &Site,
        target: PathAndQuery,
        headers: Option<HeaderMap>,
    ) -> Request<RequestBody> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = headers.unwrap_or_else(|| HeaderMap::clone(&self.headers));
        // The authority takes the place of Host (RFC 9113 section 8.3.1).
        let host = request.headers_mut().remove(HOST);
        let own = host.and_then(|host| host.to_str().ok()?.parse().ok());
        let authority = own.unwrap_or_else(|| site.authority.clone());
        *request.uri_mut() = absolute_form(site, authority, target);
        *request.version_mut() = http::Version::HTTP_2;
        request
    }

    pub(super) fn sent<'s>(&'s self, site: &'s Site) -> Sent<'s> {
        Sent {
            host: self.host(site),
            method: &self.method,
            path: self.path,
            headers: &self.headers,
            body: &self.body,
        }
    }
}

/// `scheme://authority/path?query` (RFC 9112 section 3.2.2).
fn absolute_form(site: &Site, authority: Authority, target: PathAndQuery) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(site.scheme.clone());
    parts.authority = Some(authority);
    parts.path_and_query = Some(target);
    // All three parts are there.
    Uri::from_parts(parts).unwrap_or_default()
}

/// Whether a path is an origin form as it stands, as nearly all are: characters that need no second thought
/// (RFC 3986 sections 3.3 and 3.4).
fn is_origin_form(path: &str) -> bool {
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut byte = 0;
        while byte < plain.len() {
            plain[byte] = matches!(byte as u8, b'a'..=b'z' | b'$'..=b';' | b'@'..=b'Z' | b'?' | b'=' | b'_' | b'~' | b'!');
            byte += 1;
        }
        plain
    };
    path.starts_with('/') && path.bytes().all(|byte| PLAIN[usize::from(byte)])
}

/// `/path?query` (RFC 9112 section 3.2.1).
pub(super) fn origin_form(path: &str) -> Result<PathAndQuery, Fault> {
    let bytes = if path.starts_with('/') {
        Bytes::copy_from_slice(path.as_bytes())
    } else {
        Bytes::from(format!("/{path}"))
    };
    PathAndQuery::from_maybe_shared(bytes).map_err(|error| Fault::from_error(ErrorKind::BadItem, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_sent_as_it_stands_is_the_same_by_the_types_of_http() {
        for path in ["/", "/items/1?a=b&c=%20", "/a;b,c/@~!$'()*+:", "/?q=1/2?3", "//x"] {
            assert!(is_origin_form(path), "{path}");
            assert_eq!(origin_form(path).unwrap().as_str(), path);
        }
        for path in [
            "", "x", "?a", "/a b", "/a#b", "/a\r\nb", "/\u{e4}", "/[", "/\"", "/\\", "/a\0",
        ] {
            assert!(!is_origin_form(path), "{path:?}");
        }
    }
}
