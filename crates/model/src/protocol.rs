//! The words of HTTP that several rooms share.

use std::cell::OnceCell;

use bytes::Bytes;

use crate::headers::Headers;
use crate::json::is_portable;

/// Which version of HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// Over TLS what the server prefers, HTTP/1.1 otherwise.
    Auto,
    /// HTTP/1.1.
    One,
    /// HTTP/2, also where no TLS says so.
    Two,
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// What becomes of content codings (RFC 9110 section 8.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// They are asked for, and undone.
    Undo,
    /// None is asked for, and bodies are kept as they come.
    Keep,
}

/// The content codings that can be undone, as `Accept-Encoding` says it.
pub const ACCEPTED_CODINGS: &str = "gzip, br, zstd, deflate";

/// What a server answered.
#[derive(Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: http::StatusCode,
    /// The headers.
    pub headers: Headers,
    /// The whole body as it came.
    pub body: Bytes,
    /// The transfer codings that the body still has, in the order in which they were applied.
    pub transfer_codings: Vec<TransferCoding>,
    /// Whether the body is JSON that every reader takes, once somebody has looked. Whoever changes the body later takes
    /// it away.
    pub portable: OnceCell<bool>,
}

impl Answer {
    /// Whether the body is JSON that every reader takes ([`is_portable`]), behind a byte order mark or not. It is looked
    /// at once.
    #[must_use]
    pub fn is_portable(&self) -> bool {
        let look = || is_portable(without_mark(&self.body));
        *self.portable.get_or_init(look)
    }
}

/// A text without the byte order mark that it may begin with, which is no part of it (RFC 8259 section 8.1).
#[must_use]
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// A coding of the connection (RFC 9112 section 7.2), which nobody asks for and some servers apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferCoding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950, or RFC 1951 alone.
    Deflate,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_looked_at_once_and_a_mark_before_it_is_no_part_of_it() {
        let answer = |body: &'static [u8]| Answer {
            body: Bytes::from_static(body),
            ..Answer::default()
        };
        for (body, is_portable) in [
            (&b"{\"a\":1}"[..], true),
            (b"\xef\xbb\xbf[1]", true),
            (b"{\"a\":1,\"a\":2}", false),
            (b"[1", false),
            (b"", false),
        ] {
            let answer = answer(body);
            assert_eq!(answer.is_portable(), is_portable, "{body:?}");
            assert_eq!(answer.portable.get(), Some(&is_portable), "{body:?}");
        }
    }
}
