//! `v6kit crawl`.

use crate::failure::{Exit, Failure};
use crate::printer::Printer;

#[derive(Debug, clap::Args)]
pub(crate) struct CrawlArgs {}

pub(crate) fn run(_args: CrawlArgs, _printer: &Printer) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
