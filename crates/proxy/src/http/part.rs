//! Where a connection stands between and within requests, and what a step of reading finds.

use super::head::{MAX_FIELDS, MAX_HEAD};
use crate::data::refusal::Refusal;

/// What is to come next.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Head,
    /// That many bytes of content are to come.
    Content(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    /// A CONNECT request was seen: what follows may be anything.
    Tunnel,
    /// The client asked for WebSocket: what follows depends on the answer.
    Switch,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A head, or trailers, of too many bytes.
    #[error("too many bytes of fields")]
    TooLarge,
    /// A head, or trailers, of too many fields.
    #[error("too many fields")]
    TooManyFields,
    /// A head that did not come to its end in time.
    #[error("the head takes too long")]
    TooSlow,
    /// Everything else.
    #[error("{0}")]
    Malformed(&'static str),
}

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::TooLarge => Self::HeadTooLarge { limit: MAX_HEAD },
            Violation::TooManyFields => Self::TooManyFields { limit: MAX_FIELDS },
            Violation::TooSlow => Self::HandshakeTimeout,
            Violation::Malformed(why) => Self::BadRequest { why },
        }
    }
}

/// What was read, where the connection stands then, and what passes instead of it.
pub(super) struct Part {
    pub(super) used: usize,
    pub(super) next: State,
    pub(super) written: Written,
}

pub(super) enum Written {
    AsRead,
    /// A line with the size of a chunk.
    Size(u64),
    Instead(Vec<u8>),
}

impl Part {
    pub(super) fn as_read(used: usize, next: State) -> Self {
        Self {
            used,
            next,
            written: Written::AsRead,
        }
    }
}

/// `None` asks for more bytes.
pub(super) type Step = Result<Option<Part>, Violation>;
