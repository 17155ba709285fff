//! What is stored, and how.

use std::time::Duration;

use v6kit_store::{Compression, Content, FailedBody, FieldPath, Format, KeepFree, Reach, Storage};

use crate::commands::crawl::values;
use crate::failure::{Exit, Failure};

/// The default level: on JSON bodies of some 300 bytes within 1 % of the size of level 3, for 5 to 20 % less CPU.
const LEVEL: i32 = 2;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct StorageArgs {
    /// The form of the records: --format warc, parquet or ndjson
    #[arg(long, value_name = "FORMAT", default_value = "ndjson", value_parser = values::format)]
    format: Format,
    /// What is kept of an answer: body; body,headers; meta; or none
    ///
    /// By default the body of data. Where it is given, the body of a failure is kept as well: what a site says with
    /// it. meta keeps a record without body. none keeps no records: only which items are done, so that the crawl can
    /// go on, and how many ended in which way. Which failed, and why, is not known afterwards.
    #[arg(long, value_name = "PARTS", value_parser = values::content, hide_short_help = true)]
    store: Option<Content>,
    /// Keep only these fields of JSON bodies: a.b.c,d
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', value_parser = values::field, hide_short_help = true)]
    extract: Vec<FieldPath>,
    /// Say in each record how long its parts took: look-up of the name, TCP and TLS handshake, first byte
    #[arg(long, hide_short_help = true)]
    timing: bool,
    /// The level of zstd, 1 to 22
    #[arg(long, value_name = "N", default_value_t = LEVEL, value_parser = clap::value_parser!(i32).range(1..=22), hide_short_help = true)]
    level: i32,
    /// Let zstd look for what is alike over larger frames; takes more memory
    #[arg(long, hide_short_help = true)]
    long: bool,
    /// How long a record waits at most until it is safe on the disk
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = values::time, hide_short_help = true)]
    pub(crate) commit_every: Duration,
    /// Stop before less than this is free on the disk: 5%, 2GiB; by default 5 % and at least 1 GiB
    #[arg(long, value_name = "SIZE", value_parser = values::keep_free, hide_short_help = true)]
    pub(crate) keep_free: Option<KeepFree>,
}

impl StorageArgs {
    /// What the job keeps.
    pub(crate) fn resolve(&self) -> Result<Storage, Failure> {
        let failed = if self.store.is_some() {
            FailedBody::Kept
        } else {
            FailedBody::Dropped
        };
        let storage = storage(self.format, self.store.unwrap_or_default(), self.extract.clone())?;
        Ok(Storage {
            failed,
            timing: self.timing,
            ..storage
        })
    }

    /// How it is packed.
    pub(crate) fn compression(&self) -> Compression {
        Compression {
            level: self.level,
            reach: if self.long { Reach::Long } else { Reach::OfLevel },
        }
    }
}

fn storage(format: Format, content: Content, extract: Vec<FieldPath>) -> Result<Storage, Failure> {
    let refused = |what: &str, why: &str, hint: &str| {
        Err(Failure::new(Exit::Usage, what.to_owned()).why(why).hint(hint))
    };
    if format == Format::Warc && (content != Content::Body || !extract.is_empty()) {
        return refused(
            "a WARC cannot hold parts of answers",
            "it keeps requests and responses as they were",
            "leave out --store and --extract, or use --format ndjson or parquet",
        );
    }
    if matches!(content, Content::Meta | Content::Nothing) && !extract.is_empty() {
        return refused(
            "there is nothing to extract from",
            &format!("--store {content} keeps no bodies"),
            "use --store body",
        );
    }
    Ok(Storage {
        format,
        content,
        extract,
        ..Storage::default()
    })
}
