//! Why there is no whole answer.

use std::fmt;
use std::io;

/// Why there is no whole answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The end came before a byte of an answer.
    #[error("the server closed the connection before it answered")]
    Closed,
    /// The connection failed before a byte of an answer.
    #[error("the connection failed before an answer")]
    Broken(#[source] io::Error),
    /// The end came within the answer.
    #[error("the answer ends within {0}")]
    Incomplete(Part),
    /// The connection failed within the answer.
    #[error("the connection failed within {0}")]
    Torn(Part, #[source] io::Error),
    /// It is not HTTP/1.1, or it cannot be told where it ends.
    #[error("the answer is not HTTP/1.1")]
    Malformed(#[from] Violation),
    /// The body is larger than allowed.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// What was allowed, in bytes.
        limit: u64,
    },
}

/// A part of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Status line and fields.
    Head,
    /// Content, or the chunks that it comes in.
    Body,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Head => "its head",
            Self::Body => "its body",
        })
    }
}

/// What makes bytes no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// It does not begin like HTTP/1.
    #[error("it does not begin with a status line")]
    NotHttp,
    /// No status of three digits, or a version that is none.
    #[error("the status line cannot be read")]
    StatusLine,
    /// A CR at the beginning of a line that does not end there (RFC 9112 section 2.2): some readers see the end of the head
    /// in it, others a field.
    #[error("a line begins like the end of the head and is none, so that the end of the head is not known")]
    HeadEnd,
    /// A head, or interim answers, without end.
    #[error("the head is larger than {limit} bytes")]
    HeadTooLarge {
        /// What is read, in bytes.
        limit: usize,
    },
    /// Interim answers (RFC 9110 section 15.2) without end.
    #[error("the interim answers are larger than {limit} bytes")]
    InterimTooLarge {
        /// What is read of all of them together, in bytes.
        limit: usize,
    },
    /// 101 Switching Protocols, which nobody asked for.
    #[error("the server switches to another protocol, unasked")]
    Switched,
    /// A Content-Length that is not one number (RFC 9110 section 8.6).
    #[error("Content-Length is not one number")]
    Length,
    /// A line that speaks of the body's end, and cannot be read for sure.
    #[error("a damaged line resembles {0}, so that the end of the body is not known")]
    Disguised(&'static str),
    /// A transfer coding that is unknown, or not where it may be (RFC 9112 section 6.1).
    #[error("the transfer coding `{0}` cannot be undone")]
    Coding(String),
    /// A line with a chunk's size that holds none, or more than that (RFC 9112 section 7.1).
    #[error("the size of a chunk cannot be read")]
    ChunkSize,
    /// Bytes in the place of the CR LF behind a chunk.
    #[error("a chunk does not end where its size says")]
    ChunkEnd,
    /// Extensions of chunks without end.
    #[error("the extensions of the chunks are larger than {limit} bytes")]
    ExtensionTooLarge {
        /// What is read, in bytes.
        limit: usize,
    },
    /// Trailers that do not end their lines with CR LF.
    #[error("the fields behind the last chunk cannot be read")]
    Trailers,
    /// Trailers without end.
    #[error("the fields behind the last chunk are larger than {limit} bytes")]
    TrailersTooLarge {
        /// What is read, in bytes.
        limit: usize,
    },
}
