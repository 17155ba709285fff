//! Why a crawl does not start, or ends early.

use std::io;
use std::sync::Arc;

use v6kit_net::{Code, Hint, PoolError, ResolveError};
use v6kit_store::{DiskLow, LedgerError, ReadError, StoreError};

use crate::connect::connection::TrustError;

/// Why a crawl does not start, or ends early.
#[derive(Debug, thiserror::Error)]
pub enum CrawlError {
    /// The job directory cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Records cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Records of earlier runs cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is too little room to begin.
    #[error("the disk is too full")]
    DiskLow(#[source] DiskLow),
    /// No source address.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The destination has no IPv6 address.
    #[error(transparent)]
    Resolve(Arc<ResolveError>),
    /// Nobody is trusted.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A shard's runtime cannot be built.
    #[error("a shard cannot be started")]
    Runtime(#[source] io::Error),
    /// A thread cannot be started.
    #[error("a thread cannot be started")]
    Thread(#[source] io::Error),
    /// A shard panicked.
    #[error("a shard stopped by an error of its own: {message}")]
    Panic {
        /// What it said.
        message: String,
    },
}

impl Hint for CrawlError {
    fn code(&self) -> Code {
        match self {
            Self::Ledger(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::DiskLow(error) => error.code(),
            Self::Pool(error) => error.code(),
            Self::Resolve(error) => error.code(),
            Self::Trust(error) => error.code(),
            Self::Runtime(_) | Self::Thread(_) => Code::Thread,
            Self::Panic { .. } => Code::Panic,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Ledger(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Read(error) => error.hint(),
            Self::DiskLow(error) => error.hint(),
            Self::Pool(error) => error.hint(),
            Self::Resolve(error) => error.hint(),
            Self::Trust(error) => error.hint(),
            Self::Runtime(_) => Some("raise the limit on open files, or use fewer --threads".to_owned()),
            Self::Thread(_) => Some("use fewer --threads".to_owned()),
            Self::Panic { .. } => {
                Some("repeat the command to go on where it stopped; please report this".to_owned())
            }
        }
    }
}

impl CrawlError {
    /// Whether the disk is full or broken.
    #[must_use]
    pub fn is_disk(&self) -> bool {
        match self {
            Self::Ledger(error) => error.is_disk(),
            Self::Store(error) => error.is_disk(),
            Self::DiskLow(_) => true,
            _ => false,
        }
    }
}
