//! Requests as they are written (RFC 9112 sections 3 and 5, RFC 9110 section 7.2).
//!
//! Nothing that is put into one becomes a line of its own: what cannot be written is refused.

use bytes::Bytes;

use crate::fields::{is_token, is_value, trim};
use crate::framing::Asked;

/// Content up to this size goes out in one piece with the head. A second one would wait for the first to be
/// acknowledged, by up to 40 ms, or be a TLS record of its own.
const TOGETHER: usize = 16 * 1024;

/// Why a request cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not a token (RFC 9110 section 9.1).
    #[error("`{}` is not a method", .0.escape_debug())]
    Method(String),
    /// Empty, or with a space or a control character (RFC 9112 section 3.2).
    #[error("`{}` cannot be asked for", .0.escape_debug())]
    Target(String),
    /// Not a token (RFC 9110 section 5.1).
    #[error("`{}` is not the name of a field", .0.escape_debug())]
    Name(String),
    /// With a control character (RFC 9110 section 5.5).
    #[error("the value of `{0}` holds a character that a field cannot")]
    Value(String),
    /// A field that says where the request ends, or whom it is for: the exchange writes those itself.
    #[error("`{0}` is written by the exchange itself")]
    Reserved(String),
}

/// Lines of fields that have been checked: for many requests, or for one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block(Vec<u8>);

impl Block {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field, whose name is written as it is here.
    ///
    /// # Errors
    /// [`RequestError::Name`], [`RequestError::Value`] and [`RequestError::Reserved`].
    pub fn push(&mut self, name: &str, value: &[u8]) -> Result<(), RequestError> {
        const RESERVED: [&str; 3] = ["host", "content-length", "transfer-encoding"];
        if !is_token(name.as_bytes()) {
            return Err(RequestError::Name(name.to_owned()));
        }
        if RESERVED
            .iter()
            .any(|reserved| name.eq_ignore_ascii_case(reserved))
        {
            return Err(RequestError::Reserved(name.to_owned()));
        }
        check_value(name, value)?;
        for part in [name.as_bytes(), b": ", trim(value), b"\r\n"] {
            self.0.extend_from_slice(part);
        }
        Ok(())
    }

    /// Takes all fields out, and keeps the room.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The target: `/path?query`, a whole URL for a proxy, or `host:port` for CONNECT (RFC 9112 section 3.2).
    pub target: &'a str,
    /// The value of Host, which is the first field.
    pub host: &'a [u8],
    /// The fields behind Host.
    pub fields: &'a Block,
    /// Those behind them.
    pub more: Option<&'a Block>,
    /// The content; empty for none.
    pub body: &'a Bytes,
}

impl Request<'_> {
    pub(crate) fn asked(&self) -> Asked {
        match self.method {
            "HEAD" => Asked::Head,
            "CONNECT" => Asked::Connect,
            _ => Asked::Other,
        }
    }

    /// Appends the head and, where it is small, the content. The result is the rest of the content.
    ///
    /// # Errors
    /// [`RequestError::Method`], [`RequestError::Target`] and [`RequestError::Value`]; then nothing was appended.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<Bytes, RequestError> {
        if !is_token(self.method.as_bytes()) {
            return Err(RequestError::Method(self.method.to_owned()));
        }
        let is_unfit = |byte: u8| byte == b' ' || byte.is_ascii_control();
        if self.target.is_empty() || self.target.bytes().any(is_unfit) {
            return Err(RequestError::Target(self.target.to_owned()));
        }
        check_value("Host", self.host)?;
        let Block(fields) = self.fields;
        for part in [self.method, " ", self.target, " HTTP/1.1\r\nHost: "] {
            out.extend_from_slice(part.as_bytes());
        }
        for part in [trim(self.host), b"\r\n", fields] {
            out.extend_from_slice(part);
        }
        if let Some(Block(more)) = self.more {
            out.extend_from_slice(more);
        }
        // Servers answer 411 to a POST without a length (RFC 9110 section 8.6).
        if !self.body.is_empty() || matches!(self.method, "POST" | "PUT" | "PATCH") {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(self.body.len()).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        let first = self.body.len().min(TOGETHER);
        out.extend_from_slice(&self.body[..first]);
        Ok(self.body.slice(first..))
    }
}

