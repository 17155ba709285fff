//! Options that several subcommands have, and values that are read in several places.

use std::path::PathBuf;
use std::time::Duration;

use crate::failure::chain;

/// What is printed, for every subcommand.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct OutputArgs {
    /// Print one JSON document on standard output and nothing else there
    #[arg(long, global = true, display_order = 900)]
    pub(crate) json: bool,
    /// Print errors only
    #[arg(short, long, global = true, display_order = 901, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more on standard error; twice for debugging
    #[arg(short, long, global = true, display_order = 902, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Where setup keeps its journal and summary.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StateArgs {
    /// Where the journal of setup and its summary lie
    #[arg(
        long,
        value_name = "DIR",
        env = "V6KIT_STATE_DIR",
        default_value = "/var/lib/v6kit",
        display_order = 800,
        hide_short_help = true
    )]
    pub(crate) state_dir: PathBuf,
}

/// A value that an argument does not take, with advice. Value parsers return it.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(crate) struct BadValue {
    pub(crate) why: String,
    pub(crate) hint: Option<String>,
    pub(crate) code: v6kit_net::Code,
}

impl BadValue {
    pub(crate) fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            hint: Some(hint.into()),
            code: v6kit_net::Code::BadValue,
        }
    }

    /// Where the catalogue says more.
    pub(crate) fn code(self, code: v6kit_net::Code) -> Self {
        Self { code, ..self }
    }
}

impl<E: std::error::Error + v6kit_net::Hint> From<&E> for BadValue {
    fn from(error: &E) -> Self {
        Self {
            why: chain(error),
            hint: error.hint(),
            code: error.code(),
        }
    }
}

/// Parses `--prefix`.
pub(crate) fn prefix(text: &str) -> Result<v6kit_net::Prefix, BadValue> {
    text.parse()
        .map_err(|error: v6kit_net::PrefixError| BadValue::from(&error))
}

/// Parses a time such as `5s`, `500ms` or `1m30s`, more than zero.
pub(crate) fn duration(text: &str) -> Result<Duration, BadValue> {
    const HINT: &str = "write a number and a unit, such as 5s, 500ms or 1m30s";
    let bad = |why: String| BadValue::new(why, HINT);
    let signed: jiff::SignedDuration = text
        .parse()
        .map_err(|error: jiff::Error| bad(error.to_string()))?;
    match Duration::try_from(signed) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(bad("it must be more than zero".to_owned())),
    }
}
