//! Why a list cannot be read.

use std::io;
use std::path::PathBuf;

use v6kit_base::{Code, Hint};

use super::LONGEST_LINE;
use crate::input::foreign_form::ForeignForm;
use crate::input::packing::Packing;

/// Why a list cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It cannot be opened or read.
    #[error("{what} cannot be read")]
    Read {
        /// The file, or standard input.
        what: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no room to unpack it.
    #[error("{what} cannot be unpacked in {}", directory.display())]
    Unpack {
        /// The file, or standard input.
        what: String,
        /// Where to.
        directory: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is in a form that holds no lines of the kinds that are read.
    #[error("{what} {}", form.is())]
    Form {
        /// The file, or standard input.
        what: String,
        /// What it seems to be.
        form: ForeignForm,
        /// How that is packed.
        packing: Packing,
    },
    /// A line that is longer than any item.
    #[error("line {line} of {what} is longer than {LONGEST_LINE} bytes")]
    LongLine {
        /// The file, or standard input.
        what: String,
        /// Its number, from 1.
        line: u64,
    },
    /// It comes from elsewhere, and is larger than what is taken from there.
    #[error("{what} has more than {most} bytes when it is unpacked")]
    TooLarge {
        /// Where it comes from.
        what: String,
        /// How much is taken, in bytes.
        most: u64,
    },
    /// No line in it.
    #[error("{what} holds no item")]
    Empty {
        /// The file, or standard input.
        what: String,
    },
}

impl Hint for ListError {
    fn code(&self) -> Code {
        match self {
            Self::Read { .. }
            | Self::Unpack { .. }
            | Self::Form { .. }
            | Self::LongLine { .. }
            | Self::TooLarge { .. }
            | Self::Empty { .. } => Code::BadList,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read { .. } => {
                "give a file with one URL per line, plain or packed with gzip or zstd".to_owned()
            }
            Self::Unpack { .. } => {
                "make room in the output directory, or unpack the list yourself".to_owned()
            }
            Self::Form { what, form, packing } => form.conversion(what, *packing),
            Self::TooLarge { .. } => "fetch it yourself and give the file".to_owned(),
            Self::LongLine { .. } => "write one item per line".to_owned(),
            Self::Empty { .. } => "write one URL per line, or one JSON object with a \"url\"".to_owned(),
        })
    }
}
