//! A request on its way.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::Full;
use v6kit_model::input::{Overrides, RequestSpec};
use v6kit_model::{ErrorKind, Fault, Protocol};
use v6kit_store::Sent;

use crate::connect::connection::RequestBody;
use crate::site::Site;

/// A request as it will be sent.
pub(super) struct Outgoing<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) headers: Cow<'a, HeaderMap>,
    pub(super) body: Bytes,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(spec: &RequestSpec, site: &'a Site, path: &'a str, overrides: Overrides) -> Self {
        let Overrides {
            method,
            headers,
            body,
            ..
        } = overrides;
        let mut all = Cow::Borrowed(&site.headers);
        for (name, value) in headers {
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
            body: body.unwrap_or_else(|| spec.body.clone()),
        }
    }

    pub(super) fn request(
        &self,
        site: &Site,
        target: PathAndQuery,
        protocol: Protocol,
    ) -> Request<RequestBody> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = HeaderMap::clone(&self.headers);
        match protocol {
            Protocol::Http1 if site.is_forwarded => {
                *request.uri_mut() = absolute_form(site, site.authority.clone(), target);
            }
            Protocol::Http1 => *request.uri_mut() = Uri::from(target),
            Protocol::Http2 => {
                // The authority takes the place of Host (RFC 9113 section 8.3.1).
                let host = request.headers_mut().remove(HOST);
                let own = host.and_then(|host| host.to_str().ok()?.parse().ok());
                let authority = own.unwrap_or_else(|| site.authority.clone());
                *request.uri_mut() = absolute_form(site, authority, target);
                *request.version_mut() = http::Version::HTTP_2;
            }
        }
        request
    }

    pub(super) fn sent(&self) -> Sent<'_> {
        Sent {
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

/// `/path?query` (RFC 9112 section 3.2.1).
pub(super) fn origin_form(path: &str) -> Result<PathAndQuery, Fault> {
    let bytes = if path.starts_with('/') {
        Bytes::copy_from_slice(path.as_bytes())
    } else {
        Bytes::from(format!("/{path}"))
    };
    PathAndQuery::from_maybe_shared(bytes).map_err(|error| Fault::from_error(ErrorKind::BadItem, &error))
}
