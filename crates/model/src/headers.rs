//! The header fields of an answer.

use std::cell::OnceCell;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use v6kit_http1::Head;

/// The header fields of an answer. Those of HTTP/1.1 are kept as they came, and made a map of only for whoever asks for
/// one: most answers are judged and recorded by a field or two.
#[derive(Debug, Default)]
pub struct Headers {
    head: Option<Head>,
    /// The map, where it came as one, was asked for, or was changed.
    map: OnceCell<Box<HeaderMap>>,
}

impl Headers {
    /// The head of an answer over HTTP/1.1 from the status line to the blank line, octet by octet as it came, whatever
    /// became of the fields since; `None` over HTTP/2, where there is no such text.
    #[must_use]
    pub fn raw(&self) -> Option<&Bytes> {
        self.head.as_ref().map(Head::raw)
    }

    /// The head of an answer over HTTP/1.1.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// The value of the first field of that name.
    #[must_use]
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        match (self.map.get(), &self.head) {
            (Some(map), _) => map.get(name).map(HeaderValue::as_bytes),
            (None, Some(head)) => head.get(name.as_str()),
            (None, None) => None,
        }
    }

    /// All fields. Those of HTTP/1.1 that no map can hold are only in [`Headers::raw`].
    #[must_use]
    pub fn map(&self) -> &HeaderMap {
        let read = || self.head.as_ref().map(map_of).unwrap_or_default();
        self.map.get_or_init(|| Box::new(read()))
    }

    /// Takes all fields of that name out of the map.
    pub fn remove(&mut self, name: &HeaderName) {
        let read = || self.head.as_ref().map(map_of).unwrap_or_default();
        let mut map = self.map.take().unwrap_or_else(|| Box::new(read()));
        map.remove(name);
        self.map = OnceCell::from(map);
    }
}

impl From<Head> for Headers {
    fn from(head: Head) -> Self {
        Self {
            head: Some(head),
            map: OnceCell::new(),
        }
    }
}

impl From<HeaderMap> for Headers {
    fn from(map: HeaderMap) -> Self {
        Self {
            head: None,
            map: OnceCell::from(Box::new(map)),
        }
    }
}

fn map_of(head: &Head) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(8);
    for (name, value) in head.fields() {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            // Beyond what a map can hold nobody looks for a field.
            let _ = map.try_append(name, value);
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_ENCODING, CONTENT_TYPE, SET_COOKIE};

    use super::*;

    #[test]
    fn a_field_is_found_in_a_head_and_in_a_map_and_what_was_removed_is_gone_but_from_the_head() {
        let text = "HTTP/1.1 200 Fine\r\nSET-Cookie: a\r\ncontent-TYPE: text/html\r\nSet-Cookie: b\r\n\
                    Content-Encoding: gzip\r\n\r\n";
        let mut headers = Headers::from(Head::parse(text.as_bytes()).unwrap());
        assert_eq!(headers.get(&CONTENT_TYPE), Some(&b"text/html"[..]));
        assert_eq!(headers.get(&http::header::AGE), None);
        assert_eq!(headers.map().get_all(SET_COOKIE).iter().count(), 2);
        headers.remove(&CONTENT_ENCODING);
        assert_eq!(headers.get(&CONTENT_ENCODING), None);
        assert_eq!(headers.get(&SET_COOKIE), Some(&b"a"[..]));
        assert_eq!(headers.raw().unwrap(), text);
        let headers = Headers::from(headers.map().clone());
        assert_eq!(headers.get(&CONTENT_TYPE), Some(&b"text/html"[..]));
        assert_eq!(headers.raw(), None);
        assert_eq!(Headers::default().get(&CONTENT_TYPE), None);
    }
}
