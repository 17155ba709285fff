//! What counts as data, and what is a refusal.

use v6kit_crawl::{Expectation, Expectations};
use v6kit_model::Coding;

use crate::commands::crawl::values;
use crate::failure::{Exit, Failure};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What counts as data")]
pub(crate) struct DataArgs {
    /// What data looks like: --expect json --expect key=data.id
    ///
    /// What does not look like it counts as blocked. One of status=200,404, json, key=data.id, size=10..1M, header=NAME:PATTERN; may be given several times, and
    /// all must hold.
    #[arg(long, value_name = "WHAT", value_parser = values::expectation)]
    expect: Vec<Expectation>,
    /// What only a refusal says, as a regular expression on the body; may be given several times
    #[arg(long, value_name = "RE", value_parser = values::pattern, hide_short_help = true)]
    block_pattern: Vec<String>,
    /// Ask for no compression, and keep bodies as they come
    #[arg(long, hide_short_help = true)]
    raw: bool,
    /// The largest body; a larger one is recorded as a failure
    #[arg(long, value_name = "SIZE", default_value = "10M", value_parser = values::size, hide_short_help = true)]
    pub(crate) max_body: u64,
}

impl DataArgs {
    /// What answers are held against.
    pub(crate) fn resolve(self) -> Result<Expectations, Failure> {
        Expectations::new(self.expect, &self.block_pattern)
            .map_err(|error| Failure::because(Exit::Usage, "the patterns cannot be used", &error))
    }

    /// Whether compressed bodies are unpacked.
    pub(crate) fn coding(&self) -> Coding {
        if self.raw { Coding::Keep } else { Coding::Undo }
    }
}