fn check_value(name: &str, value: &[u8]) -> Result<(), RequestError> {
    if value.iter().copied().all(is_value) {
        Ok(())
    } else {
        Err(RequestError::Value(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(method: &str, target: &str, host: &str, body: &str) -> Result<String, RequestError> {
        let mut fields = Block::new();
        fields.push("X-My-ID", b" 1 ").unwrap();
        fields.push("x-lower", "Größe".as_bytes()).unwrap();
        let body = Bytes::copy_from_slice(body.as_bytes());
        let request = Request {
            method,
            target,
            host: host.as_bytes(),
            fields: &fields,
            more: None,
            body: &body,
        };
        let mut out = Vec::new();
        let rest = request.write(&mut out).inspect_err(|_| assert!(out.is_empty()))?;
        assert_eq!(rest.len(), body.len().saturating_sub(TOGETHER));
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn host_is_first_and_names_are_as_they_were_given() {
        assert_eq!(
            written("GET", "/a?b", "h:1", "").unwrap(),
            "GET /a?b HTTP/1.1\r\nHost: h:1\r\nX-My-ID: 1\r\nx-lower: Größe\r\n\r\n"
        );
        assert!(
            written("DELETE", "/", "h", "")
                .unwrap()
                .ends_with("Größe\r\n\r\n")
        );
    }

    #[test]
    fn content_has_a_length_also_where_it_is_empty_and_meant() {
        for method in ["POST", "PUT", "PATCH"] {
            assert!(
                written(method, "/", "h", "")
                    .unwrap()
                    .ends_with("Content-Length: 0\r\n\r\n")
            );
        }
        assert!(
            written("POST", "/", "h", "x=1")
                .unwrap()
                .ends_with("Content-Length: 3\r\n\r\nx=1")
        );
        assert!(
            written("GET", "/", "h", "x")
                .unwrap()
                .ends_with("Content-Length: 1\r\n\r\nx")
        );
        let large = "x".repeat(TOGETHER + 5);
        let text = written("PUT", "/", "h", &large).unwrap();
        assert!(text.ends_with(&format!(
            "Content-Length: {}\r\n\r\n{}",
            TOGETHER + 5,
            "x".repeat(TOGETHER)
        )));
    }

    #[test]
    fn nothing_becomes_a_line_of_its_own() {
        for odd in ["\r\nX: y", "\n", "\r", "\0", "\x7f", "\x01"] {
            assert!(written(&format!("GET{odd}"), "/", "h", "").is_err(), "{odd:?}");
            assert!(written("GET", &format!("/a{odd}"), "h", "").is_err(), "{odd:?}");
            assert!(written("GET", "/", &format!("h{odd}"), "").is_err(), "{odd:?}");
            let mut block = Block::new();
            assert!(block.push(&format!("X{odd}"), b"1").is_err(), "{odd:?}");
            assert!(block.push("X", format!("1{odd}").as_bytes()).is_err(), "{odd:?}");
            assert_eq!(block, Block::new());
        }
        assert!(written("GET", "/a HTTP/1.1", "h", "").is_err());
        assert!(written("GET", "", "h", "").is_err());
        assert!(written("G T", "/", "h", "").is_err());
        for name in ["", "a b", "a:", "ä"] {
            assert_eq!(
                Block::new().push(name, b"1"),
                Err(RequestError::Name(name.to_owned()))
            );
        }
        for name in ["Host", "CONTENT-length", "Transfer-Encoding"] {
            assert_eq!(
                Block::new().push(name, b"1"),
                Err(RequestError::Reserved(name.to_owned()))
            );
        }
    }
}
