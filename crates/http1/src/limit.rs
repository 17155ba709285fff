//! How much is read.

/// How much content of an answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// All of it, where it has at most so many bytes. More is [`Error::TooLarge`](crate::Error::TooLarge).
    AtMost(u64),
    /// Its first bytes, so many of them: what comes behind is not waited for, and the connection ends.
    First(u64),
}

impl Limit {
    /// The number.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Self::AtMost(bytes) | Self::First(bytes) => bytes,
        }
    }
}

impl From<u64> for Limit {
    fn from(bytes: u64) -> Self {
        Self::AtMost(bytes)
    }
}
