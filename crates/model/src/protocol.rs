//! The words of HTTP that several rooms share.

use bytes::Bytes;

use crate::headers::Headers;

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
}

/// A coding of the connection (RFC 9112 section 7.2), which nobody asks for and some servers apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferCoding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950, or RFC 1951 alone.
    Deflate,
}
