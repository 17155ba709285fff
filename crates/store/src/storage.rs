//! What is kept of an answer, and in which form.

use std::fmt;
use std::str::FromStr;

use v6kit_base::{Code, Hint};

/// What to do where a feature is missing.
pub const BUILD_WITH_ALL: &str = "use the v6kit of a release, or one that was built with default features: `cargo build --release --locked`";

/// The form of the segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// A line of JSON per item, in zstd frames.
    #[default]
    Ndjson,
    /// WARC 1.1 (ISO 28500:2017), a gzip member per WARC record.
    Warc,
    /// Apache Parquet, a file per commit.
    Parquet,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ndjson, Self::Warc, Self::Parquet];

    /// The name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Warc => "warc",
            Self::Parquet => "parquet",
        }
    }

    /// Whether this build reads and writes it: tables need the feature `parquet`.
    #[must_use]
    pub fn is_built_in(self) -> bool {
        self != Self::Parquet || cfg!(feature = "parquet")
    }

    /// What the names of segments end with.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson.zst",
            Self::Warc => "warc.gz",
            Self::Parquet => "parquet",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How much of an answer is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Content {
    /// Nothing: the ledger knows which items are done, and how many ended in which way.
    Nothing,
    /// Only what became of the item.
    Meta,
    /// The body too.
    #[default]
    Body,
    /// The body and the headers.
    BodyAndHeaders,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nothing => "none",
            Self::Meta => "meta",
            Self::Body => "body",
            Self::BodyAndHeaders => "body,headers",
        })
    }
}

/// What is kept of an answer that is no data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailedBody {
    /// Its headers, where these are kept of data.
    #[default]
    Dropped,
    /// Its body as well, where that is kept of data.
    Kept,
}

/// What is kept, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Storage {
    /// The form of the segments.
    pub format: Format,
    /// How much of each answer.
    pub content: Content,
    /// What is kept of an answer that is no data. A WARC holds it whole in any case.
    pub failed: FailedBody,
    /// Only these fields of JSON bodies; empty for whole bodies.
    pub extract: Vec<FieldPath>,
    /// Whether a record says how long the parts of its request took.
    pub timing: bool,
}

impl Storage {
    /// The paths of the fields as they were written.
    #[must_use]
    pub fn extract_text(&self) -> String {
        let paths: Vec<&str> = self.extract.iter().map(FieldPath::as_str).collect();
        if paths.is_empty() {
            "none".to_owned()
        } else {
            paths.join(",")
        }
    }
}

/// The way to a field in a JSON document: names of fields and numbers of elements, joined by dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath {
    text: String,
    steps: Vec<String>,
}

/// A path with an empty step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the path of a field")]
pub struct NotAPath {
    /// What was given.
    pub text: String,
}

impl Hint for NotAPath {
    fn code(&self) -> Code {
        Code::BadExpectation
    }

    fn hint(&self) -> Option<String> {
        Some("write names joined by dots, such as data.owner.name or items.0.id".to_owned())
    }
}

impl FieldPath {
    /// The path as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Names of fields, or numbers of elements.
    pub(crate) fn steps(&self) -> &[String] {
        &self.steps
    }
}

impl FromStr for FieldPath {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        let steps: Vec<String> = text.trim().split('.').map(str::to_owned).collect();
        if steps.iter().any(String::is_empty) {
            return Err(NotAPath {
                text: text.to_owned(),
            });
        }
        Ok(Self {
            text: text.trim().to_owned(),
            steps,
        })
    }
}

/// How zstd works. Another run may do it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// zstd(1)'s level, 1 to 22.
    pub level: i32,
    /// How far back it looks.
    pub reach: Reach,
}

/// How far back the compressor looks for what it has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// As far as the level does.
    #[default]
    OfLevel,
    /// Over a whole frame, and frames are larger.
    Long,
}
